"""What the cells of a column mean: numbers, booleans, categories, dates. Found once, then applied to any table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.data.tables import MISSING

TRUE, FALSE = frozenset({"true", "yes", "t", "y"}), frozenset({"false", "no", "f", "n"})
DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d",
    "%d.%m.%Y",
)
MOST_CATEGORIES = 100  # the most frequent ones; the others count as unseen
STRAY_TEXT = (
    0.1  # a column of numbers may hold this share of cells that are not numbers; they count as missing
)
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One input column: its kind (number, boolean, category or date) and, for categories, its values."""

    name: str
    kind: str
    values: tuple[str, ...] = ()
    format: str = ""

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
    notes: list[str] = []
    cells = clean_cells(series)
    seen = cells.drop_nulls()
    if not seen.len():
        return None, [f"column {visible(name)!r} is empty and left out"]
    if seen.n_unique() == 1:
        return None, [f"column {visible(name)!r} has one value ({visible(seen[0], 40)}) and is left out"]
    if cells.dtype == pl.Boolean or _all_in(seen, TRUE | FALSE):
        return Column(name=name, kind="boolean"), notes
    if cells.dtype.is_temporal():
        return Column(name=name, kind="date", format="native"), notes
    if cells.dtype.is_numeric():
        _refuse_infinite(cells, name, where)
        return Column(name=name, kind="number"), notes
    numbers = seen.cast(pl.Float64, strict=False)
    strays = seen.filter(numbers.is_null())
    if strays.len() <= STRAY_TEXT * seen.len():
        if strays.len():
            notes.append(
                f"column {visible(name)!r} holds numbers, but {strays.len()} cells are not ({visible(strays[0], 40)!r} …): "
                "they count as missing"
            )
        _refuse_infinite(cells.cast(pl.Float64, strict=False), name, where)
        return Column(name=name, kind="number"), notes
    for pattern in DATE_FORMATS:
        if _dates(seen, pattern).null_count() == 0:
            return Column(name=name, kind="date", format=pattern), notes
    return _category(seen, name)


def number_cells(series: pl.Series, column: Column, where: str, *, strict: bool) -> np.ndarray:
    """Turn cells into float64 numbers, NaN where missing. Shapes: (N,) -> (N, numbers of the column).

    `strict` refuses text among numbers; without it such cells count as missing, as they did in training.
    Raises: DataError naming file, column and row
    """
    cells = clean_cells(series)
    if column.kind == "date":
        return _date_numbers(cells, column, where, strict=strict)
    if column.kind == "boolean" and cells.dtype == pl.String:
        low = cells.str.to_lowercase()
        flags = low.replace_strict(
            {**dict.fromkeys(TRUE, 1.0), **dict.fromkeys(FALSE, 0.0)}, default=None, return_dtype=pl.Float64
        )
        numbers = pl.Series(cells.name, flags.fill_null(cells.cast(pl.Float64, strict=False)))
    else:
        numbers = cells.cast(pl.Float64, strict=False)
    _refuse_text(cells, numbers, column, where, strict=strict)
    _refuse_infinite(numbers, column.name, where)
    return numbers.fill_null(math.nan).to_numpy().reshape(-1, 1)


def category_codes(series: pl.Series, column: Column) -> tuple[np.ndarray, int]:
    """Turn cells into codes: 0 missing, 1 unseen, 2… the column's values. Also counts the unseen. Shapes: (N,)."""
    cells = clean_cells(series).cast(pl.String)
    codes = cells.replace_strict(
        {value: code for code, value in enumerate(column.values, start=2)}, default=1, return_dtype=pl.Int64
    )
    codes = pl.select(
        pl.when(cells.is_null()).then(pl.lit(0, pl.Int64)).otherwise(codes).alias("codes")
    ).to_series()
    found = codes.to_numpy()
    return found, int((found == 1).sum())


def clean_cells(series: pl.Series) -> pl.Series:
    """Strip text, and make what stands for a missing value null."""
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        text = series.str.strip_chars()
        return pl.select(
            pl.when(text.str.to_lowercase().is_in(list(MISSING)))
            .then(None)
            .otherwise(text)
            .alias(series.name)
        ).to_series()
    if series.dtype.is_float():
        return series.fill_nan(None)
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        raise DataError(
            f"column {visible(series.name)!r} holds {series.dtype}; a column needs numbers, text, booleans or dates"
        )
    return series


def _all_in(seen: pl.Series, words: frozenset[str]) -> bool:
    return (
        seen.dtype == pl.String and set(seen.unique().str.to_lowercase().to_list()[: len(words) + 1]) <= words
    )


def _category(seen: pl.Series, name: str) -> tuple[Column | None, list[str]]:
    counts = seen.cast(pl.String).value_counts(sort=True)
    if counts.height > 20 and counts.height > 0.9 * seen.len():
        return None, [
            f"column {visible(name)!r} has another text in nearly every row (a name or a key?) and is left out"
        ]
    ordered = counts.sort(["count", counts.columns[0]], descending=[True, False])[counts.columns[0]].to_list()
    notes = []
    if len(ordered) > MOST_CATEGORIES:
        notes.append(
            f"column {visible(name)!r} has {len(ordered)} values; the {MOST_CATEGORIES} most frequent are told apart"
        )
    return Column(name=name, kind="category", values=tuple(sorted(ordered[:MOST_CATEGORIES]))), notes


def _dates(cells: pl.Series, pattern: str) -> pl.Series:
    if cells.dtype != pl.String:
        return cells.cast(pl.Datetime("us"), strict=False)
    return cells.str.to_datetime(pattern, strict=False, time_unit="us")


def _date_numbers(cells: pl.Series, column: Column, where: str, *, strict: bool) -> np.ndarray:
    if cells.dtype.is_temporal():
        times = cells.cast(pl.Datetime("us"))
    else:
        times = _dates(cells.cast(pl.String), column.format if column.format != "native" else DATE_FORMATS[0])
        _refuse_text(cells, times, column, where, strict=strict)
    days = times.to_physical().cast(pl.Float64).fill_null(math.nan).to_numpy() / (1e6 * SECONDS_PER_DAY)
    year, week = 2 * math.pi * days / 365.2425, 2 * math.pi * days / 7
    return np.stack([days, np.sin(year), np.cos(year), np.sin(week), np.cos(week)], 1)


def _refuse_text(cells: pl.Series, numbers: pl.Series, column: Column, where: str, *, strict: bool) -> None:
    bad = (numbers.is_null() & cells.is_not_null()).arg_true()
    if strict and bad.len():
        row = int(bad[0])
        raise DataError(
            f"{where}, row {row + 1}: column {visible(column.name)!r} held {column.kind}s in training; "
            f"got {visible(cells[row], 40)!r} (leave the cell empty if the value is missing)"
        )


def _refuse_infinite(numbers: pl.Series, name: str, where: str) -> None:
    bad = (
        numbers.is_infinite().fill_null(False).arg_true()
        if numbers.dtype.is_float()
        else pl.Series([], dtype=pl.UInt32)
    )
    if bad.len():
        raise DataError(
            f"{where}, row {int(bad[0]) + 1}: column {visible(name)!r} is infinite; leave the cell empty if the value is missing"
        )


def natural_order(names: Sequence[str]) -> list[str]:
    """Sort class names: by value where all are numbers, else by text.

    >>> natural_order(["10", "9", "1"]), natural_order(["b", "10", "a"])
    (['1', '9', '10'], ['10', 'a', 'b'])
    """
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)
