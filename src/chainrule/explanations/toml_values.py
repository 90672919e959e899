"""Numbers of a network file, read strictly, with the line where they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chainrule.core.errors import DataError
from chainrule.core.text import visible

LARGEST = 1e15  # beyond it squares and products lose their meaning, and then their finiteness


@dataclass(frozen=True, slots=True)
class Place:
    """Finds lines in a file, for messages."""

    name: str
    text: str

    def layer(self, number: int) -> str:
        """Return where a layer begins: the file, the line of its header, its number."""
        lines = [
            i for i, line in enumerate(self.text.splitlines(), 1) if re.match(r"\s*\[\[\s*layer\s*\]\]", line)
        ]
        line = f", line {lines[number - 1]}" if len(lines) >= number else ""
        return f"{self.name}{line}: layer {number}"

    def key(self, key: str) -> str:
        """Return where a key of the file stands."""
        for number, line in enumerate(self.text.splitlines(), 1):
            if re.match(rf"\s*{key}\s*=", line):
                return f"{self.name}, line {number}"
        return self.name


def positive(value: Any, where: str) -> float:
    """Return a positive number. Raises: DataError."""
    number = _number(value, where)
    if number <= 0:
        raise DataError(f"{where}: a positive number is needed; got {number:g}")
    return number


def vector(value: Any, where: str, name: str) -> Tensor:
    """Return a list of numbers. Raises: DataError. Shapes: (N,) float64."""
    if not isinstance(value, list) or not value:
        raise DataError(f"{where}: {name} takes a list of numbers such as [1, -1]; got {visible(value, 60)}")
    return torch.tensor([_number(item, where) for item in value], dtype=torch.float64)


def matrix(value: Any, where: str, name: str, most: int) -> Tensor:
    """Return rows of numbers, all of one length. Raises: DataError. Shapes: (rows, columns) float64."""
    if not isinstance(value, list) or not value or not all(isinstance(row, list) for row in value):
        example = visible(value if isinstance(value, list) else [value], 60)
        raise DataError(
            f"{where}: {name} takes a list of rows, [{example}] for a single one; got {visible(value, 60)}"
        )
    if len(value) > most or len(value) * max(map(len, value)) > 10_000_000:
        raise DataError(f"{where}: {name} has {len(value):,} rows; at most {most:,} are explained")
    rows = [vector(row, where, f"a row of {name}") for row in value]
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{where}: row {number} of {name} has length {len(row)}, row 1 has length {len(rows[0])}; all need the same"
            )
    return torch.stack(rows)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: numbers are needed; got {visible(repr(value), 60)}")
    if not abs(value) <= LARGEST:  # nor NaN
        raise DataError(f"{where}: numbers must be finite and at most {LARGEST:g}; got {visible(value, 60)}")
    return float(value)
