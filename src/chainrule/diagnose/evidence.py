"""What the checks look at: rows as numbers, who trains on them, and the columns one by one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chainrule.core.text import visible
from chainrule.data.schema import Examples, Schema
from chainrule.data.source import Source
from chainrule.data.splits import Split
from chainrule.data.store import StoredColumn, column_reader
from chainrule.train.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Data that is read, encoded and split, and the settings that it will be trained with."""

    source: Source
    schema: Schema
    examples: Examples
    split: Split
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

    def at(self, example: int) -> int:
        """Return where an example stands in the data, counted from 1."""
        return int(self.examples.rows[example]) + 1

    def training_rows(self, most: int) -> np.ndarray:
        """Return training rows in their order, `most` of them drawn evenly where there are more."""
        train = self.split.train
        if len(train) <= most:
            return train
        drawn: np.ndarray = train[np.linspace(0, len(train) - 1, most).astype(np.int64)]
        return drawn

    def columns(self) -> Iterator[InputColumn]:
        """Go through the columns of a table; pictures have none."""
        examples = self.examples
        if self.schema.is_pictures or examples.numbers.ndim != 2:
            return
        numbers, codes = column_reader(examples.numbers), column_reader(examples.codes)
        if not self.schema.columns:
            names = self.source.feature_names or [str(i + 1) for i in range(examples.numbers.shape[1])]
            for place, name in enumerate(names):
                yield InputColumn(name, "number", numbers(place, place + 1), is_named=False)
            return
        number, code = 0, 0
        for column in self.schema.columns:
            width = len(column.numbers)
            if column.kind == "category":
                yield InputColumn(column.name, column.kind, codes(code, code + 1))
                code += 1
            else:
                yield InputColumn(column.name, column.kind, numbers(number, number + width))
                number += width


@dataclass(frozen=True, slots=True, eq=False)
class InputColumn:
    """One column as numbers or codes. Shapes: values (N, numbers); a date has several, the days first."""

    name: str
    kind: str
    values: np.ndarray | StoredColumn
    is_named: bool = True

    def __str__(self) -> str:
        return f"column '{visible(self.name, 60)}'"

    @property
    def to_leave_out(self) -> str:
        """What to do where the column should not be there."""
        if not self.is_named:
            return "leave it out of the data"
        return f"leave it out: --columns {shlex.quote(visible(self.name, 60) + '=ignore')}"

    def is_missing(self, rows: np.ndarray) -> np.ndarray:
        """Return which of the rows have nothing in this column. Shapes: (n,) -> (n,) bool."""
        if self.kind == "category":
            return np.asarray(self.values[rows, 0] == 0)
        if self.values.dtype.kind != "f":
            return np.zeros(len(rows), bool)
        return np.asarray(np.isnan(self.values[rows, 0]))


def share(part: float) -> str:
    """Write a share in per cent, never as all or none where it is not.

    >>> share(1.0), share(0.9996), share(0.123), share(0.0001)
    ('100 %', '99.9 %', '12.3 %', '0.1 %')
    """
    if part in (0.0, 1.0):
        return f"{part:.0%}".replace("%", " %")
    return f"{min(99.9, max(0.1, 100 * part)):.1f} %"
