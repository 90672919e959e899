"""Columns that are filled, or missing, only where the target has one answer: written down once the answer was known."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.core.units import show_number
from chainrule.diagnose.evidence import Evidence, share

MOST_ROWS = 20_000
FEWEST_ROWS = 20  # on either side
LEFT = 0.05  # of the share that other answers have in all rows, this may be left on one side
CHANCE = 1e-6  # that a pattern as pure comes by chance, over all columns
FREQUENT = 0.05  # share from which a value of a regression target is an answer like a class


def filled_with_the_answer(evidence: Evidence) -> Iterator[str]:
    """Name columns whose missing cells tell the answer."""
    yield from told_by_absence(evidence).values()


def told_by_absence(evidence: Evidence) -> dict[str, str]:
    """Return the columns whose missing cells tell the answer, each with what is to be said of it."""
    rows = evidence.training_rows(MOST_ROWS)
    columns = list(evidence.columns())
    answers = _answers(evidence, rows) if len(rows) >= 2 * FEWEST_ROWS and columns else None
    if answers is None:
        return {}
    codes, names = answers
    overall = np.bincount(codes, minlength=len(names)) / len(rows)
    found = {}
    for column in columns:
        missing = column.is_missing(rows)
        if not FEWEST_ROWS <= missing.sum() <= len(rows) - FEWEST_ROWS:
            continue
        for side, word in ((missing, "missing"), (~missing, "filled")):
            counts = np.bincount(codes[side], minlength=len(names))
            answer = int(counts.argmax())
            pure, usual = counts[answer] / side.sum(), overall[answer]
            if _is_telling(pure, usual, int(side.sum()), len(columns)):
                found[column.name] = (
                    f"{column} is {word} in {side.sum():,} of {len(rows):,} training rows, and {share(pure)} of these have "
                    f"{names[answer]} ({share(usual)} of all rows): was it written down once the answer was known? "
                    f"If so, {column.to_leave_out}"
                )
    return found


def _answers(evidence: Evidence, rows: np.ndarray) -> tuple[np.ndarray, list[str]] | None:
    """Return the rows' answers as codes and in words: classes, or whether a value is the most frequent one."""
    if evidence.is_classification:
        classes = evidence.schema.target.classes
        return evidence.targets[rows], [
            f"the class {evidence.class_name(code)}" for code in range(len(classes))
        ]
    values = evidence.targets[rows].reshape(len(rows), -1)
    if values.shape[1] > 1:
        return None
    found, counts = np.unique(values[:, 0], return_counts=True)
    most = int(counts.argmax())
    if counts[most] < FREQUENT * len(rows):
        return None
    words = f"the target {show_number(float(found[most]))}"
    return (values[:, 0] != found[most]).astype(np.int64), [words, "another target than " + words[11:]]


def _is_telling(pure: float, usual: float, rows: int, columns: int) -> bool:
    """Whether a share is far purer than usual, and too pure to be chance (Chernoff's bound).

    >>> _is_telling(1.0, 0.5, 40, 10), _is_telling(1.0, 0.5, 20, 10), _is_telling(0.9, 0.5, 400, 10)
    (True, False, False)
    """
    if not 0 < usual < 1 or 1 - pure > LEFT * (1 - usual):
        return False
    divergence = pure * math.log(pure / usual)
    if pure < 1:
        divergence += (1 - pure) * math.log((1 - pure) / (1 - usual))
    return rows * divergence > math.log(columns / CHANCE)
