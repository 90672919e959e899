"""Weights of chains of dense layers in memory as native.cpp has it, which the parameters of networks become views of.

Units are filled up to a multiple of 16; shapes may begin with an axis of members.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

WIDE = 16  # what units are filled up to
FEW = 4  # units, at the most, of a layer whose weights lie along its inputs


def wide(count: int) -> int:
    """Return the next multiple of `WIDE`."""
    return -(-count // WIDE) * WIDE


def room_for_weights(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return memory, filled with zeros, for weights of a shape.

    Shapes: (…, units, inputs) -> (…, inputs, wide units), or (…, units, wide inputs) where there are few units
    """
    *members, units, inputs = shape
    sides = (units, wide(inputs)) if units <= FEW else (inputs, wide(units))
    return torch.zeros(*members, *sides, dtype=dtype)


def own_weights(memory: Tensor, shape: Sequence[int]) -> Tensor:
    """Return what of such memory belongs to weights of a shape, as they have it."""
    units, inputs = shape[-2:]
    return memory[..., :inputs] if units <= FEW else memory[..., :units].mT


def room_for_biases(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return memory for biases of a shape. Shapes: (…, units) -> (…, wide units)."""
    return torch.zeros(*shape[:-1], wide(shape[-1]), dtype=dtype)


def own_biases(memory: Tensor, shape: Sequence[int]) -> Tensor:
    """Return what of such memory belongs to biases of a shape."""
    return memory[..., : shape[-1]]
