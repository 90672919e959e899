"""Errors, seeds, devices, units and files: what every other room stands on."""
