"""Columns that are filled, or missing, only where the target has one answer: written down once the answer was known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chainrule.core.units import show_number, show_share
from chainrule.diagnose.evidence import Evidence, InputColumn, named, to_leave_out

FEWEST_ROWS = 20  # on either side
LEFT = 0.05  # of the share that other answers have in all rows, this may be left on one side
CHANCE = 1e-6  # that a pattern as pure comes by chance, over all patterns of missing cells
RECALL = 0.25  # of the rows with an answer, this share at least is on the side that tells it
RECALL_OF_LARGE = (
    0.9  # … or of those above the median: columns that begin late lack cells where a trend is low
)
FREQUENT = 0.05  # share from which a value of a regression target is an answer like a class


def filled_with_the_answer(evidence: Evidence) -> Iterator[str]:
    """Name columns whose missing cells tell the answer, those with the same cells missing together."""
    rows = len(evidence.rows)
    for columns, trace in told_by_absence(evidence):
        are, were = ("is", "was it") if len(columns) == 1 else ("are", "were they")
        yield (
            f"{named(columns)} {are} {trace.word} in {trace.count:,} of {rows:,} training rows, and {show_share(trace.pure)} of "
            f"these have {trace.answer}, against {show_share(trace.usual)} of all: {were} written down once the answer was known? "
            f"If so, {to_leave_out(columns)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where the missing cells of a column give an answer away: among the rows that are filled, or that are missing."""

    word: str
    count: int
    answer: str
    pure: float
    usual: float


def told_by_absence(evidence: Evidence) -> list[tuple[list[InputColumn], Trace]]:
    """Return the columns whose missing cells tell the answer, together where the same cells are missing."""
    rows = len(evidence.rows)
    groups: dict[bytes, list[InputColumn]] = {}
    for column in evidence.columns:
        missing = column.missing
        if FEWEST_ROWS <= missing.sum() <= rows - FEWEST_ROWS:
            groups.setdefault(np.packbits(missing).tobytes(), []).append(column)
    answers = _answers(evidence) if groups else None
    if answers is None:
        return []
    traced = ((columns, _trace(columns[0].missing, *answers, len(groups))) for columns in groups.values())
    return [(columns, trace) for columns, trace in traced if trace is not None]


def _trace(
    missing: np.ndarray, codes: np.ndarray, names: list[str], recall: float, patterns: int
) -> Trace | None:
    every = np.bincount(codes, minlength=len(names))
    for side, word in ((~missing, "filled"), (missing, "missing")):
        counts = np.bincount(codes[side], minlength=len(names))
        answer, total = int(counts.argmax()), int(side.sum())
        pure, usual = float(counts[answer] / total), float(every[answer] / len(codes))
        if counts[answer] >= recall * every[answer] and _is_telling(pure, usual, total, patterns):
            return Trace(word=word, count=total, answer=names[answer], pure=pure, usual=usual)
    return None


def _answers(evidence: Evidence) -> tuple[np.ndarray, list[str], float] | None:
    """Return the answers as codes and in words: classes; or whether a value is the most frequent one, or a large one.

    Also returns the share of an answer's rows that a trace must be on.
    """
    answers = evidence.answers
    if evidence.is_classification:
        classes = range(len(evidence.schema.target.classes))
        return answers, [f"the class {evidence.class_name(code)}" for code in classes], RECALL
    if answers.ndim > 1 and answers.shape[1] > 1:
        return None
    values = answers.reshape(-1)
    found, counts = np.unique(values, return_counts=True)
    most = int(counts.argmax())
    if counts[most] < FREQUENT * len(values):
        middle = float(np.median(values))
        words = [f"a target of at most {show_number(middle)}", f"a target above {show_number(middle)}"]
        return (values > middle).astype(np.int64), words, RECALL_OF_LARGE
    frequent = show_number(float(found[most]))
    words = [f"the target {frequent}", f"another target than {frequent}"]
    return (values != found[most]).astype(np.int64), words, RECALL


def _is_telling(pure: float, usual: float, rows: int, patterns: int) -> bool:
    """Whether a share is far purer than usual, and too pure to be chance (Chernoff's bound).

    >>> _is_telling(1.0, 0.5, 40, 10), _is_telling(1.0, 0.5, 20, 10), _is_telling(0.9, 0.5, 400, 10)
    (True, False, False)
    """
    if not 0 < usual < 1 or 1 - pure > LEFT * (1 - usual):
        return False
    divergence = pure * math.log(pure / usual)
    if pure < 1:
        divergence += (1 - pure) * math.log((1 - pure) / (1 - usual))
    return rows * divergence > math.log(patterns / CHANCE)
