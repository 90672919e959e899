"""How the training of a network goes, epoch by epoch: its history, its best epoch, and whether a rule has ended it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chainrule.core.errors import SettingError
from chainrule.optim.schedules import Schedule
from chainrule.train.metrics import Metric
from chainrule.train.stopping import NEVER, Stopping

NOTHING_YET = (math.inf, math.inf)
Row = dict[str, float]


class Course:
    """The epochs of a network so far.

    `metric` decides which epoch is the best; without it the validation loss does. `stopping` watches the training loss,
    `patience` the epochs since the best one, where rows validate. `failure` says why training broke off.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        patience: int | None = None,
        metric: Metric | None = None,
        stopping: Stopping = NEVER,
        validates: bool = True,
    ) -> None:
        self.schedule = schedule
        self.patience = patience
        self.metric = metric
        self.stopping = stopping
        self.validates = validates
        self.history: list[Row] = []
        self.best_epoch: int | None = None
        self.best_cost = NOTHING_YET
        self.failure: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether all epochs are made, a rule has ended them, or training failed."""
        made = len(self.history) * self.schedule.steps_per_epoch
        return self.failure is not None or made >= self.schedule.steps or self.is_ended

    @property
    def is_ended(self) -> bool:
        """Whether the best epoch lies `patience` epochs back, or the training loss has ended it."""
        if self.reason is not None:
            return True
        waited = len(self.history) - (self.best_epoch or 0)
        return bool(self.validates and self.patience and self.history and waited >= self.patience)

    @property
    def reason(self) -> str | None:
        """Why the training loss has ended it, None if it has not."""
        return self.stopping.reason(self.history)

    @property
    def validation_losses(self) -> list[float]:
        """What a schedule may watch."""
        return [row["validation_loss"] for row in self.history if "validation_loss" in row]

    def add(self, row: Row, measured: Row | None, seconds: float) -> bool:
        """Take up an epoch with what the validation rows showed; return whether it is the best so far.

        Raises: SettingError where the validation rows do not define the metric
        """
        found = measured or {}
        self.history.append(
            {**row, **{f"validation_{name}": value for name, value in found.items()}, "seconds": seconds}
        )
        epoch = len(self.history)
        if measured is None:
            return False
        cost = self._cost(measured)
        if cost >= self.best_cost or not self._counts(epoch):
            return False
        self.best_cost, self.best_epoch = cost, epoch
        return True

    def state(self) -> dict[str, Any]:
        """Return where it stands, as JSON has it."""
        return {
            "history": self.history,
            "best_epoch": self.best_epoch,
            "best_cost": list(self.best_cost) if self.best_epoch else None,
            "failure": self.failure,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` of a saved run says."""
        self.history = state["history"]
        self.best_epoch = state["best_epoch"]
        self.best_cost = NOTHING_YET if state["best_cost"] is None else tuple(state["best_cost"])
        self.failure = state.get("failure")

    def _cost(self, measured: Row) -> tuple[float, float]:
        """Return what the best epoch has least of: the validation loss, or the metric and among equals the loss.

        Few validation rows give few different accuracies: the loss tells those apart.
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
        may_end = self.patience is not None or self.stopping.is_set
        return may_end or 2 * epoch * self.schedule.steps_per_epoch > self.schedule.steps
