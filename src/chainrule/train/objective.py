"""A model and its question: what is compiled, distributed and differentiated."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from chainrule.core.errors import ShapeError
from chainrule.nn.visits import naming_layers
from chainrule.train.task import Task


class Outcome(NamedTuple):
    """What one forward pass gives.

    Shapes: loss () is what is back-propagated; losses (members,), or () for a single network; outputs (…, B, units)
    """

    loss: Tensor
    losses: Tensor
    outputs: Tensor
    extras: Any = None


class Objective(nn.Module):
    """The mean loss of a model's outputs over a batch."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self.task = task

    def forward(self, inputs: Tensor, targets: Tensor) -> Outcome:
        outputs = self.model(inputs)
        losses = self.task.losses(outputs, targets).mean(-1)
        return Outcome(losses if losses.dim() == 0 else losses.sum(), losses, outputs)


def check_outputs(model: nn.Module, task: Task, inputs: Tensor) -> None:
    """Run a few rows through a model and see that its outputs fit the task.

    Raises: ShapeError naming both shapes, and the layer where they do not fit
    """
    try:
        with naming_layers(model):
            outputs = model(inputs)
    except RuntimeError as error:
        raise ShapeError(
            f"the model cannot take rows of the shape {tuple(inputs.shape[1:])}: {error}"
        ) from error
    wanted = (len(inputs), task.units)
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) != wanted:
        came = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ShapeError(
            f"the model must give {task.units} output{'s' if task.units > 1 else ''} per row for a {task.kind} task: "
            f"{wanted} for {len(inputs)} rows; got {came}"
        )
