"""The end of a pass through a stack: every member's loss, and δ of its output layer, into memory made once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from chainrule.nn import losses
from chainrule.train.task import MultiClass, Task

Ending = Callable[[Tensor, Tensor | None], Tensor]
NOTHING = -1e30  # an output whose share in a softmax is 0; 0 times it is 0


def make_ending(task: Task, outputs: Tensor, delta: Tensor, *, is_shared: bool) -> Ending:
    """Return what takes targets and weights of a batch, fills δ with the gradient of each mean loss, and gives the losses.

    Shapes: outputs, delta (members, units filled up, B); targets (B, …) where all share a batch, else (members, B, …);
    weights (…, B) or none -> (members,)
    """
    if isinstance(task, MultiClass) and task.loss is losses.CROSS_ENTROPY:
        return CrossEntropy(task, outputs, delta)
    return Declared(task, outputs, delta, is_shared)


class Declared:
    """Any loss of the catalogue, by its declaration."""

    def __init__(self, task: Task, outputs: Tensor, delta: Tensor, is_shared: bool) -> None:
        self._task = task
        self._outputs = outputs[:, : task.units].mT
        self._delta = delta[:, : task.units].mT
        self._is_shared = is_shared

    def __call__(self, targets: Tensor, weights: Tensor | None) -> Tensor:
        members, rows, _ = self._outputs.shape
        if self._is_shared:
            targets = targets.expand(members, *targets.shape)
        self._delta.copy_(self._task.derivative(self._outputs, targets)).div_(rows)
        losses = self._task.losses(self._outputs, targets)
        if weights is not None:
            self._delta.mul_(weights.unsqueeze(-1))
            losses = losses * weights
        return losses.mean(-1)


class CrossEntropy:
    """Softmax with cross-entropy: δ = (p − t)/B, with −t/B from a table by class, as one network has it."""

    def __init__(self, task: MultiClass, outputs: Tensor, delta: Tensor) -> None:
        _, units, rows = outputs.shape
        classes = task.units
        weights = torch.ones(classes) if task.class_weights is None else task.class_weights
        true = torch.eye(classes, dtype=torch.float64) * (1 - task.label_smoothing) + task.label_smoothing / classes  # fmt: skip
        self._minus_targets = torch.zeros(classes, units, dtype=outputs.dtype)
        self._minus_targets[:, :classes] = (-true * weights / rows).t()
        self._factors = None if task.class_weights is None else (weights / rows).to(outputs.dtype)
        self._share = 1 / rows
        self._closed = outputs[:, classes:]
        self._logs = torch.empty_like(outputs)
        self._outputs = outputs
        self._delta = delta

    def __call__(self, targets: Tensor, weights: Tensor | None) -> Tensor:
        self._closed.fill_(NOTHING)
        torch._log_softmax(self._outputs, 1, False, out=self._logs)
        minus_targets = self._minus_targets[targets].mT  # (units, B), or one such for each member
        torch.exp(self._logs, out=self._delta)
        self._delta.mul_(self._share if self._factors is None else self._factors[targets].unsqueeze(-2))
        if weights is not None:
            self._delta.mul_(weights.unsqueeze(-2))
            minus_targets = minus_targets * weights.unsqueeze(-2)
        self._delta.add_(minus_targets)
        return (self._logs * minus_targets).sum((1, 2))
