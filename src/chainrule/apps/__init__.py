"""Doors to the product: the command line; estimators, playground and server later."""
