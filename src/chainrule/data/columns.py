"""What the cells of a column mean: numbers, booleans, categories, dates. Found once, then applied to any table.

Rows in messages are counted as a person counts them: row 1 is the first below the header.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.data.dates import date_numbers, find_format, read_dates

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "nil"})
TRUE, FALSE = frozenset({"true", "yes", "t", "y", "on"}), frozenset({"false", "no", "f", "n", "off"})
MOST_CATEGORIES = 100  # the most frequent ones; the others count as unseen
STRAY_CELLS = (
    0.1  # a column of numbers or dates may hold this share of cells that are neither; they are missing
)
MOST_STRAYS = 100  # different texts among numbers that are remembered
LARGEST = 1e150  # a number whose square is finite, with room for a sum
NEARLY_ALL = 0.9  # a text column with this share of different texts tells rows apart and nothing else
Words = Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One input column: its kind (number, boolean, category or date).

    `values` are a category's, `format` is a date's, `strays` are texts that stood among the numbers or dates of
    training: they count as missing, there and at prediction.
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
        if self.kind != "date":
            return (self.name,)
        return tuple(
            f"{self.name} ({part})" for part in ("days", "year sin", "year cos", "week sin", "week cos")
        )


def find_column(series: pl.Series, where: str) -> tuple[Column | None, list[str]]:
    """Decide what a column is; None if it says nothing about a row. Also returns what the user should hear.

    Raises: DataError naming row and column for infinite numbers
    """
    name = series.name
    shown = visible(name)
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        return None, [f"column '{shown}' holds {series.dtype}, which is not read, and is left out"]
    cells = _plain_numbers(series)
    if cells is None:
        cells = clean_cells(series)
    seen = cells.drop_nulls()
    if not seen.len():
        return None, [f"column '{shown}' is empty and left out"]
    if (seen == seen[0]).all():
        return None, [f"column '{shown}' has one value ({visible(seen[0], 40)}) and is left out"]
    if cells.dtype == pl.Boolean or _are_words(seen, TRUE | FALSE):
        return Column(name=name, kind="boolean"), []
    if cells.dtype in (pl.Date, pl.Datetime):
        return Column(name=name, kind="date", format="native"), []
    if cells.dtype != pl.String:
        _refuse_infinite(_as_numbers(cells), name, where)
        return Column(name=name, kind="number"), []
    return _find_in_text(name, cells, where)


def number_cells(series: pl.Series, column: Column, where: str) -> np.ndarray:
    """Turn cells into float64 numbers, NaN where missing. Shapes: (N,) -> (N, numbers of the column).

    Raises: DataError naming file, column and row for text that training did not see among the numbers
    """
    cells = _plain_numbers(series) if column.kind == "number" else None
    if cells is None:
        cells = clean_cells(series)
    if column.kind == "date":
        times = read_dates(cells, column.format)
        _refuse_text(cells, times, column, where)
        return date_numbers(times)
    numbers = _as_booleans(cells) if column.kind == "boolean" else _as_numbers(cells)
    _refuse_text(cells, numbers, column, where)
    _refuse_infinite(numbers, column.name, where)
    return numbers.fill_null(math.nan).to_numpy().reshape(-1, 1)


def category_codes(series: pl.Series, column: Column) -> tuple[np.ndarray, int]:
    """Turn cells into codes: 0 missing, 1 unseen, 2… the column's values. Also counts the unseen. Shapes: (N,)."""
    cells = clean_cells(series).cast(pl.String)
    found = codes_of(cells, column.values, start=2, other=1)
    found[cells.is_null().to_numpy()] = 0
    return found, int((found == 1).sum())


def codes_of(cells: pl.Series, names: Sequence[str], *, start: int, other: int) -> np.ndarray:
    """Return each text's place among `names`, counted from `start`; `other` for those not among them."""
    codes = cells.replace_strict(
        list(names), list(range(start, start + len(names))), default=other, return_dtype=pl.Int64
    )
    return codes.to_numpy(writable=True)


def clean_cells(series: pl.Series, missing: Words = MISSING) -> pl.Series:
    """Strip text, and make what stands for a missing value null.

    The column is called "cells" from here on: polars would take names such as * and ^a$ for patterns.
    """
    name, series = series.name, series.alias("cells")
    if series.dtype.is_float():
        return series.fill_nan(None)
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        raise DataError(
            f"column '{visible(name)}' holds {series.dtype}; a column needs numbers, text, booleans or dates"
        )
    if series.dtype in (pl.Categorical, pl.Enum, pl.Null):
        series = series.cast(pl.String)
    if series.dtype != pl.String:
        return series
    text = series.str.strip_chars()
    gone = text.is_in([spelling for word in missing for spelling in _spellings(word)])
    return (
        text.zip_with(~gone.fill_null(True), pl.Series("cells", [None], dtype=pl.String))
        if gone.any()
        else text
    )


def _plain_numbers(series: pl.Series) -> pl.Series | None:
    """Read a text column in which every cell is a number or empty, the commonest and cheapest case; else None."""
    if series.dtype != pl.String:
        return None
    numbers = series.alias("cells").cast(pl.Float64, strict=False)
    if numbers.null_count() > series.null_count() or numbers.null_count() == numbers.len():
        return None
    is_finite = math.isfinite(numbers.sum() or 0.0)  # looking for NaN in every column costs more than a sum
    return None if not is_finite and numbers.is_nan().any() else numbers


def _spellings(word: str) -> list[str]:
    """Return a word in upper and lower case, letter by letter: far faster to look for than to lower every cell."""
    return ["".join(letters) for letters in product(*({c.lower(), c.upper()} for c in word))]


def _find_in_text(name: str, cells: pl.Series, where: str) -> tuple[Column | None, list[str]]:
    seen = cells.drop_nulls()
    numbers = seen.cast(pl.Float64, strict=False)
    if (strays := _strays(seen, numbers)) is not None:
        _refuse_infinite(cells.cast(pl.Float64, strict=False), name, where)
        return _with_strays(Column(name=name, kind="number", strays=strays), seen, numbers)
    pattern, note = find_format(seen, lambda cells, times: _strays(cells, times) is not None)
    if not pattern:
        return _category(name, seen)
    times = read_dates(seen, pattern)
    dates = Column(name=name, kind="date", format=pattern, strays=_strays(seen, times) or ())
    column, notes = _with_strays(dates, seen, times)
    return column, [f"column '{visible(name)}': {note}"] * bool(note) + notes


def _strays(seen: pl.Series, read: pl.Series) -> tuple[str, ...] | None:
    """Return the texts that could not be read; None if they are too many for a column of this kind."""
    if read.null_count() > STRAY_CELLS * seen.len():
        return None
    texts = seen.filter(read.is_null()).unique()
    return tuple(sorted(texts.to_list())) if texts.len() <= MOST_STRAYS else None


def _with_strays(column: Column, seen: pl.Series, read: pl.Series) -> tuple[Column, list[str]]:
    count = read.null_count()
    if not count:
        return column, []
    first = visible(seen.filter(read.is_null())[0], 40)
    those = "1 cell is none" if count == 1 else f"{count} cells are none"
    return column, [
        f"column '{visible(column.name)}' holds {column.kind}s, but {those} ('{first}'{' …' * (count > 1)}): "
        f"{'it counts' if count == 1 else 'they count'} as missing"
    ]


def _category(name: str, seen: pl.Series) -> tuple[Column | None, list[str]]:
    shown = visible(name)
    counts = seen.alias("value").value_counts(name="count")
    if counts.height > 20 and counts.height > NEARLY_ALL * seen.len():
        return None, [
            f"column '{shown}' has another text in nearly every row (a name or a key?) and is left out"
        ]
    ordered = counts.sort("count", "value", descending=[True, False])["value"].to_list()
    notes = []
    if len(ordered) > MOST_CATEGORIES:
        notes = [
            f"column '{shown}' has {len(ordered)} values; the {MOST_CATEGORIES} most frequent are told apart"
        ]
    return Column(name=name, kind="category", values=tuple(sorted(ordered[:MOST_CATEGORIES]))), notes


def _are_words(seen: pl.Series, words: Words) -> bool:
    if seen.dtype != pl.String or not seen.head(100).str.to_lowercase().is_in(list(words)).all():
        return False
    return bool(seen.unique().str.to_lowercase().is_in(list(words)).all())


def _as_booleans(cells: pl.Series) -> pl.Series:
    """Return 1.0 and 0.0; null for what is neither."""
    if cells.dtype == pl.String:
        flags = {**dict.fromkeys(TRUE, 1.0), **dict.fromkeys(FALSE, 0.0)}
        read = cells.str.to_lowercase().replace_strict(flags, default=None, return_dtype=pl.Float64)
        numbers = read.fill_null(cells.cast(pl.Float64, strict=False))
    else:
        numbers = _as_numbers(cells)
    return numbers.set(~numbers.is_in([0.0, 1.0]), None)


def _as_numbers(cells: pl.Series) -> pl.Series:
    """Return float64 numbers; times of day and durations in seconds."""
    if cells.dtype == pl.Float64:
        return cells
    if cells.dtype in (pl.Duration, pl.Time):
        cells = cells.cast(pl.Duration("us") if cells.dtype == pl.Duration else pl.Time)
        return cells.to_physical().cast(pl.Float64) / (1e6 if cells.dtype == pl.Duration else 1e9)
    if cells.dtype.is_temporal():
        return pl.Series(cells.name, [None] * cells.len(), dtype=pl.Float64)
    return cells.cast(pl.Float64, strict=False).fill_nan(None)


def _refuse_text(cells: pl.Series, read: pl.Series, column: Column, where: str) -> None:
    if read.null_count() == cells.null_count():
        return
    unread = read.is_null() & cells.is_not_null()
    if column.strays and cells.dtype == pl.String:
        unread &= ~cells.is_in(list(column.strays)).fill_null(False)
    if unread.any():
        row = int(unread.arg_true()[0])
        raise DataError(
            f"{where}, row {row + 1}: column '{visible(column.name)}' held {column.kind}s in training; "
            f"got '{visible(cells[row], 40)}' (leave the cell empty if the value is missing)"
        )


def _refuse_infinite(numbers: pl.Series, name: str, where: str) -> None:
    if (row := first_infinite(numbers)) is not None:
        raise DataError(
            f"{where}, row {row + 1}: column '{visible(name)}' is {too_large(numbers[row])}; "
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


def natural_order(names: Sequence[str]) -> list[str]:
    """Sort class names: by value where all are numbers, else by text.

    >>> natural_order(["10", "9", "1"]), natural_order(["b", "10", "a"])
    (['1', '9', '10'], ['10', 'a', 'b'])
    """
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)
