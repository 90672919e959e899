"""Rows of a table as numbers and codes, by what the schema says of its columns. Columns are worked on in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import polars as pl

from chainrule.core.text import visible
from chainrule.data.columns import Column, category_codes, number_cells

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_THREADS = 4  # each holds copies of one column
ROWS_WORTH_THREADS = 10_000


def each_column(work: Callable[[Item], Result], items: Sequence[Item], rows: int) -> list[Result]:
    """Do some work for each column, in threads where that pays (polars lets go of Python's lock); results in order.

    The first column in order whose work fails raises.
    """
    if rows < ROWS_WORTH_THREADS:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))


def encode_numbers(frame: pl.DataFrame, columns: Sequence[Column], name: str) -> np.ndarray:
    """Return the numbers of all columns side by side, NaN where missing. Shapes: -> (N, numbers)."""
    places, width = [], 0
    for column in columns:
        places.append((column, width))
        width += len(column.numbers)
    numbers = np.empty((frame.height, width))

    def fill(place: tuple[Column, int]) -> None:
        column, start = place
        if column.numbers:
            found = number_cells(frame[column.name], column, name)
            numbers[:, start : start + len(column.numbers)] = found

    each_column(fill, places, frame.height)
    return numbers


def encode_codes(frame: pl.DataFrame, columns: Sequence[Column]) -> tuple[np.ndarray, list[str]]:
    """Return the codes of the categories side by side, and what the user should hear. Shapes: -> (N, categories)."""
    codes = np.empty((frame.height, len(columns)), np.int64)

    def fill(place: int) -> int:
        codes[:, place], unseen = category_codes(frame[columns[place].name], columns[place])
        return unseen

    unseen = each_column(fill, range(len(columns)), frame.height)
    return codes, [
        f"column '{visible(column.name)}': {count:,} {'cell holds' if count == 1 else 'cells hold'} another value than "
        f"the {len(column.values)} that the network tells apart"
        for column, count in zip(columns, unseen, strict=True)
        if count
    ]
