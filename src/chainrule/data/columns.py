"""A column of a table: what its cells mean, and reading them so, in training and in any later table.

Rows in messages are named by `at`, a function of the row's place such as `Source.at`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.data.cells import clean_cells, codes_of
from chainrule.data.dates import FORMATS, NATIVE, NATIVE_TIMES, date_numbers, parts, read_dates
from chainrule.data.number_formats import NumberFormat, read_numbers

TRUE, FALSE = frozenset({"true", "yes", "t", "y", "on"}), frozenset({"false", "no", "f", "n", "off"})
LARGEST = 1e150  # a number whose square is finite, with room for a sum
KINDS = ("number", "boolean", "category", "date", "time")
At = Callable[[int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One input column: its kind (number, boolean, category, date or time).

    `values` are a category's. `format` says how dates, times or numbers are written; it is empty for plain numbers.
    `strays` are texts that stood among the numbers or dates of training: they count as missing, there and at
    prediction.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    format: str = ""
    strays: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of the numbers that this column becomes; none for a category, which becomes a code."""
        if self.kind == "category":
            return ()
        if self.kind not in ("date", "time"):
            return (self.name,)
        return tuple(f"{self.name} ({part})" for part in parts(self.format))

    def check(self) -> None:
        """See that a column that was read from a file hangs together. Raises: ValueError saying what does not."""
        if self.kind not in KINDS:
            raise ValueError(f"column '{visible(self.name)}' is of the kind {visible(self.kind, 40)!r}")
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"column '{visible(self.name)}' has a value twice")
        if self.kind == "number" and self.format:
            NumberFormat.parse(self.format)
        if self.kind in ("date", "time") and self.format not in (*FORMATS, NATIVE, NATIVE_TIMES):
            raise ValueError(
                f"column '{visible(self.name)}' has dates written as {visible(self.format, 40)!r}"
            )


def number_cells(series: pl.Series, column: Column, at: At) -> np.ndarray:
    """Turn cells into float64 numbers, NaN where missing. Shapes: (N,) -> (N, numbers of the column).

    Raises: DataError naming file, column and row for text that training did not see among the numbers
    """
    cells = plain_numbers(series) if column.kind == "number" and not column.format else None
    if cells is None:
        cells = clean_cells(series)
    if column.kind in ("date", "time"):
        times = read_dates(cells, column.format)
        _refuse_text(cells, times, column, at)
        return date_numbers(times, column.format)
    numbers = as_booleans(cells) if column.kind == "boolean" else as_numbers(cells, column.format)
    _refuse_text(cells, numbers, column, at)
    refuse_infinite(numbers, column.name, at)
    return numbers.fill_null(math.nan).to_numpy().reshape(-1, 1)


def category_codes(series: pl.Series, column: Column) -> tuple[np.ndarray, int]:
    """Turn cells into codes: 0 missing, 1 unseen, 2… the column's values. Also counts the unseen. Shapes: (N,)."""
    cells = as_texts(clean_cells(series))
    found = codes_of(cells, column.values, start=2, other=1)
    found[cells.is_null().to_numpy()] = 0
    return found, int((found == 1).sum())


def plain_numbers(series: pl.Series) -> pl.Series | None:
    """Read a text column in which every cell is a number or empty, the commonest and cheapest case; else None."""
    if series.dtype != pl.String:
        return None
    numbers = series.alias("cells").cast(pl.Float64, strict=False)
    if numbers.null_count() > series.null_count() or numbers.null_count() == numbers.len():
        return None
    is_finite = math.isfinite(numbers.sum() or 0.0)  # looking for NaN in every column costs more than a sum
    return None if not is_finite and numbers.is_nan().any() else numbers


def as_booleans(cells: pl.Series) -> pl.Series:
    """Return 1.0 and 0.0; null for what is neither."""
    if cells.dtype == pl.String:
        flags = {**dict.fromkeys(TRUE, 1.0), **dict.fromkeys(FALSE, 0.0)}
        read = cells.str.to_lowercase().replace_strict(flags, default=None, return_dtype=pl.Float64)
        numbers = read.fill_null(cells.cast(pl.Float64, strict=False))
    else:
        numbers = as_numbers(cells)
    return numbers.set(~numbers.is_in([0.0, 1.0]), None)


def as_numbers(cells: pl.Series, written: str = "") -> pl.Series:
    """Return float64 numbers; times of day and durations in seconds."""
    if cells.dtype == pl.Float64:
        return cells
    if cells.dtype in (pl.Duration, pl.Time):
        cells = cells.cast(pl.Duration("us") if cells.dtype == pl.Duration else pl.Time)
        return cells.to_physical().cast(pl.Float64) / (1e6 if cells.dtype == pl.Duration else 1e9)
    if cells.dtype.is_temporal():
        return pl.Series(cells.name, [None] * cells.len(), dtype=pl.Float64)
    if written and cells.dtype == pl.String:
        return read_numbers(cells, NumberFormat.parse(written))
    return cells.cast(pl.Float64, strict=False).fill_nan(None)


def as_texts(cells: pl.Series) -> pl.Series:
    """Return texts; whole numbers are written alike, whether their column is of floats or of integers."""
    texts = cells.cast(pl.String)
    return texts.str.strip_suffix(".0") if cells.dtype.is_float() else texts


def _refuse_text(cells: pl.Series, read: pl.Series, column: Column, at: At) -> None:
    if read.null_count() == cells.null_count():
        return
    unread = read.is_null() & cells.is_not_null()
    if column.strays and cells.dtype == pl.String:
        unread &= ~cells.is_in(list(column.strays)).fill_null(False)
    if unread.any():
        row = int(unread.arg_true()[0])
        how = f" written like '{column.format}'" if column.kind == "number" and column.format else ""
        raise DataError(
            f"{at(row)}: column '{visible(column.name)}' held {column.kind}s{how} in training; "
            f"got '{visible(cells[row], 40)}' (leave the cell empty if the value is missing)"
        )


def refuse_infinite(numbers: pl.Series, name: str, at: At) -> None:
    if (row := first_infinite(numbers)) is not None:
        raise DataError(
            f"{at(row)}: column '{visible(name)}' is {too_large(numbers[row])}; "
            "leave the cell empty if the value is missing"
        )


def first_infinite(numbers: pl.Series) -> int | None:
    """Return the place of the first number that is infinite or too large to compute with."""
    low, high = numbers.min(), numbers.max()
    if low is None or (float(low) >= -LARGEST and float(high) <= LARGEST):  # type: ignore[arg-type]
        return None
    return int((numbers.abs() > LARGEST).arg_true()[0])


def too_large(number: float) -> str:
    """Say what is wrong with a number."""
    return "infinite" if math.isinf(number) else f"{number:g}, too large to compute with"
