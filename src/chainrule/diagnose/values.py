"""Targets that are numbers: nearly constant, or ruled by a few rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_number, show_share
from chainrule.diagnose.evidence import Evidence

SMALL = 50  # rows; in fewer, one row is a large part of everything
NEARLY_CONSTANT = 0.9  # share of the most frequent value
FEW = 3  # rows that may not …
MOST_OF_SQUARES = 0.5  # … hold this share of all squared deviations, …
TIMES_AS_FAR = 3.0  # … and are as many times as far out as the next


def nearly_constant(evidence: Evidence) -> Iterator[str]:
    """Say when nearly all values of a target are one."""
    for name, values in _targets(evidence, evidence.rows):
        found, counts = np.unique(values, return_counts=True)
        part = counts.max() / len(values)
        if part >= NEARLY_CONSTANT:
            yield (
                f"the target '{visible(name, 60)}' is {show_number(float(found[counts.argmax()]))} in {show_share(part)} of "
                f"{len(values):,} training rows: the score hangs on the other {len(values) - counts.max():,}; consider "
                "first asking whether a row is among them, as classes"
            )


def far_values(evidence: Evidence) -> Iterator[str]:
    """Say when a few rows lie so far out that they decide about the loss and R² alone."""
    for name, values in _targets(evidence, np.arange(len(evidence.examples))):
        squares = np.square(values - np.median(values))
        total = float(squares.sum())
        far = _apart(squares)
        if not len(far) or not MOST_OF_SQUARES * total <= squares[far].sum() < np.inf:
            continue
        rest = np.delete(values, far)
        where = ", ".join(_row(evidence, place, values[place]) for place in far)
        yield (
            f"{where} of the target '{visible(name, 60)}' {'lies' if len(far) == 1 else 'lie'} far from the others "
            f"({show_number(float(rest.min()))} to {show_number(float(rest.max()))}) and "
            f"{'makes' if len(far) == 1 else 'make'} up {show_share(squares[far].sum() / total)} of all squared deviations "
            f"in {len(values):,} rows, which is what loss and R² measure; if wrong, correct or remove "
            f"{'it' if len(far) == 1 else 'them'}, else take the logarithm of the target or train with --set loss=absolute-error"
        )


def _apart(squares: np.ndarray) -> np.ndarray:
    """Return the few places that lie apart from the next ones, the farthest first. Shapes: (n,) -> (0 to FEW,)."""
    far = np.argpartition(-squares, FEW)[: FEW + 1]
    far = far[np.argsort(-squares[far], kind="stable")]
    gaps = np.flatnonzero(squares[far[:-1]] > TIMES_AS_FAR**2 * squares[far[1:]])
    return far[: gaps[-1] + 1] if len(gaps) else far[:0]


def _row(evidence: Evidence, place: int, value: float) -> str:
    return f"row {evidence.at(place):,} ({show_number(float(value))})"


def _targets(evidence: Evidence, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Go through the targets' values in some rows, with their names."""
    if evidence.is_classification or len(rows) < SMALL:
        return
    values = evidence.targets.reshape(len(evidence.targets), -1)
    for place, name in enumerate(evidence.schema.target.names):
        yield name, values[rows, place]
