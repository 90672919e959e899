"""What every metric of the catalogue promises: scikit-learn's values for any weights, and a plain meaning."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as peer

from chainrule.catalog import METRICS
from chainrule.train.metrics import BINS, Answers, Metric, measure, measure_many, metric_named, metrics_for

Weights = np.ndarray

pytestmark = pytest.mark.parametrize("name", METRICS)


def of_classes(classes: int, rows: int = 60, seed: int = 0, *, ties: bool = True) -> Answers:
    """Return answers with ties among probabilities and among what is right."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(classes), rows)
    if ties:
        shares = np.ceil(4 * shares)
        shares /= shares.sum(1, keepdims=True)
    true = random.integers(0, classes, rows)
    return Answers(true=true, labels=shares.argmax(1), probabilities=shares)


def of_values(values: int, rows: int = 60, seed: int = 0) -> Answers:
    random = np.random.default_rng(seed)
    true = random.normal(1e6, 10, (rows, values))
    return Answers(true=true, values=true + random.normal(0, 4, true.shape))


def samples(name: str) -> list[Answers]:
    if metric_named(name).tasks == ("regression",):
        return [of_values(1), of_values(3)]
    return [of_classes(2), of_classes(2, ties=False), of_classes(4), of_classes(4, ties=False)]


def weightings(rows: int) -> list[Weights]:
    random = np.random.default_rng(1)
    return [np.ones(rows), random.integers(0, 3, rows).astype(float), random.random(rows)]


def one_against_the_rest(score: Callable[..., float]) -> Callable[[Answers, Weights], float]:
    """Return the mean of a score of two classes over the classes that occur, or that of the second of two."""

    def value(a: Answers, w: Weights) -> float:
        count = a.probabilities.shape[1]
        places = [1] if count == 2 else [k for k in range(count) if 0 < w[a.true == k].sum() < w.sum()]
        each = [score(a.true == k, a.probabilities[:, k], sample_weight=w) for k in places]
        return float(np.mean(each))

    return value


def averaged(score: Callable[..., float]) -> Callable[[Answers, Weights], float]:
    def value(a: Answers, w: Weights) -> float:
        there = w > 0  # scikit-learn would count the classes of rows that weigh nothing
        kind = "binary" if a.probabilities.shape[1] == 2 else "macro"
        given: Any = {"sample_weight": w[there], "average": kind, "zero_division": 0}
        return float(score(a.true[there], a.labels[there], **given))

    return value


def calibration_error(a: Answers, w: Weights) -> float:
    """Return ECE by its definition, a bin at a time; scikit-learn has none."""
    sure = a.probabilities.max(1)
    total = 0.0
    for place in range(BINS):
        last = place == BINS - 1
        inside = (sure >= place / BINS) & ((sure <= 1) if last else (sure < (place + 1) / BINS))
        if w[inside].sum() > 0:
            right = np.average(a.labels[inside] == a.true[inside], weights=w[inside])
            total += w[inside].sum() * abs(right - np.average(sure[inside], weights=w[inside]))
    return total / w.sum()


def of_true_values(score: Callable[..., float]) -> Callable[[Answers, Weights], float]:
    return lambda a, w: float(score(a.true, a.values, sample_weight=w))


PEERS: dict[str, Callable[[Answers, Weights], float]] = {
    "accuracy": lambda a, w: peer.accuracy_score(a.true, a.labels, sample_weight=w),
    "balanced-accuracy": lambda a, w: peer.balanced_accuracy_score(a.true, a.labels, sample_weight=w),
    "precision": averaged(peer.precision_score),
    "recall": averaged(peer.recall_score),
    "f1": averaged(peer.f1_score),
    "auc": one_against_the_rest(peer.roc_auc_score),
    "average-precision": one_against_the_rest(peer.average_precision_score),
    "log-loss": lambda a, w: peer.log_loss(
        a.true, a.probabilities, sample_weight=w, labels=range(a.probabilities.shape[1])
    ),
    "calibration-error": calibration_error,
    "r2": of_true_values(peer.r2_score),
    "mae": of_true_values(peer.mean_absolute_error),
    "rmse": lambda a, w: math.sqrt(peer.mean_squared_error(a.true, a.values, sample_weight=w)),
}


def test_equals_its_peer_for_any_weights(name: str) -> None:
    for answers in samples(name):
        weights = np.stack(weightings(len(answers)))
        found = measure_many(answers, [name], weights)[name]
        wanted = [PEERS[name](answers, w) for w in weights]
        np.testing.assert_allclose(found, wanted, atol=1e-9, rtol=1e-9)


def test_a_row_that_weighs_two_is_a_row_twice(name: str) -> None:
    for answers in samples(name):
        counts = np.random.default_rng(2).integers(0, 3, len(answers))
        drawn = np.repeat(np.arange(len(answers)), counts)
        parts = {k: v[drawn] for k, v in vars(answers).items() if isinstance(v, np.ndarray)}
        again = Answers(
            **{k: v for k, v in parts.items() if k in ("true", "labels", "probabilities", "values")}
        )
        by_weight = measure(answers, [name], counts.astype(float))
        assert by_weight == pytest.approx(measure(again, [name]), abs=1e-12)


@pytest.mark.filterwarnings("error")
def test_a_class_that_does_not_occur_is_not_counted(name: str) -> None:
    """Three of four classes are in the truth; nothing of the fourth is answered."""
    if metric_named(name).tasks == ("regression",):
        return
    whole = of_classes(4, ties=False)
    keep = (whole.true != 3) & (whole.labels != 3)
    four = Answers(true=whole.true[keep], labels=whole.labels[keep], probabilities=whole.probabilities[keep])
    found = measure(four, [name])
    if name in (
        "accuracy",
        "balanced-accuracy",
        "precision",
        "recall",
        "f1",
        "log-loss",
        "calibration-error",
    ):
        with warnings.catch_warnings():
            assert found[name] == pytest.approx(PEERS[name](four, np.ones(len(four.true))), abs=1e-9)
    assert math.isfinite(found[name])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("of", [0, 1])
def test_rows_of_one_class_alone(name: str, classes: int, of: int) -> None:
    """Nothing is not a number: what these rows do not define is left out, the rest follows scikit-learn."""
    if metric_named(name).tasks == ("regression",):
        return
    mixed = of_classes(classes)
    alone = Answers(true=np.full(60, of), labels=mixed.labels, probabilities=mixed.probabilities)
    found = measure(alone, [name])
    if name in ("auc", "average-precision"):
        assert found == {}
    else:
        assert math.isfinite(found[name])
    if name in ("precision", "recall", "f1") and classes == 2 and of == 0:
        assert found[name] == 0


@pytest.mark.filterwarnings("error")
def test_few_and_odd_rows_give_numbers_or_nothing(name: str) -> None:
    for answers in samples(name):
        for rows in (0, 1, 2):
            part = {k: v[:rows] for k, v in vars(answers).items() if isinstance(v, np.ndarray)}
            kept = {k: v for k, v in part.items() if k in ("true", "labels", "probabilities", "values")}
            assert all(math.isfinite(v) for v in measure(Answers(**kept), [name]).values())
        nothing = measure_many(answers, [name], np.zeros((2, len(answers))))[name]
        assert np.isnan(nothing).all() or (nothing == 0).all()


def test_perfect_answers_are_the_best_and_better_answers_do_better(name: str) -> None:
    metric: Metric = metric_named(name)
    for answers in samples(name):
        if answers.values is not None:
            perfect = Answers(true=answers.true, values=answers.true)
        else:
            shares = np.eye(answers.probabilities.shape[1])[answers.true]
            perfect = Answers(true=answers.true, labels=answers.true, probabilities=shares)
        best, some = measure(perfect, [name])[name], measure(answers, [name])[name]
        assert best == pytest.approx(1 if metric.larger_is_better else 0, abs=1e-9)
        assert metric.is_better(best, some) and not metric.is_better(some, best)


def test_is_declared_for_its_tasks(name: str) -> None:
    metric = metric_named(name)
    assert metric.name == name and metric.meaning and metric.tasks
    assert all(name in metrics_for(kind) for kind in metric.tasks)
    assert set(PEERS) == set(METRICS), "a new metric needs a peer here"
