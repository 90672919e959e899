"""The rows of an epoch of a stack: which member sees which row when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.data.batches import PIECE_BYTES, Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRows:
    """Rows of tensors in an order: one for all members, or one for each.

    Shapes: inputs (N, values), targets (N, …), order (1 or members, rows) row numbers, weights (members, N) or none
    """

    inputs: Tensor
    targets: Tensor
    order: Tensor
    batch_size: int
    weights: Tensor | None = None

    @property
    def sizes(self) -> list[int]:
        """The number of rows of each batch."""
        rows = self.order.shape[1]
        return [min(self.batch_size, rows - start) for start in range(0, rows, self.batch_size)]

    def batches(self) -> Iterator[Batch]:
        """Give the batches: one for all members, or (members, B, …)."""
        is_shared = len(self.order) == 1
        of_row = self.inputs[0].nbytes * len(self.order)
        many = max(1, PIECE_BYTES // (of_row * self.batch_size)) * self.batch_size
        for piece in torch.split(self.order, many, 1):
            picked = tuple(t.index_select(0, piece.flatten()).view(*piece.shape, *t.shape[1:]) for t in (self.inputs, self.targets))  # fmt: skip
            if self.weights is not None:
                picked = (*picked, self.weights.gather(1, piece.expand(len(self.weights), -1)))
            for batch in zip(*(torch.split(t, self.batch_size, 1) for t in picked), strict=True):
                shared = [t[0] for t in batch[:2]] if is_shared else batch[:2]
                yield (*shared, *batch[2:])
