"""The same training written for each library as its own documentation writes it."""
