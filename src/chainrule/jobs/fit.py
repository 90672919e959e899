"""`fit`: from data to a trained network in a run folder."""

from __future__ import annotations
