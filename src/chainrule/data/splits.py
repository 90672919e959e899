"""Which rows train, which validate, which test: a pure function of the seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from chainrule.core.errors import DataError, SettingError
from chainrule.core.seeds import mix
from chainrule.data.source import TEST, TRAIN, VALIDATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Row numbers of the three parts; no row is in two. Shapes: (n,) each, sorted."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each part."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}


def split_rows(
    rows: int,
    *,
    classes: np.ndarray | None = None,
    test: float = 0.2,
    validation: float = 0.1,
    seed: int = 0,
    fixed: np.ndarray | None = None,
) -> Split:
    """Divide rows at random, class by class where `classes` are given. Fractions are of all rows.

    Where the data is divided already (`fixed`: TRAIN, VALIDATION or TEST per row), its parts stay; a part that it
    does not have is drawn from its training rows.
    Shapes: classes (N,) int64, fixed (N,)
    Raises: SettingError for fractions that leave nothing to train on; DataError if a part comes out empty
    """
    for name, fraction in (("--test", test), ("--validation", validation)):
        if not 0 <= fraction < 1:
            raise SettingError(
                f"{name} must be a fraction of the rows, at least 0 and below 1; got {fraction:g}"
            )
    if test + validation >= 1:
        raise SettingError(f"--test {test:g} and --validation {validation:g} leave no rows to train on")
    part = np.full(rows, TRAIN) if fixed is None else fixed.copy()
    for which, fraction, number in (("test", test, TEST), ("validation", validation, VALIDATION)):
        if fixed is not None and (fixed == number).any():
            continue
        chosen = _draw(np.flatnonzero(part == TRAIN), classes, fraction * rows, mix(seed, "split", which))
        part[chosen] = number
    split = Split(
        **{
            n: np.flatnonzero(part == k)
            for n, k in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))
        }
    )
    _check(split, classes, test, validation, rows)
    return split


def _draw(candidates: np.ndarray, classes: np.ndarray | None, wanted: float, seed: int) -> np.ndarray:
    """Draw about `wanted` of the candidates, each class in proportion, and leave every class one row at least."""
    random = np.random.Generator(np.random.PCG64(seed))
    shuffled = random.permutation(candidates)
    total = math.floor(wanted + 0.5 + 1e-9)
    if total <= 0:
        return shuffled[:0]
    if classes is None:
        return shuffled[: max(0, min(total, len(shuffled) - 1))]
    grouped = shuffled[np.argsort(classes[shuffled], kind="stable")]
    sizes = np.unique(classes[shuffled], return_counts=True)[1]
    counts = _apportion(total, sizes)
    starts = np.cumsum(sizes) - sizes
    within = np.arange(len(grouped)) - np.repeat(starts, sizes)
    chosen: np.ndarray = grouped[within < np.repeat(counts, sizes)]
    return chosen


def _apportion(total: int, sizes: np.ndarray) -> np.ndarray:
    """Share a total among groups in proportion to their sizes, never all of a group; largest remainders first.

    Shapes: sizes (groups,) -> (groups,)
    >>> _apportion(30, np.array([50, 50, 50])), _apportion(3, np.array([2, 2, 10]))
    (array([10, 10, 10]), array([1, 0, 2]))
    """
    most = sizes - 1
    shares = total * sizes / max(1, sizes.sum())
    counts: np.ndarray = np.minimum(np.floor(shares).astype(np.int64), most)
    short = min(total, int(most.sum())) - int(counts.sum())
    while short > 0:
        by_remainder = np.argsort(counts - shares, kind="stable")
        open_groups = by_remainder[counts[by_remainder] < most[by_remainder]]
        each, rest = divmod(short, len(open_groups))
        added = np.full(len(open_groups), each)
        added[:rest] += 1
        counts[open_groups] = np.minimum(counts[open_groups] + added, most[open_groups])
        short = min(total, int(most.sum())) - int(counts.sum())
    return counts


def _check(split: Split, classes: np.ndarray | None, test: float, validation: float, rows: int) -> None:
    if not len(split.train):
        raise DataError(f"{rows} rows are too few to train on; at least 3 are needed")
    for name, fraction, part in (("test", test, split.test), ("validation", validation, split.validation)):
        if fraction and not len(part):
            raise DataError(
                f"{rows} rows are too few for --{name} {fraction:g}; give more rows, or --{name} 0"
            )
    if classes is not None and len(np.unique(classes[split.train])) < len(np.unique(classes)):
        raise DataError("a class has no training rows; give more rows of it")
