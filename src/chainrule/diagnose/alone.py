"""How well one column alone predicts a target: learnt on one half of the rows, judged on the other, both ways round.

The answer for a cell is that of the same value in the other half, or of the nearest one: no model could make much more
of one column, and none is cheaper.
"""

from __future__ import annotations

import numpy as np


def halves(rows: int) -> np.ndarray:
    """Draw half of the rows. Shapes: -> (rows,) bool."""
    drawn: np.ndarray = np.random.Generator(np.random.PCG64(0)).permutation(rows) % 2 == 0
    return drawn


def share_right(cells: np.ndarray, classes: np.ndarray, half: np.ndarray) -> float:
    """Return the share of rows whose class a column names. Shapes: cells (n,) NaN where missing, classes (n,)."""
    cells, count, right = _filled(cells), int(classes.max()) + 1, 0
    for fitted, judged in ((half, ~half), (~half, half)):
        values, group = np.unique(cells[fitted], return_inverse=True)
        counts = np.bincount(group * count + classes[fitted], minlength=len(values) * count)
        answers = counts.reshape(-1, count).argmax(1)
        nearest = np.searchsorted((values[1:] + values[:-1]) / 2, cells[judged])
        right += int((answers[nearest] == classes[judged]).sum())
    return right / len(cells)


def explained(cells: np.ndarray, values: np.ndarray, half: np.ndarray) -> float:
    """Return the R² with which a column gives a target, or the target's ranks if that is more (they know no outliers).

    Shapes: cells (n,) NaN where missing, values (n,)
    """
    cells = _filled(cells)
    answers = np.stack([values, ranks(values)], 1)
    wrong = np.zeros(2)
    for fitted, judged in ((half, ~half), (~half, half)):
        seen, group, counts = np.unique(cells[fitted], return_inverse=True, return_counts=True)
        for k in range(2):
            means = np.bincount(group, weights=answers[fitted, k]) / counts
            given = np.interp(cells[judged], seen, means)
            wrong[k] += np.square(given - answers[judged, k]).sum()
    spread = np.square(answers - answers.mean(0)).sum(0)
    return float((1 - wrong / np.maximum(spread, np.finfo(np.float64).tiny)).max())


def most_ordered(cells: np.ndarray, answers: np.ndarray, most: int) -> np.ndarray:
    """Return the columns along which neighbours have the most similar answers, a quick look at very many columns.

    Shapes: cells (columns, n), answers (n,) -> (most,) in their order
    """
    steps = np.abs(np.diff(answers[np.argsort(cells, axis=1)], axis=1))
    found: np.ndarray = np.sort(np.argsort(steps.sum(1), kind="stable")[:most])
    return found


def is_one_to_one(cells: np.ndarray, classes: np.ndarray) -> bool:
    """Whether each value of a column stands for one class, and each class for one value. Shapes: (n,), (n,)."""
    values, group = np.unique(_filled(cells), return_inverse=True)
    present = np.unique(classes)
    return len(values) == len(present) == len(np.unique(group * (int(classes.max()) + 1) + classes))


def counts_rows(cells: np.ndarray, rows: np.ndarray) -> bool:
    """Whether a column is 1, 2, 3 … down the rows, up or down in any equal steps; `rows` says where each cell stands.

    Shapes: cells (n,), rows (n,)
    """
    cells, rows = cells.astype(np.float64) - cells[0], rows - rows[0]
    step = cells[-1] / rows[-1]
    return bool(step) and bool((cells == step * rows).all())


def _filled(cells: np.ndarray) -> np.ndarray:
    """Put what is missing far below all values, so that it is a value of its own."""
    cells = cells.astype(np.float64)
    missing = np.isnan(cells)
    if missing.any():
        low, high = np.nanmin(cells, initial=0), np.nanmax(cells, initial=0)
        cells[missing] = low - (high - low) - 1
    return cells


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the place of each value in order, equal ones sharing theirs. Shapes: (n,) -> (n,)."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: np.ndarray = np.cumsum(counts) - (counts - 1) / 2
    return middle[group]
