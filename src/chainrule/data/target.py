"""The target: classes or values, found from its cells."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chainrule.core.errors import DataError, SettingError
from chainrule.core.text import listed, visible
from chainrule.data.columns import (
    LARGEST,
    MISSING,
    STRAY_CELLS,
    clean_cells,
    codes_of,
    natural_order,
    too_large,
)
from chainrule.data.source import Source

MOST_CLASSES_OF_INTEGERS = 20  # whole numbers with more distinct values are taken for amounts
MOST_CLASSES = 1000
CLASSES_TOO = frozenset({"none", "nil", "-"})  # missing among numbers, but a class among texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be predicted: the classes of one column, or the values of one or several."""

    kind: str  # "binary", "multi-class" or "regression": the tasks of the engine
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()

    @property
    def second(self) -> str | None:
        """Of two classes the second, which precision, recall and curves are about."""
        return self.classes[1] if len(self.classes) == 2 else None

    def encode(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        """Return targets, and which rows have one.

        Shapes: classes (N,) int64 or values (N, values) float64; known (N,) bool
        Raises: DataError naming the row for a class that training never saw, or a value that is no number
        """
        return self._classes(source) if self.classes else self._values(source)

    def _classes(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        cells = _class_cells(_target_cells(source, self.names[0], 0), self.classes)
        named = _one_spelling(pl.Series(self.classes, dtype=pl.String), self.classes)
        found = codes_of(cells, named.to_list(), start=0, other=-1)
        known = cells.is_not_null().to_numpy()
        strange = np.flatnonzero(known & (found < 0))
        if len(strange):
            row = int(strange[0])
            raise DataError(
                f"{source.name}, row {row + 1}: the class '{visible(cells[row], 40)}' is not among the classes of "
                f"training ({listed(list(self.classes))})"
            )
        return found, known

    def _values(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        values = np.stack([_value_cells(source, name, i) for i, name in enumerate(self.names)], 1)
        with np.errstate(invalid="ignore"):
            infinite = np.argwhere(np.abs(values) > LARGEST)
        if len(infinite):
            row, place = (int(i) for i in infinite[0])
            raise DataError(
                f"{source.name}, row {row + 1}: the target '{visible(self.names[place])}' is "
                f"{too_large(values[row, place])}; leave the cell empty if the value is missing"
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
        raise SettingError(f"--task takes regression or classification; got '{visible(task)}'")
    if len(names) > 1 or (source.targets is not None and source.targets.ndim == 2):
        if task == "classification":
            raise SettingError(
                f"classification takes one target column; got {listed(_value_names(source, names))}"
            )
        return _regression(source, _value_names(source, names), "")
    cells = clean_cells(_target_cells(source, names[0], 0))
    seen = cells.drop_nulls()
    if not seen.len():
        raise DataError(f"{source.name}: the target '{visible(names[0])}' is missing in every row")
    if seen.dtype.is_temporal() and task != "classification":
        raise DataError(
            f"{source.name}: the target '{visible(names[0])}' holds {seen.dtype}; a target needs numbers or classes"
        )
    if task == "classification" or (task is None and _looks_like_classes(seen, source)):
        return _classification(source, names[0], said=task is None)
    hint = " (the target holds numbers; --task classification takes them as classes)" if task is None else ""
    return _regression(source, names, hint)


def _looks_like_classes(seen: pl.Series, source: Source) -> bool:
    if source.class_names is not None or seen.dtype == pl.Boolean:
        return True
    numbers = seen.cast(pl.Float64, strict=False)
    values = numbers.drop_nulls()
    few = values.n_unique() <= min(MOST_CLASSES_OF_INTEGERS, max(2, seen.len() // 5))
    if strays := numbers.null_count():  # some text among many numbers is a slip, and refused as such
        return few or strays > STRAY_CELLS * seen.len()
    return few and bool((values.is_finite() & (values == values.round())).all())


def _regression(source: Source, names: list[str], hint: str) -> tuple[Target, list[str]]:
    target = Target(kind="regression", names=tuple(names))
    values, known = target.encode(source)
    if not known.any():
        raise DataError(f"{source.name}: the target {listed(names)} is missing in every row")
    for place, name in enumerate(names):
        if np.ptp(values[known, place]) == 0:
            raise DataError(
                f"{source.name}: the target '{visible(name)}' has one value ({values[known][0, place]:g}) in every row"
            )
    return target, [f"task: regression of {listed(names)}{hint}"]


def _value_names(source: Source, names: list[str]) -> list[str]:
    """Return a name per value, also where an array holds several values under one name."""
    if source.targets is None or source.targets.ndim == 1 or source.targets.shape[1] == len(names):
        return names
    return [f"{names[0]} {i + 1}" for i in range(source.targets.shape[1])]


def _classification(source: Source, name: str, *, said: bool) -> tuple[Target, list[str]]:
    raw = _target_cells(source, name, 0)
    cells = clean_cells(raw).cast(pl.String)
    if not all(map(_is_number, cells.drop_nulls().unique())):
        cells = clean_cells(raw, MISSING - CLASSES_TOO).cast(pl.String)
    cells = _one_spelling(cells, cells.drop_nulls().unique().to_list()).drop_nulls()
    counts = dict(cells.alias("class").value_counts(name="count").iter_rows())
    known = source.class_names
    classes = [c for c in known if c in counts] if known is not None else natural_order(list(counts))
    _check_counts(source.name, name, {c: counts[c] for c in classes})
    kind = "binary" if len(classes) == 2 else "multi-class"
    is_numbers = said and known is None and all(map(_is_number, classes))
    hint = " (--task regression takes the numbers as values)" if is_numbers else ""
    return Target(kind=kind, names=(name,), classes=tuple(classes)), [
        f"task: classification of '{visible(name)}', {len(classes)} classes: {listed(classes)}{hint}"
    ]


def _check_counts(where: str, name: str, counts: dict[str, int]) -> None:
    target = f"{where}: the target '{visible(name)}'"
    if len(counts) < 2:
        only = visible(next(iter(counts)), 40)
        raise DataError(f"{target} has one class ('{only}'); two are needed to tell apart")
    if len(counts) > MOST_CLASSES:
        raise DataError(
            f"{target} has {len(counts):,} classes, more than {MOST_CLASSES:,}; is it a number (--task regression), "
            "or a name or a key?"
        )
    single = [c for c, count in counts.items() if count == 1]
    if single:
        those = "the class" if len(single) == 1 else "the classes"
        have = "has one row, which" if len(single) == 1 else "have one row each, which"
        advice = "; --task regression takes numbers as values" if all(map(_is_number, counts)) else ""
        raise DataError(
            f"{target}: {those} {listed(single)} {have} cannot both train and test; "
            f"add rows, remove them or merge them with another class{advice}"
        )


def _target_cells(source: Source, name: str, place: int) -> pl.Series:
    """Return a target's cells as they came."""
    if source.frame is not None:
        if name not in source.frame.columns:
            raise DataError(
                f"{source.name} has no column '{visible(name)}', the target; it has {listed(source.frame.columns)}"
            )
        return source.frame[name]
    if source.targets is None:
        raise DataError(f"{source.name} holds no targets")
    column = source.targets if source.targets.ndim == 1 else source.targets[:, place]
    if source.class_names is not None and column.dtype.kind in "iu":
        column = np.asarray(source.class_names, dtype=object)[column]
    if column.dtype.kind in "OU":
        texts = [None if v is None or v != v else str(v) for v in column.tolist()]
        return pl.Series(name, texts, dtype=pl.String)
    return pl.Series(name, np.ascontiguousarray(column))


def _value_cells(source: Source, name: str, place: int) -> np.ndarray:
    """Return a target's values, NaN where missing. Shapes: (N,)."""
    cells = clean_cells(_target_cells(source, name, place))
    numbers = cells.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & cells.is_not_null()).arg_true()
    if bad.len():
        row = int(bad[0])
        raise DataError(
            f"{source.name}, row {row + 1}: the target '{visible(name)}' must be a number; "
            f"got '{visible(cells[row], 40)}' (leave the cell empty if the value is missing)"
        )
    return numbers.fill_null(math.nan).to_numpy()


def _class_cells(raw: pl.Series, classes: Collection[str]) -> pl.Series:
    """Return the target's cells as class names in one spelling, null where missing."""
    cells = clean_cells(raw, MISSING - {c.lower() for c in classes})
    return _one_spelling(cells.cast(pl.String), classes)


def _one_spelling(cells: pl.Series, classes: Collection[str]) -> pl.Series:
    """Spell classes that are numbers (1.0 is 1) or truth values (True is true) in one way; leave others alone."""
    if all(map(_is_number, classes)):
        plain = cells.str.replace(r"^\+", "").str.replace(r"(\.\d*?)0+$", "$1")
        return plain.str.replace(r"\.$", "")
    if {c.lower() for c in classes} <= {"true", "false"}:
        return cells.str.to_lowercase()
    return cells


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
