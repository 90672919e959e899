"""What the checks look at: rows as numbers, who trains on them, and the columns one by one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chainrule.core.text import visible
from chainrule.data.schema import Examples, Schema
from chainrule.data.source import Source
from chainrule.data.splits import Split
from chainrule.train.settings import Settings

MOST_ROWS = 20_000
MOST_CELLS = 4_000_000  # of all columns together; wide tables are looked at through fewer rows …
LEAST_ROWS = 400  # … but no fewer than these
MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Data that is read, encoded and split, and the settings that it will be trained with.

    Shapes: copies (N,) a group number per row, which copies share
    """

    source: Source
    schema: Schema
    examples: Examples
    split: Split
    copies: np.ndarray
    settings: Settings

    @property
    def targets(self) -> np.ndarray:
        """The classes or values of all rows. Shapes: (N,) or (N, values)."""
        assert self.examples.targets is not None
        return self.examples.targets

    @property
    def is_classification(self) -> bool:
        """Whether the target is classes."""
        return bool(self.schema.target.classes)

    @property
    def target_name(self) -> str:
        """The target's name in quotation marks."""
        return f"'{visible(self.schema.target.names[0], 60)}'"

    def class_name(self, code: int) -> str:
        """Return a class's name in quotation marks."""
        return f"'{visible(self.schema.target.classes[code], 40)}'"

    @cached_property
    def answers(self) -> np.ndarray:
        """The targets of the rows that are looked at. Shapes: (n,) or (n, values)."""
        return np.asarray(self.targets[self.rows])

    def at(self, example: int) -> int:
        """Return where an example stands in the data, counted from 1."""
        return int(self.examples.rows[example]) + 1

    @cached_property
    def rows(self) -> np.ndarray:
        """The training rows that are looked at, drawn evenly where there are many. Shapes: (n,)."""
        return self.fewer(
            max(LEAST_ROWS, min(MOST_ROWS, MOST_CELLS // max(1, self._width()))), self.split.train
        )

    def fewer(self, most: int, rows: np.ndarray) -> np.ndarray:
        """Return so many of the rows, drawn evenly and in their order."""
        if len(rows) <= most:
            return rows
        drawn: np.ndarray = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
        return drawn

    @cached_property
    def columns(self) -> tuple[InputColumn, ...]:
        """The columns of a table, as far as the rows that are looked at; pictures have none."""
        if not self._width():
            return ()
        seen = np.ascontiguousarray(self.examples.numbers[self.rows].T)
        seen_codes = np.ascontiguousarray(self.examples.codes[self.rows].T)
        if not self.schema.columns:
            names = self.source.feature_names or tuple(str(i + 1) for i in range(len(seen)))
            return tuple(
                InputColumn(name, "number", cells[None], is_named=False)
                for name, cells in zip(names, seen, strict=True)
            )
        found, number, code = [], 0, 0
        for column in self.schema.columns:
            width = len(column.numbers)
            if column.kind == "category":
                found.append(InputColumn(column.name, column.kind, seen_codes[code : code + 1]))
                code += 1
            else:
                found.append(InputColumn(column.name, column.kind, seen[number : number + width]))
                number += width
        return tuple(found)

    def _width(self) -> int:
        """Return how many numbers and codes a row of a table has; 0 for pictures."""
        numbers = self.examples.numbers
        return (
            0
            if self.schema.is_pictures or numbers.ndim != 2
            else numbers.shape[1] + self.examples.codes.shape[1]
        )


@dataclass(frozen=True, slots=True, eq=False)
class InputColumn:
    """One column, the cells of the rows that are looked at as numbers or codes.

    Shapes: cells (numbers, n); a date has several numbers, the days first
    """

    name: str
    kind: str
    cells: np.ndarray
    is_named: bool = True

    def __str__(self) -> str:
        return f"column {self.shown}"

    @property
    def shown(self) -> str:
        """The name in quotation marks."""
        return f"'{visible(self.name, 60)}'"

    @property
    def missing(self) -> np.ndarray:
        """Which of the rows that are looked at have nothing in this column. Shapes: (n,) bool."""
        first = self.cells[0]
        if self.kind == "category":
            return np.asarray(first == 0)
        return np.isnan(first) if first.dtype.kind == "f" else np.zeros(len(first), bool)


def to_leave_out(columns: Sequence[InputColumn]) -> str:
    """Say what to do with columns that should not be there."""
    named = [column for column in columns if column.is_named]
    if not named:
        return "leave it out of the data" if len(columns) == 1 else "leave them out of the data"
    flags = " ".join(f"--column {shlex.quote(visible(c.name, 60) + '=ignore')}" for c in named[:MOST_NAMED])
    return f"leave {'it' if len(columns) == 1 else 'them'} out: {flags}" + (
        " …" if len(named) > MOST_NAMED else ""
    )


def named(columns: Sequence[InputColumn]) -> str:
    """Return the names of columns, as a sentence begins.

    >>> one = InputColumn("a", "number", np.zeros((1, 2)))
    >>> named([one]), named([one] * 2), named([one] * 9)
    ("column 'a'", "columns 'a' and 'a'", "columns 'a', 'a', 'a', 'a', 'a' and 4 more")
    """
    if len(columns) == 1:
        return str(columns[0])
    shown, rest = [column.shown for column in columns[:MOST_NAMED]], len(columns) - MOST_NAMED
    last = f"{rest:,} more" if rest > 0 else shown.pop()
    return f"columns {', '.join(shown)} and {last}"
