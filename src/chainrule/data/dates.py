"""Dates and times of day: their formats found in text, and what a network can take of them."""

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
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S%.f",
    "%m/%d/%Y %H:%M:%S%.f",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %B %Y",  # %B reads Mar as well as March, in any case
    "%d. %B %Y",
    "%d-%B-%Y",
    "%B %d, %Y",
    "%B %d %Y",
    "%d %B %Y %H:%M",
    "%B %d, %Y %H:%M",
    "%d-%B-%y",
    "%d %B %y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%Y-%m",
    "%G-W%V",
    "%G W%V",
    "%B %Y",
    "%Y %B",
    "%H:%M",
    "%H:%M:%S%.f",
    "%I:%M %p",
    "%I:%M:%S %p",
    "%I %p",
)
# What a cell lacks to be a moment, in front and behind: a month has no day, a time of day has no date.
LACKING = {
    "%Y-%m": ("", "-01", "", "-%d"),
    "%G-W%V": ("", "-1", "", "-%u"),
    "%G W%V": ("", "-1", "", "-%u"),
    "%B %Y": ("", " 1", "", " %d"),
    "%Y %B": ("", " 1", "", " %d"),
    "%H:%M": ("1970-01-01 ", "", "%Y-%m-%d ", ""),
    "%H:%M:%S%.f": ("1970-01-01 ", "", "%Y-%m-%d ", ""),
    "%I:%M %p": ("1970-01-01 ", "", "%Y-%m-%d ", ""),
    "%I:%M:%S %p": ("1970-01-01 ", "", "%Y-%m-%d ", ""),
    "%I %p": ("1970-01-01 ", ":00", "%Y-%m-%d ", ":%M"),
}
YEAR_1000 = -30_610_224_000_000_000  # in microseconds since 1970
LOOKED_AT = 100  # cells tried before all are read
NATIVE = "native"  # the file's own type of date; text is then read in whichever format fits
NATIVE_TIMES = "native with times"  # the same, where some moment is not midnight
DATE_LIKE = r"\d[-/.:T ]\s?[\dW]|\d[-. ]{0,2}[A-Za-z]{1,9}|[A-Za-z]{3,9} \d"
MONTH_FIRST, DAY_FIRST = "month/day/year", "day/month/year"


def has_times(pattern: str) -> bool:
    """Whether cells of this format say a time of day."""
    return pattern == NATIVE_TIMES or "%H" in pattern or "%I" in pattern


def has_dates(pattern: str) -> bool:
    """Whether cells of this format say a day."""
    return pattern in (NATIVE, NATIVE_TIMES) or "%Y" in pattern or "%y" in pattern or "%G" in pattern


def parts(pattern: str) -> tuple[str, ...]:
    """Return the names of the numbers that a date of this format becomes."""
    of_days = ("days", "year sin", "year cos", "week sin", "week cos") if has_dates(pattern) else ("hours",)
    return of_days + (("day sin", "day cos") if has_times(pattern) else ())


def native_format(cells: pl.Series) -> str:
    """Return the format of a column whose file has a type of its own for dates and times."""
    if cells.dtype == pl.Time:
        return "%H:%M:%S%.f"
    if cells.dtype == pl.Date or not (cells.dt.epoch("us") % (SECONDS_PER_DAY * 1_000_000) != 0).any():
        return NATIVE
    return NATIVE_TIMES


def find_format(seen: pl.Series, fits: Callable[[pl.Series, pl.Series], bool]) -> tuple[str, str]:
    """Return the first format that fits the cells, or nothing; and what the user should hear.

    `fits` says of cells and what was read from them whether enough could be read. A year of two digits is read only
    where day and month cannot be confused.
    """
    if not seen.head(LOOKED_AT).str.contains(DATE_LIKE).any():
        return "", ""
    found = next((f for f in FORMATS if _fits(seen, f, fits)), "")
    if not found:
        return "", ""
    other = found.replace("%d/%m", "%m/%d").replace("%d-%m", "%m-%d")
    is_open = other != found and _fits(seen, other, fits)
    order = DAY_FIRST if other != found else MONTH_FIRST if found.startswith(("%m/%d", "%m-%d")) else ""
    if "%y" in found:
        if is_open:
            return "", (
                "could be dates with two digits for the year, but which number is the day and which the month cannot "
                "be told: write 2024-03-12"
            )
        order = order or "day, month and year"
        return found, f"is read as {order} with two digits for the year (24 is 2024, 99 is 1999)"
    if not order:
        return found, ""
    return found, f"is read as {order}" + (f", though {MONTH_FIRST} would fit too" if is_open else "")


def read_dates(cells: pl.Series, pattern: str) -> pl.Series:
    """Read cells as microseconds since 1970 in UTC, or since midnight; null for what is not in this format.

    Shapes: (N,) -> (N,)
    """
    if cells.dtype == pl.Time:
        return cells.to_physical() // 1000
    if cells.dtype in (pl.Date, pl.Datetime):
        return cells.dt.epoch("us")
    if cells.dtype != pl.String:
        return pl.Series(cells.name, [None] * cells.len(), dtype=pl.Int64)
    if pattern in (NATIVE, NATIVE_TIMES):
        seen = cells.drop_nulls()
        pattern = next((f for f in FORMATS if has_dates(f) and not _read(seen, f).null_count()), FORMATS[0])
    return _read(cells, pattern)


def date_numbers(times: pl.Series, pattern: str = NATIVE) -> np.ndarray:
    """Return days since 1970 and the place in the year and in the week on a circle, or hours since midnight; and,
    where there are times of day, the place in the day on a circle. Shapes: (N,) -> (N, numbers).
    """
    days = times.cast(pl.Float64).fill_null(math.nan).to_numpy() / (1e6 * SECONDS_PER_DAY)
    turns = [days / DAYS_PER_YEAR, days / 7] if has_dates(pattern) else []
    turns += [days] if has_times(pattern) else []
    circles = [part(2 * math.pi * turn) for turn in turns for part in (np.sin, np.cos)]
    return np.stack([days if has_dates(pattern) else 24 * days, *circles], 1)


def _fits(seen: pl.Series, pattern: str, fits: Callable[[pl.Series, pl.Series], bool]) -> bool:
    few = seen.head(LOOKED_AT)
    return bool(_read(few, pattern).count()) and fits(seen, _read(seen, pattern))


def _read(cells: pl.Series, pattern: str) -> pl.Series:
    if pattern in LACKING:
        before, behind, before_pattern, behind_pattern = LACKING[pattern]
        cells = before + cells + behind
        pattern = before_pattern + pattern + behind_pattern
    times = cells.str.to_datetime(pattern, strict=False, exact=True, time_unit="us").dt.epoch("us")
    return times.set(times < YEAR_1000, None)  # polars takes 24-01-02 for the year 24
