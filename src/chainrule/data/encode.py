"""Rows of a table as numbers and codes, by what the schema says of its columns. Columns are worked on in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import polars as pl

from chainrule.data.columns import Column, category_codes, number_cells
from chainrule.data.findings import Remark, gathered
from chainrule.data.source import Source

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


def encode_numbers(source: Source, columns: Sequence[Column]) -> np.ndarray:
    """Return the numbers of all columns side by side, NaN where missing. Shapes: -> (N, numbers)."""
    frame = source.frame
    assert frame is not None
    places, width = [], 0
    for column in columns:
        places.append((column, width))
        width += len(column.numbers)
    numbers = np.empty((frame.height, width))

    def fill(place: tuple[Column, int]) -> None:
        column, start = place
        if column.numbers:
            found = number_cells(frame[column.name], column, source.at)
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
    return codes, list(gathered(_unseen(c, n) for c, n in zip(columns, unseen, strict=True) if n))


def _unseen(column: Column, count: int) -> Remark:
    cells = "1 cell with another value" if count == 1 else f"{count:,} cells with other values"
    return Remark(
        column.name,
        f"has {cells} than the {len(column.values)} that the network tells apart",
        "have cells with other values than those that the network tells apart",
    )
