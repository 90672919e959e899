"""What one network of a population brings with it: its rows, its order, its rates."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from chainrule.optim.schedules import Schedule
from chainrule.train.course import Course
from chainrule.train.metrics import Metric
from chainrule.train.stopping import NEVER, Stopping


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

    def new_course(self) -> Course:
        """Return how its training goes, before the first epoch."""
        return Course(
            self.schedule,
            patience=self.patience,
            metric=self.metric,
            stopping=self.stopping,
            validates=self.validation is not None,
        )
