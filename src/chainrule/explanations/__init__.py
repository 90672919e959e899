"""The mathematics of a network in words and numbers: graphs, passes forward and backward, shapes and costs."""
