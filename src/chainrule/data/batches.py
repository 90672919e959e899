"""Batches of rows, in an order that is a pure function of seed, member and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from chainrule.core.errors import SettingError, ShapeError
from chainrule.core.seeds import generator
from chainrule.data.augmentation import Augmentation
from chainrule.data.prepared import PreparedRows

PIECE_BYTES = 1 << 20  # of inputs gathered at once: some fit in a cache, and more saves nothing
Batch = tuple[Tensor, ...]  # inputs and targets; a third tensor where rows have weights

ALIGNMENT = 64  # bytes; where a product finds its factors elsewhere, its last bits may differ


class Batches:
    """Rows shuffled anew each epoch, or always in their own order: all of them, or those whose numbers are in `rows`.

    Inputs that are `PreparedRows` are read batch by batch: they can be larger than memory.
    `augmentation` changes the inputs of the batches; `inputs` itself, which evaluation reads, stays.
    `weights` say how much each row counts: a batch then is inputs, targets and weights, and its cost the mean of weight
    times loss. With the mean 1 over all rows, gradients are as long as without. A stack has a row of them per member.
    With several processes, each takes every `world_size`-th batch of the one order that all share.
    Shapes: inputs (N, …), targets (N, …), weights (N,) or (members, N), rows (n,) -> batches of (B, …), weights (…, B); the last batch of an epoch may be smaller
    """

    def __init__(
        self,
        inputs: Tensor | PreparedRows,
        targets: Tensor,
        batch_size: int,
        *,
        weights: Tensor | None = None,
        rows: Tensor | None = None,
        shuffle: bool = True,
        seed: int = 0,
        member: int = 0,
        rank: int = 0,
        world_size: int = 1,
        augmentation: Augmentation | None = None,
    ) -> None:
        if len(inputs) != len(targets):
            raise ShapeError(
                f"inputs and targets must have as many rows; got {len(inputs)} and {len(targets)}"
            )
        if weights is not None and weights.shape[-1:] != (len(inputs),):
            raise ShapeError(
                f"weights must be one per row, {len(inputs)} in all; got the shape {tuple(weights.shape)}"
            )
        self.rows = torch.arange(len(inputs)) if rows is None else rows
        if not len(self.rows):
            raise ShapeError("no rows to train on")
        if batch_size < 1:
            raise SettingError(f"batch_size must be at least 1; got {batch_size}")
        self.inputs = inputs
        self.targets = targets
        self.weights = weights
        self.batch_size = min(batch_size, len(self.rows))
        self.shuffle = shuffle
        self.seed = seed
        self.member = member
        self.rank = rank
        self.world_size = world_size
        self.augmentation = augmentation

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        all_batches = -(-len(self.rows) // self.batch_size)
        return -(-(all_batches - self.rank) // self.world_size)

    def order(self, epoch: int) -> Tensor:
        """Return the row numbers of an epoch, counted from 0, in their order. Shapes: (rows,)."""
        if not self.shuffle:
            return self.rows
        return self.rows[
            torch.randperm(len(self.rows), generator=generator(self.seed, "order", self.member, epoch))
        ]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Give the batches of an epoch from the `start`-th on.

        Small ones are views of a larger piece that was gathered at once.
        """
        order = self.order(epoch).to(self.inputs.device)
        at_once = self._at_once()
        for place in range(start, len(self), at_once):
            number = place * self.world_size + self.rank
            rows = order[number * self.batch_size : (number + at_once) * self.batch_size]
            # not split: a model that changes its inputs in place may not change those of a view
            inputs = self.inputs.index_select(0, rows).unsafe_split(self.batch_size)
            targets = self.targets.index_select(0, rows).unsafe_split(self.batch_size)
            if self.augmentation is not None:
                inputs = tuple(self.augmentation(x, epoch, k) for k, x in enumerate(inputs, number))
            if self.weights is None:
                yield from zip(inputs, targets, strict=True)
                continue
            weights = self.weights.index_select(-1, rows).unsafe_split(self.batch_size, -1)
            yield from zip(inputs, targets, weights, strict=True)

    def _at_once(self) -> int:
        """Return how many batches are gathered at once: as many as fit in a piece, if each begins where tensors do."""
        if isinstance(self.inputs, PreparedRows) or self.world_size > 1:
            return 1
        sizes = [self.batch_size * t[0].numel() * t.element_size() for t in (self.inputs, self.targets)]
        if any(size % ALIGNMENT for size in sizes):
            return 1
        return max(1, PIECE_BYTES // max(1, *sizes))
