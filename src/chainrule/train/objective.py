"""A model and its question: what is compiled, distributed and differentiated."""

from __future__ import annotations

import copy
import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from chainrule.core.errors import SettingError, ShapeError
from chainrule.core.text import visible
from chainrule.nn.normalisation import BatchNormalisation
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
    """The mean loss of a model's outputs over a batch; of weight times loss where rows have weights."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self.task = task

    @property
    def device(self) -> torch.device:
        """Where the model computes; a model without weights does so on the processor."""
        return next((weight.device for weight in self.model.parameters()), torch.device("cpu"))

    def forward(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        return self.outcome(self.model(inputs), targets, weights)

    def outcome(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        """Take the loss of outputs that the model gave. Shapes: weights (B,), or (members, B) for a stack."""
        losses = self.task.losses(outputs, targets)
        losses = (losses if weights is None else losses * weights).mean(-1)
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


def check_smallest_batch(model: nn.Module, rows: int, batch_size: int, row: Tensor) -> None:
    """See that batch normalisation finds a spread in every batch, or does without in a last one of a single row.

    Raises: SettingError
    """
    if not any(isinstance(layer, BatchNormalisation | _BatchNorm) for layer in model.modules()):
        return
    if batch_size == 1:
        raise SettingError("batch normalisation needs batches of at least 2 rows; got --batch-size 1")
    if rows % batch_size != 1:
        return
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            copy.deepcopy(model).train()(row)
    except ValueError as error:
        larger = next(size for size in itertools.count(batch_size + 1) if rows % size != 1)
        raise SettingError(
            f"{rows} training rows in batches of {batch_size} leave a last batch of one row, which this model cannot "
            f"take ({visible(error)}); try --batch-size {larger}"
        ) from error
