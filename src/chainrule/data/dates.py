"""Dates and times: their formats found in text, and what a network can take of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl

SECONDS_PER_DAY = 86_400
DAYS_PER_YEAR = 365.2425
FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y",
)
YEAR_1000 = -30_610_224_000_000_000  # in microseconds since 1970
LOOKED_AT = 100  # cells tried before all are read
NATIVE = "native"  # the file's own type of date; text is then read in whichever format fits


def find_format(seen: pl.Series, fits: Callable[[pl.Series, pl.Series], bool]) -> tuple[str, str]:
    """Return the first format that fits the cells, or nothing; and what the user should hear.

    `fits` says of cells and what was read from them whether enough could be read.
    """
    found = [f for f in FORMATS if _fits(seen, f, fits)]
    if not found:
        return "", ""
    note = ""
    if found[0] == "%d/%m/%Y":
        note = "read as day/month/year" + (", though month/day/year would fit too" if len(found) > 1 else "")
    elif found[0] == "%m/%d/%Y":
        note = "read as month/day/year"
    return found[0], note


def read_dates(cells: pl.Series, pattern: str) -> pl.Series:
    """Read cells as microseconds since 1970 in UTC; null for what is no date in this format. Shapes: (N,) -> (N,)."""
    if cells.dtype in (pl.Date, pl.Datetime):
        return cells.dt.epoch("us")
    if cells.dtype != pl.String:
        return pl.Series(cells.name, [None] * cells.len(), dtype=pl.Int64)
    if pattern == NATIVE:
        seen = cells.drop_nulls()
        pattern = next((f for f in FORMATS if not _read(seen, f).null_count()), FORMATS[0])
    return _read(cells, pattern)


def date_numbers(times: pl.Series) -> np.ndarray:
    """Return days since 1970, and the place in the year and in the week on a circle. Shapes: (N,) -> (N, 5)."""
    days = times.cast(pl.Float64).fill_null(math.nan).to_numpy() / (1e6 * SECONDS_PER_DAY)
    year, week = 2 * math.pi * days / DAYS_PER_YEAR, 2 * math.pi * days / 7
    return np.stack([days, np.sin(year), np.cos(year), np.sin(week), np.cos(week)], 1)


def _fits(seen: pl.Series, pattern: str, fits: Callable[[pl.Series, pl.Series], bool]) -> bool:
    few = seen.head(LOOKED_AT)
    return bool(_read(few, pattern).count()) and fits(seen, _read(seen, pattern))


def _read(cells: pl.Series, pattern: str) -> pl.Series:
    times = cells.str.to_datetime(pattern, strict=False, exact=True, time_unit="us").dt.epoch("us")
    return times.set(times < YEAR_1000, None)  # polars takes 24-01-02 for the year 24
