"""From what a user points at to tensors: reading, schema, splits, preparation, batch order."""
