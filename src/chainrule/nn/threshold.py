"""Threshold units: neurons that fire (1) or stay silent (0), with weights and thresholds that are set by hand."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from chainrule.core.errors import DataError, SettingError, ShapeError
from chainrule.nn.activations import STEP

TRUTH_VALUES = {"boolean": (0, 1), "bipolar": (-1, 1)}  # false and true


class TruthValues(nn.Module):
    """Hand on rows of so many truth values, and refuse all others: `boolean` are 0 and 1, `bipolar` −1 and +1.

    Raises: ShapeError for another number of values a row; DataError naming the first value that is none
    """

    def __init__(self, inputs: int, coding: str = "boolean") -> None:
        super().__init__()
        if coding not in TRUTH_VALUES:
            raise SettingError(f"coding must be boolean (0 and 1) or bipolar (-1 and 1); got {coding!r}")
        self.inputs = inputs
        self.coding = coding

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() < 1 or x.shape[-1] != self.inputs:
            raise ShapeError(
                f"this network takes {self.inputs} truth values a row; got rows of the shape {tuple(x.shape[1:])}"
            )
        false, true = TRUTH_VALUES[self.coding]
        if not x.is_meta and ((x != false) & (x != true)).any():
            self._refuse(x, (x != false) & (x != true))
        return x

    def _refuse(self, x: Tensor, wrong: Tensor) -> None:
        *row, place = wrong.nonzero()[0].tolist()
        false, true = TRUTH_VALUES[self.coding]
        where = f"row {row[-1] + 1}, input {place + 1}" if row else f"input {place + 1}"
        raise DataError(
            f"this network takes {self.coding} inputs, {false} and {true}; {where} is {x[*row, place].item():g}"
        )

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.coding}"


class McCullochPitts(nn.Module):
    """Fire where at least `threshold` of the inputs x₁ … xₙ are 1. All count alike; there is nothing to learn.

    Shapes: (…, inputs) of 0 and 1 -> (…, 1) of 0 and 1
    Source: McCulloch and Pitts 1943; without inhibitory inputs.
    >>> unit = McCullochPitts(inputs=2, threshold=2)
    >>> unit(torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])).flatten().tolist()
    [0, 0, 0, 1]
    """

    def __init__(self, inputs: int, threshold: float) -> None:
        super().__init__()
        if not math.isfinite(threshold):
            raise SettingError(f"a threshold is a number; got {threshold}")
        self.truth_values = TruthValues(inputs)
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        count: Tensor = self.truth_values(x).sum(-1, keepdim=True)
        return (count >= self.threshold).to(x.dtype)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold:g}"


class ThresholdUnits(nn.Module):
    """Perceptrons side by side: unit k fires where Σ wₖᵢ xᵢ ≥ θₖ, also where both are equal.

    Shapes: weights (units, inputs), thresholds (units,); (…, inputs) -> (…, units) of 0 and 1
    >>> either = ThresholdUnits([[1, 1]], [0.5])
    >>> either(torch.tensor([[0.0, 0.0], [0.0, 1.0]])).tolist()
    [[0.0], [1.0]]
    """

    weights: Tensor
    thresholds: Tensor

    def __init__(self, weights: Tensor | list[list[float]], thresholds: Tensor | list[float]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float32))
        self.register_buffer("thresholds", torch.as_tensor(thresholds, dtype=torch.float32))
        if self.weights.dim() != 2 or self.thresholds.shape != self.weights.shape[:1]:
            raise ShapeError(
                "threshold units need weights (units, inputs) and a threshold per unit; got "
                f"{tuple(self.weights.shape)} and {tuple(self.thresholds.shape)}"
            )

    def forward(self, x: Tensor) -> Tensor:
        return STEP(x.to(self.weights.dtype) @ self.weights.T - self.thresholds)

    def extra_repr(self) -> str:
        units, inputs = self.weights.shape
        return f"{inputs}, {units}"
