"""Weights of chains of dense layers in memory as native.cpp has it, which the parameters of networks become views of."""

from __future__ import annotations

import torch
from torch import Tensor

WIDE = 16  # what units are filled up to
FEW = 4  # units, at the most, of a layer whose weights lie along its inputs


def wide(count: int) -> int:
    """Return the next multiple of `WIDE`."""
    return -(-count // WIDE) * WIDE


def room_for_weights(like: Tensor) -> tuple[Tensor, Tensor]:
    """Return memory, filled with zeros, for the weights of a layer of all members, and its view with their shape.

    Shapes: like (members, units, inputs) -> (members, inputs, wide units), or (members, units, wide inputs) where there
    are few units; and as `like`
    """
    members, units, inputs = like.shape
    if units <= FEW:
        whole = torch.zeros(members, units, wide(inputs), dtype=like.dtype)
        return whole, whole[:, :, :inputs]
    whole = torch.zeros(members, inputs, wide(units), dtype=like.dtype)
    return whole, whole[:, :, :units].mT


def room_for_biases(like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same for biases. Shapes: like (members, units) -> (members, wide units), and as `like`."""
    whole = torch.zeros(len(like), wide(like.shape[1]), dtype=like.dtype)
    return whole, whole[:, : like.shape[1]]
