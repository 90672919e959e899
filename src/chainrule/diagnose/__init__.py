"""What a careful colleague would say: about the data before training."""
