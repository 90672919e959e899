"""Rows that are copies of others: found by what the network sees of them, so that no copy both trains and tests.

Two rows of a table are equal if their codes are equal and their numbers agree in about six significant digits: a copy
that went through another program's rounding is a copy still. Pictures are compared as pictures (`picture_copies.py`).

Equal rows need not be copies. Where a table holds only sex, class and age group, two passengers with the same cells are
two passengers, and a test row that equals a training row is what such a network will meet. So equal rows count as
copies only where chance would not have brought them about; `_is_by_chance` says what is meant by that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.core.seeds import mix
from chainrule.data.copies_cache import copies_of
from chainrule.data.schema import Examples, Schema
from chainrule.data.source import row_numbers
from chainrule.data.store import StoredRows, parts_of

NUMBERS_AT_ONCE = 1 << 17  # hashed together; fits a processor's cache
DIGITS = 5  # after the first
LOOKED_AT = 10_000  # rows from which it is estimated how often two cells of a column agree
LEAST_GROUP, GROUP_SHARE = 10, 0.05  # more equal rows than both are a usual row, not copies of one
CHANCE_SHARE = (
    1e-3  # of the equal pairs; columns that depend on each other agree far more often than by themselves
)
PAIRS_AT_LEAST = (
    10  # counted where fewer are equal: then chance must explain less than a hundredth of one pair
)


def duplicate_groups(examples: Examples, schema: Schema) -> np.ndarray:
    """Return a group number per row: rows with the same number are copies, most rows are alone.

    A function of the inputs alone: targets are not looked at.
    Shapes: -> (N,), numbered from 0 in the order of the groups' first rows
    """
    if schema.is_pictures:
        found = copies_of(examples.numbers)
    else:
        found = _equal_rows(examples, [len(c.numbers) for c in schema.columns if c.numbers])
    return _in_order(_without_usual_rows(found))


def copies_said(groups: np.ndarray, what: str, fixed: np.ndarray | None = None) -> str:
    """Say how many rows are copies of others; nothing if none are.

    `what` is rows or pictures; `fixed` are the parts of the rows where the data itself is divided.
    >>> copies_said(np.array([0, 1, 1, 2, 2, 2]), "rows")
    '5 rows equal another, in 2 groups; copies are kept on one side of the split'
    """
    sizes = np.bincount(groups)
    several = sizes[sizes > 1]
    if not len(several):
        return ""
    are = "equal another" if what == "rows" else "show the same as another"
    called = "pair" if (several == 2).all() else "group"
    grouped = f"{len(several):,} {called}{'' if len(several) == 1 else 's'}"
    kept = "copies are kept on one side of the split"
    if fixed is not None:
        kept = "copies stay in the parts that the data has them in"
    return f"{several.sum():,} {what} {are}, in {grouped}; {kept}"


def join_groups(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return groups in which rows are together if either division has them together, directly or through others.

    Shapes: (N,), (N,) -> (N,)
    >>> join_groups(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones, others = int(one.max(initial=-1)) + 1, int(other.max(initial=-1)) + 1
    links = coo_array((np.ones(len(one), bool), (one, ones + other)), shape=(ones + others, ones + others))
    labels: np.ndarray = connected_components(links, directed=False)[1]
    return _in_order(labels[one])


def _in_order(groups: np.ndarray) -> np.ndarray:
    """Number groups from 0 in the order of their first rows."""
    rows = row_numbers(len(groups))
    if (groups == rows).all():
        return rows
    first = np.empty(int(groups.max()) + 1, rows.dtype)
    first[groups[::-1]] = rows[::-1]  # of several rows of a group the first is written last
    first_rows = first[groups]
    numbers: np.ndarray = np.cumsum(first_rows == rows, dtype=rows.dtype) - 1
    return np.asarray(numbers[first_rows])


def _without_usual_rows(groups: np.ndarray) -> np.ndarray:
    """Take groups apart that are too large to be copies; a split could not keep them together either."""
    rows = len(groups)
    sizes, most = np.bincount(groups, minlength=1), max(LEAST_GROUP, GROUP_SHARE * rows)
    if sizes.max() <= most:
        return groups
    usual = sizes[groups] > most
    apart: np.ndarray = np.where(usual, len(sizes) + np.arange(rows), groups)
    return apart


def _equal_rows(examples: Examples, widths: Sequence[int]) -> np.ndarray:
    """Return groups of equal rows; every row its own group where chance explains them."""
    rows = len(examples)
    hashes = _row_hashes(examples.numbers, examples.codes)
    ordered = np.sort(hashes)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered  # of many rows each such array is large
    groups = np.arange(rows)
    if not len(repeated):
        return groups
    members = np.flatnonzero(np.isin(hashes, repeated))
    _, first, inverse, sizes = np.unique(
        hashes[members], return_index=True, return_inverse=True, return_counts=True
    )
    groups[members] = members[first[inverse]]
    pairs = float((sizes * (sizes - 1.0)).sum() / 2)
    return np.arange(rows) if _is_by_chance(examples, widths, pairs, groups) else groups


def _is_by_chance(examples: Examples, widths: Sequence[int], pairs: float, groups: np.ndarray) -> bool:
    """Whether so many equal pairs are no wonder in columns of so few values.

    Were columns independent, two rows would be equal with the product of the columns' own chances to agree. Real
    columns depend on each other, so chance is given a thousandfold: only where it explains less than a thousandth of
    the equal pairs are they copies. `widths` are the numbers that each column became (a date becomes five).
    """
    rows = len(examples)
    looked_at = np.unique(np.linspace(0, rows - 1, min(rows, LOOKED_AT)).astype(np.int64))
    most = math.log(CHANCE_SHARE * max(pairs, PAIRS_AT_LEAST))
    expected = math.log(rows * (rows - 1) / 2)
    numbers, codes = _flat(examples.numbers[looked_at]), examples.codes[looked_at]
    starts = np.cumsum([0, *widths])[:-1] if widths else np.arange(numbers.shape[1])
    columns = [*(numbers[:, start] for start in starts), *codes.T]
    for cells in columns:
        if expected <= most:
            return False
        expected += math.log(_chance_to_agree(cells, groups[looked_at]))
    return expected > most


def _chance_to_agree(cells: np.ndarray, groups: np.ndarray) -> float:
    """Return the share of pairs of cells that are equal in rows that are not; at least one pair is taken to be."""
    every = len(cells) * (len(cells) - 1) / 2
    return max(1.0, _equal_count(cells) - _equal_count(groups)) / every


def _equal_count(cells: np.ndarray) -> float:
    """Return how many pairs of cells are equal."""
    counts = np.unique(cells, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum() / 2)


def _flat(numbers: np.ndarray) -> np.ndarray:
    """Return the numbers of each row side by side."""
    return numbers.reshape(len(numbers), math.prod(numbers.shape[1:]))


def _row_hashes(numbers: np.ndarray | StoredRows, codes: np.ndarray | StoredRows) -> np.ndarray:
    """Return 64 bits per row, equal for equal rows. Shapes: numbers (N, …), codes (N, Q) -> (N,) uint64."""
    rows, of_numbers = len(numbers), math.prod(numbers.shape[1:])
    width = of_numbers + codes.shape[1]
    factors = np.array([mix(0, "duplicates", i) * 2 + 1 for i in range(width)], np.uint64)
    largest = _largest_powers(numbers)
    hashes = np.empty(rows, np.uint64)
    at_once = max(1, NUMBERS_AT_ONCE // max(1, width))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, rows, at_once):
            part = slice(start, start + at_once)
            bits = _rounded(np.asarray(_flat(numbers[part]), np.float64), largest).view(np.uint64)
            bits ^= bits >> np.uint64(32)  # the ends of round numbers are zeros
            found = (bits * factors[:of_numbers]).sum(1, dtype=np.uint64)
            more = np.asarray(codes[part]).astype(np.uint64) + np.uint64(1)
            hashes[part] = found + (more * factors[of_numbers:]).sum(1, dtype=np.uint64)
    return hashes


def _largest_powers(numbers: np.ndarray | StoredRows) -> np.ndarray:
    """Return per column the power of two of its range: of times around 1.7e9 the digits that vary count.

    Shapes: (N, …) -> (P,) int64
    """
    low = np.full(math.prod(numbers.shape[1:]), np.inf)
    high = -low
    for _, part in parts_of(numbers):
        numbers_here = np.asarray(_flat(part), np.float64)  # whole numbers have no infinity to begin with
        low = np.fmin(low, np.fmin.reduce(numbers_here, 0, initial=np.inf))
        high = np.fmax(high, np.fmax.reduce(numbers_here, 0, initial=-np.inf))
    spread = np.where(low < high, high - low, 0.0)
    powers: np.ndarray = np.where(spread > 0, np.frexp(spread)[1], 1100).astype(np.int64)
    return powers


def _rounded(numbers: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Round to decimal places by the power of two below each number: six digits, seven where the first is small."""
    powers = (numbers.view(np.int64) >> 52) & 0x7FF
    np.minimum(powers, largest + 1022, out=powers)
    rounded: np.ndarray = numbers * _FACTORS[powers]
    np.rint(rounded, out=rounded)
    rounded *= _QUANTA[powers]
    rounded += 0.0  # -0.0 is 0.0
    rounded[np.isnan(rounded)] = np.nan  # one of the many
    return rounded


def _places() -> Any:
    """Return the decimal places that are kept, per exponent of a float64 as it is stored."""
    powers = np.arange(2048) - 1023
    return np.clip(DIGITS - np.floor(powers * math.log10(2)), -290, 290)


_FACTORS = np.power(10.0, _places())
_QUANTA = np.power(10.0, -_places())
