"""The target: classes or values, found from its cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chainrule.core.errors import DataError, SettingError
from chainrule.core.text import listed, visible
from chainrule.data.columns import clean_cells, natural_order
from chainrule.data.source import Source

MOST_CLASSES_OF_INTEGERS = 20  # whole numbers with more distinct values are taken for amounts
MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be predicted: the classes of one column, or the values of one or several."""

    kind: str  # "binary", "multi-class" or "regression": the tasks of the engine
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def encode(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        """Return targets, and which rows have one.

        Shapes: classes (N,) int64 or values (N, values) float64; known (N,) bool
        Raises: DataError naming the row for a class that training never saw, or a value that is no number
        """
        return self._classes(source) if self.classes else self._values(source)

    def _classes(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        cells = _cells(source, self.names[0])
        codes = cells.replace_strict(
            {name: i for i, name in enumerate(self.classes)}, default=-1, return_dtype=pl.Int64
        )
        found = codes.to_numpy()
        known = cells.is_not_null().to_numpy()
        strange = np.flatnonzero(known & (found < 0))
        if len(strange):
            row = int(strange[0])
            raise DataError(
                f"{source.name}, row {row + 1}: the class {visible(cells[row], 40)!r} is not among the classes of training "
                f"({listed(list(self.classes))})"
            )
        return found, known

    def _values(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        columns = []
        for place, name in enumerate(self.names):
            cells = _raw(source, name, place)
            numbers = cells.cast(pl.Float64, strict=False)
            bad = (numbers.is_null() & cells.is_not_null()).arg_true()
            if bad.len():
                row = int(bad[0])
                raise DataError(
                    f"{source.name}, row {row + 1}: the target {visible(name)!r} must be a number; got {visible(cells[row], 40)!r}"
                )
            columns.append(numbers.fill_null(math.nan).to_numpy())
        values = np.stack(columns, 1)
        infinite = np.argwhere(np.isinf(values))
        if len(infinite):
            row, place = (int(i) for i in infinite[0])
            raise DataError(
                f"{source.name}, row {row + 1}: the target {visible(self.names[place])!r} is infinite"
            )
        return values, ~np.isnan(values).any(1)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Target:
        """Read a target from a recipe."""
        return cls(kind=value["kind"], names=tuple(value["names"]), classes=tuple(value["classes"]))


def find_target(source: Source, names: list[str], task: str | None) -> tuple[Target, list[str]]:
    """Decide between classes and values. Also returns what the user should hear.

    Raises: DataError if the target is missing throughout, has one class, or a class has one row
    """
    if task not in (None, "regression", "classification"):
        raise SettingError(f"--task takes regression or classification; got {task!r}")
    several = len(names) > 1 or (source.targets is not None and source.targets.ndim == 2)
    if several:
        if task == "classification":
            raise SettingError(f"classification takes one target column; got {listed(names)}")
        return _regression(source, names, "several values")
    cells = _raw(source, names[0], 0)
    seen = cells.drop_nulls()
    if not seen.len():
        raise DataError(f"{source.name}: the target {visible(names[0])!r} is missing in every row")
    if task == "classification" or (task is None and _looks_like_classes(seen, source)):
        return _classification(source, names[0], said=task is None)
    return _regression(source, names, "numbers" if task is None else "")


def _looks_like_classes(seen: pl.Series, source: Source) -> bool:
    if source.class_names is not None or seen.dtype == pl.Boolean:
        return True
    numbers = seen.cast(pl.Float64, strict=False)
    if numbers.null_count():
        return True
    whole = bool((numbers == numbers.round()).all())
    return whole and numbers.n_unique() <= min(MOST_CLASSES_OF_INTEGERS, max(2, seen.len() // 5))


def _regression(source: Source, names: list[str], because: str) -> tuple[Target, list[str]]:
    if len(names) == 1 and source.targets is not None and source.targets.ndim == 2:
        names = (
            [f"{names[0]} {i + 1}" for i in range(source.targets.shape[1])]
            if source.targets.shape[1] > 1
            else names
        )
    target = Target(kind="regression", names=tuple(names))
    values, known = target.encode(source)
    if not known.any():
        raise DataError(f"{source.name}: the target {listed(names)} is missing in every row")
    for place, name in enumerate(names):
        if np.ptp(values[known, place]) == 0:
            raise DataError(
                f"{source.name}: the target {visible(name)!r} has one value ({values[known][0, place]:g}) in every row"
            )
    hint = (
        "" if not because else f" (the target holds {because}; --task classification takes them as classes)"
    )
    if len(names) > 1:
        hint = ""
    return target, [f"task: regression of {listed(names)}{hint}"]


def _classification(source: Source, name: str, *, said: bool) -> tuple[Target, list[str]]:
    cells = _cells(source, name).drop_nulls()
    counts = dict(cells.value_counts().iter_rows())
    known = source.class_names
    classes = [c for c in known if c in counts] if known is not None else natural_order(list(counts))
    if len(classes) < 2:
        raise DataError(
            f"{source.name}: the target {visible(name)!r} has one class ({visible(classes[0], 40)!r}); two are needed to tell apart"
        )
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"{source.name}: the target {visible(name)!r} has {len(classes)} classes, more than {MOST_CLASSES}; is it a number? (--task regression)"
        )
    single = [c for c in classes if counts[c] == 1]
    if single:
        raise DataError(
            f"{source.name}: the class {listed(single)} has one row, which cannot both train and test; "
            "add rows, remove it or merge it with another (--task regression takes numbers as values)"
        )
    kind = "binary" if len(classes) == 2 else "multi-class"
    number = all(_is_number(c) for c in classes)
    hint = (
        " (--task regression takes the numbers as values)"
        if said and number and source.class_names is None
        else ""
    )
    return Target(kind=kind, names=(name,), classes=tuple(classes)), [
        f"task: classification of {visible(name)!r}, {len(classes)} classes: {listed(classes)}{hint}"
    ]


def _raw(source: Source, name: str, place: int) -> pl.Series:
    """Return a target's cells, null where missing."""
    if source.frame is not None:
        if name not in source.frame.columns:
            raise DataError(
                f"{source.name} has no column {visible(name)!r}, the target; it has {listed(source.frame.columns)}"
            )
        return clean_cells(source.frame[name])
    if source.targets is None:
        raise DataError(f"{source.name} holds no targets")
    column = source.targets if source.targets.ndim == 1 else source.targets[:, place]
    if source.class_names is not None and column.dtype.kind in "iu":
        column = np.asarray(source.class_names, dtype=object)[column]
    if column.dtype.kind in "OU":
        return clean_cells(
            pl.Series(
                name, [None if v is None or v != v else str(v) for v in column.tolist()], dtype=pl.String
            )
        )
    return clean_cells(pl.Series(name, np.ascontiguousarray(column)))


def _cells(source: Source, name: str) -> pl.Series:
    """Return the target's cells as class names."""
    cells = _raw(source, name, 0)
    if cells.dtype.is_float():  # 1.0 and 1 are one class
        whole = cells.drop_nulls()
        if whole.len() and bool((whole == whole.round()).all()):
            cells = cells.cast(pl.Int64)
    return cells.cast(pl.String)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
