"""Losses, each declared once: one number per example, from outputs before the output activation (logits).

Conventions: prediction p, target t, natural logarithm. A loss is for one example; a cost is the mean over the
examples of a batch (the decks also print the sum, which is N times the mean: `cost(..., reduction="sum")`).

Shapes: values and per-class losses take outputs (…, B, K) and targets (…, B, K); classes take outputs (…, B, K) and
integer targets (…, B); two classes take outputs (…, B, 1) and targets (…, B). All give (…, B).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from chainrule.catalog import parametrised
from chainrule.core.errors import SettingError, ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A loss per example.

    `value` takes outputs and targets. `derivative` is the gradient of one example's loss by its outputs: for
    softmax with cross-entropy, sigmoid with binary cross-entropy and identity with half the squared error alike it
    is p − t. `tasks` are the kinds of task whose outputs and targets it takes. `number` is what may stand after the
    name (huber:0.5), and `family` makes the loss of another number. With `only_decides`, outputs are read as a
    decision and say nothing about probabilities.
    """

    name: str
    formula: str
    derivative_formula: str
    value: Callable[[Tensor, Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor], Tensor]
    purpose: str
    drawbacks: str
    tasks: tuple[str, ...] = ()
    only_decides: bool = False
    number: float | None = None
    family: Callable[[float], Loss] | None = None

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.value(outputs, targets)

    def __deepcopy__(self, _: object) -> Loss:
        return self  # nothing in it can change, and whoever asks which loss it is compares objects

    def cost(self, outputs: Tensor, targets: Tensor, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
        """Return the mean (or the sum) of the losses over the examples."""
        losses = self.value(outputs, targets)
        return losses.mean(-1) if reduction == "mean" else losses.sum(-1)


def loss(text: str) -> Loss:
    """Return the loss that NAME or NAME:NUMBER means.

    Raises: UnknownNameError for the name; SettingError for the number
    >>> loss("huber:0.5")(torch.tensor([[0.25], [3.0]]), torch.zeros(2, 1))
    tensor([0.0312, 1.3750])
    """
    found, number = parametrised("loss", text)
    assert isinstance(found, Loss)
    if number is None or found.family is None:
        return found
    return replace(found.family(number), name=f"{found.name}:{number!r}".removesuffix(".0"))


def _same(outputs: Tensor, targets: Tensor) -> None:
    if outputs.shape != targets.shape:
        raise ShapeError(
            f"outputs and targets must have one shape; got {tuple(outputs.shape)} and {tuple(targets.shape)}"
        )


def _units(outputs: Tensor) -> int:
    return outputs.shape[-1]


# ---- values


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    return (outputs - targets).square().mean(-1)


def _half_squared(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    return 0.5 * (outputs - targets).square().sum(-1)


def _absolute(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    return (outputs - targets).abs().mean(-1)


def _log_cosh(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    error = (outputs - targets).abs()
    return (error + F.softplus(-2 * error) - math.log(2)).mean(-1)  # cosh itself is infinite from 711 on


SQUARED_ERROR = Loss(
    name="squared-error",
    formula="1/K Σ (p − t)²",
    derivative_formula="2 (p − t)/K",
    value=_squared,
    derivative=lambda o, t: 2 * (o - t) / _units(o),
    purpose="values; its best answer is the mean",
    drawbacks="one far outlier counts as much as many rows",
    tasks=("regression",),
)
HALF_SQUARED_ERROR = Loss(
    name="half-squared-error",
    formula="½ Σ (p − t)²",
    derivative_formula="p − t",
    value=_half_squared,
    derivative=lambda o, t: o - t,
    purpose="values, as derived by hand",
    drawbacks="as squared-error, and it grows with the number of values",
    tasks=("regression",),
)
ABSOLUTE_ERROR = Loss(
    name="absolute-error",
    formula="1/K Σ |p − t|",
    derivative_formula="sign(p − t)/K",
    value=_absolute,
    derivative=lambda o, t: torch.sign(o - t) / _units(o),
    purpose="values with outliers; its best answer is the median",
    drawbacks="the gradient is as large near the target as far from it; a kink at 0",
    tasks=("regression",),
)


def _huber(width: float) -> Loss:
    if width <= 0:
        raise SettingError(f"the width of huber must be above 0; got {width:g}")

    def value(outputs: Tensor, targets: Tensor) -> Tensor:
        _same(outputs, targets)
        return F.huber_loss(outputs, targets, reduction="none", delta=width).mean(-1)

    return Loss(
        name="huber",
        formula="1/K Σ ½ e² for |e| ≤ c, c (|e| − c/2) beyond; e = p − t",
        derivative_formula="e, kept within −c and c, /K",
        value=value,
        derivative=lambda o, t: (o - t).clamp(-width, width) / _units(o),
        purpose="values with outliers: squared near the target, absolute far from it",
        drawbacks="one more number to choose; it counts in deviations of the target",
        tasks=("regression",),
        number=width,
        family=_huber,
    )


HUBER = _huber(1.0)
LOG_COSH = Loss(
    name="log-cosh",
    formula="1/K Σ log cosh(p − t)",
    derivative_formula="tanh(p − t)/K",
    value=_log_cosh,
    derivative=lambda o, t: torch.tanh(o - t) / _units(o),
    purpose="values with outliers; as huber, smooth everywhere",
    drawbacks="where squared turns into absolute cannot be chosen",
    tasks=("regression",),
)


# ---- classes, from logits: the outputs before sigmoid or softmax


def _binary(outputs: Tensor, targets: Tensor) -> Tensor:
    # torch's own form, so that a script of a few lines (`chainrule code`) computes the same bits.
    z = outputs.squeeze(-1)
    _same(z, targets)
    return F.binary_cross_entropy_with_logits(z, targets.to(z.dtype), reduction="none")


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.dim() == 2:
        return F.cross_entropy(outputs, targets, reduction="none")
    return _of_class(-F.log_softmax(outputs, -1), targets)


def _per_class(outputs: Tensor, targets: Tensor) -> Tensor:
    _same(outputs, targets)
    return (F.softplus(outputs, threshold=40) - targets * outputs).sum(-1)


def _of_class(values: Tensor, targets: Tensor) -> Tensor:
    return values.gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def _signs(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return +1 for class 1 and −1 for class 0. Shapes: outputs (…, B, 1), targets (…, B) -> (…, B)."""
    _same(outputs.squeeze(-1), targets)
    return 2 * targets.to(outputs.dtype) - 1


def _one_hot(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.one_hot(targets, _units(outputs)).to(outputs.dtype)


BINARY_CROSS_ENTROPY = Loss(
    name="binary-cross-entropy",
    formula="−t log p − (1 − t) log(1 − p), p = sigmoid(z)",
    derivative_formula="p − t",
    value=_binary,
    derivative=lambda o, t: torch.sigmoid(o) - t.to(o.dtype).unsqueeze(-1),
    purpose="two classes; its best answer is the probability",
    drawbacks="a row that is sure and wrong costs without limit: wrong labels count much",
    tasks=("binary",),
)
CROSS_ENTROPY = Loss(
    name="cross-entropy",
    formula="−log pₜ, p = softmax(z)",
    derivative_formula="p − t, t one-hot",
    value=_cross_entropy,
    derivative=lambda o, t: torch.softmax(o, -1) - _one_hot(o, t),
    purpose="several classes that exclude each other; its best answer is their probabilities",
    drawbacks="a row that is sure and wrong costs without limit: wrong labels count much",
    tasks=("multi-class",),
)
PER_CLASS_CROSS_ENTROPY = Loss(
    name="per-class-cross-entropy",
    formula="Σ −tₖ log pₖ − (1 − tₖ) log(1 − pₖ), p = sigmoid(z)",  # printed with a softmax in one deck (E14)
    derivative_formula="p − t",
    value=_per_class,
    derivative=lambda o, t: torch.sigmoid(o) - t,
    purpose="labels that may hold together",
    drawbacks="takes each label for itself: nothing makes the probabilities sum to 1",
)


def _focal(focus: float) -> Loss:
    if not 0 <= focus <= 100:
        raise SettingError(f"the focus of focal must be from 0 to 100; got {focus:g}")

    def value(outputs: Tensor, targets: Tensor) -> Tensor:
        right, wrong = _log_shares(outputs, targets)
        return -(focus * wrong).exp() * right

    def derivative(outputs: Tensor, targets: Tensor) -> Tensor:
        right, wrong = _log_shares(outputs, targets)
        rate = (focus * wrong).exp() * (focus * right.exp() * right - wrong.exp())
        if _units(outputs) == 1:
            return (rate * _signs(outputs, targets)).unsqueeze(-1)
        others = _others(outputs, targets).softmax(-1)
        return rate.unsqueeze(-1) * (_one_hot(outputs, targets) - others)

    return Loss(
        name="focal",
        formula="−(1 − pₜ)^c log pₜ, pₜ the probability of the true class",
        derivative_formula="((1 − pₜ)^c (c pₜ log pₜ + pₜ − 1)) (tₖ − qₖ), q = softmax of the other classes; times s for two",
        value=value,
        derivative=derivative,
        purpose="classes of which one is rare and most rows are easy",
        drawbacks="its best answer is less sure than the probability; one more number to choose",
        tasks=("binary", "multi-class"),
        number=focus,
        family=_focal,
    )


def _log_shares(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return log pₜ and log(1 − pₜ), both exact where the other is near 0."""
    if _units(outputs) == 1:
        margin = outputs.squeeze(-1) * _signs(outputs, targets)
        return F.logsigmoid(margin), F.logsigmoid(-margin)
    shares = outputs.log_softmax(-1)
    return _of_class(shares, targets), _others(shares, targets).logsumexp(-1)


def _others(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.masked_fill(_one_hot(outputs, targets).bool(), -torch.inf)


FOCAL = _focal(2.0)


# ---- classes, as a decision: the outputs are distances, not logits


def _lead(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return how far the best wrong class is ahead of the true one; below 0 where the decision is right."""
    if _units(outputs) == 1:
        return -outputs.squeeze(-1) * _signs(outputs, targets)
    return _others(outputs, targets).amax(-1) - _of_class(outputs, targets)


def _lead_derivative(outputs: Tensor, targets: Tensor) -> Tensor:
    if _units(outputs) == 1:
        return -_signs(outputs, targets).unsqueeze(-1)
    return _largest(_others(outputs, targets)) - _one_hot(outputs, targets)


def _largest(outputs: Tensor) -> Tensor:
    """Return 1 at the largest output of each row, shared where several are."""
    best = (outputs == outputs.amax(-1, keepdim=True)).to(outputs.dtype)
    return best / best.sum(-1, keepdim=True)


def _perceptron(outputs: Tensor, targets: Tensor) -> Tensor:
    # How far the wrong side is ahead: 0 where the decision is right, so only mistakes move the weights. For autograd the
    # factor is a constant, so that a unit which fires wrongly on the boundary itself, at a loss of 0, is corrected too.
    return (outputs * _perceptron_derivative(outputs, targets)).sum(-1)


def _perceptron_derivative(outputs: Tensor, targets: Tensor) -> Tensor:
    # y - t: what the units decide less what is true, so that a step at the rate η is w ← w + η (t - y) x.
    if _units(outputs) == 1:
        _same(outputs.squeeze(-1), targets)
        return (outputs >= 0).to(outputs.dtype) - targets.to(outputs.dtype).unsqueeze(-1)
    winner = F.one_hot(outputs.argmax(-1), _units(outputs))
    return winner.to(outputs.dtype) - _one_hot(outputs, targets)


def _hinge(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.relu(1 + _lead(outputs, targets))


def _above(outputs: Tensor, targets: Tensor, level: float) -> Tensor:
    return (_lead(outputs, targets) > level).to(outputs.dtype).unsqueeze(-1)


PERCEPTRON = Loss(
    name="perceptron",
    formula="max(0, lead), lead = −s z for two classes, s = ±1; max over wrong classes of zₖ − zₜ for several",
    derivative_formula="y − t, what is decided less what is true",
    value=_perceptron,
    derivative=_perceptron_derivative,
    purpose="threshold units: gradient descent on it is the perceptron rule",
    drawbacks="stops at the first line that divides the classes, and never where none does",
    tasks=("binary", "multi-class"),
    only_decides=True,
)
HINGE = Loss(
    name="hinge",
    formula="max(0, 1 + lead), lead as in perceptron",
    derivative_formula="that of lead where lead > −1, else 0",
    value=_hinge,
    derivative=lambda o, t: _lead_derivative(o, t) * _above(o, t, -1.0),
    purpose="classes with a margin, as support vector machines have it",
    drawbacks="decides, and gives no probabilities",
    tasks=("binary", "multi-class"),
    only_decides=True,
)
SQUARED_HINGE = Loss(
    name="squared-hinge",
    formula="max(0, 1 + lead)², lead as in perceptron",
    derivative_formula="2 max(0, 1 + lead) times that of lead",
    value=lambda o, t: _hinge(o, t).square(),
    derivative=lambda o, t: 2 * _hinge(o, t).unsqueeze(-1) * _lead_derivative(o, t),
    purpose="classes with a margin, smooth where the margin is reached",
    drawbacks="decides, and gives no probabilities; wrong labels count much",
    tasks=("binary", "multi-class"),
    only_decides=True,
)
