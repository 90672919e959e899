"""What one network of a population brings with it: its rows, its order, its rates; and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.optim.schedules import Schedule
from chainrule.train.metrics import Metric
from chainrule.train.stopping import NEVER, Stopping

Row = dict[str, float]
NOTHING_YET = (math.inf, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A network with its starting weights, and how it is to be trained. Shapes: rows, validation (n,) row
    numbers; weights (N,), how much each row counts

    `dropout` stands in the network itself. `hyperparameters` are those of the update rule beside rate and decay.
    """

    network: nn.Module
    rows: Tensor
    schedule: Schedule
    learning_rate: float
    weight_decay: float = 0.0
    l1: float = 0.0
    hyperparameters: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    shuffle: bool = True
    weights: Tensor | None = None
    validation: Tensor | None = None
    patience: int | None = None
    metric: Metric | None = None
    stopping: Stopping = NEVER


class Course:
    """How the training of a network went, epoch by epoch: its history, its best epoch, and whether it is over.

    Over: all updates made; the best epoch lies `patience` epochs back; the training loss ended it; or it failed.
    """

    def __init__(self, member: Member) -> None:
        self._member = member
        self.history: list[Row] = []
        self.best_epoch: int | None = None
        self.best_cost = NOTHING_YET
        self.failure: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether no further update is made."""
        member, epochs = self._member, len(self.history)
        if self.failure is not None or epochs * member.schedule.steps_per_epoch >= member.schedule.steps:
            return True
        if member.stopping.reason(self.history) is not None:
            return True
        waited = epochs - (self.best_epoch or 0)
        return bool(
            member.validation is not None and member.patience and epochs and waited >= member.patience
        )

    @property
    def validation_losses(self) -> list[float]:
        """What a schedule may watch."""
        return [row["validation_loss"] for row in self.history]

    def add(self, row: Row, measured: Row | None = None) -> bool:
        """Take up an epoch with what the validation rows showed; return whether it is the best so far.

        Raises: SettingError where the validation rows do not define the metric
        """
        epoch = len(self.history) + 1
        validation = {f"validation_{name}": value for name, value in (measured or {}).items()}
        self.history.append({**row, **validation})
        if measured is None or not self._counts(epoch):
            return False
        cost = self._cost(measured)
        if cost >= self.best_cost:
            return False
        self.best_cost, self.best_epoch = cost, epoch
        return True

    def _counts(self, epoch: int) -> bool:
        """Whether an epoch may be the best: each where a rule may end the run, else those of the second half."""
        member = self._member
        may_end = member.patience is not None or member.stopping.is_set
        return may_end or 2 * epoch * member.schedule.steps_per_epoch > member.schedule.steps

    def _cost(self, measured: Row) -> tuple[float, float]:
        """Return what the best epoch has least of: the validation loss, or the metric and among equals the loss."""
        metric, loss = self._member.metric, measured["loss"]
        if metric is None:
            return loss, loss
        value = measured.get(metric.name)
        if value is None:
            raise SettingError(
                f"the validation rows are all of one class, so their {metric.name} is not defined"
            )
        return (-value if metric.larger_is_better else value), loss
