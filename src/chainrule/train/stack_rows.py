"""The rows of an epoch of a stack: which member sees which row when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.data.batches import PIECE_BYTES, Batch, Batches
from chainrule.train.member import Member


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


class StackOrder:
    """In what order the members of a stack see their rows. `len` is the number of updates in an epoch."""

    def __init__(self, members: Sequence[Member], inputs: Tensor, targets: Tensor, batch_size: int) -> None:
        self._inputs, self._targets, self._batch_size = inputs, targets, batch_size
        self._keys = [_key(member) for member in members]
        self._streams = [_stream(member, inputs, targets, batch_size) for member in members]
        self._weights = _weights(members)

    def __len__(self) -> int:
        return len(self._streams[0])

    def rows(self, epoch: int) -> StackRows:
        """Return the rows of an epoch, in an order for all, or in one for each member."""
        drawn: dict[object, Tensor] = {}
        for key, stream in zip(self._keys, self._streams, strict=True):
            if key not in drawn:
                drawn[key] = stream.order(epoch)
        of_each = [drawn[key] for key in self._keys]
        order = of_each[0].expand(1, -1) if len(drawn) == 1 else torch.stack(of_each)
        return StackRows(
            inputs=self._inputs,
            targets=self._targets,
            order=order,
            batch_size=min(self._batch_size, order.shape[1]),
            weights=self._weights,
        )


def _stream(member: Member, inputs: Tensor, targets: Tensor, batch_size: int) -> Batches:
    return Batches(inputs, targets, batch_size, rows=member.rows, shuffle=member.shuffle, seed=member.seed)


def _key(member: Member) -> tuple[int, int, bool]:
    """Return what members share that see the same batches."""
    return id(member.rows), member.seed, member.shuffle


def _weights(members: Sequence[Member]) -> Tensor | None:
    """Return the weights of rows, member by member, None where no member has any. Shapes: -> (members, N)."""
    given = [member.weights for member in members if member.weights is not None]
    if not given:
        return None
    ones = torch.ones_like(given[0])
    return torch.stack([ones if member.weights is None else member.weights for member in members])
