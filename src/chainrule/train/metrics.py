"""Metrics, each declared once: how answers are scored against the truth, and what a score says.

A metric is computed for many weightings of the same rows at once. Weights of one give the score itself; counts of how
often each row was drawn give bootstrap replicates; a group's rows have weight one and all others none.

Conventions, as scikit-learn has them where it has any:

- Of two classes, precision, recall, F1, AUC and average precision are about the second one.
- Of several classes they are the plain mean over the classes that occur: for precision, recall and F1 in truth or
  answers (a quotient 0/0 counts as 0), for balanced accuracy in the truth, for AUC and average precision in the truth
  with other rows beside them (one class against the rest).
- AUC and average precision of rows that are all of one class are not defined; nor is anything of no rows. Then the
  value is NaN here and is left out of what users see. (scikit-learn says 0 for average precision, and warns.)
- R² is not defined where the truth does not vary; users see 0, no better than the mean. A value that does not vary
  among several that do counts as 0.

Several values are averaged: R² and the absolute error over values, RMSE under the root.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chainrule.catalog import load, names
from chainrule.core.errors import SettingError

BINS = 10  # of confidence, of equal width
CLASSES = ("binary", "multi-class")
QUESTIONS = {  # the kinds of task as users know them
    "regression": "regression",
    "binary": "classification into two classes",
    "multi-class": "classification into several classes",
}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What was answered for N rows, and the truth: classes with probabilities, or values in the target's own units.

    Shapes: true (N,) or (N, values); labels (N,), probabilities (N, classes); values (N, values)
    """

    true: np.ndarray
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    values: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.true)

    def only(self, rows: np.ndarray) -> Answers:
        """Return the answers of some rows. Shapes: rows (M,) places, or (N,) bool."""
        parts = (self.true, self.labels, self.probabilities, self.values)
        true, labels, probabilities, values = (None if part is None else part[rows] for part in parts)
        assert true is not None
        return Answers(true=true, labels=labels, probabilities=probabilities, values=values)

    @cached_property
    def right(self) -> np.ndarray:
        """1 where the answer is the truth, else 0. Shapes: (N,)."""
        return np.asarray(self.labels == self.true, dtype=np.float64)

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the class that was answered. Shapes: (N,)."""
        assert self.probabilities is not None and self.labels is not None
        shares: np.ndarray = self.probabilities[np.arange(len(self)), self.labels]
        return shares

    @cached_property
    def bins(self) -> np.ndarray:
        """The bin of each row's confidence; only 1 itself would fall beyond the last. Shapes: (N,)."""
        return np.minimum((self.confidence * BINS).astype(np.int64), BINS - 1)

    @cached_property
    def ranked(self) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Per class that AUC is about: rows from the least to the most probable, and where ties begin."""
        assert self.probabilities is not None
        several = self.probabilities.shape[1] > 2
        found = []
        for place in range(self.probabilities.shape[1]) if several else (1,):
            order = np.argsort(self.probabilities[:, place], kind="stable")
            scores = self.probabilities[order, place]
            found.append((place, order, np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))))
        return found


class Tally:
    """Weighted sums that metrics share: R weightings of the N rows at once. Shapes: weights (R, N)."""

    def __init__(self, answers: Answers, weights: np.ndarray) -> None:
        self.answers = answers
        self.weights = weights
        self.total: np.ndarray = weights.sum(1)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return weighted means. Shapes: (N,) -> (R,); (N, M) -> (R, M)."""
        total = self.total if values.ndim == 1 else self.total[:, None]
        return ratio(self.weights @ values, total, np.nan)

    @cached_property
    def by_class(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How much of each class was right, was answered, is true. Shapes: (R, classes) each."""
        answers = self.answers
        assert answers.labels is not None and answers.probabilities is not None
        count = answers.probabilities.shape[1]
        right = self.sums(answers.true, count, answers.right)
        return right, self.sums(answers.labels, count), self.sums(answers.true, count)

    def sums(self, places: np.ndarray, count: int, values: np.ndarray | None = None) -> np.ndarray:
        """Return the weighted sum of the rows, or of their values, at each of so many places.

        Shapes: places (N,), values (N,) -> (R, count)
        """
        several = len(self.weights)
        at = (np.arange(0, several * count, count)[:, None] + places).reshape(-1)
        summed = self.weights if values is None else self.weights * values
        return np.bincount(at, summed.reshape(-1), several * count).reshape(several, count)

    @cached_property
    def ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """AUC and average precision of each class against the rest, NaN where undefined. Shapes: (R, classes)."""
        both = [_of_ranking(*groups) for groups in self._ties()]
        return np.stack([auc for auc, _ in both], 1), np.stack([precision for _, precision in both], 1)

    def _ties(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield per class the weight of its rows, and of the others, at each probability from the least up."""
        for place, order, starts in self.answers.ranked:
            outside = self.weights[:, order]
            inside = outside * (self.answers.true[order] == place)
            outside -= inside
            if len(starts) < len(order):
                inside, outside = (np.add.reduceat(sums, starts, axis=1) for sums in (inside, outside))
            yield inside, outside


def ratio(above: np.ndarray, below: np.ndarray, undefined: float) -> np.ndarray:
    """Divide; where the divisor is 0 the quotient is `undefined`."""
    out = np.full(np.broadcast_shapes(above.shape, below.shape), undefined)
    np.divide(above, below, out=out, where=below != 0)
    return out


def _of_ranking(inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    own, other = inside.sum(1), outside.sum(1)
    below = np.cumsum(outside, 1)
    below -= outside
    auc = ratio(_dot(inside, below) + _dot(inside, outside) / 2, own * other, np.nan)
    right = np.cumsum(inside, 1)
    np.subtract(own[:, None] + inside, right, out=right)
    chosen = np.subtract(right + other[:, None], below, out=below)
    precision = ratio(_dot(inside, ratio(right, chosen, 0.0)), own, np.nan)
    return auc, np.where(other > 0, precision, np.nan)


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the sum of the products in each row, which are not kept. Shapes: (R, M), (R, M) -> (R,)."""
    return np.asarray(np.vecdot(one, other))


@dataclass(frozen=True, slots=True)
class Metric:
    """A score of answers: its name, its value for each weighting of a tally, and what it says.

    `tasks` are the kinds of task that it is for; `rests_on_classes`: whether a rare class alone can move it;
    `is_of_second`: whether, of two classes, it is about the second alone; `undefined` is what users see where it is
    not defined, NaN for nothing.
    Shapes: value (R,)
    """

    name: str
    value: Callable[[Tally], np.ndarray]
    meaning: str
    tasks: tuple[str, ...]
    larger_is_better: bool = True
    rests_on_classes: bool = False
    is_of_second: bool = False
    undefined: float = math.nan

    def __call__(self, tally: Tally) -> np.ndarray:
        return self.value(tally)

    def is_better(self, value: float, than: float) -> bool:
        """Whether one score beats another."""
        return value > than if self.larger_is_better else value < than


def metric_named(name: str) -> Metric:
    """Return a metric of the catalogue. Raises: UnknownNameError with the nearest names."""
    found: Metric = load("metric", name)
    return found


def metrics_for(kind: str) -> tuple[str, ...]:
    """Return the names of the metrics that are for a kind of task."""
    return tuple(name for name in names("metric") if kind in metric_named(name).tasks)


def check_metric(name: str, kind: str) -> Metric:
    """Return a metric for a kind of task. Raises: SettingError naming those that fit."""
    metric = metric_named(name)
    if kind not in metric.tasks:
        raise SettingError(
            f"the metric {name} is not for {QUESTIONS[kind]}; those that are: {', '.join(metrics_for(kind))}"
        )
    return metric


def measure(answers: Answers, chosen: Sequence[str], weights: np.ndarray | None = None) -> dict[str, float]:
    """Return the value of each chosen metric that is defined for these rows. Shapes: weights (N,), 1 without."""
    every = np.ones(len(answers)) if weights is None else weights
    values = {name: float(v[0]) for name, v in measure_many(answers, chosen, every[None]).items()}
    if not every.any():
        return {}
    shown = {name: metric_named(name).undefined if v != v else v for name, v in values.items()}
    return {name: value for name, value in shown.items() if value == value}


def measure_many(answers: Answers, chosen: Sequence[str], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the values of each metric for many weightings, NaN where undefined. Shapes: weights (R, N) -> (R,)."""
    if not len(answers):
        return {name: np.full(len(weights), np.nan) for name in chosen}
    tally = Tally(answers, weights)
    return {name: metric_named(name)(tally) for name in chosen}


# ---- classes


def _accuracy(tally: Tally) -> np.ndarray:
    return tally.mean(tally.answers.right)


def _balanced_accuracy(tally: Tally) -> np.ndarray:
    right, _, true = tally.by_class
    return _mean_where(ratio(right, true, 0.0), true > 0)


def _precision(tally: Tally) -> np.ndarray:
    right, said, _ = tally.by_class
    return _of_classes(tally, ratio(right, said, 0.0))


def _recall(tally: Tally) -> np.ndarray:
    right, _, true = tally.by_class
    return _of_classes(tally, ratio(right, true, 0.0))


def _f1(tally: Tally) -> np.ndarray:
    right, said, true = tally.by_class
    return _of_classes(tally, ratio(2 * right, said + true, 0.0))


def _of_classes(tally: Tally, scores: np.ndarray) -> np.ndarray:
    """Return the score of the second of two classes, else the mean over those that occur."""
    _, said, true = tally.by_class
    if scores.shape[1] == 2:
        return np.where(tally.total > 0, scores[:, 1], np.nan)
    return _mean_where(scores, said + true > 0)


def _mean_where(scores: np.ndarray, occurs: np.ndarray) -> np.ndarray:
    return ratio(np.where(occurs, scores, 0.0).sum(1), occurs.sum(1).astype(np.float64), np.nan)


def _auc(tally: Tally) -> np.ndarray:
    scores, _ = tally.ranking
    return _mean_where(scores, ~np.isnan(scores))


def _average_precision(tally: Tally) -> np.ndarray:
    _, scores = tally.ranking
    return _mean_where(scores, ~np.isnan(scores))


def _log_loss(tally: Tally) -> np.ndarray:
    answers = tally.answers
    assert answers.probabilities is not None
    shares = answers.probabilities[np.arange(len(answers)), answers.true]
    least = np.finfo(np.float64).eps  # as scikit-learn: a probability of 0 costs 36, not infinity
    return tally.mean(-np.log(np.clip(shares, least, 1 - least)))


def _calibration_error(tally: Tally) -> np.ndarray:
    # Σ over bins of the bin's share of rows × |share right − mean confidence|; Guo et al. 2017, section 2.
    answers = tally.answers
    gaps = tally.sums(answers.bins, BINS, answers.right - answers.confidence)
    return np.asarray(np.abs(ratio(gaps, tally.total[:, None], np.nan)).sum(1))


# ---- values


def _mae(tally: Tally) -> np.ndarray:
    return tally.mean(np.abs(_errors(tally.answers)).mean(1))


def _rmse(tally: Tally) -> np.ndarray:
    return np.asarray(np.sqrt(tally.mean(np.square(_errors(tally.answers)).mean(1))))


def _r2(tally: Tally) -> np.ndarray:
    truth = tally.answers.true
    true = truth - truth.mean(0)  # of numbers far from 0 the squares would drown the rest
    spread = tally.mean(np.square(true)) - np.square(tally.mean(true))
    varies = spread > 1e-13 * np.square(true).max(0, initial=0.0)
    missed = ratio(tally.mean(np.square(_errors(tally.answers))), np.where(varies, spread, 0.0), 1.0)
    return np.where(varies.any(1), (1 - missed).mean(1), np.nan)


def _errors(answers: Answers) -> np.ndarray:
    assert answers.values is not None
    return np.asarray(answers.values - answers.true)  # predicted − actual (row OUT-26)


ACCURACY = Metric("accuracy", _accuracy, "share of rows answered right", CLASSES)
BALANCED_ACCURACY = Metric(
    "balanced-accuracy",
    _balanced_accuracy,
    "mean over classes of the share answered right, so that rare ones count as much",
    CLASSES,
    rests_on_classes=True,
)
PRECISION = Metric(
    "precision",
    _precision,
    "share of the rows answered with a class that are of it",
    CLASSES,
    rests_on_classes=True,
    is_of_second=True,
)
RECALL = Metric(
    "recall",
    _recall,
    "share of the rows of a class that were found",
    CLASSES,
    rests_on_classes=True,
    is_of_second=True,
)
F1 = Metric(
    "f1", _f1, "harmonic mean of precision and recall", CLASSES, rests_on_classes=True, is_of_second=True
)
AUC = Metric(
    "auc",
    _auc,
    "chance that a row of the class is given a higher probability than one that is not",
    CLASSES,
    rests_on_classes=True,
)
AVERAGE_PRECISION = Metric(
    "average-precision",
    _average_precision,
    "mean precision over all thresholds, by the recall that each adds",
    CLASSES,
    rests_on_classes=True,
    is_of_second=True,
)
LOG_LOSS = Metric(
    "log-loss",
    _log_loss,
    "mean of −log of the probability given to the true class",
    CLASSES,
    larger_is_better=False,
)
CALIBRATION_ERROR = Metric(
    "calibration-error",
    _calibration_error,
    "how far confidence lies from the share that is right, over ten bins (ECE)",
    CLASSES,
    larger_is_better=False,
)
R2 = Metric("r2", _r2, "share of the variation that is explained", ("regression",), undefined=0.0)
MAE = Metric(
    "mae",
    _mae,
    "mean distance between predicted and true value",
    ("regression",),
    larger_is_better=False,
)
RMSE = Metric(
    "rmse",
    _rmse,
    "root of the mean squared distance; large misses weigh more",
    ("regression",),
    larger_is_better=False,
)
