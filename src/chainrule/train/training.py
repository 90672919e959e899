"""One training run: the loop with validation, early stopping, history, and a state that can be saved anywhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from chainrule.core.errors import RunError, SettingError, TrainingFailed
from chainrule.core.text import visible
from chainrule.core.typed_json import typed
from chainrule.data.batches import Batches
from chainrule.data.prepared import PreparedRows
from chainrule.optim.penalties import Penalty
from chainrule.optim.schedules import Schedule
from chainrule.train.checkpoint import part, under
from chainrule.train.loop import Report, check_watched, evaluate, mean_loss, updates
from chainrule.train.metrics import Metric
from chainrule.train.objective import Objective
from chainrule.train.step import RuleStep, first_bad_layer
from chainrule.train.stopping import NEVER, Stopping

READ_EVERY = 64  # updates between two looks at the losses on a device where reading one stalls it
NOTHING_YET = (math.inf, math.inf)
Row = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a checkpoint says beside its tensors, as `Training.state` gives it."""

    step: int
    steps: int
    is_finished: bool
    best_epoch: int | None
    best_cost: tuple[float, ...] | None
    history: tuple[Row, ...]


def check_state(state: Any, where: str) -> dict[str, Any]:
    """Return a state that was read from a file. Raises: RunError naming the file and the value that is wrong."""
    try:
        found: State = typed(State, state)
        for row in found.history:
            for name in ("epoch", "steps", "train_loss", "seconds"):
                typed(float, row.get(name), f"history.{name}")
            typed(float | None, row.get("validation_loss"), "history.validation_loss")
    except ValueError as error:
        raise RunError(f"{where} is damaged or of another version: {error}") from error
    return dict(state)


class Learning(Protocol):
    """What judging asks of a training, of a network or of a classical model."""

    history: list[Row]
    best_epoch: int | None

    @property
    def objective(self) -> Objective: ...
    @property
    def inputs(self) -> Tensor | PreparedRows: ...
    @property
    def penalty(self) -> Penalty | None: ...
    def reports(self) -> Generator[Any, None, None]: ...


class Training:
    """A run under way. `for report in training.reports()` trains; `state` and `tensors` are all there is to save."""

    def __init__(
        self,
        step: RuleStep,
        batches: Batches,
        validation: Batches | None,
        schedule: Schedule,
        patience: int | None,
        *,
        metric: Metric | None = None,
        look: Callable[[], Row] | None = None,
        stopping: Stopping = NEVER,
        start: Callable[[], None] | None = None,
    ) -> None:
        """`metric` decides which epoch is the best; without it the validation loss does.

        `look` is called after each epoch and gives further numbers for its row; `start` once, before the first update.
        `stopping` watches the training loss.
        """
        check_watched(schedule, validation)
        self.step = step
        self.batches = batches
        self.validation = validation
        self.schedule = schedule
        self.patience = patience
        self.metric = metric
        self.look = look
        self.stopping = stopping
        self.start = start
        self.number = 0
        self.losses: list[float] = []
        self.history: list[Row] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch: int | None = None
        self.best_cost = NOTHING_YET
        self.read_every = 1 if batches.inputs.device.type == "cpu" else READ_EVERY
        self._unread: list[Tensor] = []
        self._watched: list[float] = []  # validation losses, for the schedule

    @property
    def objective(self) -> Objective:
        """The model with its task."""
        return self.step.objective

    @property
    def inputs(self) -> Tensor | PreparedRows:
        """All rows as the model takes them, on its device."""
        return self.batches.inputs

    @property
    def penalty(self) -> Penalty | None:
        """What is added to the loss of the data."""
        return self.step.penalty

    @property
    def is_finished(self) -> bool:
        """Whether all updates are made, or a rule has ended the run at the epoch that it stands at."""
        return self.number >= self.schedule.steps or self._is_spent()

    @property
    def reason(self) -> str | None:
        """Why the training loss has ended the run, None if it has not."""
        at_epoch_end = self.number == len(self.history) * len(self.batches)
        return self.stopping.reason(self.history) if at_epoch_end else None

    def _is_spent(self) -> bool:
        """Whether an epoch has just ended, and the best one lies `patience` epochs back or the training loss has ended it."""
        if self.reason is not None:
            return True
        waited = len(self.history) - (self.best_epoch or 0)
        at_epoch_end = self.number == len(self.history) * len(self.batches)
        return bool(self.validation and self.patience and at_epoch_end and waited >= self.patience)

    def reports(self) -> Generator[Report, None, None]:
        """Go on from where the run stands and report every update, until it is finished.

        An update that ends an epoch is reported after the validation: its row then stands in `history`.
        Raises: TrainingFailed naming step, epoch and layer
        """
        if self.is_finished:
            return
        began = time.perf_counter()
        if self.start is not None and self.number == 0:
            self.start()
        for report in self._updates():
            self.number = report.step
            self._unread.append(report.loss)
            if report.ends_epoch or len(self._unread) >= self.read_every:
                self._read()
            if report.ends_epoch:
                self._end_epoch(report.epoch, time.perf_counter() - began)
                began = time.perf_counter()
            yield report
            if report.ends_epoch and self._is_spent():
                return

    def _updates(self) -> Iterator[Report]:
        try:
            yield from updates(
                self.step, self.batches, self.schedule, start=self.number, losses=self._watched
            )
        except TrainingFailed as failure:
            epoch = self.step.number // len(self.batches) + 1
            raise TrainingFailed(f"{failure} (epoch {epoch})") from None

    def _read(self) -> None:
        """Take up the losses reported since the last look. Raises: TrainingFailed for one that is not finite"""
        values = torch.stack(self._unread).tolist() if len(self._unread) > 1 else [self._unread[0].item()]
        self._unread.clear()
        for value in values:
            self.losses.append(value)
            if not math.isfinite(value):
                where = first_bad_layer(
                    self.step.objective.model, self.batches.inputs[: self.batches.batch_size]
                )
                number = len(self.losses)
                epoch = (number - 1) // len(self.batches) + 1
                raise TrainingFailed(f"the loss is not finite at step {number}; {where} (epoch {epoch})")

    def _end_epoch(self, epoch: int, seconds: float) -> None:
        per_epoch = len(self.batches)
        rows = [self.batches.batch_size] * per_epoch
        rows[-1] = len(self.batches.rows) - self.batches.batch_size * (per_epoch - 1)
        row: Row = {
            "epoch": epoch,
            "steps": self.number,
            "train_loss": mean_loss(self.losses[-per_epoch:], rows),
            "learning_rate": self.step.rate,
        }
        if self.step.penalty is not None:
            row["train_penalty"] = self.step.penalty.value().item()
        if self.look is not None:
            row |= self.look()
        if self.validation:
            measured = evaluate(self.step.objective, self.validation)
            self._watched.append(measured["loss"])
            row |= {f"validation_{name}": value for name, value in measured.items()}
            cost = self._cost(measured)
            if cost < self.best_cost and self._counts(epoch):
                self.best_cost, self.best_epoch = cost, epoch
                self._keep_best()
        self.history.append({**row, "seconds": seconds})

    def _cost(self, measured: Row) -> tuple[float, float]:
        """Return what the best epoch has least of: the validation loss, or the metric and among equals the loss.

        Few validation rows give few different accuracies: the loss tells those apart.
        Raises: SettingError where the validation rows do not define the metric
        """
        loss = measured["loss"]
        if self.metric is None:
            return loss, loss
        value = measured.get(self.metric.name)
        if value is None:
            raise SettingError(
                f"the validation rows are all of one class, so their {self.metric.name} is not defined and cannot choose "
                "the best epoch; give a larger --validation, or another --metric"
            )
        return (-value if self.metric.larger_is_better else value), loss

    def _counts(self, epoch: int) -> bool:
        """Whether an epoch may be the best: each where a rule may end the run, else those of the second half.

        Where the rate falls to the end, a low validation loss early on is mostly luck: on small tables the best of the
        second half was better than the best of all.
        """
        return (
            self.patience is not None
            or self.stopping.is_set
            or 2 * epoch * len(self.batches) > self.schedule.steps
        )

    def _keep_best(self) -> None:
        weights = self.step.objective.model.state_dict()
        if not self.best:
            self.best = {name: t.detach().clone() for name, t in weights.items()}
            return
        for name, tensor in weights.items():
            self.best[name].copy_(tensor)

    def restore_best_(self) -> None:
        """Put the weights of the best epoch into the model; without validation the last ones stay."""
        if self.best:
            self.step.objective.model.load_state_dict(self.best)

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor that the rest of the run depends on. Raises: TrainingFailed for a loss that is not finite"""
        if self._unread:
            self._read()
        return {
            **under("model/", self.step.objective.model.state_dict()),
            **under("best/", self.best),
            **under("optimizer/", self.step.optimizer.tensors()),
            "losses": torch.tensor(self.losses, dtype=torch.float32),
            "running_loss": torch.tensor(
                [r for r in [self.step.running_loss] if r is not None], dtype=torch.float64
            ),
        }

    def state(self) -> dict[str, Any]:
        """Return the position, the stopping state and the history."""
        return {
            "step": self.number,
            "steps": self.schedule.steps,
            "is_finished": self.is_finished,
            "best_epoch": self.best_epoch,
            "best_cost": list(self.best_cost) if self.best_epoch else None,
            "history": self.history,
        }

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take up a saved run: the next update is the one that would have come.

        Raises: RunError for a checkpoint of another run
        """
        state = check_state(state, "the checkpoint")
        try:
            self.step.objective.model.load_state_dict(part(tensors, "model/"))
            self.best = {n: t.to(self.batches.inputs.device) for n, t in part(tensors, "best/").items()}
            self.step.optimizer.load_(part(tensors, "optimizer/"))
            self.losses = tensors["losses"].tolist()
            self.step.running_loss = next(iter(tensors["running_loss"].tolist()), None)
        except (RuntimeError, KeyError, TypeError) as error:
            raise RunError(f"the checkpoint does not fit the recipe: {visible(error)}") from error
        self.number = state["step"]
        self.history = state["history"]
        self._watched[:] = [row["validation_loss"] for row in self.history if "validation_loss" in row]
        self.best_epoch = state["best_epoch"]
        self.best_cost = NOTHING_YET if state["best_cost"] is None else tuple(state["best_cost"])
