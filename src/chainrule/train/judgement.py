"""What a network is worth on some rows: every metric, each with the interval that other rows could have given.

Intervals are bootstrap intervals: as many rows are drawn again from the judged ones, with replacement and whatever
their class (a split may not have kept the classes in proportion), and the middle 95 % of the values are kept. They
say how much is luck of the test rows; another seed of the training adds to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from chainrule.core.seeds import mix
from chainrule.train.loop import judge, row_losses
from chainrule.train.metrics import Answers, measure, measure_many, metric_named, metrics_for
from chainrule.train.significance import COVERED, NORMAL, wilson
from chainrule.train.task import Task

Interval = tuple[float, float]

REPLICATES = 1000
ENOUGH = 200  # replicates for quantiles; with fewer, rows are many and their spread is taken as normal
FEWEST = 40
WORK = 2_000_000  # rows × classes × replicates: about a tenth of a second
AT_ONCE = 1 << 18  # rows × replicates in memory, so that sums stay in the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Metrics of some rows by name, loss first, and a 95 % interval of each; those that are undefined are not there."""

    rows: int
    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)


def judge_rows(task: Task, outputs: Tensor, targets: Tensor, *, seed: int = 0) -> Judgement:
    """Judge outputs against targets from `encode`, by every metric of the task. The same seed draws the same rows."""
    metrics = judge(task, outputs, targets)
    answers = task.answers(outputs, targets)
    intervals = find_intervals(answers, metrics, losses=row_losses(task, outputs, targets), seed=seed)
    return Judgement(rows=len(answers), metrics=metrics, intervals=intervals)


def find_intervals(
    answers: Answers, values: dict[str, float], *, losses: np.ndarray | None = None, seed: int = 0
) -> dict[str, Interval]:
    """Return the interval of each value: of metrics by name, and of "loss" where the rows' losses are given.

    An interval always reaches to its value: calibration error is larger in most replicates than in the rows
    themselves. Where all rows are right, or none, so it is in all replicates: there Wilson's interval says what the rows can tell.
    """
    chosen = [name for name in values if name != "loss"]
    parts = [
        measure_many(answers, chosen, weights)
        | ({"loss": weights @ losses / weights.sum(1)} if losses is not None else {})
        for weights in draws(len(answers), _classes(answers), seed)
    ]
    if not parts:
        return {}
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name in values}
    return {name: _interval(answers, name, values[name], found[name]) for name in values if name in found}


def draws(rows: int, classes: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each row is drawn, some replicates at a time. Shapes: (R, N) each."""
    if not rows:
        return
    replicates = int(np.clip(WORK // (rows * classes), FEWEST, REPLICATES))
    at_once = max(1, AT_ONCE // rows)
    random = np.random.Generator(np.random.PCG64(mix(seed, "bootstrap")))
    for start in range(0, replicates, at_once):
        count = min(at_once, replicates - start)
        drawn = random.integers(0, rows, (count, rows)) + np.arange(count)[:, None] * rows
        yield np.bincount(drawn.reshape(-1), minlength=count * rows).reshape(count, rows).astype(np.float64)


def _interval(answers: Answers, name: str, value: float, replicates: np.ndarray) -> Interval:
    replicates = replicates[np.isfinite(replicates)]
    if not len(replicates):
        return value, value
    if name != "loss" and value == 1 == replicates.min() and answers.labels is not None:
        return _least_of_all_right(answers, name), 1.0
    if (
        name != "loss"
        and value == 0 == replicates.max()
        and metric_named(name).larger_is_better
        and answers.labels is not None
    ):
        return 0.0, 1 - _least_of_all_right(answers, name)
    if len(replicates) < ENOUGH:
        reach = NORMAL * float(replicates.std())
        low, high = value - reach, value + reach
    else:
        low, high = map(float, np.quantile(replicates, [(1 - COVERED) / 2, (1 + COVERED) / 2]))
    return min(low, value), max(high, value)


def _least_of_all_right(answers: Answers, name: str) -> float:
    """Return the lower end of Wilson's interval for n of n rows right; of the rarest class where that decides."""
    rows = len(answers)
    if metric_named(name).rests_on_classes:
        rows = int(np.unique(answers.true, return_counts=True)[1].min())
    return float(wilson(1.0, rows)[0])


def _classes(answers: Answers) -> int:
    return 1 if answers.probabilities is None else answers.probabilities.shape[1]


def judge_answers(answers: Answers, kind: str, *, seed: int = 0, chosen: Sequence[str] = ()) -> Judgement:
    """Judge answers of any model, of which no loss is known, by every metric of a kind of task or the `chosen` ones."""
    names = tuple(chosen) or metrics_for(kind)
    metrics = measure(answers, names)
    return Judgement(
        rows=len(answers), metrics=metrics, intervals=find_intervals(answers, metrics, seed=seed)
    )
