"""Whether another way to run a network computes what plain execution computes.

Judged at the same weights and the same noise, on several batches, without updates: along a trajectory two precisions drift
apart by themselves, within 100 updates by more than half of the loss, even when nothing is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.train.step import RuleStep

LOSS_DIFFERENCE = 0.01  # largest, relative to the loss of plain execution
LEAST_COSINE = 0.999  # between the gradients of all weights taken as one vector

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """What one batch gives at given weights: the loss, and the gradient of all weights as one vector."""

    loss: float
    gradient: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The worst of several batches."""

    loss_difference: float
    cosine: float

    @property
    def is_close(self) -> bool:
        """Whether the other way may stand in for plain execution. What is not finite never may."""
        return self.loss_difference <= LOSS_DIFFERENCE and self.cosine >= LEAST_COSINE

    def __str__(self) -> str:
        return (
            f"loss differs by {100 * self.loss_difference:.2g} %, cosine of the gradients {self.cosine:.5f}"
        )


def slopes(step: RuleStep, batches: Sequence[Batch]) -> list[Slope]:
    """Return losses and gradients of batches at the weights that a step has, without an update."""
    step.objective.train()
    found = []
    for number, (inputs, targets) in enumerate(batches):
        step.prepare(number, 1.0)
        loss = step.differentiate(inputs, targets).loss.item()
        parts = [
            (torch.zeros_like(p) if p.grad is None else p.grad).flatten().double()
            for p in step.objective.parameters()
        ]
        found.append(Slope(loss=loss, gradient=torch.cat(parts)))
    return found


def agreement(ours: Sequence[Slope], plain: Sequence[Slope]) -> Agreement:
    """Compare what two steps gave on the same batches."""
    return Agreement(
        loss_difference=max(map(_loss_difference, ours, plain)), cosine=min(map(_cosine, ours, plain))
    )


def _loss_difference(ours: Slope, plain: Slope) -> float:
    if not math.isfinite(ours.loss):
        return math.inf
    return abs(ours.loss - plain.loss) / max(abs(plain.loss), 1e-12)


def _cosine(ours: Slope, plain: Slope) -> float:
    a, b = ours.gradient, plain.gradient
    lengths = a.norm() * b.norm()
    if lengths == 0:
        return 1.0 if a.norm() == b.norm() else 0.0
    cosine = (a @ b / lengths).item()
    return cosine if math.isfinite(cosine) else -1.0
