"""One training run: the loop with validation, early stopping, history, and a state that can be saved anywhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from chainrule.core.errors import RunError, TrainingFailed
from chainrule.core.text import visible
from chainrule.core.typed_json import typed
from chainrule.data.batches import Batches
from chainrule.data.prepared import PreparedRows
from chainrule.optim.penalties import Penalty
from chainrule.optim.schedules import Schedule
from chainrule.train.checkpoint import part, under
from chainrule.train.course import Course, Row
from chainrule.train.loop import Report, check_watched, evaluate, mean_loss, updates
from chainrule.train.metrics import Metric
from chainrule.train.objective import Objective
from chainrule.train.step import RuleStep, first_bad_layer
from chainrule.train.stopping import NEVER, Stopping

READ_EVERY = 64  # updates between two looks at the losses on a device where reading one stalls it


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberState:
    """What a checkpoint says of a member of an ensemble: its epochs, its weighted error, and what its word counts."""

    history: tuple[Row, ...]
    error: float | None = None
    say: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a checkpoint says beside its tensors, as `Training.state` gives it; `members` by number, of an ensemble."""

    step: int
    steps: int
    is_finished: bool
    best_epoch: int | None
    best_cost: tuple[float, ...] | None
    history: tuple[Row, ...]
    members: dict[str, MemberState] | None = None
    reason: str | None = None  # of boosting that ended early


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

    @property
    def history(self) -> list[Row]: ...
    @property
    def best_epoch(self) -> int | None: ...
    @property
    def objective(self) -> Objective: ...
    @property
    def inputs(self) -> Tensor | PreparedRows: ...
    @property
    def penalty(self) -> Penalty | None: ...
    def reports(self) -> Generator[Any, None, None]: ...


class Trains(Learning, Protocol):
    """What `fit` asks of a training that it can save and take up again: of one network, or of an ensemble's members."""

    @property
    def number(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def steps_per_epoch(self) -> int: ...
    @property
    def highest_rate(self) -> float: ...
    @property
    def is_finished(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...
    def reports(self) -> Generator[Report, None, None]: ...
    def restore_best_(self) -> None: ...
    def tensors(self) -> dict[str, Tensor]: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None: ...


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
        self.course = Course(
            schedule, patience=patience, metric=metric, stopping=stopping, validates=validation is not None
        )
        self.look = look
        self.start = start
        self.number = 0
        self.losses: list[float] = []
        self.best: dict[str, Tensor] = {}
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
    def steps(self) -> int:
        """The updates of the whole run."""
        return self.schedule.steps

    @property
    def steps_per_epoch(self) -> int:
        """The updates of an epoch."""
        return len(self.batches)

    @property
    def highest_rate(self) -> float:
        """The learning rate at its highest."""
        return self.step.highest_rate

    @property
    def is_finished(self) -> bool:
        """Whether all updates are made, or a rule has ended the run at the epoch that it stands at."""
        return self.number >= self.schedule.steps or self._is_spent()

    @property
    def history(self) -> list[Row]:
        """The epochs so far."""
        return self.course.history

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights are kept, None before there is one."""
        return self.course.best_epoch

    @property
    def reason(self) -> str | None:
        """Why the training loss has ended the run, None if it has not."""
        return self.course.reason if self._is_at_epoch_end else None

    @property
    def _is_at_epoch_end(self) -> bool:
        return self.number == len(self.history) * len(self.batches)

    def _is_spent(self) -> bool:
        """Whether an epoch has just ended, and a rule has ended the run with it."""
        return self._is_at_epoch_end and self.course.is_ended

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
        measured = evaluate(self.step.objective, self.validation) if self.validation else None
        if measured is not None:
            self._watched.append(measured["loss"])
        if self.course.add(row, measured, seconds):
            self._keep_best()

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
            "best_cost": list(self.course.best_cost) if self.best_epoch else None,
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
        self.course.restore(state)
        self._watched[:] = self.course.validation_losses
