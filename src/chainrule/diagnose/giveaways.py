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
from chainrule.diagnose.absence import told_by_absence
from chainrule.diagnose.alone import counts_rows, explained, halves, is_one_to_one, share_right
from chainrule.diagnose.evidence import Evidence, InputColumn, share

FEWEST_ROWS = 50  # in fewer, a strong column can be right everywhere by chance
MOST_ROWS = 4000
MOST_CELLS = 1_000_000  # of all columns together; wide tables are looked at through fewer rows …
LEAST_ROWS = 400  # … but no fewer than these
SKILL = 0.98  # share of the base rate's mistakes that a column takes away …
R2 = 0.99  # … or of the variance
GAP = 0.9  # the most that the best of the other columns may reach
FUNCTION = 0.999  # R² of a column that does not measure the target but is made of it


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A column and how well it predicts alone: 1 is always right, 0 no better than the base rate."""

    column: InputColumn
    skill: float
    is_copy: bool = False
    counts_rows: bool = False

    @property
    def is_certain(self) -> bool:
        """Whether it gives the target away whatever the others do."""
        return self.is_copy or self.counts_rows


def columns_that_give_the_target_away(evidence: Evidence) -> Iterator[str]:
    """Name the columns that alone predict the target nearly perfectly where no other column comes near."""
    already = told_by_absence(evidence)
    columns = [column for column in evidence.columns() if column.name not in already]
    most = min(MOST_ROWS, max(LEAST_ROWS, MOST_CELLS // max(1, len(columns))))
    rows = evidence.training_rows(most)
    if len(rows) < FEWEST_ROWS or len(columns) < 2:
        return
    if evidence.is_classification:
        yield from _of_classes(evidence, columns, rows)
        return
    targets = evidence.targets.reshape(len(evidence.targets), -1)
    for place, name in enumerate(evidence.schema.target.names):
        yield from _of_values(evidence, columns, rows, targets[rows, place], f"'{visible(name, 60)}'")


def _of_classes(evidence: Evidence, columns: list[InputColumn], rows: np.ndarray) -> Iterator[str]:
    classes, half, target = evidence.targets[rows], halves(len(rows)), evidence.target_name
    base = float(np.bincount(classes).max()) / len(rows)

    def score(column: InputColumn) -> Scored:
        cells = column.values[rows]
        right = max(share_right(cells[:, place], classes, half) for place in range(cells.shape[1]))
        skill = 1 - (1 - right) / max(1 - base, 1 / len(rows))
        is_copy = skill >= SKILL and is_one_to_one(cells[:, 0], classes)
        return Scored(column, skill, is_copy, skill >= SKILL and _is_row_number(column))

    found, rest = _stand_out([score(column) for column in columns], SKILL)
    next_best = (
        "" if rest is None else f", the next best column is right in {share(1 - (1 - rest) * (1 - base))}"
    )
    for suspect in found:
        column = suspect.column
        right = f"{share(1 - (1 - suspect.skill) * (1 - base))} of {len(rows):,} training rows"
        if suspect.counts_rows and not _is_by_time(evidence):
            yield (
                f"{column} counts the rows, and the rows stand in the order of {target}: alone it gives the class in "
                f"{right}, and for new rows it will not; {column.to_leave_out}"
            )
        elif suspect.is_copy:
            yield (
                f"{column} says the same as the target {target} in other words: in all of {len(rows):,} training rows each "
                f"of its values stands for one class, and each class for one value; {column.to_leave_out}"
            )
        elif not suspect.counts_rows:
            yield (
                f"{column} alone gives the class of {target} in {right} held out for this (the largest class has "
                f"{share(base)}{next_best}): is it known before the answer is? If not, {column.to_leave_out}"
            )


def _of_values(
    evidence: Evidence, columns: list[InputColumn], rows: np.ndarray, values: np.ndarray, target: str
) -> Iterator[str]:
    half = halves(len(rows))

    def score(column: InputColumn) -> Scored:
        cells = column.values[rows]
        skill = max(explained(cells[:, place], values, half) for place in range(cells.shape[1]))
        return Scored(column, skill, counts_rows=skill >= R2 and _is_row_number(column))

    found, rest = _stand_out([score(column) for column in columns], R2)
    next_best = "" if rest is None else f", the next best column {max(0.0, rest):.2f}"
    for suspect in found:
        column = suspect.column
        is_time = suspect.counts_rows or column.kind == "date"
        if is_time and not _is_by_time(evidence):
            yield (
                f"{column} alone gives {target} with an R² of {suspect.skill:.3f}, since rows next to each other in "
                f"{'time' if column.kind == 'date' else 'order'} are alike: a random split tests between training rows "
                f"and says nothing of rows to come; --split {shlex.quote('time:' + visible(column.name, 60))}"
            )
        elif not is_time:
            yield (
                f"{column} alone gives {target} with an R² of {suspect.skill:.3f} on {len(rows):,} training rows held out "
                f"for this{next_best}, like a copy or a function of it: is it known before {target} is? If not, "
                f"{column.to_leave_out}"
            )


def _stand_out(scored: list[Scored], bar: float) -> tuple[list[Scored], float | None]:
    """Return the columns that stand out, and the best skill among those below the bar; None where there are none."""
    high = [s for s in scored if s.skill >= bar]
    rest = max((s.skill for s in scored if s.skill < bar), default=None)
    certain = [s for s in high if s.is_certain]
    doubtful = [s for s in high if not s.is_certain]
    if rest is None or rest > GAP:
        return certain, rest
    numbers = [s for s in doubtful if s.column.kind == "number"]
    if len(numbers) > 1:  # several strong measures of one thing are honest; functions of the target are not
        doubtful = [s for s in doubtful if s not in numbers or (bar == R2 and s.skill >= FUNCTION)]
    return certain + doubtful, rest


def _is_row_number(column: InputColumn) -> bool:
    return column.kind == "number" and counts_rows(column.values[:, 0])


def _is_by_time(evidence: Evidence) -> bool:
    return evidence.settings.split.startswith("time:")
