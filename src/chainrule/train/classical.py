"""A classical model, asked as a network is: prepared rows in, outputs for the task out.

So predictions, metrics, importance and reports are the same code for both. For classes with probabilities the outputs
are their logarithms, for a machine that only decides its distances; for values they are standardised as the task has
them.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.catalog import CLASSES, VALUES
from chainrule.core.device import memory_bytes
from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.core.units import show_bytes
from chainrule.data.prepared import PreparedRows
from chainrule.models.classical import build_classical
from chainrule.train.metrics import Answers
from chainrule.train.objective import Objective
from chainrule.train.task import Classification, Regression, Task

LEAST = 1e-15  # probability, so that the loss of a row is finite where a model is sure and wrong
DECIDING_LOSS = "hinge"  # of machines that give distances and no probabilities
ROOM = 0.5  # of the memory, for a copy of the training rows


def question_of(kind: str) -> str:
    """Return what a kind of task asks of a classical model: classes or values."""
    return VALUES if kind == "regression" else CLASSES


def decides(estimator: Any) -> bool:
    """Whether an estimator for classes gives distances to boundaries and no probabilities."""
    return hasattr(estimator, "decision_function") and not hasattr(estimator, "predict_proba")


class Classical(nn.Module):
    """An estimator of scikit-learn as a function of a batch. `notes` are what its solver warned of."""

    def __init__(self, name: str, estimator: Any, units: int, kind: str) -> None:
        super().__init__()
        self.name, self.estimator, self.units, self.kind = name, estimator, units, kind
        self.notes: tuple[str, ...] = ()

    def fit_(self, x: np.ndarray, y: np.ndarray) -> None:
        """Fit to rows. Shapes: x (N, features), y (N,) numbers of classes, or (N, values) standardised

        Raises: DataError if the rows do not allow it
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.estimator.fit(x, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError, MemoryError) as error:
                raise DataError(
                    f"{self.name} cannot be fitted to these {len(x):,} rows: {visible(_first_line(error), 400)}"
                ) from error
        _one_thread(self.estimator)
        said = {_first_line(w.message) for w in caught if "onvergence" in w.category.__name__}
        self.notes = tuple(f"{self.name}: {visible(text, 300)}" for text in sorted(said))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs for the task. Shapes: inputs (B, …) -> (B, units)."""
        return torch.from_numpy(self.outputs(inputs.flatten(1).cpu().numpy()))

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return outputs for the task. Shapes: x (N, features) -> (N, units)."""
        rows = np.asarray(x, np.float64)
        if self.kind == "regression":
            return np.asarray(self.estimator.predict(rows), np.float64).reshape(len(rows), self.units)
        found = self._distances(rows) if decides(self.estimator) else self._log_probabilities(rows)
        return found[:, 1:] - found[:, :1] if self.units == 1 else found

    def _log_probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Return the logarithm of the probability of every class, also of one that no training row had."""
        shares = np.zeros((len(rows), max(2, self.units)))
        shares[:, self.estimator.classes_] = self.estimator.predict_proba(rows)
        found: np.ndarray = np.log(np.clip(shares, LEAST, None))
        return found

    def _distances(self, rows: np.ndarray) -> np.ndarray:
        """Return how far each row is on the side of every class; one that no training row had is the farthest."""
        given = np.asarray(self.estimator.decision_function(rows), np.float64)
        if given.ndim == 1:
            given = np.stack([-given / 2, given / 2], 1)
        found = np.repeat(given.min(1, keepdims=True) - 1, max(2, self.units), 1)
        found[:, self.estimator.classes_] = given
        return found


class Fitting:
    """A classical model on its way: what `Training` is to a network, without epochs."""

    def __init__(
        self,
        objective: Objective,
        inputs: Tensor | PreparedRows,
        targets: np.ndarray,
        rows: np.ndarray,
    ) -> None:
        assert isinstance(objective.model, Classical)
        self.objective, self.inputs, self.targets, self.rows = objective, inputs, targets, rows
        self.model = objective.model
        self.history: list[dict[str, float]] = []
        self.best_epoch: int | None = None
        self.penalty = None

    def reports(self) -> Generator[None, None, None]:
        """Fit the model; there is nothing to report on the way. Raises: DataError"""
        x = _rows_of(self.inputs, self.rows, self.model.name)
        self.model.fit_(x, _wanted(self.objective.task, self.targets[self.rows]))
        yield from ()


def make_classical(
    name: str, settings: Mapping[str, Any], task: Task, *, seed: int = 0, class_weight: str | None = None
) -> Classical:
    """Build a classical model for a task, not fitted yet; several values get an estimator each.

    Raises: UnknownNameError, SettingError
    """
    question = question_of(task.kind)
    estimator = build_classical(name, settings, question=question, seed=seed, class_weight=class_weight)
    if task.kind == "regression" and task.units > 1:
        from sklearn.multioutput import MultiOutputRegressor

        estimator = MultiOutputRegressor(estimator)
    return Classical(name, estimator, task.units, task.kind)


def fit_classical(
    name: str,
    settings: Mapping[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    task: Task,
    *,
    seed: int = 0,
    class_weight: str | None = None,
) -> FittedModel:
    """Fit a classical model to prepared rows, with no run folder.

    `task` is fitted on the training rows where it holds values (`Regression.fit`).
    Shapes: x (N, features), y as the schema gives targets: (N,) numbers of classes, or (N, values)
    Raises: UnknownNameError, SettingError; DataError if the rows do not allow it
    """
    model = make_classical(name, settings, task, seed=seed, class_weight=class_weight)
    model.fit_(np.asarray(x, np.float64).reshape(len(x), -1), _wanted(task, y))
    return FittedModel(model, task)


class FittedModel:
    """A fitted classical model with the task that it answers."""

    def __init__(self, model: Classical, task: Task) -> None:
        self.model, self.task = model, task

    def answers(self, x: np.ndarray, true: np.ndarray) -> Answers:
        """Return what the model answers beside what is true, for metrics. Shapes: as in `fit_classical`."""
        outputs = torch.from_numpy(self.model.outputs(np.asarray(x).reshape(len(x), -1)))
        answers = self.task.answers(outputs, self.task.encode(true))
        return Answers(
            true=true, labels=answers.labels, probabilities=answers.probabilities, values=answers.values
        )


def _wanted(task: Task, targets: np.ndarray) -> np.ndarray:
    """Return targets as an estimator takes them: numbers of classes, or standardised values in full precision."""
    if isinstance(task, Regression):
        found: np.ndarray = (targets - task.mean.cpu().numpy()) / task.scale.cpu().numpy()
        return found
    assert isinstance(task, Classification)
    return np.asarray(targets, np.int64)


def _rows_of(inputs: Tensor | PreparedRows, rows: np.ndarray, name: str) -> np.ndarray:
    """Return rows as one matrix. Raises: DataError if the memory does not hold it"""
    wanted, there = len(rows) * inputs[:1].numel() * 8, memory_bytes()
    if there is not None and wanted > ROOM * there:
        raise DataError(
            f"{name} is fitted to all training rows at once, which take {show_bytes(wanted)}; this machine has "
            f"{show_bytes(there)} of memory. A network takes them batch by batch (--model mlp)"
        )
    found: np.ndarray = inputs[torch.from_numpy(rows)].flatten(1).cpu().double().numpy()
    return found


def _one_thread(estimator: Any) -> None:
    """Let answers be summed in one order, so that they are the same bits every time."""
    for part in (estimator, *getattr(estimator, "estimators_", ())):
        if getattr(part, "n_jobs", None) is not None:
            part.n_jobs = 1


def _first_line(message: object) -> str:
    return str(message).strip().partition("\n")[0]
