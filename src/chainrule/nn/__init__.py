"""The elements: activations, losses, initial values, noise."""
