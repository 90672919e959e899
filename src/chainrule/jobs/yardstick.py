"""Yardsticks: simpler models on the same rows, so that a score means something. They get little time and say so."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from chainrule.catalog import CLASSES, VALUES
from chainrule.jobs.material import Material
from chainrule.models.classical import build_classical
from chainrule.report.summary import LARGEST_CLASS_ALONE, MEAN_ALONE, TO_SAVE_TIME, Yardstick
from chainrule.train.classical import question_of
from chainrule.train.metrics import Answers, measure, metrics_for
from chainrule.train.task import Classification, Task

SHARE, LEAST_SECONDS = 0.1, 2.0  # of the network's time; and what they may take in any case
NUMBERS_FOR_LINEAR = 4_000_000  # rows × features × classes that a linear model handles within its share
NUMBERS_FOR_TREES = 2_000_000
NUMBERS_AT_ONCE = 1 << 22  # features of test rows that a simpler model predicts from together
TREES_AT_ONCE, MOST_TREES = 5, 100
MOST_ITERATIONS = 100  # of logistic regression
LEAST_POWER = 1e-12  # of a direction beside the first one's; what is below is rounding


def measure_yardsticks(material: Material, task: Task, fit_seconds: float) -> list[Yardstick]:
    """Fit a constant, a linear model and, for tables, gradient-boosted trees on the training rows; judge on the test rows."""
    if not len(material.split.test):
        return []
    budget = max(LEAST_SECONDS, SHARE * fit_seconds)
    answered = answer_yardsticks(material, task, budget)
    return [replace(yardstick, metrics=_metrics(task, answers)) for yardstick, answers in answered]


def answer_yardsticks(material: Material, task: Task, seconds: float) -> Iterator[tuple[Yardstick, Answers]]:
    """Fit the simpler models and give each, not yet measured, with its answers for the test rows.

    Loading scikit-learn takes as long as all of them on a small table: the `seconds` begin behind it.
    """
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401

    began = time.perf_counter()
    yield answer_alike(material, task)
    has_trees = not material.prepare.is_pictures
    yield _timed(_linear, material, task, began + (seconds / 2 if has_trees else seconds))
    if has_trees:
        yield _timed(_trees, material, task, began + seconds)


def answer_alike(material: Material, task: Task) -> tuple[Yardstick, Answers]:
    """Answer every row alike: the mean, or the largest class with every class as probable as in training."""
    train, true = _targets(material, "train"), _targets(material, "test")
    if task.kind == "regression":
        answers = Answers(true=true, values=np.broadcast_to(train.mean(0), true.shape))
        return Yardstick(name=MEAN_ALONE, metrics={}, seconds=0.0), answers
    counts = np.bincount(train, minlength=_classes(task))
    shares = np.broadcast_to(counts / counts.sum(), (len(true), len(counts)))
    answers = Answers(true=true, labels=np.full(len(true), counts.argmax()), probabilities=shares)
    return Yardstick(name=LARGEST_CLASS_ALONE, metrics={}, seconds=0.0), answers


def _timed(
    fit: Callable[..., tuple[str, Answers, str]], material: Material, task: Task, ends: float
) -> tuple[Yardstick, Answers]:
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # iteration limits are meant, and said in the note
        name, answers, note = fit(material, task, ends)
    seconds = time.perf_counter() - began
    return Yardstick(name=name, metrics={}, seconds=seconds, note=note), answers


def _linear(material: Material, task: Task, ends: float) -> tuple[str, Answers, str]:
    x, y, note = _training_rows(material, NUMBERS_FOR_LINEAR // max(1, task.units))
    reduce = _in_row_space(x) if x.shape[1] > len(x) else None
    features = x if reduce is None else reduce(x)
    model: Any
    if task.kind == "regression":
        model, name = (
            build_classical("ridge-regression", {}, question=VALUES).fit(features, y),
            "ridge regression",
        )
    else:
        model, cut = _logistic(features, y, _weights(task), ends)
        name, note = "logistic regression", _noted(note, cut)
    return name, _answers([model], material, task, reduce), note


def _in_row_space(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a map to as many features as there are rows that leaves a linear model with an L2 penalty what it is.

    The weights that it finds are a sum of the centred rows: whatever is at right angles to all of them costs penalty and
    changes no output. In a basis of those rows lengths are the same, so the optimum is; the free intercept takes up the
    centre.
    """
    centre = x.mean(0, dtype=np.float64)
    centred = x - centre
    powers, turned = np.linalg.eigh(centred @ centred.T)
    kept = powers > max(LEAST_POWER * powers[-1], np.finfo(np.float64).tiny)
    kept[-1] = True  # one feature, of zeros, where all rows are equal
    basis = centred.T @ (turned[:, kept] / np.sqrt(np.maximum(powers[kept], np.finfo(np.float64).tiny)))
    return lambda rows: np.asarray((rows - centre) @ basis)


def _logistic(x: np.ndarray, y: np.ndarray, weights: str | None, ends: float) -> tuple[Any, str]:
    """Fit with as many iterations as there is time for; the first one tells what one takes."""
    model = build_classical("penalised-logistic-regression", {}, question=CLASSES, class_weight=weights)
    began = time.perf_counter()
    model.set_params(max_iter=1).fit(x, y)
    now = time.perf_counter()
    most = int(min(MOST_ITERATIONS, max(1.0, (ends - now) / max(now - began, 1e-9))))
    if most > 1:
        model.set_params(max_iter=most).fit(x, y)
    is_cut = most < MOST_ITERATIONS and model.n_iter_.max() >= most
    return model, f"{most} of {MOST_ITERATIONS} iterations{TO_SAVE_TIME}" if is_cut else ""


def _trees(material: Material, task: Task, ends: float) -> tuple[str, Answers, str]:
    x, y, note = _training_rows(material, NUMBERS_FOR_TREES // max(1, task.units))
    models: list[Any] = []
    question = question_of(task.kind)
    for column in range(y.shape[1]) if task.kind == "regression" else (None,):
        model = build_classical(
            "gradient-boosting", {"trees": TREES_AT_ONCE}, question=question, class_weight=_weights(task)
        )
        model.set_params(warm_start=True)
        wanted = y if column is None else y[:, column]
        model.fit(x, wanted)
        while model.max_iter < MOST_TREES and time.perf_counter() < ends:
            model.set_params(max_iter=model.max_iter + TREES_AT_ONCE)
            model.fit(x, wanted)
        models.append(model)
    rounds = min(model.max_iter for model in models)
    if rounds < MOST_TREES:
        note = _noted(note, f"{rounds} of {MOST_TREES} rounds{TO_SAVE_TIME}")
    return "gradient-boosted trees", _answers(models, material, task), note


def _noted(note: str, more: str) -> str:
    """Join what was left out to save time."""
    return f"{note.removesuffix(TO_SAVE_TIME)}, {more}" if note and more else note or more


def _weights(task: Task) -> str | None:
    """Weigh the classes for a yardstick as for the network: the comparison is of models, not of questions."""
    return "balanced" if getattr(task, "class_weights", None) is not None else None


def _classes(task: Task) -> int:
    return len(task.classes) if isinstance(task, Classification) else 0


def _training_rows(material: Material, numbers: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the training rows, or the first of them in a seeded order where they are too many."""
    rows = material.split.train
    features = material.inputs[0].numel()
    most = max(100, numbers // features)
    note = ""
    if len(rows) > most:
        rows = np.random.Generator(np.random.PCG64(0)).permutation(rows)[:most]
        note = f"on {most} of {len(material.split.train)} training rows{TO_SAVE_TIME}"
    assert material.examples.targets is not None
    return material.inputs[torch.from_numpy(rows)].flatten(1).numpy(), material.examples.targets[rows], note


def _answers(
    models: list[Any],
    material: Material,
    task: Task,
    reduce: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Answers:
    """Ask models for the test rows: one for all classes, or one per value (ridge regression gives all at once).

    `reduce` turns features into those that the models were fitted on.
    """
    true = _targets(material, "test")
    if task.kind == "regression":
        values = np.concatenate(
            [_by_parts(m.predict, material, reduce).reshape(len(true), -1) for m in models], 1
        )
        return Answers(true=true, values=values)
    (model,) = models
    shares = np.zeros((len(true), _classes(task)))
    # a class may have no row among those it was fitted on
    shares[:, model.classes_] = _by_parts(model.predict_proba, material, reduce)
    return Answers(true=true, labels=shares.argmax(1), probabilities=shares)


def _by_parts(
    predict: Callable[[np.ndarray], Any],
    material: Material,
    reduce: Callable[[np.ndarray], np.ndarray] | None,
) -> np.ndarray:
    """Ask for the test rows, so many at a time that their features take little memory."""
    at_once = max(1, NUMBERS_AT_ONCE // max(1, material.inputs[0].numel()))
    found = []
    for rows in torch.split(torch.from_numpy(material.split.test), at_once):
        x = material.inputs[rows].flatten(1).numpy()
        found.append(np.asarray(predict(x if reduce is None else reduce(x))))
    return np.concatenate(found)


def _targets(material: Material, part: str) -> np.ndarray:
    assert material.examples.targets is not None
    chosen: np.ndarray = material.examples.targets[material.rows(part)]
    return chosen


def _metrics(task: Task, answers: Answers) -> dict[str, float]:
    return measure(answers, metrics_for(task.kind))
