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
    total = round(wanted)
    if total <= 0:
        return shuffled[:0]
    if classes is None:
        return shuffled[: max(0, min(total, len(shuffled) - 1))]
    groups = [shuffled[classes[shuffled] == c] for c in np.unique(classes[shuffled])]
    shares = [total * len(g) / len(shuffled) for g in groups]
    counts = [min(math.floor(s), len(g) - 1) for s, g in zip(shares, groups, strict=True)]
    by_remainder = sorted(range(len(groups)), key=lambda i: (counts[i] - shares[i], i))
    for i in by_remainder * 2:
        if sum(counts) >= total:
            break
        if counts[i] < len(groups[i]) - 1:
            counts[i] += 1
    return np.concatenate([g[:n] for g, n in zip(groups, counts, strict=True)])


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
