"""The end of a forward pass: how outputs are read, how the loss comes about, and what it sends back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from chainrule.nn.losses import Loss
from chainrule.train.task import Binary, MultiClass, Regression, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class LossEnd:
    """A loss with what it reads: p (values or probabilities) from the outputs, and the target t as numbers.

    `delta` is the gradient of the cost by the outputs; `by_read` that by p, where p is a sigmoid: times p (1 − p) it
    gives delta.
    Shapes: read, targets, delta, by_read (B, K); losses (B,)
    """

    loss: str
    formula: str  # of one row; empty for a loss that is not declared
    reading: str
    read: Tensor
    targets: Tensor
    losses: Tensor
    delta: Tensor
    cost: float
    names: tuple[str, ...] = ()  # what each output stands for
    by_read: Tensor | None = None

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""
        return {
            "name": self.loss,
            "formula": self.formula,
            "read_through": self.reading,
            "outputs": self.read.tolist(),
            "targets": self.targets.tolist(),
            "losses": self.losses.tolist(),
            "names": list(self.names),
            "value": self.cost,
            "gradient_by_outputs": self.delta.tolist(),
            "gradient_by_probabilities": None if self.by_read is None else self.by_read.tolist(),
        }


def read_outputs(outputs: Tensor, reading: str) -> Tensor:
    """Return what the outputs are read as: themselves, or probabilities."""
    if reading == "softmax":
        return torch.softmax(outputs, -1)
    return torch.sigmoid(outputs) if reading == "sigmoid" else outputs


def by_probability(p: Tensor, targets: Tensor) -> Tensor | None:
    """Return the gradient of the mean binary cross-entropy by the probabilities; None where it has no bounds."""
    found = (-targets / p + (1 - targets) / (1 - p)) / len(p)
    return found if bool(torch.isfinite(found).all()) else None


def end_of_file(loss: Loss, reading: str, outputs: Tensor, targets: Tensor, delta: Tensor) -> LossEnd:
    """Return the end of a network that was written by hand."""
    losses = loss(outputs, targets)
    shown = F.one_hot(targets, outputs.shape[-1]).to(outputs.dtype) if reading == "softmax" else targets
    read, shown = read_outputs(outputs, reading), shown.reshape(outputs.shape)
    return LossEnd(
        loss=loss.name,
        formula=loss.formula,
        reading=reading,
        read=read,
        targets=shown,
        losses=losses,
        delta=delta,
        cost=losses.mean().item(),
        by_read=by_probability(read, shown) if reading == "sigmoid" else None,
    )


def end_of_task(task: Task, outputs: Tensor, targets: Tensor, delta: Tensor) -> LossEnd:
    """Return the end of a run's network: its task, with the smoothing of labels as in training."""
    reading = (
        "sigmoid" if isinstance(task, Binary) else "softmax" if isinstance(task, MultiClass) else "identity"
    )
    losses = task.losses(outputs, targets).detach()
    declared = task.loss if isinstance(task.loss, Loss) else None
    if declared is not None and declared.only_decides:
        reading = "identity"
    read, shown = read_outputs(outputs, reading), _smoothed(task, outputs, targets)
    is_spread = reading == "softmax" and bool(((shown > 0) & (shown < 1)).any())
    is_plain = reading == "sigmoid" and getattr(task, "class_weights", None) is None
    return LossEnd(
        loss="of its own" if declared is None else declared.name,
        formula="−Σ t log p, p = softmax(z)" if is_spread else "" if declared is None else declared.formula,
        reading=reading,
        read=read,
        targets=shown,
        losses=losses,
        delta=delta,
        cost=losses.mean().item(),
        names=_names(task),
        by_read=by_probability(read, shown) if is_plain else None,
    )


def _names(task: Task) -> tuple[str, ...]:
    if isinstance(task, Binary):
        return task.classes[1:]
    return task.names if isinstance(task, Regression) else getattr(task, "classes", ())


def derivative_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor | None:
    """Return the gradient of the mean loss by the outputs, from the loss's declaration; None if it has none.

    With smoothed labels it stays p − t, t being the smoothed target; class weights multiply it.
    """
    if not isinstance(task.loss, Loss):
        return None
    if task.loss.name in ("cross-entropy", "binary-cross-entropy"):
        reading = "softmax" if task.loss.name == "cross-entropy" else "sigmoid"
        each = read_outputs(outputs, reading) - _smoothed(task, outputs, targets)
    else:
        each = task.loss.derivative(outputs, targets)
    weights = getattr(task, "class_weights", None)
    if weights is not None:
        each = each * weights[targets].to(each.dtype).unsqueeze(-1)
    return each / len(outputs)


def _smoothed(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    if isinstance(task, Regression):
        return targets
    part = getattr(task, "label_smoothing", 0.0) if task.training else 0.0
    if isinstance(task, Binary):
        return (targets.to(outputs.dtype) * (1 - part) + part / 2).reshape(outputs.shape)
    hot = F.one_hot(targets, outputs.shape[-1]).to(outputs.dtype)
    return hot * (1 - part) + part / outputs.shape[-1]
