"""Rows of a table as numbers and codes, by what the schema says of its columns. Columns are worked on in threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import polars as pl

from chainrule.core.processor import usable_cores
from chainrule.data.columns import Column, category_codes, number_cells
from chainrule.data.findings import Remark, gathered
from chainrule.data.source import Source
from chainrule.data.store import StoredRows
from chainrule.data.stored_table import StoredTable

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
    with ThreadPoolExecutor(min(MOST_THREADS, usable_cores())) as pool:
        return list(pool.map(work, items))


def encode(
    source: Source, columns: Sequence[Column]
) -> tuple[np.ndarray | StoredRows, np.ndarray | StoredRows, tuple[str, ...]]:
    """Return the numbers and the codes of a table, and what the user should hear.

    A table on disk is encoded some rows at a time, and what becomes of it is on disk again.
    Shapes: -> (N, numbers), NaN where missing, and (N, categories)
    """
    categories = [column for column in columns if column.kind == "category"]
    if isinstance(source.frame, StoredTable):
        numbers, codes, unseen = _encode_stored(source.frame, columns, categories, source.at)
        return numbers, codes, _unseen_notes(categories, unseen)
    assert source.frame is not None
    found, unseen = encode_codes(source.frame, categories)
    return encode_numbers(source.frame, columns, source.at), found, _unseen_notes(categories, unseen)


def _encode_stored(
    table: StoredTable, columns: Sequence[Column], categories: Sequence[Column], at: Callable[[int], str]
) -> tuple[StoredRows, StoredRows, list[int]]:
    width = sum(len(column.numbers) for column in columns)
    numbers = table.store.rows((table.height, width), np.float64)
    codes = table.store.rows((table.height, len(categories)), np.int64)
    unseen = [0] * len(categories)
    for start, part in table.parts():
        numbers.write(start, encode_numbers(part, columns, lambda row, start=start: at(start + row)))  # type: ignore[misc]
        found, strange = encode_codes(part, categories)
        codes.write(start, found)
        unseen = [a + b for a, b in zip(unseen, strange, strict=True)]
    return numbers, codes, unseen


def encode_numbers(frame: pl.DataFrame, columns: Sequence[Column], at: Callable[[int], str]) -> np.ndarray:
    """Return the numbers of all columns side by side, NaN where missing; `at` says where a row stands.

    Shapes: -> (N, numbers)
    """
    places, width = [], 0
    for column in columns:
        places.append((column, width))
        width += len(column.numbers)
    numbers = np.empty((frame.height, width))

    def fill(place: tuple[Column, int]) -> None:
        column, start = place
        if column.numbers:
            found = number_cells(frame[column.name], column, at)
            numbers[:, start : start + len(column.numbers)] = found

    each_column(fill, places, frame.height)
    return numbers


def encode_codes(frame: pl.DataFrame, columns: Sequence[Column]) -> tuple[np.ndarray, list[int]]:
    """Return the codes of the categories side by side, and how many cells of each are unseen. Shapes: -> (N, categories)."""
    codes = np.empty((frame.height, len(columns)), np.int64)

    def fill(place: int) -> int:
        codes[:, place], unseen = category_codes(frame[columns[place].name], columns[place])
        return unseen

    return codes, each_column(fill, range(len(columns)), frame.height)


def _unseen_notes(columns: Sequence[Column], unseen: Sequence[int]) -> tuple[str, ...]:
    return gathered(_unseen(c, n) for c, n in zip(columns, unseen, strict=True) if n)


def _unseen(column: Column, count: int) -> Remark:
    cells = "1 cell with another value" if count == 1 else f"{count:,} cells with other values"
    return Remark(
        column.name,
        f"has {cells} than the {len(column.values)} that the network tells apart",
        "have cells with other values than those that the network tells apart",
    )
