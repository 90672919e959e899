"""Intervals: how far luck of the judged rows reaches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from chainrule import Binary, MultiClass, Regression
from chainrule.train.judgement import (
    ENOUGH,
    FEWEST,
    NORMAL,
    REPLICATES,
    WORK,
    draws,
    find_intervals,
    judge_answers,
    judge_rows,
)
from chainrule.train.loop import judge
from chainrule.train.metrics import Answers, metrics_for


def coin(rows: int, right: float, seed: int = 0) -> Answers:
    """Return answers of two classes of which about a share is right."""
    random = np.random.default_rng(seed)
    true = random.integers(0, 2, rows)
    labels = np.where(random.random(rows) < right, true, 1 - true)
    shares = np.where(labels == 1, 0.8, 0.2)
    return Answers(true=true, labels=labels, probabilities=np.stack([1 - shares, shares], 1))


def test_interval_of_accuracy_is_the_one_of_a_share() -> None:
    """For a mean the bootstrap comes close to value ± 1.96 √(p(1−p)/n)."""
    answers = coin(400, 0.8)
    share = float(answers.right.mean())
    low, high = find_intervals(answers, {"accuracy": share})["accuracy"]
    reach = NORMAL * math.sqrt(share * (1 - share) / 400)
    assert low == pytest.approx(share - reach, abs=0.01) and high == pytest.approx(share + reach, abs=0.01)


def test_intervals_cover_about_as_often_as_they_say() -> None:
    """Of 200 samples with a known chance of 0.8, the interval holds it in about 95 %."""
    held = 0
    for seed in range(200):
        answers = coin(100, 0.8, seed)
        low, high = find_intervals(answers, {"accuracy": float(answers.right.mean())}, seed=seed)["accuracy"]
        held += low <= 0.8 <= high
    assert 180 <= held <= 198


def test_same_seed_same_intervals() -> None:
    answers = coin(50, 0.7)
    first, again, other = (judge_answers(answers, "binary", seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert first.metrics == other.metrics


@pytest.mark.filterwarnings("error")
def test_every_figure_has_an_interval_that_holds_it() -> None:
    task, generator = MultiClass(["a", "b", "c"]), torch.Generator().manual_seed(0)
    outputs, targets = (
        torch.randn(40, 3, generator=generator),
        torch.randint(0, 3, (40,), generator=generator),
    )
    found = judge_rows(task, outputs, targets)
    assert list(found.metrics) == ["loss", *metrics_for("multi-class")] and found.rows == 40
    assert found.metrics == judge(task, outputs, targets)
    assert set(found.intervals) == set(found.metrics)
    for name, (low, high) in found.intervals.items():
        assert low <= found.metrics[name] <= high and low < high, name


def test_all_rows_right_is_not_certainty() -> None:
    """Thirty of thirty: every replicate is perfect too, so Wilson's interval is given, n / (n + z²)."""
    true = np.array([0] * 20 + [1] * 10)
    perfect = Answers(true=true, labels=true, probabilities=np.eye(2)[true] * 0.8 + 0.1)
    found = judge_answers(perfect, "binary").intervals
    assert found["accuracy"] == (pytest.approx(30 / (30 + NORMAL**2)), 1)
    assert found["recall"] == found["auc"] == (pytest.approx(10 / (10 + NORMAL**2)), 1), "ten of the class"


def test_replicates_are_fewer_for_many_rows() -> None:
    counts = {rows: sum(len(w) for w in draws(rows, 2, 0)) for rows in (30, 5_000, 200_000)}
    assert counts == {30: REPLICATES, 5_000: WORK // 10_000, 200_000: FEWEST}
    for weights in draws(30, 2, 0):
        assert (weights.sum(1) == 30).all() and (weights == weights.round()).all()
    assert list(draws(0, 2, 0)) == []


def test_few_replicates_are_taken_as_normal() -> None:
    answers = coin(60_000, 0.8)
    share = float(answers.right.mean())
    assert WORK // (60_000 * 2) < ENOUGH
    low, high = find_intervals(answers, {"accuracy": share})["accuracy"]
    reach = NORMAL * math.sqrt(share * (1 - share) / 60_000)
    assert high - share == pytest.approx(share - low) == pytest.approx(reach, rel=0.4)


@pytest.mark.filterwarnings("error")
def test_replicates_without_a_class_are_left_out() -> None:
    """One row of the class among 12: a third of the replicates have none, and AUC is not defined there."""
    true = np.array([1] + [0] * 11)
    shares = np.linspace(0.9, 0.1, 12)
    shares[0] = 0.55
    answers = Answers(
        true=true, labels=(shares >= 0.5).astype(int), probabilities=np.stack([1 - shares, shares], 1)
    )
    low, high = judge_answers(answers, "binary").intervals["auc"]
    assert 0 <= low < high <= 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows_give_finite_figures(rows: int) -> None:
    values = Regression(["y"]).fit(np.arange(5.0)[:, None])
    for task, targets in ((values, torch.randn(rows, 1)), (Binary(["a", "b"]), torch.zeros(rows).long())):
        answers = task.answers(torch.randn(rows, 1), targets)
        found = judge_answers(answers, task.kind)
        numbers = [*found.metrics.values(), *(end for pair in found.intervals.values() for end in pair)]
        assert all(map(math.isfinite, numbers)) and found.rows == rows


def test_replicates_in_which_nothing_varies_are_left_out() -> None:
    """Of two rows half the replicates hold one of them twice: R² is not defined there, and says nothing."""
    answers = Answers(true=np.array([[1.0], [2.0]]), values=np.array([[4.0], [5.0]]))
    found = judge_answers(answers, "regression")
    assert found.metrics["r2"] == -35 and found.intervals["r2"] == (-35, -35)
    still = Answers(true=np.ones((3, 1)), values=np.ones((3, 1)))
    assert judge_answers(still, "regression").metrics == {"r2": 0, "mae": 0, "rmse": 0}
