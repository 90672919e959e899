"""Draw whole groups of rows for one part of a split, so that its size and its classes come near what is wanted."""

from __future__ import annotations

import numpy as np


def draw_groups(groups: np.ndarray, classes: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draw groups that together hold about `fraction` of the rows of every class.

    Groups are gone through in a random order; one is taken if the part is then nearer to what is wanted (least squares
    over the classes). At least one is taken, and one left; no class is taken whole.
    Shapes: groups (n,), classes (n,) int64 -> (n,) bool
    """
    _, unit = np.unique(groups, return_inverse=True)
    contents = _contents(unit, classes)
    left = np.bincount(classes).astype(np.float64)
    wanted = fraction * left
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(contents))
    lacking, total = wanted.copy(), float(wanted.sum())
    taken = np.zeros(len(contents), bool)
    for number in order.tolist():
        of_class, counts = contents[number]
        if (left[of_class] <= counts).any():
            continue
        before = lacking[of_class]
        if np.square(before - counts).sum() < np.square(before).sum():
            taken[number] = True
            lacking[of_class] -= counts
            left[of_class] -= counts
            total -= float(counts.sum())
            if total <= 0:
                break
    if not taken.any():
        taken[_smallest(contents, left)] = True
    found: np.ndarray = taken[unit]
    return found


def _contents(unit: np.ndarray, classes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return per group the classes that it has and the number of rows of each."""
    many = int(classes.max()) + 1
    cells, counts = np.unique(unit * many + classes, return_counts=True)
    of_unit, of_class = np.divmod(cells, many)
    ends = np.flatnonzero(np.diff(of_unit)) + 1
    return list(zip(np.split(of_class, ends), np.split(counts.astype(np.float64), ends), strict=True))


def _smallest(contents: list[tuple[np.ndarray, np.ndarray]], left: np.ndarray) -> int:
    """Return the smallest group, one that leaves every class a row if there is one."""
    return min(
        range(len(contents)),
        key=lambda i: (bool((left[contents[i][0]] <= contents[i][1]).any()), float(contents[i][1].sum()), i),
    )
