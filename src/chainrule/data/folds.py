"""Rows held out in turn, each judged by networks that never saw it: drawn by chance, by groups, or by time."""

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
    units = len(np.unique(copies))
    folds = min(folds, units)
    return draw_folds(
        copies, classes, folds, rounds=1 if folds == units else -(-NETWORKS // folds), seed=seed
    )


def draw_folds(
    units: np.ndarray,
    classes: np.ndarray | None,
    folds: int,
    *,
    rounds: int,
    seed: int,
    are_uneven: bool = False,
) -> list[Fold]:
    """Divide rows into folds, anew in each round; rows of one unit (copies, groups) are held out together.

    Classes are dealt out evenly, by the first row of a unit; where units are of uneven size or of several classes, each
    goes where it makes sizes and classes most even. With a fold for every unit they are held out in order.
    Shapes: units, classes (N,)
    """
    first, unit_of = np.unique(units, return_index=True, return_inverse=True)[1:]
    found: list[Fold] = []
    for turn in range(rounds):
        order = np.random.Generator(np.random.PCG64(mix(seed, "folds", turn))).permutation(len(first))
        if folds == len(first):
            order = np.arange(len(first))
        elif classes is not None and not are_uneven:
            order = order[np.argsort(classes[first[order]], kind="stable")]
        fold_of = np.empty(len(first), np.int64)
        fold_of[order] = np.arange(len(first)) % folds
        if are_uneven:
            fold_of = _evenly(unit_of, classes, folds, order)
        place = fold_of[unit_of]
        for number in range(folds):
            held_out, train = np.flatnonzero(place == number), np.flatnonzero(place != number)
            found.append(Fold(round=turn, number=len(found), train=train, held_out=held_out))
    return found


def folds_by_time(times: np.ndarray, copies: np.ndarray, folds: int) -> list[Fold]:
    """Cut rows into one stretch of time more than there are folds: each but the first is held out, and all before it trains.

    Rows of one moment stay together, so that every training row is earlier than every row held out. A row that trains and
    has a copy among those held out is left out.
    Shapes: times, copies (N,)
    Raises: SettingError for fewer moments than stretches
    >>> found = folds_by_time(np.array([0, 1, 1, 2, 3, 3]), np.arange(6), 2)
    >>> [(fold.train.tolist(), fold.held_out.tolist()) for fold in found]
    [([0], [1, 2, 3]), ([0, 1, 2, 3], [4, 5])]
    """
    moment, of_moment = np.unique(times, return_inverse=True, return_counts=True)[1:]
    stretches = folds + 1
    if len(of_moment) < stretches:
        raise SettingError(
            f"{folds} folds by time need {stretches} different times, and there are {len(of_moment)}"
        )
    before = np.concatenate([[0], np.cumsum(of_moment)])
    ends = [0]
    for place in range(1, stretches):  # moments enough are left for the stretches behind
        first, last = ends[-1] + 1, len(of_moment) - (stretches - place)
        ends.append(first + int(np.abs(before[first : last + 1] - place * len(times) / stretches).argmin()))
    stretch = np.searchsorted(ends, moment, side="right") - 1
    found = []
    for number in range(folds):
        held_out = np.flatnonzero(stretch == number + 1)
        train = np.flatnonzero(stretch <= number)
        found.append(
            Fold(
                round=0,
                number=number,
                train=train[~np.isin(copies[train], copies[held_out])],
                held_out=held_out,
            )
        )
    return found


def latest_rows(times: np.ndarray, copies: np.ndarray, share: float) -> Fold:
    """Hold out about a share of the rows, the latest; rows of one moment stay together. Shapes: times, copies (N,)

    Raises: SettingError for rows that are all of one moment
    """
    moments, counts = np.unique(times, return_counts=True)
    if len(moments) == 1:
        raise SettingError("all training rows are of one time, so that no later ones can validate")
    after = len(times) - np.cumsum(counts)[:-1]
    border = moments[int(np.abs(after - share * len(times)).argmin())]
    held_out, train = np.flatnonzero(times > border), np.flatnonzero(times <= border)
    return Fold(round=0, number=0, train=train[~np.isin(copies[train], copies[held_out])], held_out=held_out)


def _evenly(units: np.ndarray, classes: np.ndarray | None, folds: int, order: np.ndarray) -> np.ndarray:
    """Return a fold per unit: the largest first, each into the fold that has least of its classes, then fewest rows.

    Source: StratifiedGroupKFold of scikit-learn is the same idea, with another measure of evenness.
    """
    of_row = np.zeros(len(units), np.int64) if classes is None else np.unique(classes, return_inverse=True)[1]
    counts = np.zeros((int(units.max()) + 1, int(of_row.max()) + 1))
    np.add.at(counts, (units, of_row), 1)
    shares = counts / counts.sum(0)
    filled, rows = np.zeros((folds, shares.shape[1])), np.zeros(folds)
    fold_of = np.empty(len(counts), np.int64)
    for unit in order[np.argsort(-counts[order].sum(1), kind="stable")].tolist():
        crowding = (filled + shares[unit]) ** 2 - filled**2
        fold = np.lexsort((rows, crowding.sum(1).round(12)))[0]
        fold_of[unit] = fold
        filled[fold] += shares[unit]
        rows[fold] += counts[unit].sum()
    return fold_of
