"""What scores of folds allow one to say: how far a mean may lie from the truth, and which differences are more than chance.

Folds share most of their training rows, so their scores go up and down together, and the plain variance of a mean is
too small. Nadeau and Bengio 2003 correct it: with J scores the variance of the mean is (1/J + n_held_out/n_train) s²
in place of s²/J. With the folds repeated it is the corrected repeated k-fold test of Bouckaert and Frank 2004.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COVERED = 0.95
NORMAL = 1.959964  # standard deviations of a normal distribution that cover as much


@dataclass(frozen=True, slots=True)
class Spread:
    """Scores of folds in short: mean, standard deviation from fold to fold, and a 95 % interval of the mean."""

    mean: float
    deviation: float
    low: float
    high: float


def spread_of(
    scores: Sequence[float],
    *,
    share: float,
    rows: int,
    lowest: float = -math.inf,
    highest: float = math.inf,
) -> Spread:
    """Sum up scores of folds; `share` is held-out rows over training rows, `rows` how many different rows were judged.

    Where no fold differs from the next, and the score is a share of 1, Wilson's interval says what so many rows can
    tell. The interval stays within the scores that there are.
    """
    mean, deviation = float(np.mean(scores)), float(np.std(scores, ddof=1))
    reach = student_quantile(len(scores) - 1) * corrected_deviation(scores, share)
    low, high = max(lowest, mean - reach), min(highest, mean + reach)
    if deviation == 0 and 0 <= mean <= highest == 1:
        low, high = (float(end) for end in wilson(mean, rows))
    return Spread(mean, deviation, low, high)


def wilson(share: np.ndarray | float, rows: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of shares, each of so many rows. Shapes: as the shares.

    Source: Wilson 1927
    >>> [round(float(end), 4) for end in wilson(1.0, 60)]
    [0.9398, 1.0]
    """
    squared = NORMAL**2 / np.asarray(rows, np.float64)
    middle = (share + squared / 2) / (1 + squared)
    reach = np.sqrt(squared * share * (1 - share) + np.square(squared) / 4) / (1 + squared)
    return np.clip(middle - reach, 0, 1), np.clip(middle + reach, 0, 1)


def corrected_deviation(scores: Sequence[float], share: float) -> float:
    """Return the standard deviation of the mean of scores whose folds share training rows.

    Source: Nadeau and Bengio 2003, equation 3.
    >>> round(corrected_deviation([0.9, 0.8, 1.0, 0.9, 0.9], 0.25), 6)
    0.047434
    """
    return float(np.std(scores, ddof=1) * math.sqrt(1 / len(scores) + share))


def resampled_t_test(one: Sequence[float], other: Sequence[float], share: float) -> float:
    """Return how probable a difference as large is where two models are equally good: the corrected resampled t-test.

    The scores are of the same folds, in the same order. Two-sided, with one degree of freedom fewer than folds. Where all
    folds differ by as much, there is no deviation to go by, and few folds would make anything certain: then it is how
    probable the same sign in all of them is.
    """
    from scipy.special import stdtr

    differences = np.subtract(one, other)
    deviation, mean = corrected_deviation(differences.tolist(), share), float(differences.mean())
    if deviation < 1e-12 * max(1.0, abs(mean)):
        return 1.0 if mean == 0 else 2 * 0.5 ** len(differences)
    return float(2 * stdtr(len(differences) - 1, -abs(mean) / deviation))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return p-values of several tests, corrected so that all of them together err as rarely as one.

    Source: Holm 1979: the smallest of m times m, the next times m − 1, …, none smaller than the one before it.
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(probabilities, kind="stable")
    found, least = [0.0] * len(order), 0.0
    for place, number in enumerate(order.tolist()):
        least = max(least, min(1.0, (len(order) - place) * probabilities[number]))
        found[number] = least
    return found


def student_quantile(degrees: int) -> float:
    """Return how many deviations of a t-distribution cover 95 % of it.

    >>> round(student_quantile(4), 4), round(student_quantile(29), 4)
    (2.7764, 2.0452)
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + COVERED) / 2))
