"""The schema: what the rows of a data set are, as JSON in the recipe.

It turns rows into float64 numbers (NaN = missing) and int64 codes (0 = missing, 1 = unseen), in training and in
prediction alike. What is fitted (means, scales) is in `Prepare`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from chainrule.core.errors import DataError, RunError, SettingError, nearest, unknown_name
from chainrule.core.text import listed, visible
from chainrule.data.columns import Column, category_codes, find_column, number_cells
from chainrule.data.source import Source
from chainrule.data.target import Target, find_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Rows as numbers, before preparation.

    Shapes: numbers (N, numbers), or (N, C, H, W) for pictures; codes (N, categories); targets (N,) classes,
    (N, values) values, or None; rows (N,) where each stood in the source
    """

    numbers: np.ndarray
    codes: np.ndarray
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

    def encode(self, source: Source, *, with_targets: bool = True, strict: bool = True) -> Examples:
        """Turn rows into numbers and codes. Rows without a target are left out where targets are wanted.

        Raises: DataError naming file, row and column; UnknownNameError for a column that is not there
        """
        if source.frame is not None:
            numbers, codes, notes = self._encode_table(source.frame, source.name, strict=strict)
        else:
            numbers, codes, notes = self._encode_array(source)
        rows = np.arange(len(source))
        if not with_targets:
            return Examples(numbers=numbers, codes=codes, targets=None, rows=rows, notes=tuple(notes))
        targets, known = self.target.encode(source)
        if not known.all():
            notes.append(f"{int((~known).sum())} rows have no target and are left out")
            numbers, codes, targets, rows = numbers[known], codes[known], targets[known], rows[known]
        return Examples(numbers=numbers, codes=codes, targets=targets, rows=rows, notes=tuple(notes))

    def _encode_table(
        self, frame: pl.DataFrame, name: str, *, strict: bool
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        self._check_columns(frame, name)
        notes: list[str] = []
        numbers = [number_cells(frame[c.name], c, name, strict=strict) for c in self.columns if c.numbers]
        codes = []
        for column in self.categories:
            found, unseen = category_codes(frame[column.name], column)
            if unseen and strict:
                notes.append(f"column {visible(column.name)!r} has {unseen} values that training never saw")
            codes.append(found)
        height = frame.height
        return (
            np.concatenate(numbers, 1) if numbers else np.empty((height, 0)),
            np.stack(codes, 1) if codes else np.empty((height, 0), np.int64),
            notes,
        )

    def _check_columns(self, frame: pl.DataFrame, name: str) -> None:
        missing = [c.name for c in self.columns if c.name not in frame.columns]
        if missing:
            close = nearest(missing[0], frame.columns)
            hint = f"; did you mean {visible(close[0])!r}?" if close else f"; it has {listed(frame.columns)}"
            raise DataError(f"{name} has no column {listed(missing)}, which the network was trained on{hint}")

    def _encode_array(self, source: Source) -> tuple[np.ndarray, np.ndarray, list[str]]:
        array = source.array
        if array is None or self.columns:
            raise DataError(
                f"{source.name}: the network was trained on a table with the columns {listed([c.name for c in self.columns])}"
            )
        if array.shape[1:] != self.shape:
            raise DataError(
                f"{source.name}: rows must have the shape {self.shape} as in training; got {array.shape[1:]}"
            )
        if array.dtype.kind == "f":
            bad = np.argwhere(np.isinf(array))
            if len(bad):
                raise DataError(
                    f"{source.name}, row {bad[0][0] + 1}: the value at {tuple(map(int, bad[0][1:]))} is infinite"
                )
        return array, np.empty((len(array), 0), np.int64), []

    def to_json(self) -> dict[str, Any]:
        """Return the schema as it stands in a recipe."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Schema:
        """Read a schema from a recipe. Raises: RunError for fields that this version does not know."""
        try:
            columns = tuple(Column(**{**c, "values": tuple(c["values"])}) for c in value["columns"])
            target = Target.from_json(value["target"])
            rest = {k: v for k, v in value.items() if k not in ("columns", "target", "shape", "left_out")}
            return cls(
                columns=columns,
                target=target,
                shape=tuple(value["shape"]),
                left_out=tuple(value["left_out"]),
                **rest,
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise RunError(f"the recipe's schema does not fit this version of chainrule: {error}") from error


def find_schema(
    source: Source, *, target: str | None = None, task: str | None = None
) -> tuple[Schema, list[str]]:
    """Find what the columns and the target are. Also returns what the user should hear.

    `target` names a column, or several separated by commas; without it a column called target, label, class or y is
    taken, else the last. `task` is regression or classification where the target could be either.
    Raises: UnknownNameError for a target that is not there; DataError for columns that cannot be used
    """
    if source.frame is None:
        assert source.array is not None
        if target is not None and target not in source.target_names:
            raise SettingError(
                f"--target names a column of a table; {source.name} has {listed(list(source.target_names))}"
            )
        found, notes = find_target(source, list(source.target_names), task)
        return Schema(shape=source.array.shape[1:], is_pictures=source.is_pictures, target=found), notes
    names, notes = _target_names(source, target)
    found, more = find_target(source, names, task)
    notes += more
    columns, left_out = [], []
    for series in source.frame.drop(names).get_columns():
        column, said = find_column(series, source.name)
        notes += said
        if column is None:
            left_out.append(series.name)
        else:
            columns.append(column)
    if not columns:
        raise DataError(f"{source.name} has no column to learn from beside the target {listed(names)}")
    return Schema(columns=tuple(columns), target=found, left_out=tuple(left_out)), notes


def _target_names(source: Source, target: str | None) -> tuple[list[str], list[str]]:
    assert source.frame is not None
    columns = source.frame.columns
    if target is None:
        usual = [c for c in columns if c.strip().lower() in ("target", "label", "class", "y")]
        name = usual[0] if usual else columns[-1]
        why = "by its name" if usual else "the last column"
        return [name], [f"target: column {visible(name)!r} ({why}; --target names another)"]
    if target in columns:
        return [target], []
    parts = [part.strip() for part in target.split(",")]
    for part in parts:
        if part not in columns:
            raise unknown_name(f"column of {source.name}", part, columns)
    return parts, []
