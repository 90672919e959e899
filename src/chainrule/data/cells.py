"""Cells of a column before they mean anything: stripped text, missing cells, texts as codes."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from itertools import product

import numpy as np
import polars as pl

from chainrule.core.errors import DataError
from chainrule.core.text import visible

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "nil"})
Words = Collection[str]


def clean_cells(series: pl.Series, missing: Words = MISSING) -> pl.Series:
    """Strip text, and make what stands for a missing value null.

    The column is called "cells" from here on: polars would take names such as * and ^a$ for patterns.
    """
    cells = readable(series)
    if cells.dtype != pl.String:
        return cells
    stripped = cells.str.strip_chars()
    return _without(stripped, stripped, missing)


def blank_cells(series: pl.Series, missing: Words = MISSING) -> pl.Series:
    """Make what stands for a missing value null; leave other text as it is, outer spaces included."""
    cells = readable(series)
    return _without(cells, cells.str.strip_chars(), missing) if cells.dtype == pl.String else cells


def readable(series: pl.Series) -> pl.Series:
    """Return cells in a type that is read, NaN as null. Raises: DataError"""
    if is_unreadable(series):
        raise DataError(
            f"column '{visible(series.name)}' holds {series.dtype}; a column needs numbers, text, booleans or dates"
        )
    series = series.alias("cells")
    if series.dtype in (pl.Categorical, pl.Enum, pl.Null):
        return series.cast(pl.String)
    return series.fill_nan(None) if series.dtype.is_float() else series


def _without(cells: pl.Series, stripped: pl.Series, missing: Words) -> pl.Series:
    gone = stripped.is_in(list(_all_spellings(frozenset(missing))))
    if not gone.any():
        return cells
    return cells.zip_with(~gone.fill_null(True), pl.Series("cells", [None], dtype=pl.String))


def is_unreadable(series: pl.Series) -> bool:
    """Whether the cells are of a type that is not read: lists, structures, bytes, objects."""
    return series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object)


def codes_of(cells: pl.Series, names: Sequence[str], *, start: int, other: int) -> np.ndarray:
    """Return each text's place among `names`, counted from `start`; `other` for those not among them."""
    codes = cells.replace_strict(
        list(names), list(range(start, start + len(names))), default=other, return_dtype=pl.Int64
    )
    return codes.to_numpy(writable=True)


@functools.lru_cache(maxsize=64)
def _all_spellings(words: frozenset[str]) -> tuple[str, ...]:
    """Return words in upper and lower case, letter by letter: far faster to look for than to lower every cell."""
    return tuple(
        "".join(letters) for word in words for letters in product(*({c.lower(), c.upper()} for c in word))
    )
