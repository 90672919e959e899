"""Copies: with different answers, on both sides of a split that came with the data, or very many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_number, show_share
from chainrule.diagnose.evidence import Evidence

MOST_SHOWN = 3
MANY_DISAGREE = 0.05  # share of the rows of a table; fewer equal rows with other answers are honest chance
FEW_SEEN = 0.005  # share of the rows of a part that may be copies of training rows
APART = 0.5  # standard deviations of a target by which copies differ more than a second measurement would
MANY = 0.2  # share of rows that are there already


def copies_that_disagree(evidence: Evidence) -> Iterator[str]:
    """Name copies that have different classes, or values far from each other."""
    groups, sizes = evidence.copies, np.bincount(evidence.copies)
    found = _disagreeing(evidence, np.flatnonzero(sizes[groups] > 1))
    if not len(found):
        return
    what, rows = _what(evidence), int(sizes[found].sum())
    if not evidence.schema.is_pictures and rows < MANY_DISAGREE * len(groups):
        return
    shown = "; ".join(_with_answers(evidence, groups == group) for group in found[:MOST_SHOWN])
    more = f"; and {len(found) - MOST_SHOWN:,} more" if len(found) > MOST_SHOWN else ""
    kind = "classes" if evidence.is_classification else "targets"
    yield (
        f"{rows:,} {what} are copies of each other with different {kind}, in {len(found):,} "
        f"{'group' if len(found) == 1 else 'groups'}: {shown}{more}; {_most_right(evidence)}: correct the {kind} or "
        f"remove those {what}"
    )


def _disagreeing(evidence: Evidence, rows: np.ndarray) -> np.ndarray:
    """Return the groups whose answers are not one. Shapes: rows (n,) that have copies -> (groups,)."""
    groups, inverse = np.unique(evidence.copies[rows], return_inverse=True)
    apart = np.zeros(len(groups), bool)
    for answers in evidence.targets.reshape(len(evidence.copies), -1).T:
        least, most = np.full(len(groups), np.inf), np.full(len(groups), -np.inf)
        np.minimum.at(least, inverse, answers[rows])
        np.maximum.at(most, inverse, answers[rows])
        apart |= most - least > (0.0 if evidence.is_classification else APART * answers.std())
    return groups[apart]


def copies_across_the_split(evidence: Evidence) -> Iterator[str]:
    """Say how many rows that judge were seen in training."""
    if evidence.source.fixed_split is None and evidence.settings.split == "random":
        return  # what is drawn keeps copies together
    groups, split, what = evidence.copies, evidence.split, _what(evidence)
    for name, part in (("test", split.test), ("validation", split.validation)):
        trained = np.zeros(int(groups.max(initial=0)) + 1, bool)
        trained[groups[split.train]] = True
        seen = part[trained[groups[part]]]
        if not len(seen) or len(seen) < FEW_SEEN * len(part):
            continue
        shown = "; ".join(
            f"{_place(evidence, int(row))} is {_place(evidence, _first(groups, split.train, groups[row]))}"
            for row in seen[:MOST_SHOWN]
        )
        more = f"; and {len(seen) - MOST_SHOWN:,} more" if len(seen) > MOST_SHOWN else ""
        yield (
            f"{len(seen):,} of {len(part):,} {name} {what} ({show_share(len(seen) / len(part))}) are copies of training {what}: "
            f"{shown}{more}; the network has seen their answers, and the {name} score is too good: remove them from one "
            f"of the two parts, or hand over all {what} undivided, and copies will be kept together"
        )


def many_copies(evidence: Evidence) -> Iterator[str]:
    """Say when a good part of the rows is there already."""
    rows, different = len(evidence.copies), int(evidence.copies.max(initial=-1)) + 1
    if rows and 1 - different / rows >= MANY:
        yield (
            f"only {different:,} of {rows:,} {_what(evidence)} are different, {show_share(1 - different / rows)} are further "
            "copies: what is repeated counts as often as it stands there, and the intervals of scores are too narrow; "
            "remove the copies unless they were counted on purpose"
        )


def _most_right(evidence: Evidence) -> str:
    """Say what copies with different answers cost."""
    if not evidence.is_classification:
        return "no network can give both"
    pairs, counts = np.unique(np.stack([evidence.copies, evidence.targets]), axis=1, return_counts=True)
    most = np.zeros(int(evidence.copies.max()) + 1, np.int64)
    np.maximum.at(most, pairs[0], counts)
    return f"no network can be right on more than {show_share(most.sum() / len(evidence.copies))} of all {_what(evidence)}"


def _what(evidence: Evidence) -> str:
    return "pictures" if evidence.schema.is_pictures else "rows"


def _first(groups: np.ndarray, rows: np.ndarray, group: int) -> int:
    return int(rows[np.argmax(groups[rows] == group)])


def _place(evidence: Evidence, example: int) -> str:
    names = evidence.source.row_names
    at = int(evidence.examples.rows[example])
    return visible(names[at], 80) if names else f"row {at + 1:,}"


def _with_answers(evidence: Evidence, chosen: np.ndarray) -> str:
    """Name copies with their answers, two at most: the first, and the first with another answer."""
    examples = np.flatnonzero(chosen)
    targets = evidence.targets.reshape(len(chosen), -1)
    apart = np.abs(targets[examples] - targets[examples[0]]).sum(1)
    pair = (int(examples[0]), int(examples[int(apart.argmax())]))
    return " and ".join(f"{_place(evidence, row)} ({_answer(evidence, row)})" for row in pair)


def _answer(evidence: Evidence, example: int) -> str:
    if evidence.is_classification:
        return evidence.class_name(int(evidence.targets[example]))
    return ", ".join(show_number(float(value)) for value in evidence.targets[example].reshape(-1))
