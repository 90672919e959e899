"""Yardsticks: simpler models on the same rows, so that a score means something. They get little time and say so."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from chainrule.jobs.workshop import Material
from chainrule.report.summary import Yardstick
from chainrule.train.task import Task

SHARE, LEAST_SECONDS = 0.1, 2.0  # of the network's time; and what they may take in any case
NUMBERS_FOR_LINEAR = 4_000_000  # rows × features × classes that a linear model handles within its share
NUMBERS_FOR_TREES = 2_000_000
TREES_AT_ONCE, MOST_TREES = 5, 100


def measure_yardsticks(material: Material, task: Task, fit_seconds: float) -> list[Yardstick]:
    """Fit a constant, a linear model and, for tables, gradient-boosted trees on the training rows; judge on the test rows."""
    if not len(material.split.test):
        return []
    budget = max(LEAST_SECONDS, SHARE * fit_seconds)
    found = [_constant(material, task)]
    ends = time.perf_counter() + budget
    found.append(_timed(_linear, material, task, ends))
    if not material.prepare.is_pictures:
        found.append(_timed(_trees, material, task, ends))
    return found


def verdict(task: Task, metrics: dict[str, float], yardsticks: list[Yardstick]) -> str:
    """Say in one sentence where the network stands."""
    if not yardsticks or task.metric not in metrics:
        return "no test rows: nothing says how good this network is on rows that it never saw"
    ours = metrics[task.metric]
    best = max(yardsticks, key=lambda y: y.metrics[task.metric])
    theirs = best.metrics[task.metric]
    shown = f"test {_name(task.metric)} {_score(ours)}"
    others = ", ".join(f"{y.name} {_score(y.metrics[task.metric])}" for y in yardsticks)
    if ours > theirs:
        return f"{shown}, ahead of every yardstick ({others})"
    if ours == theirs:
        return f"{shown}, level with {best.name} ({others})"
    return f"{shown}, behind {best.name} ({others})"


def _score(value: float) -> str:
    return f"{value:.3f}".replace("-0.000", "0.000")


def _name(metric: str) -> str:
    return {"r2": "R²"}.get(metric, metric)


def _constant(material: Material, task: Task) -> Yardstick:
    train, test = _targets(material, "train"), _targets(material, "test")
    if task.kind == "regression":
        return Yardstick(
            name="constant (mean)",
            metrics=_judge(task, np.broadcast_to(train.mean(0), test.shape), test),
            seconds=0.0,
        )
    winner = np.bincount(train).argmax()
    return Yardstick(
        name="constant (largest class)", metrics=_judge(task, np.full(len(test), winner), test), seconds=0.0
    )


def _timed(
    fit: Callable[..., tuple[str, np.ndarray, str]], material: Material, task: Task, ends: float
) -> Yardstick:
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # iteration limits are meant, and said in the note
        name, predicted, note = fit(material, task, ends)
    return Yardstick(
        name=name,
        metrics=_judge(task, predicted, _targets(material, "test")),
        seconds=time.perf_counter() - began,
        note=note,
    )


def _linear(material: Material, task: Task, ends: float) -> tuple[str, np.ndarray, str]:
    x, y, note = _training_rows(material, NUMBERS_FOR_LINEAR // max(1, task.units))
    model: Any
    if task.kind == "regression":
        from sklearn.linear_model import Ridge

        model, name = Ridge(alpha=1.0), "ridge regression"
    else:
        from sklearn.linear_model import LogisticRegression

        model, name = LogisticRegression(max_iter=100), "logistic regression"
    model.fit(x, y)
    return name, _predict(model, material, task), note


def _trees(material: Material, task: Task, ends: float) -> tuple[str, np.ndarray, str]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x, y, note = _training_rows(material, NUMBERS_FOR_TREES // max(1, task.units))
    models: list[Any] = []
    kind = HistGradientBoostingRegressor if task.kind == "regression" else HistGradientBoostingClassifier
    for column in range(y.shape[1]) if task.kind == "regression" else (None,):
        model = kind(max_iter=TREES_AT_ONCE, warm_start=True, early_stopping=False, random_state=0)
        wanted = y if column is None else y[:, column]
        model.fit(x, wanted)
        while model.max_iter < MOST_TREES and time.perf_counter() < ends:
            model.set_params(max_iter=model.max_iter + TREES_AT_ONCE)
            model.fit(x, wanted)
        models.append(model)
    rounds = min(model.max_iter for model in models)
    if rounds < MOST_TREES:
        note = ", ".join(filter(None, [note, f"{rounds} of {MOST_TREES} rounds, to save time"]))
    predicted = np.stack([_predict(m, material, task).reshape(-1) for m in models], 1)
    return "gradient-boosted trees", predicted if task.kind == "regression" else predicted[:, 0], note


def _training_rows(material: Material, numbers: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the training rows, or the first of them in a seeded order where they are too many."""
    rows = material.split.train
    features = material.inputs[0].numel()
    most = max(100, numbers // features)
    note = ""
    if len(rows) > most:
        rows = np.random.Generator(np.random.PCG64(0)).permutation(rows)[:most]
        note = f"on {most} of {len(material.split.train)} training rows, to save time"
    assert material.examples.targets is not None
    return material.inputs[torch.from_numpy(rows)].flatten(1).numpy(), material.examples.targets[rows], note


def _predict(model: Any, material: Material, task: Task) -> np.ndarray:
    inputs = material.inputs[torch.from_numpy(material.split.test)].flatten(1).numpy()
    return np.asarray(model.predict(inputs))


def _targets(material: Material, part: str) -> np.ndarray:
    assert material.examples.targets is not None
    chosen: np.ndarray = material.examples.targets[material.rows(part)]
    return chosen


def _judge(task: Task, predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return the task's metrics of plain predictions."""
    from sklearn import metrics

    if task.kind != "regression":
        return {"accuracy": float(metrics.accuracy_score(true, predicted))}
    predicted = predicted.reshape(true.shape)
    varies = bool((np.ptp(true, axis=0) > 0).all()) and len(true) > 1
    return {
        "r2": float(metrics.r2_score(true, predicted)) if varies else 0.0,
        "mae": float(metrics.mean_absolute_error(true, predicted)),
        "rmse": float(metrics.mean_squared_error(true, predicted) ** 0.5),
    }
