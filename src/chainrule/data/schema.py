"""The schema: what the rows of a data set are, as JSON in the recipe.

It turns rows into float64 numbers (NaN = missing) and int64 codes (0 = missing, 1 = unseen), in training and in
prediction alike. What is fitted (means, scales) is in `Prepare`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from chainrule.core.errors import DataError, SettingError, UnknownNameError, nearest
from chainrule.core.text import listed, visible
from chainrule.data.columns import LARGEST, Column, too_large
from chainrule.data.delimited import repeated
from chainrule.data.encode import encode
from chainrule.data.findings import Findings
from chainrule.data.source import Source, row_numbers
from chainrule.data.store import StoredRows, only, parts_of
from chainrule.data.survey import decimal_of, find_columns, told_kinds, unfit_decimal
from chainrule.data.target import Target, find_target

USUAL_TARGETS = ("target", "label", "class", "y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Rows as numbers, before preparation.

    Shapes: numbers (N, numbers), or (N, C, H, W) for pictures; codes (N, categories); targets (N,) classes,
    (N, values) values, or None; rows (N,) where each stood in the source
    """

    numbers: np.ndarray | StoredRows
    codes: np.ndarray | StoredRows
    targets: np.ndarray | None
    rows: np.ndarray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Columns of a table, or the shape of arrays and pictures, and the target."""

    columns: tuple[Column, ...] = ()
    shape: tuple[int, ...] = ()
    is_pictures: bool = False
    target: Target
    left_out: tuple[str, ...] = field(default=())

    @property
    def number_names(self) -> tuple[str, ...]:
        """Names of the numbers of a table, in order."""
        return tuple(name for column in self.columns for name in column.numbers)

    @property
    def categories(self) -> tuple[Column, ...]:
        """The columns that become codes, in order."""
        return tuple(column for column in self.columns if column.kind == "category")

    def encode(self, source: Source) -> Examples:
        """Turn rows with targets into numbers, codes and targets. Rows without a target are left out, and said.

        Raises: DataError naming file, row and column
        """
        examples = self.encode_inputs(source)
        targets, known = self.target.encode(source)
        notes, rows = examples.notes, examples.rows
        numbers, codes = examples.numbers, examples.codes
        if not known.all():
            lost = int((~known).sum())
            those = "1 row has no target and is" if lost == 1 else f"{lost:,} rows have no target and are"
            notes = (*notes, f"{those} left out")
            numbers, codes = only(numbers, known), only(codes, known)
            targets, rows = targets[known], rows[known]
        return Examples(numbers=numbers, codes=codes, targets=targets, rows=rows, notes=notes)

    def encode_inputs(self, source: Source) -> Examples:
        """Turn rows into numbers and codes; they need no targets.

        Raises: DataError naming file, row and column
        """
        notes: list[str] = []
        numbers: np.ndarray | StoredRows
        codes: np.ndarray | StoredRows
        if source.frame is None:
            numbers, codes = self._array_inputs(source), np.empty((len(source), 0), np.int64)
        else:
            self._check_columns(source.frame.columns, source.name)
            numbers, codes, said = encode(source, self.columns)
            notes = [*self._unused(source.frame.columns), *said]
        return Examples(
            numbers=numbers, codes=codes, targets=None, rows=row_numbers(len(source)), notes=tuple(notes)
        )

    def _check_columns(self, titles: list[str], name: str) -> None:
        if not self.columns:
            raise DataError(
                f"{name} is a table, but the network was trained on {'pictures' if self.is_pictures else 'rows'} of the "
                f"shape {self.shape}"
            )
        there = set(titles)
        missing = [c.name for c in self.columns if c.name not in there]
        if missing:
            close = nearest(missing[0], titles)
            hint = f"; did you mean '{visible(close[0])}'?" if close else f"; it has {listed(titles)}"
            raise DataError(f"{name} has no column {listed(missing)}, which the network was trained on{hint}")

    def _unused(self, titles: list[str]) -> list[str]:
        known = {c.name for c in self.columns}.union(self.target.names, self.left_out)
        unused = [title for title in titles if title not in known]
        return [f"columns that training did not have are not used: {listed(unused)}"] if unused else []

    def _array_inputs(self, source: Source) -> np.ndarray | StoredRows:
        array = source.array
        if array is None or self.columns:
            raise DataError(
                f"{source.name}: the network was trained on a table with the columns "
                f"{listed([c.name for c in self.columns])}"
            )
        if array.shape[1:] != self.shape:
            raise DataError(
                f"{source.name}: rows must have the shape {self.shape} as in training; got {array.shape[1:]}"
            )
        if array.dtype.kind not in "biuf":
            raise DataError(f"{source.name}: inputs must be numbers; got {array.dtype}")
        if array.dtype.kind == "f":
            for start, part in parts_of(array):
                _refuse_large(part, start, source)
        return array

    def to_json(self) -> dict[str, Any]:
        """Return the schema as it stands in a recipe."""
        return asdict(self)

    def check(self) -> None:
        """See that a schema that was read from a file hangs together. Raises: ValueError saying what does not."""
        self.target.check()
        json.dumps(self.to_json(), ensure_ascii=False).encode()  # half a surrogate is no text
        names = [column.name for column in self.columns]
        if twice := repeated([*names, *self.target.names]):
            raise ValueError(f"schema names {listed(twice)} twice")
        for column in self.columns:
            column.check()
        if bool(self.columns) == bool(self.shape) or any(side < 1 for side in self.shape):
            raise ValueError(f"schema holds {len(names)} columns and the shape {visible(self.shape, 60)}")
        if self.is_pictures and len(self.shape) != 3:
            raise ValueError(f"schema.shape should be channels, height, width; got {visible(self.shape, 60)}")


def _refuse_large(numbers: np.ndarray, start: int, source: Source) -> None:
    """Refuse numbers that are too large to compute with. `start` is the number of the first row."""
    if not numbers.size:
        return
    low, high = float(np.fmin.reduce(numbers, None)), float(np.fmax.reduce(numbers, None))
    if low < -LARGEST or high > LARGEST:
        place = tuple(int(i) for i in np.argwhere(np.abs(numbers) > LARGEST)[0])
        raise DataError(
            f"{source.at(start + place[0])}: the value at {place[1:]} is {too_large(numbers[place])}"
        )


def find_schema(
    source: Source,
    *,
    target: str | None = None,
    task: str | None = None,
    columns: Sequence[str] = (),
    decimal: str | None = None,
    merge_classes: bool | None = None,
) -> tuple[Schema, Findings]:
    """Find what the columns and the target are. Also returns what the user should hear.

    `target` names a column, or several separated by commas (a name that holds a comma itself stands in quotation
    marks); without it a column called target, label, class or y is taken, else the last. `task` is regression or
    classification where the target could be either. `columns` say what columns are, as NAME=KIND; `decimal` is the
    decimal sign, `merge_classes` whether classes that differ in case and outer spaces alone are one.
    Raises: UnknownNameError for a target that is not there; DataError for columns that cannot be used
    """
    if source.frame is None:
        assert source.array is not None
        if target is not None and target not in source.target_names:
            raise SettingError(
                f"--target names a column of a table; {source.name} has {listed(list(source.target_names))}"
            )
        told_kinds(source, columns, ())
        found, said = find_target(source, list(source.target_names), task, merge_classes=merge_classes)
        return Schema(shape=source.array.shape[1:], is_pictures=source.is_pictures, target=found), said
    if len(source) == 1:
        raise DataError(
            f"{source.name} has one row; at least 3 are needed to learn from, and some hundreds to learn well"
        )
    names, first = _target_names(source, target)
    kinds = told_kinds(source, columns, names)
    sign = decimal_of(source, decimal)
    found, said = find_target(source, names, task, decimal=sign, merge_classes=merge_classes)
    kept, left_out, notes = find_columns(source, names, kinds=kinds, decimal=sign)
    notes += unfit_decimal(source, decimal, _formats(kept, found))
    schema = Schema(columns=tuple(kept), target=found, left_out=tuple(left_out))
    return schema, Findings(notes=tuple(first)) + said + Findings(notes=notes)


def find_inputs(
    source: Source,
    *,
    beside: Sequence[str] = (),
    columns: Sequence[str] = (),
    decimal: str | None = None,
) -> tuple[Schema, Findings]:
    """Find what the columns are where nothing is to be predicted; those `beside` are no inputs.

    Raises: DataError for columns that cannot be used
    """
    nothing = Target(kind="none", names=())
    if source.frame is None:
        assert source.array is not None
        told_kinds(source, columns, ())
        return Schema(
            shape=source.array.shape[1:], is_pictures=source.is_pictures, target=nothing
        ), Findings()
    sign = decimal_of(source, decimal)
    kept, left_out, notes = find_columns(
        source, beside, kinds=told_kinds(source, columns, beside), decimal=sign
    )
    schema = Schema(columns=tuple(kept), target=nothing, left_out=(*left_out, *beside))
    return schema, Findings(notes=notes)


def _formats(columns: Sequence[Column], target: Target) -> dict[str, str]:
    """Return how the numbers of each column are written."""
    formats = {column.name: column.format for column in columns if column.kind == "number"}
    if target.kind == "regression":
        formats |= dict(zip(target.names, target.formats or [""] * len(target.names), strict=True))
    return formats


def _target_names(source: Source, target: str | None) -> tuple[list[str], list[str]]:
    assert source.frame is not None
    columns = source.frame.columns
    if target is None:
        usual = [c for c in columns if c.lower() in USUAL_TARGETS]
        name = usual[0] if usual else columns[-1]
        why = "by its name" if usual else "the last column"
        return [name], [f"target: column '{visible(name)}' ({why}; --target names another)"]
    if target in columns:
        return [target], []
    parts = _parts(target)
    for part in parts:
        if part not in columns:
            close = nearest(part, columns)
            hint = f"did you mean {listed(close)}?" if close else f"it has {listed(columns)}"
            raise UnknownNameError(f"{source.name} has no column '{visible(part)}' to predict; {hint}")
    return list(dict.fromkeys(parts)), []


def _parts(target: str) -> list[str]:
    """Cut a list of names at its commas, except those within quotation marks."""
    try:
        parts = next(csv.reader([target], skipinitialspace=True), [])
    except csv.Error:
        parts = []
    return [part.strip() for part in parts] or [target]
