"""Fuzzing of every reader and of every file of a run folder: `make fuzz`, or `python -m fuzz.run --help`."""
