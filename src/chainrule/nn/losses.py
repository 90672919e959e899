"""Losses, each declared once: one number per example, from outputs before the output activation (logits).

Conventions: prediction p, target t, natural logarithm. A loss is for one example; a cost is the mean over the
examples of a batch (the decks also print the sum, which is N times the mean: `cost(..., reduction="sum")`).

Shapes: values and per-class losses take outputs (…, B, K) and targets (…, B, K); classes take outputs (…, B, K) and
integer targets (…, B); two classes take outputs (…, B, 1) and targets (…, B). All give (…, B).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from chainrule.core.errors import ShapeError


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss per example.

    `value` takes outputs and targets. `derivative` is the gradient of one example's loss by its outputs: for
    softmax with cross-entropy, sigmoid with binary cross-entropy and identity with half the squared error alike it
    is p − t. `tasks` are the kinds of task whose outputs and targets it takes.
    """

    name: str
    value: Callable[[Tensor, Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor], Tensor]
    purpose: str
    tasks: tuple[str, ...] = ()

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.value(outputs, targets)

    def cost(self, outputs: Tensor, targets: Tensor, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
        """Return the mean (or the sum) of the losses over the examples."""
        losses = self.value(outputs, targets)
        return losses.mean(-1) if reduction == "mean" else losses.sum(-1)


def _same(outputs: Tensor, targets: Tensor) -> None:
    if outputs.shape != targets.shape:
        raise ShapeError(
            f"outputs and targets must have one shape; got {tuple(outputs.shape)} and {tuple(targets.shape)}"
        )


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    return (outputs - targets).square().mean(-1)


def _half_squared(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    return 0.5 * (outputs - targets).square().sum(-1)


def _absolute(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    return (outputs - targets).abs().mean(-1)


def _binary(outputs: Tensor, targets: Tensor) -> Tensor:
    # torch's own form, so that a script of a few lines (`chainrule code`) computes the same bits.
    z = outputs.squeeze(-1)
    _same(z, targets)
    return F.binary_cross_entropy_with_logits(z, targets.to(z.dtype), reduction="none")


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.dim() == 2:
        return F.cross_entropy(outputs, targets, reduction="none")
    return -F.log_softmax(outputs, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def _per_class(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    return (F.softplus(outputs) - targets * outputs).sum(-1)


def _perceptron(outputs: Tensor, targets: Tensor) -> Tensor:
    # How far the wrong side is ahead: 0 where the decision is right, so only mistakes move the weights. For autograd the
    # factor is a constant, so that a unit which fires wrongly on the boundary itself, at a loss of 0, is corrected too.
    return (outputs * _perceptron_derivative(outputs, targets)).sum(-1)


def _perceptron_derivative(outputs: Tensor, targets: Tensor) -> Tensor:
    # y - t: what the units decide less what is true, so that a step at the rate η is w ← w + η (t - y) x.
    if outputs.shape[-1] == 1:
        return (outputs >= 0).to(outputs.dtype) - targets.to(outputs.dtype).unsqueeze(-1)
    winner = F.one_hot(outputs.argmax(-1), outputs.shape[-1])
    return (winner - F.one_hot(targets, outputs.shape[-1])).to(outputs.dtype)


def _units(outputs: Tensor) -> int:
    return outputs.shape[-1]


SQUARED_ERROR = Loss(
    "squared-error", _squared, lambda o, t: 2 * (o - t) / _units(o), "values", tasks=("regression",)
)
HALF_SQUARED_ERROR = Loss(
    "half-squared-error",
    _half_squared,
    lambda o, t: o - t,
    "values, as derived by hand",
    tasks=("regression",),
)
ABSOLUTE_ERROR = Loss(
    "absolute-error",
    _absolute,
    lambda o, t: torch.sign(o - t) / _units(o),
    "values with outliers",
    tasks=("regression",),
)
BINARY_CROSS_ENTROPY = Loss(
    "binary-cross-entropy",
    _binary,
    lambda o, t: torch.sigmoid(o) - t.to(o.dtype).unsqueeze(-1),
    "two classes",
    tasks=("binary",),
)
CROSS_ENTROPY = Loss(
    "cross-entropy",
    _cross_entropy,
    lambda o, t: torch.softmax(o, -1) - F.one_hot(t, o.shape[-1]).to(o.dtype),
    "several classes that exclude each other",
    tasks=("multi-class",),
)
PER_CLASS_CROSS_ENTROPY = Loss(
    "per-class-cross-entropy", _per_class, lambda o, t: torch.sigmoid(o) - t, "labels that may hold together"
)
PERCEPTRON = Loss(
    "perceptron", _perceptron, _perceptron_derivative, "threshold units", tasks=("binary", "multi-class")
)
