"""Whether another way to run a network computes what plain execution computes.

Judged at the same weights and the same noise, on several batches, without updates: along a trajectory two precisions drift
apart by themselves, within 100 updates by more than half of the loss, even when nothing is wrong.

Gradients should point the same way: a cosine of at least 0.999. Where a gradient is mostly what its rows cancel, as behind
batch normalisation or on labels that nothing explains, rounding to bfloat16 turns it further, while it stays small beside
what another batch turns it. There the distance to plain execution may be a quarter of the distance between the plain
gradients of two batches: the variance of a step then grows by an eighth, as if the batch had an eighth fewer rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from chainrule.data.batches import Batch
from chainrule.train.step import RuleStep

LOSS_DIFFERENCE = 0.01  # largest, relative to the loss of plain execution
LEAST_COSINE = 0.999  # between the gradients of all weights taken as one vector
MOST_NOISE = 0.25  # distance from the plain gradient, relative to the distance between those of two batches


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
    noise: float = math.inf  # distance of the gradients, relative to that between two batches

    @property
    def is_close(self) -> bool:
        """Whether the other way may stand in for plain execution. What is not finite never may."""
        is_direction_kept = self.cosine >= LEAST_COSINE or self.noise <= MOST_NOISE
        return self.loss_difference <= LOSS_DIFFERENCE and is_direction_kept

    def __str__(self) -> str:
        return (
            f"loss differs by {100 * self.loss_difference:.2g} %, cosine of the gradients {self.cosine:.5f}"
        )


def slopes(step: RuleStep, batches: Sequence[Batch]) -> list[Slope]:
    """Return losses and gradients of batches at the weights that a step has, without an update."""
    step.objective.train()
    found = []
    for number, batch in enumerate(batches):
        step.prepare(number, 1.0)
        loss = step.differentiate(*batch).loss.item()
        parts = [
            (torch.zeros_like(p) if p.grad is None else p.grad).flatten().double()
            for p in step.objective.parameters()
        ]
        found.append(Slope(loss=loss, gradient=torch.cat(parts)))
    return found


def agreement(ours: Sequence[Slope], plain: Sequence[Slope]) -> Agreement:
    """Compare what two steps gave on the same batches."""
    return Agreement(
        loss_difference=max(map(_loss_difference, ours, plain)),
        cosine=min(map(_cosine, ours, plain)),
        noise=_noise(ours, plain),
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


def _noise(ours: Sequence[Slope], plain: Sequence[Slope]) -> float:
    """Return the largest distance between two ways, relative to the smallest between two batches."""
    between: float = min(((a.gradient - b.gradient).norm().item() for a, b in pairwise(plain)), default=0.0)
    apart: list[float] = [(a.gradient - b.gradient).norm().item() for a, b in zip(ours, plain, strict=True)]
    if not between or not all(map(math.isfinite, apart)):
        return math.inf
    return max(apart) / between
