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
        self._minus_targets = torch.zeros(units, classes, dtype=outputs.dtype)
        self._minus_targets[:classes] = -true * weights / rows
        self._closed = outputs[:, classes:]
        self._outputs, self._delta = outputs, delta
        self._logs, self._picked = torch.empty_like(outputs), torch.empty_like(outputs)

    def __call__(self, targets: Tensor, weights: Tensor | None) -> Tensor:
        self._closed.fill_(NOTHING)
        torch._log_softmax(self._outputs, 1, False, out=self._logs)
        picked = self._pick(targets)
        if weights is not None:
            picked = picked * weights.unsqueeze(-2)
        spread = picked.expand_as(self._logs)
        torch._log_softmax_backward_data(spread, self._logs, 1, self._logs.dtype, out=self._delta)
        torch.mul(self._logs, picked, out=self._picked)
        return self._picked.flatten(1).sum(1)

    def _pick(self, targets: Tensor) -> Tensor:
        """Return −t/B, unit by unit. Shapes: (B,) -> (units, B), (members, B) -> (members, units, B)."""
        found = self._minus_targets.index_select(1, targets.flatten())
        if targets.dim() == 1:
            return found
        return self._picked.copy_(found.view(len(found), *targets.shape).transpose(0, 1))
