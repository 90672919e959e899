"""Rows of numbers as a set: equal rows are one, with the sum of their weights.

What is trained on them depends neither on the order of the rows nor on whether a row stands there k times or has the
weight k.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

HEAVIEST = 4.0  # times the mean weight; a heavier row stands as several, so that its batch is not it alone


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedRows:
    """Inputs, targets and how much each row counts. Shapes: inputs (N, D), targets (N,) or (N, values), weights (N,)."""

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.weights)

    def only(self, rows: np.ndarray) -> WeightedRows:
        """Return the rows with the given numbers, in their order."""
        return WeightedRows(inputs=self.inputs[rows], targets=self.targets[rows], weights=self.weights[rows])

    def followed_by(self, others: WeightedRows) -> WeightedRows:
        """Return these rows and others after them."""
        pairs = (
            (self.inputs, others.inputs), (self.targets, others.targets), (self.weights, others.weights)
        )  # fmt: skip
        inputs, targets, weights = (np.concatenate(pair) for pair in pairs)
        return WeightedRows(inputs=inputs, targets=targets, weights=weights)

    def weighed(self, factors: np.ndarray) -> WeightedRows:
        """Return the rows with their weights multiplied. Shapes: factors (N,)."""
        return replace(self, weights=self.weights * factors)

    def spread(self) -> WeightedRows:
        """Return the rows with heavy ones standing several times, each time with its share of the weight.

        None then has more than HEAVIEST times the mean weight of the rows as they were.
        """
        times = np.maximum(1, np.ceil(self.weights / (HEAVIEST * self.weights.mean()))).astype(np.int64)
        if times.max() == 1:
            return self
        return replace(self, weights=self.weights / times).only(np.repeat(np.arange(len(self)), times))


def distinct_rows(inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> WeightedRows:
    """Put equal rows together, in an order that depends on what they hold alone; those without weight are left out.

    Shapes: inputs (N, D), targets (N,) or (N, values), weights (N,), 1 without -> inputs float64, no more rows
    >>> found = distinct_rows(np.array([[2.0], [1.0], [2.0]]), np.array([7, 8, 7]))
    >>> dict(zip(found.targets.tolist(), found.weights.tolist())) == {7: 2.0, 8: 1.0}
    True
    """
    counts = np.ones(len(inputs)) if weights is None else weights
    columns = targets.reshape(len(targets), -1).astype(np.float64)
    table = np.concatenate([inputs, columns], axis=1, dtype=np.float64)[counts > 0]
    table += 0.0  # -0.0 becomes 0.0, which it equals
    order = np.argsort(_as_bytes(table), kind="stable")
    table = table[order]
    is_first = np.ones(len(table), bool)
    is_first[1:] = (table[1:] != table[:-1]).any(1)
    begins = np.flatnonzero(is_first)
    if len(begins) < len(table):
        table = table[begins]
    width = inputs.shape[1]
    return WeightedRows(
        inputs=table[:, :width],
        targets=table[:, width:].reshape(-1, *targets.shape[1:]).astype(targets.dtype),
        weights=np.add.reduceat(counts[counts > 0][order], begins) if len(begins) else counts[:0],
    )


def _as_bytes(table: np.ndarray) -> np.ndarray:
    """Return each row as one value that can be sorted. Shapes: (N, width) -> (N,)."""
    whole = np.dtype((np.void, table.itemsize * table.shape[1]))
    return np.ascontiguousarray(table).view(whole).reshape(-1)
