"""The rows that `explore` looks at, made ready: read, a target set aside, some drawn of many, prepared as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.data.arrays import from_arrays
from chainrule.data.class_folders import are_loose
from chainrule.data.pictures import read_loose_pictures
from chainrule.data.prepare import Prepare
from chainrule.data.read import read
from chainrule.data.reading import Reading
from chainrule.data.schema import USUAL_TARGETS, Examples, Schema, find_inputs, find_schema
from chainrule.data.source import Source
from chainrule.models.unsupervised import Method

FEWEST_ROWS = 4
NUMBERS = 1 << 24  # rows × prepared columns that are held at a time: 134 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploredRows:
    """Rows that are looked at: as they stood in the source, as `examples` and as prepared numbers that vary.

    `places` are those of the rows among all of the source, `features` name the prepared columns, `beside` is the schema
    with the target that the clusters are compared with.
    Shapes: x (N, features) float64, places (N,)
    """

    source: Source
    schema: Schema
    examples: Examples
    places: np.ndarray
    x: np.ndarray
    features: tuple[str, ...]
    beside: Schema | None
    notes: tuple[str, ...]

    @property
    def what(self) -> str:
        """What a row is."""
        return "pictures" if self.schema.is_pictures else "rows"


def make_explored_rows(
    source: Source,
    slowest: Method,
    *,
    target: str | None,
    columns: Sequence[str],
    decimal: str | None,
    seed: int,
) -> ExploredRows:
    """Make rows ready, as many as the slowest method takes.

    Raises: DataError for data with too few rows or columns, or in which nothing varies
    """
    schema, said, beside = _schema(source, target, columns, decimal)
    examples, places, cut = _some_rows(schema.encode_inputs(source), slowest, schema, seed)
    prepare = Prepare(schema).fit(examples, np.arange(len(examples)))
    x = prepare.tensors(examples).reshape(len(examples), -1).double().numpy()
    # of pictures all pixels are kept: components are drawn as pictures
    kept = _varying(x, source) | schema.is_pictures
    return ExploredRows(
        source=source,
        schema=schema,
        examples=examples,
        places=places,
        x=x[:, kept],
        features=tuple(np.array(_features(schema, prepare, x.shape[1]), object)[kept].tolist()),
        beside=beside,
        notes=(*source.notes, *said, *examples.notes, *cut),
    )


def read_rows(data: Any, reading: Reading) -> Source:
    """Read data as `fit` does, and also what has no target: an array, a folder of pictures without class folders."""
    if isinstance(data, np.ndarray):
        return from_arrays(data, None)
    if isinstance(data, str | Path) and Path(data).is_dir() and are_loose(Path(data)):
        return read_loose_pictures(Path(data), track=reading.track, store=reading.store)
    return read(data, reading)


def _schema(
    source: Source, target: str | None, columns: Sequence[str], decimal: str | None
) -> tuple[Schema, tuple[str, ...], Schema | None]:
    """Return the schema of the inputs, what the user should hear, and the schema with the target that stands beside.

    Raises: DataError for data with too few rows or a single column
    """
    if len(source) < FEWEST_ROWS:
        rows = "1 row" if len(source) == 1 else f"{len(source)} rows"
        raise DataError(f"{source.name} has {rows}; at least {FEWEST_ROWS} are needed to see any structure")
    name = target if target is not None else _usual_target(source)
    beside: Schema | None = None
    notes: tuple[str, ...] = ()
    if name is not None:
        try:
            beside, _ = find_schema(source, target=None if source.frame is None else name, decimal=decimal)
            what = f"{len(beside.target.classes)} classes" if beside.target.classes else "numbers"
            notes = (f"'{visible(name)}' ({what}) stands beside: it has no part in what is found",)
        except DataError as error:
            if target is not None:
                raise
            notes = (f"'{visible(name)}' is not set beside the clusters: {error}",)
    names = () if source.frame is None or name is None else beside.target.names if beside else (name,)
    schema, found = find_inputs(source, beside=names, columns=columns, decimal=decimal)
    if len(schema.columns) == 1 or schema.shape == (1,):
        only = f" ('{visible(schema.columns[0].name)}')" if schema.columns else ""
        raise DataError(
            f"{source.name} has one column to explore{only}; at least 2 are needed. chainrule datasets {visible(source.name)} "
            "--draw draws a single one"
        )
    if name is None and source.frame is not None:
        notes = (
            *notes,
            "no column is set aside as a target (--target COLUMN compares one with the clusters)",
        )
    return schema, tuple(dict.fromkeys((*notes, *found.notes))), beside


def _usual_target(source: Source) -> str | None:
    """Return the column that is a target by its name, or that comes with the data as one."""
    if source.frame is None:
        return source.target_names[0] if source.targets is not None else None
    known = source.origin.get("target")
    usual = [name for name in source.frame.columns if name.lower() in USUAL_TARGETS]
    return known or (usual[0] if usual and len(source.frame.columns) > 2 else None)


def _some_rows(
    examples: Examples, slowest: Method, schema: Schema, seed: int
) -> tuple[Examples, np.ndarray, tuple[str, ...]]:
    """Draw rows where there are more than the methods take; returns them in memory, and the sentence that says so."""
    width = int(np.prod(schema.shape)) or len(schema.number_names) + sum(
        len(column.values) + 1 for column in schema.categories
    )
    most = max(FEWEST_ROWS, min(slowest.most_rows, NUMBERS // max(1, width)))
    rows = np.arange(len(examples))
    notes: tuple[str, ...] = ()
    if len(examples) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(examples), most, replace=False))
        why = (
            f"at most {most:,} with {slowest.name}"
            if most == slowest.most_rows
            else f"at most so many of {width:,} numbers each"
        )
        notes = (
            f"{most:,} of {len(examples):,} rows are looked at, drawn by --seed {seed} ({why}, to bound time and memory)",
        )
    chosen = Examples(
        numbers=examples.numbers[rows],
        codes=examples.codes[rows],
        targets=None,
        rows=np.asarray(examples.rows)[rows],
        notes=examples.notes,
    )
    return chosen, rows, notes


def _varying(x: np.ndarray, source: Source) -> np.ndarray:
    """Return which prepared columns vary. Raises: DataError for fewer than two"""
    found: np.ndarray = np.ptp(x, axis=0) > 0
    if not found.any():
        raise DataError(f"{source.name}: all rows are equal, so that there is nothing to tell them apart")
    if found.sum() == 1:
        raise DataError(f"{source.name}: only one column varies; at least 2 are needed")
    return found


def _features(schema: Schema, prepare: Prepare, width: int) -> tuple[str, ...]:
    """Name the prepared columns, in the order of `Prepare`."""
    if not schema.columns:
        return tuple(f"column {place + 1}" for place in range(width))
    missing = np.flatnonzero(prepare.tells_missing.numpy()).tolist()
    names = [*schema.number_names, *(f"{schema.number_names[place]} missing" for place in missing)]
    for column in schema.categories:
        names += [
            f"{column.name} missing",
            *(f"{column.name} = {visible(value, 40)}" for value in column.values),
        ]
    return tuple(names)
