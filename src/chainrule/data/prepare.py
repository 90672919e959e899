"""Preparation as the first part of the network: imputes, scales, encodes; fitted on training rows only."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.data.schema import Examples, Schema

FITTED_AT_ONCE = 1 << 24  # numbers; keeps the float64 copies of a large picture set small


class Prepare(nn.Module):
    """Numbers and codes to what the model takes.

    Numbers have their training mean subtracted first (in float64), are then divided by their standard deviation, and
    missing ones become 0, the mean; a column with missing values in training also says where. A category becomes one
    unit per value, and one for missing; a value that training never saw gives zeros. Pictures are scaled by one mean
    and one deviation per channel.
    Shapes: tables numbers (N, P) and codes (N, Q) -> (N, features); pictures (N, C, H, W) -> (N, C, H, W) float32
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.is_pictures = schema.is_pictures
        columns = (schema.shape[0],) if schema.is_pictures else schema.shape or (len(schema.number_names),)
        self.columns = columns
        self.sizes = [len(column.values) for column in schema.categories]
        self.mean: Tensor
        self.scale: Tensor
        self.tells_missing: Tensor
        self.register_buffer("mean", torch.zeros(columns, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(columns, dtype=torch.float64))
        self.register_buffer("tells_missing", torch.zeros(columns, dtype=torch.bool))
        self.shape = schema.shape

    @property
    def features(self) -> int | tuple[int, ...]:
        """What the model takes: a number of features, or a shape."""
        if len(self.shape) > 1:
            return self.shape
        return math.prod(self.columns) + int(self.tells_missing.sum()) + sum(size + 1 for size in self.sizes)

    def fit(self, examples: Examples, rows: np.ndarray) -> Prepare:
        """Take means, deviations and which columns have missing values from the given (training) rows."""
        numbers = examples.numbers
        axes = (0, 2, 3) if self.is_pictures else (0,)
        at_once = max(1, FITTED_AT_ONCE // max(1, math.prod(numbers.shape[1:])))
        parts = [rows[i : i + at_once] for i in range(0, len(rows), at_once)]
        count = sum((~_missing(numbers[p])).sum(axes) for p in parts)
        total = sum(np.nansum(numbers[p], axes, dtype=np.float64) for p in parts)
        mean = np.divide(total, count, out=np.zeros(self.columns), where=count > 0)
        shaped = mean[:, None, None] if self.is_pictures else mean
        squares = sum(np.nansum(np.square(numbers[p] - shaped), axes, dtype=np.float64) for p in parts)
        spread = np.sqrt(np.divide(squares, count, out=np.zeros(self.columns), where=count > 0))
        self.mean.copy_(torch.from_numpy(mean))
        # A number that hardly varies against its size is constant up to rounding: it is not blown up.
        constant = spread <= 1e-12 * np.maximum(1.0, np.abs(mean))
        self.scale.copy_(torch.from_numpy(np.where(constant, 1.0, spread)))
        self.tells_missing.copy_(torch.from_numpy(np.asarray(count < len(rows)) & (not self.is_pictures)))
        return self

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        if self.is_pictures:
            mean, scale = self.mean[:, None, None], self.scale[:, None, None]
            if not numbers.is_floating_point():
                return (numbers.float() - mean.float()) / scale.float()
            return torch.nan_to_num((numbers - mean) / scale).float()
        scaled = (numbers.double() - self.mean) / self.scale
        missing = torch.isnan(scaled)
        parts = [torch.where(missing, 0.0, scaled).float()]
        if self.tells_missing.any():
            parts.append(missing[:, self.tells_missing].float())
        for place, size in enumerate(self.sizes):
            # codes: 0 missing, 1 unseen, 2… values -> units: missing, values; unseen has no unit
            one_hot = nn.functional.one_hot(codes[:, place], size + 2).float()
            parts.append(torch.cat([one_hot[:, :1], one_hot[:, 2:]], 1))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def tensors(self, examples: Examples) -> Tensor:
        """Prepare all rows at once. Shapes: -> (N, features) or (N, C, H, W) float32."""
        with torch.no_grad():
            prepared: Tensor = self(torch.from_numpy(examples.numbers), torch.from_numpy(examples.codes))
        return prepared


def _missing(numbers: np.ndarray) -> np.ndarray:
    return np.isnan(numbers) if numbers.dtype.kind == "f" else np.zeros(numbers.shape, bool)
