"""Groups of rows by the cells of one column, so that a network can be judged for each of them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chainrule.core.errors import SettingError, unknown_name
from chainrule.core.text import visible
from chainrule.core.units import show_number
from chainrule.data.cells import clean_cells
from chainrule.data.columns import number_cells
from chainrule.data.dates import read_dates
from chainrule.data.inference import find_column
from chainrule.data.source import Source
from chainrule.train.judgement import Judgement, judge_answers
from chainrule.train.metrics import Answers

MISSING = "missing"
FEW_ROWS = 10  # a group with fewer says little, and is marked
MOST_GROUPS = 20  # the most frequent; the others are judged together
MOST_NUMBERS = 12  # different ones that are groups of their own; more are cut into quarters of the rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The rows with one value in the column, and how the network does on them."""

    name: str
    judgement: Judgement

    @property
    def is_small(self) -> bool:
        """Whether the rows are so few that their figures say little."""
        return self.judgement.rows < FEW_ROWS

    def to_json(self) -> dict[str, Any]:
        """Return the group as it stands in metrics.json."""
        found = self.judgement
        return {
            "group": self.name,
            "rows": found.rows,
            "is_small": self.is_small,
            "metrics": found.metrics,
            "intervals": found.intervals,
        }


def check_column(source: Source, name: str) -> None:
    """See that the data has a column to judge by. Raises: UnknownNameError with the nearest; SettingError without table."""
    if source.frame is None:
        held = "pictures" if source.is_pictures else "arrays without named columns"
        raise SettingError(f"--by takes a column of a table; {source.name} holds {held}")
    if name not in source.frame.columns:
        raise unknown_name(f"column of {source.name}", visible(name), source.frame.columns)


def judge_groups(source: Source, name: str, rows: np.ndarray, answers: Answers, kind: str) -> list[Group]:
    """Judge the answers of each group apart, by every metric. Shapes: rows (N,) of the source, as in `answers`."""
    labels, order = group_labels(source, name)
    labels = labels[rows]
    counts = {label: int((labels == label).sum()) for label in order}
    frequent = sorted((label for label in order if counts[label]), key=lambda label: -counts[label])
    kept, others = frequent[:MOST_GROUPS], frequent[MOST_GROUPS:]
    groups = [_judged(label, answers.only(labels == label), kind) for label in order if label in kept]
    if others:
        groups.append(_judged(f"{len(others)} more", answers.only(np.isin(labels, others)), kind))
    return groups


def group_labels(source: Source, name: str) -> tuple[np.ndarray, list[str]]:
    """Return the group of every row, and all groups in order.

    A group is what stands in the cell; many different numbers are cut into ranges, dates into years or months.
    Shapes: labels (N,)
    """
    assert source.frame is not None
    series = source.frame[name]
    column = find_column(series, source.at).column
    if column is not None and column.kind in ("number", "time"):
        return _of_numbers(number_cells(series, column, source.at)[:, 0])
    cells = clean_cells(series)
    if column is None:  # it tells rows apart, or does not vary: no input, but it may be numbers
        numbers = cells.cast(pl.Float64, strict=False)
        if numbers.null_count() == cells.null_count():
            return _of_numbers(numbers.fill_null(np.nan).to_numpy())
    elif column.kind == "date":
        times = read_dates(cells, column.format).cast(pl.Datetime("us"))
        years = times.dt.year()
        cells = years if years.n_unique() > 2 else times.dt.strftime("%Y-%m")
    texts = cells.cast(pl.String).fill_null(MISSING)
    order = [label for label in sorted(texts.unique().to_list()) if label != MISSING]
    return texts.to_numpy().astype(object), [*order, MISSING]


def _of_numbers(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    there = ~np.isnan(values)
    known = np.unique(values[there])
    labels = np.full(len(values), MISSING, object)
    if len(known) <= MOST_NUMBERS:
        bounds = known[:-1]
    else:
        bounds = np.unique(np.quantile(values[there], [0.25, 0.5, 0.75]))
    places = np.searchsorted(bounds, values, side="left")
    order = []
    for place in range(len(bounds) + 1):
        inside = there & (places == place)
        if inside.any():
            low, high = (show_number(float(v)) for v in (values[inside].min(), values[inside].max()))
            labels[inside] = low if low == high else f"{low} to {high}"
            order.append(str(labels[inside][0]))
    return labels, [*order, MISSING]


def _judged(name: str, answers: Answers, kind: str) -> Group:
    return Group(name=name, judgement=judge_answers(answers, kind))
