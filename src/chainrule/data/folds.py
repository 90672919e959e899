"""Few rows, held out in turn: every row is judged by networks that never saw it, and all rows train the one that is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.core.errors import SettingError
from chainrule.core.seeds import mix

ENOUGH_ROWS = (
    50  # from which a fifth of them tests: of ten test rows one more right is ten points of accuracy
)
LEAVE_ONE_OUT = 20  # rows up to which each is held out alone
USUAL_FOLDS = 5
NETWORKS = 20  # with fewer folds than this, the rows are divided anew until there are as many networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Row numbers that one network trains on, and those that it is judged on. `number` counts through all rounds."""

    round: int
    number: int
    train: np.ndarray
    held_out: np.ndarray


def choose_folds(rows: int) -> int:
    """Return how many folds judge a table of so few rows.

    >>> [choose_folds(rows) for rows in (8, 20, 21, 49)]
    [8, 20, 5, 5]
    """
    return rows if rows <= LEAVE_ONE_OUT else USUAL_FOLDS


def find_folds(copies: np.ndarray, classes: np.ndarray | None, folds: int, seed: int) -> list[Fold]:
    """Divide rows into folds, class by class; copies of a row are held out together.

    With a fold for every row there is one round, else as many that some twenty networks are trained.
    Shapes: copies, classes (N,)
    Raises: SettingError for fewer than 2 folds
    """
    if folds < 2:
        raise SettingError(f"--set folds takes 2 or more, or 0 for a test set; got {folds}")
    first = np.unique(copies, return_index=True)[1]
    units = len(first)
    folds = min(folds, units)
    found: list[Fold] = []
    for turn in range(1 if folds == units else -(-NETWORKS // folds)):
        order = np.random.Generator(np.random.PCG64(mix(seed, "folds", turn))).permutation(units)
        if folds == units:
            order = np.arange(units)
        elif classes is not None:
            order = order[np.argsort(classes[first[order]], kind="stable")]
        fold_of = np.empty(units, np.int64)
        fold_of[order] = np.arange(units) % folds
        place = fold_of[copies]
        for number in range(folds):
            held_out, train = np.flatnonzero(place == number), np.flatnonzero(place != number)
            found.append(Fold(round=turn, number=len(found), train=train, held_out=held_out))
    return found
