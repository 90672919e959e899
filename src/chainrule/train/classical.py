"""A classical model, asked as a network is: prepared rows in, outputs for the task out.

So predictions, metrics, importance and reports are the same code for both. For classes with probabilities the outputs
are their logarithms, for a machine that only decides its distances; for values they are standardised as the task has
them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.catalog import CLASSES, VALUES
from chainrule.core.errors import DataError, RunError
from chainrule.core.memory import memory_bytes
from chainrule.core.text import visible
from chainrule.core.units import show_bytes
from chainrule.data.prepared import PreparedRows
from chainrule.models.classical import build_classical
from chainrule.train.metrics import Answers
from chainrule.train.objective import Objective
from chainrule.train.task import Classification, Regression, Task

LEAST = 1e-15  # probability, so that the loss of a row is finite where a model is sure and wrong
DECIDING_LOSS = "hinge"  # of machines that give distances and no probabilities
OUR_WORDS = {
    "`reg_param`": "shrinkage (--set shrinkage=0.1)",
    "n_neighbors": "neighbours",
    "n_estimators": "trees",
}
ROOM = 0.5  # of the memory, for a copy of the training rows


def question_of(kind: str) -> str:
    """Return what a kind of task asks of a classical model: classes or values."""
    return VALUES if kind == "regression" else CLASSES


def decides(estimator: Any) -> bool:
    """Whether an estimator for classes gives distances to boundaries and no probabilities."""
    return hasattr(estimator, "decision_function") and not hasattr(estimator, "predict_proba")


class Classical(nn.Module):
    """An estimator of scikit-learn as a function of a batch.

    `notes` are what its solver warned of; `where` is the file that it was read from, which may hold any numbers.
    """

    def __init__(self, name: str, estimator: Any, units: int, kind: str) -> None:
        super().__init__()
        self.name, self.estimator, self.units, self.kind = name, estimator, units, kind
        self.notes: tuple[str, ...] = ()
        self.where: str | None = None

    def fit_(self, x: np.ndarray, y: np.ndarray) -> None:
        """Fit to rows. Shapes: x (N, features), y (N,) numbers of classes, or (N, values) standardised

        Raises: DataError if the rows do not allow it
        """
        self._check_room(x)
        wanted = getattr(self.estimator, "n_neighbors", 0)
        if wanted > len(x):
            raise DataError(
                f"{self.name} asks {wanted} neighbours, and {len(x):,} rows train it: --set neighbours={len(x)} or fewer"
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.estimator.fit(x, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError, MemoryError) as error:
                raise DataError(
                    f"{self.name} cannot be fitted to these {len(x):,} rows: {_in_our_words(error)}"
                ) from error
        _one_thread(self.estimator)
        if any("onvergence" in warning.category.__name__ for warning in caught):
            self.notes = (
                f"the solver of {self.name} was stopped before it had settled: the fit is near its optimum, not at it",
            )

    def _check_room(self, x: np.ndarray) -> None:
        """Refuse products of more inputs than the memory holds. Raises: DataError"""
        degree, there = self.estimator.get_params().get("polynomialfeatures__degree"), memory_bytes()
        if degree is None or there is None:
            return
        products = math.comb(x.shape[1] + degree, degree)
        if products * len(x) * 8 > ROOM * there:
            raise DataError(
                f"{self.name} with degree={degree} makes {products:,} products of {x.shape[1]:,} inputs, for {len(x):,} rows "
                f"{show_bytes(products * len(x) * 8)}; this machine has {show_bytes(there)} of memory: lower the degree"
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs for the task. Shapes: inputs (B, …) -> (B, units)."""
        return torch.from_numpy(self.outputs(inputs.flatten(1).cpu().numpy()))

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return outputs for the task. Shapes: x (N, features) -> (N, units)

        Raises: RunError if a model that was read from a file does not answer
        """
        rows = np.asarray(x, np.float64)
        if self.where is None:
            return self._outputs(rows)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._outputs(rows)
        except MemoryError:
            raise
        except Exception as error:  # a file may hold any numbers in place of those that were fitted
            raise RunError(
                f"{self.where} is damaged: its model does not answer ({type(error).__name__})"
            ) from error

    def _outputs(self, rows: np.ndarray) -> np.ndarray:
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
        self.model.fit_(self.matrix(self.rows), self.wanted(self.rows))
        yield from ()

    def matrix(self, rows: np.ndarray) -> np.ndarray:
        """Return inputs as the estimator takes them. Shapes: -> (N, features). Raises: DataError for too many rows"""
        return _rows_of(self.inputs, rows, self.model.name)

    def wanted(self, rows: np.ndarray) -> np.ndarray:
        """Return targets as the estimator takes them. Shapes: -> (N,) or (N, values)"""
        return _wanted(self.objective.task, self.targets[rows])


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


def _in_our_words(error: Exception) -> str:
    """Return what scikit-learn says, with settings called as they are here."""
    text = visible(_first_line(error) or type(error).__name__, 400)
    for theirs, ours in OUR_WORDS.items():
        text = text.replace(theirs, ours)
    return text


def _first_line(message: object) -> str:
    return str(message).strip().partition("\n")[0]
