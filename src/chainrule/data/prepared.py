"""Rows that are prepared when they are asked for, where all of them at once do not fit in memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from chainrule.data.prepare import Prepare
from chainrule.data.schema import Examples


class PreparedRows:
    """What a model takes, row by row; it is indexed like a tensor, and every index reads and prepares anew.

    Preparation works on each number alone, so the bits are those of `Prepare.tensors`.
    Shapes: (N, features) or (N, C, H, W) float32
    """

    def __init__(self, prepare: Prepare, examples: Examples, device: torch.device | None = None) -> None:
        features = prepare.features
        self.prepare = prepare
        self.examples = examples
        self.shape: tuple[int, ...] = (
            len(examples),
            *([features] if isinstance(features, int) else features),
        )
        self.device = device or torch.device("cpu")

    def __len__(self) -> int:
        return self.shape[0]

    def to(self, device: torch.device) -> PreparedRows:
        """Return the same rows; what is read goes to the device."""
        return PreparedRows(self.prepare, self.examples, device)

    def index_select(self, axis: int, rows: Tensor) -> Tensor:
        """Return rows by their numbers, as torch's own does. Shapes: rows (n,) -> (n, features) or (n, C, H, W)."""
        assert axis == 0
        return self._read(rows.cpu().numpy())

    def __getitem__(self, rows: int | slice | Tensor) -> Tensor:
        if isinstance(rows, int):
            return self[rows : rows + 1 or None][0]
        return self._read(rows if isinstance(rows, slice) else rows.cpu().numpy())

    def _read(self, rows: slice | np.ndarray) -> Tensor:
        numbers, codes = self.examples.numbers[rows], self.examples.codes[rows]
        with torch.no_grad():
            found: Tensor = self.prepare(torch.tensor(numbers), torch.tensor(codes))
        return found.to(self.device)


def prepared_rows(prepare: Prepare, examples: Examples, most_bytes: float) -> Tensor | PreparedRows:
    """Prepare all rows at once if they take no more than so many bytes, else as they are asked for."""
    rows = PreparedRows(prepare, examples)
    taken = 4 * float(np.prod(rows.shape, dtype=np.float64))
    return rows if taken > most_bytes else prepare.tensors(examples)
