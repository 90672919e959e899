"""The engine: from a recipe to an iterator of reports."""
