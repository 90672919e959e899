"""Which batches native.cpp can read: it takes their memory as it lies, and sees neither shapes nor types."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.core.errors import ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeBatches:
    """Batches of rows with so many values, for a network with so many units.

    `has_classes`: targets are class numbers, else values; `flattens`: a row may have several axes.
    """

    values: int
    units: int
    has_classes: bool
    flattens: bool = False

    @property
    def target_dtype(self) -> torch.dtype:
        """The type of targets."""
        return torch.int64 if self.has_classes else torch.float32

    def check(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> None:
        """Raises: ShapeError for a batch that does not fit, saying what of it"""
        is_flat = inputs.dim() == 2 or (inputs.dim() > 2 and self.flattens)
        if not is_flat or not len(inputs) or math.prod(inputs.shape[1:]) != self.values:
            raise ShapeError(
                f"the first layer takes {self.values} values per row; got a batch of the shape {tuple(inputs.shape)}"
            )
        if inputs.dtype != torch.float32:
            raise ShapeError(f"the weights are torch.float32; got inputs of {inputs.dtype}")
        rows = (len(inputs),)
        _check_part("targets", targets, rows if self.has_classes else (*rows, self.units), self.target_dtype)
        if weights is not None:
            _check_part("weights of rows", weights, rows, torch.float32)
        if any(part is not None and not part.is_cpu for part in (inputs, targets, weights)):
            raise ShapeError(
                "compiled backprop is written for the processor; this batch is not in its memory"
            )


def _check_part(name: str, part: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Raises: ShapeError for targets or weights of another shape or type"""
    if part.shape != shape:
        raise ShapeError(
            f"a batch of {shape[0]} rows has {name} of the shape {shape}; got {tuple(part.shape)}"
        )
    if part.dtype != dtype:
        raise ShapeError(f"the {name} must be {dtype}; got {part.dtype}")
