"""Columns that alone give the target away: its copies and functions, row numbers, and columns too good to be true.

A column is suspected when alone it is nearly always right and the others are far from that; a clean set with one
strong column has others that are strong too, or a few per cent wrong.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_share
from chainrule.diagnose.absence import told_by_absence
from chainrule.diagnose.alone import (
    counts_rows,
    explained,
    halves,
    is_one_to_one,
    most_ordered,
    ranks,
    share_right,
)
from chainrule.diagnose.evidence import Evidence, InputColumn, named, to_leave_out

FEWEST_ROWS = 50  # in fewer, a strong column can be right everywhere by chance
FEWEST_OTHERS = 10  # rows that are not of the largest class
MOST_ROWS = 4000
MOST_CELLS = 1_000_000  # of all columns together
LEAST_ROWS = 400
SKILL = 0.98  # share of the base rate's mistakes that a column takes away …
R2 = 0.99  # … or of the variance
GAP = 0.9  # the most that the best of the other columns may reach
FUNCTION = 0.999  # R² of a column that does not measure the target but is made of it
MANY_VALUES, ROWS_EACH = 30, 2  # of a column that may name whom or what a row belongs to
MANY_COLUMNS = 200
MOST_SENTENCES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A column and how well it predicts alone: 1 is always right, 0 no better than the base rate."""

    column: InputColumn
    skill: float
    is_copy: bool = False
    counts_rows: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The columns that stand out, and the best skill among the others; None where there are none."""

    suspects: list[Scored]
    next_best: float | None

    def alone(self) -> list[Scored]:
        """Return the suspects that are neither copies nor row numbers."""
        return [s for s in self.suspects if not s.is_copy and not s.counts_rows]


def columns_that_give_the_target_away(evidence: Evidence) -> Iterator[str]:
    """Name the columns that alone predict the target nearly perfectly where no other column comes near."""
    told = {column.name for columns, _ in told_by_absence(evidence) for column in columns}
    _, divides, by = evidence.settings.split.partition(":")  # a date that divides the rows may stay an input
    columns = [c for c in evidence.columns if c.name not in told and not (divides and c.name == by.strip())]
    places = np.arange(len(evidence.rows))
    places = evidence.fewer(max(LEAST_ROWS, min(MOST_ROWS, MOST_CELLS // max(1, len(columns)))), places)
    if len(places) < FEWEST_ROWS or len(evidence.columns) < 2:
        return
    if evidence.is_classification:
        yield from _of_classes(evidence, most_promising(columns, places, evidence.answers[places]), places)
        return
    targets = evidence.answers.reshape(len(evidence.rows), -1)
    for place, name in enumerate(evidence.schema.target.names):
        chosen = most_promising(columns, places, ranks(targets[places, place]))
        yield from _of_values(evidence, chosen, places, targets[places, place], f"'{visible(name, 60)}'")


def most_promising(columns: list[InputColumn], places: np.ndarray, answers: np.ndarray) -> list[InputColumn]:
    """Return the columns of a wide table that are worth a closer look. Shapes: places (n,), answers (n,)."""
    if len(columns) <= MANY_COLUMNS:
        return columns
    cells = np.stack([column.cells[0, places] for column in columns])
    return [columns[place] for place in most_ordered(cells, answers, MANY_COLUMNS)]


def _of_classes(evidence: Evidence, columns: list[InputColumn], places: np.ndarray) -> Iterator[str]:
    classes, half, target = evidence.answers[places], halves(len(places)), evidence.target_name
    base, order = float(np.bincount(classes).max()) / len(places), evidence.examples.rows[evidence.rows]
    if (1 - base) * len(places) < FEWEST_OTHERS:
        return

    def right(skill: float) -> str:
        return show_share(1 - (1 - skill) * (1 - base))

    def score(column: InputColumn) -> Scored:
        skill = 1 - (1 - max(share_right(cells[places], classes, half) for cells in column.cells)) / (
            1 - base
        )
        is_copy = skill >= SKILL and is_one_to_one(column.cells[0, places], classes)
        return Scored(column, skill, is_copy, skill >= SKILL and _is_row_number(column, order))

    found = _stand_out([score(column) for column in columns], SKILL)
    rows = f"{len(places):,} training rows"
    if copies := [s.column for s in found.suspects if s.is_copy]:
        say = "says" if len(copies) == 1 else "say"
        yield (
            f"{named(copies)} {say} the same as the target {target} in other words: in all of {rows} each value stands for "
            f"one class, and each class for one value; {to_leave_out(copies)}"
        )
    for suspect in [s for s in found.suspects if s.counts_rows and not s.is_copy]:
        yield (
            f"{suspect.column} counts the rows, and the rows stand in the order of {target}: alone it gives the class in "
            f"{right(suspect.skill)} of {rows}, and for new rows it will not; {to_leave_out([suspect.column])}"
        )
    others = "" if found.next_best is None else f", the next best column is right in {right(found.next_best)}"
    for suspect in found.alone()[:MOST_SENTENCES]:
        yield (
            f"{suspect.column} alone gives the class of {target} in {right(suspect.skill)} of {rows} held out for this (the "
            f"largest class has {show_share(base)}{others}): {_advice(suspect.column)}"
        )


def _of_values(
    evidence: Evidence, columns: list[InputColumn], places: np.ndarray, values: np.ndarray, target: str
) -> Iterator[str]:
    half, order = halves(len(places)), evidence.examples.rows[evidence.rows]

    def score(column: InputColumn) -> Scored:
        skill = max(explained(cells[places], values, half) for cells in column.cells)
        return Scored(column, skill, counts_rows=skill >= R2 and _is_row_number(column, order))

    found = _stand_out([score(column) for column in columns], R2)
    others = "" if found.next_best is None else f", the next best column {max(0.0, found.next_best):.2f}"
    for suspect in found.suspects[:MOST_SENTENCES]:
        column = suspect.column
        alone = f"{column} alone gives {target} with an R² of {suspect.skill:.3f}"
        if suspect.counts_rows or column.kind == "date":
            yield (
                f"{alone}: rows next to each other in {'time' if column.kind == 'date' else 'order'} are alike, so a random "
                f"split tests between training rows and says nothing of rows to come; use {_split('time', column)}"
            )
        else:
            yield f"{alone} on {len(places):,} training rows held out for this{others}: {_advice(column)}"


def _advice(column: InputColumn) -> str:
    values, counts = np.unique(column.cells[0], return_counts=True)
    repeats = column.is_named and len(values) >= MANY_VALUES and counts.mean() >= ROWS_EACH
    group = f"; if it names what a row belongs to, use {_split('group', column)}" if repeats else ""
    return f"is it known before the answer is? If not, {to_leave_out([column])}{group}"


def _split(kind: str, column: InputColumn) -> str:
    return f"--split {shlex.quote(f'{kind}:{visible(column.name, 60)}')}"


def _stand_out(scored: list[Scored], bar: float) -> Found:
    """Find the columns above the bar that stand out from those below it."""
    high = [s for s in scored if s.skill >= bar]
    rest = max((s.skill for s in scored if s.skill < bar), default=None)
    certain = [s for s in high if s.is_copy or s.counts_rows]
    doubtful = [s for s in high if s not in certain]
    if rest is None or rest > GAP:
        return Found(certain, rest)
    numbers = [s for s in doubtful if s.column.kind == "number"]
    if len(numbers) > 1:  # several strong measures of one thing are honest; functions of the target are not
        doubtful = [s for s in doubtful if s not in numbers or (bar == R2 and s.skill >= FUNCTION)]
    return Found(certain + doubtful, max(0.0, rest))


def _is_row_number(column: InputColumn, order: np.ndarray) -> bool:
    return column.kind == "number" and counts_rows(column.cells[0], order)
