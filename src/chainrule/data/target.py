"""The target: classes or values, found from its cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from chainrule.core.errors import DataError, SettingError
from chainrule.core.text import listed, visible
from chainrule.data.cells import MISSING, clean_cells, codes_of, readable
from chainrule.data.classes import (
    EXACT,
    FOLDED,
    STRIPPED,
    as_given,
    class_cells,
    find_classes,
    is_numbers,
    natural_order,
    numbers_and_words,
)
from chainrule.data.columns import LARGEST, too_large
from chainrule.data.findings import Findings
from chainrule.data.inference import STRAY_CELLS
from chainrule.data.number_formats import NumberFormat, read_numbers, read_texts, said_of
from chainrule.data.source import Source

MOST_CLASSES_OF_INTEGERS = 20  # whole numbers with more distinct values are taken for amounts
MOST_CLASSES = 1000
ROWS_AT_ONCE = 1 << 18
_ABSENT, _STRANGE = -1, -2  # in place of a class's number


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be predicted: the classes of one column, or the values of one or several.

    `spelling` says how the names of classes are compared: stripped of outer spaces, exact as they stand, or folded
    (without regard to spaces and case). `formats` say how the values of each column are written, where they are not
    plain numbers.
    """

    kind: str  # "binary", "multi-class" or "regression": the tasks of the engine
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    spelling: str = STRIPPED
    formats: tuple[str, ...] = ()

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
        raw = readable(_target_cells(source, self.names[0], 0))
        values = raw.unique()  # far fewer than rows
        cells, named = class_cells(values, self.classes, self.spelling)
        codes = codes_of(cells, named, start=0, other=_STRANGE)
        codes[cells.is_null().to_numpy()] = _ABSENT
        found = np.empty(raw.len(), np.int64)
        for start in range(0, raw.len(), ROWS_AT_ONCE):
            part = raw.slice(start, ROWS_AT_ONCE)
            found[start : start + part.len()] = part.replace_strict(values, codes, return_dtype=pl.Int64)
        if (codes == _STRANGE).any():
            row = int((found == _STRANGE).argmax())
            cell = class_cells(raw[row : row + 1], self.classes, self.spelling)[0][0]
            raise DataError(
                f"{source.at(row)}: the class '{visible(cell, 40)}' is not among the classes of "
                f"training ({listed(list(self.classes))})"
            )
        return found, found != _ABSENT

    def _values(self, source: Source) -> tuple[np.ndarray, np.ndarray]:
        formats = self.formats or ("",) * len(self.names)
        values = np.stack(
            [_value_cells(source, n, i, f) for i, (n, f) in enumerate(zip(self.names, formats, strict=True))],
            1,
        )
        with np.errstate(invalid="ignore"):
            infinite = np.argwhere(np.abs(values) > LARGEST)
        if len(infinite):
            row, place = (int(i) for i in infinite[0])
            raise DataError(
                f"{source.at(row)}: the target '{visible(self.names[place])}' is "
                f"{too_large(values[row, place])}; leave the cell empty if the value is missing"
            )
        return values, ~np.isnan(values).any(1)

    def check(self) -> None:
        """See that a target that was read from a file hangs together. Raises: ValueError saying what does not."""
        least, most = {"binary": (2, 2), "multi-class": (2, MOST_CLASSES), "regression": (0, 0)}.get(
            self.kind, (1, 0)
        )
        is_named = bool(self.names) and (len(self.names) == 1 or not self.classes)
        is_one_to_one = len(set(self.classes)) == len(self.classes)
        if not (least <= len(self.classes) <= most and is_named and is_one_to_one):
            raise ValueError(
                f"schema.target is {visible(self.kind, 40)!r} with {len(self.classes)} classes and "
                f"{len(self.names)} names"
            )
        if self.spelling not in (STRIPPED, EXACT, FOLDED) or len(self.formats) not in (0, len(self.names)):
            raise ValueError(f"schema.target is spelled {visible(self.spelling, 40)!r}")
        for written in filter(None, self.formats):
            NumberFormat.parse(written)


def find_target(
    source: Source,
    names: list[str],
    task: str | None,
    *,
    decimal: str | None = None,
    merge_classes: bool | None = None,
) -> tuple[Target, Findings]:
    """Decide between classes and values. Also returns what the user should hear.

    Raises: DataError if the target is missing throughout, or has one class
    """
    if task not in (None, "regression", "classification"):
        raise SettingError(f"--task takes regression or classification; got '{visible(task)}'")
    if len(names) > 1 or (source.targets is not None and source.targets.ndim == 2):
        if task == "classification":
            raise SettingError(
                f"classification takes one target column; got {listed(_value_names(source, names))}"
            )
        return _regression(source, _value_names(source, names), "", decimal)
    cells = clean_cells(_target_cells(source, names[0], 0))
    seen = cells.drop_nulls()
    if not seen.len():
        raise DataError(f"{source.name}: the target '{visible(names[0])}' is missing in every row")
    if seen.dtype.is_temporal() and task != "classification":
        raise DataError(
            f"{source.name}: the target '{visible(names[0])}' holds {seen.dtype}; a target needs numbers or classes"
        )
    if task == "classification" or (task is None and _looks_like_classes(seen, source, decimal)):
        return _classification(source, names[0], merge_classes, said=task is None)
    hint = " (the target holds numbers; --task classification takes them as classes)" if task is None else ""
    return _regression(source, names, hint, decimal)


def _number_format(seen: pl.Series, decimal: str | None) -> tuple[str, str]:
    """Return how texts are written as numbers, nothing if they are plain or no numbers; and what is said of it."""
    if seen.dtype != pl.String:
        return "", ""
    numbers, written = read_texts(seen, decimal)
    if written is None or numbers.null_count() > STRAY_CELLS * seen.len():
        return "", ""
    return str(written.format), said_of(written, seen)


def _looks_like_classes(seen: pl.Series, source: Source, decimal: str | None) -> bool:
    if source.class_names is not None or seen.dtype == pl.Boolean:
        return True
    most = min(MOST_CLASSES_OF_INTEGERS, max(2, seen.len() // 5))
    if seen.dtype.is_numeric():
        if seen.head(ROWS_AT_ONCE).n_unique() > most:
            return False
        values = seen.unique().cast(pl.Float64, strict=False)
        return values.len() <= most and bool((values.is_finite() & (values == values.round())).all())
    written, _ = _number_format(seen, decimal)
    numbers = (
        read_numbers(seen, NumberFormat.parse(written)) if written else seen.cast(pl.Float64, strict=False)
    )
    values = numbers.drop_nulls()
    few = values.n_unique() <= most
    if strays := numbers.null_count():  # some text among many numbers is a slip, and refused as such
        return few or strays > STRAY_CELLS * seen.len()
    return few and bool((values.is_finite() & (values == values.round())).all())


def _regression(source: Source, names: list[str], hint: str, decimal: str | None) -> tuple[Target, Findings]:
    written = [
        _number_format(clean_cells(_target_cells(source, name, place)).drop_nulls(), decimal)
        for place, name in enumerate(names)
    ]
    formats = tuple(form for form, _ in written)
    target = Target(kind="regression", names=tuple(names), formats=formats if any(formats) else ())
    values, known = target.encode(source)
    if not known.any():
        raise DataError(f"{source.name}: the target {listed(names)} is missing in every row")
    for place, name in enumerate(names):
        if np.ptp(values[known, place]) == 0:
            raise DataError(
                f"{source.name}: the target '{visible(name)}' has one value ({values[known][0, place]:g}) in every row"
            )
    read = [
        f"the target '{visible(name)}' is written {said}; predictions are plain numbers"
        for name, (form, said) in zip(names, written, strict=True)
        if form
    ]
    return target, Findings(notes=(f"task: regression of {listed(names)}{hint}", *read))


def _value_names(source: Source, names: list[str]) -> list[str]:
    """Return a name per value, also where an array holds several values under one name."""
    if source.targets is None or source.targets.ndim == 1 or source.targets.shape[1] == len(names):
        return names
    return [f"{names[0]} {i + 1}" for i in range(source.targets.shape[1])]


def _classification(source: Source, name: str, merge: bool | None, *, said: bool) -> tuple[Target, Findings]:
    raw = _target_cells(source, name, 0)
    _check_number_of_classes(source.name, name, clean_cells(readable(raw).unique()))
    is_given = any(n != n.strip() or n.lower() in MISSING for n in source.class_names or ())
    # A folder may be called "none", or end in a space
    found = as_given(raw) if is_given else find_classes(raw, merge)
    known, counts = source.class_names, found.counts
    classes = [c for c in known if c in counts] if known is not None else natural_order(list(counts))
    if len(classes) < 2:
        raise DataError(
            f"{source.name}: the target '{visible(name)}' has one class ({listed(classes)}); two are needed to "
            "tell apart"
        )
    kind = "binary" if len(classes) == 2 else "multi-class"
    hint = _hint(found.counts) if said and known is None else ""
    target = Target(kind=kind, names=(name,), classes=tuple(classes), spelling=found.spelling)
    return target, Findings(
        notes=(
            f"task: classification of '{visible(name)}', {len(classes)} classes: {listed(classes)}{hint}",
        ),
        warnings=(found.question(),) if found.alike and merge is None else (),
    )


def _hint(counts: Mapping[str, int]) -> str:
    """Say of classes that are numbers, wholly or in part, how to have them as values."""
    if is_numbers(counts):
        return " (--task regression takes the numbers as values)"
    mixed = numbers_and_words(counts)
    return (
        f"; it holds {mixed}: --task regression names the first word, if numbers are meant" if mixed else ""
    )


def _check_number_of_classes(where: str, name: str, cells: pl.Series) -> None:
    seen = cells.drop_nulls()
    values = seen.n_unique()
    if values > MOST_CLASSES:
        words = seen.filter(seen.cast(pl.Float64, strict=False).is_null())
        first = f", and '{visible(words[0], 40)}' is none" if 0 < words.len() < seen.len() else ""
        raise DataError(
            f"{where}: the target '{visible(name)}' has {values:,} classes, more than {MOST_CLASSES:,}; is it a number "
            f"(--task regression{first}), or a name or a key (--target names another column)?"
        )


def check_rows_of_classes(target: Target, codes: np.ndarray, source: Source) -> None:
    """Refuse classes of one row, where rows are kept for validation or test. Shapes: codes (N,).

    Raises: DataError naming the classes, and what they look like
    """
    counts = np.bincount(codes, minlength=len(target.classes))
    single = [name for name, count in zip(target.classes, counts, strict=True) if count == 1]
    if not single:
        return
    named = f"{source.name}: the target '{visible(target.names[0])}'"
    those = "the class" if len(single) == 1 else "the classes"
    have = "has one row, which" if len(single) == 1 else "have one row each, which"
    said = f"{those} {listed(single)} {have} cannot both train and test"
    by_class = dict(zip(target.classes, counts.tolist(), strict=True))
    mixed = numbers_and_words(by_class) if source.frame is not None else ""
    if mixed and not _twins(single, by_class):
        raise DataError(
            f"{named} holds {mixed}, so that each text is a class: {said}; mend the words if numbers are meant (--task "
            "regression names the first), merge or remove such classes if classes are, or name another column (--target)"
        )
    raise DataError(
        f"{named}: {said}; {_advice(single, by_class)}; --test 0 --validation 0 trains on all rows"
    )


def _advice(single: Sequence[str], counts: Mapping[str, int]) -> str:
    """Say what helps against classes of one row."""
    advice = "add rows, remove them or merge them with another class"
    if twins := _twins(single, counts):
        name, other = (visible(twin, 40) for twin in twins[0])
        return f"'{name}' looks like '{other}', and --merge-classes merges such classes; or {advice}"
    return advice + ("; --task regression takes numbers as values" if is_numbers(counts) else "")


def _twins(single: Sequence[str], counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return which of the classes look like which other one."""
    return [
        (name, other)
        for name in single
        for other in sorted(counts, key=lambda other: -counts[other])
        if other != name and other.strip().lower() == name.strip().lower()
    ]


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


def _value_cells(source: Source, name: str, place: int, written: str) -> np.ndarray:
    """Return a target's values, NaN where missing. Shapes: (N,)."""
    cells = clean_cells(_target_cells(source, name, place))
    if written and cells.dtype == pl.String:
        numbers = read_numbers(cells, NumberFormat.parse(written))
    else:
        numbers = cells.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & cells.is_not_null()).arg_true()
    if bad.len():
        row = int(bad[0])
        like = f" written like '{written}'" if written else ""
        raise DataError(
            f"{source.at(row)}: the target '{visible(name)}' must be a number{like}; "
            f"got '{visible(cells[row], 40)}' (leave the cell empty if the value is missing)"
        )
    return numbers.fill_null(math.nan).to_numpy()
