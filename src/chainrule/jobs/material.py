"""A run's data made ready: split, prepared, as tensors; and read again later as it was read for training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from chainrule.core.errors import DataError, RunError
from chainrule.core.text import listed, visible
from chainrule.data.division import Division, division_notes, find_division
from chainrule.data.duplicates import copies_said, duplicate_groups
from chainrule.data.prepare import Prepare
from chainrule.data.prepared import PreparedRows, prepared_rows
from chainrule.data.read import named_by, read
from chainrule.data.reading import Reading
from chainrule.data.schema import Examples
from chainrule.data.source import Source
from chainrule.data.splits import Split, split_rows
from chainrule.data.store import StoredRows, find_store
from chainrule.data.target import check_rows_of_classes
from chainrule.jobs.folder import RunFolder
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings


class ReadyRows(Protocol):
    """What training asks of rows made ready, a run's `Material` or arrays: inputs, targets, parts, and weights.

    Shapes: inputs (N, …), targets (N,) or (N, values), weights (N,), None where every row counts alike
    """

    @property
    def inputs(self) -> Tensor | PreparedRows: ...
    @property
    def targets(self) -> np.ndarray: ...
    @property
    def split(self) -> Split: ...
    @property
    def weights(self) -> np.ndarray | None: ...
    def rows(self, part: str) -> np.ndarray: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Data made ready for a network: rows as tensors, and the preparation and task that were fitted on the way."""

    source: Source
    examples: Examples
    split: Split
    prepare: Prepare
    inputs: Tensor | PreparedRows
    kind: str
    copies: np.ndarray  # a group number per row; equal rows share one
    notes: tuple[str, ...] = ()  # how the rows came to be divided

    @property
    def targets(self) -> np.ndarray:
        """The targets of all rows."""
        assert self.examples.targets is not None
        return self.examples.targets

    @property
    def weights(self) -> None:
        """Rows of a run count alike."""
        return None

    def rows(self, part: str) -> np.ndarray:
        """Return the row numbers of a part of the split: train, validation or test."""
        found: np.ndarray = getattr(self.split, part)
        return found


def make_material(source: Source, examples: Examples, recipe_schema: Any, settings: Settings) -> Material:
    """Split, and fit the preparation on the training rows."""
    assert examples.targets is not None and settings.test is not None and settings.validation is not None
    if examples.numbers.dtype.kind not in "fiub":
        raise DataError(f"{source.name}: inputs must be numbers; got {examples.numbers.dtype}")
    target = recipe_schema.target
    if (
        target.classes
        and source.fixed_split is None
        and (settings.test or settings.validation or settings.folds)
    ):
        check_rows_of_classes(target, examples.targets, source)
    copies = duplicate_groups(examples, recipe_schema)
    division = find_division(source, examples.rows, settings.split, copies)
    split = split_rows(
        len(examples),
        classes=examples.targets if target.classes else None,
        class_names=target.classes,
        where=f"{source.name}: the target {listed(list(target.names))}: ",
        test=settings.test,
        validation=settings.validation,
        seed=settings.seed,
        division=division,
    )
    prepare = Prepare(recipe_schema).fit(examples, split.train, settings.scaling)
    return Material(
        source=source,
        examples=examples,
        split=split,
        prepare=prepare,
        inputs=model_inputs(prepare, examples, source),
        kind=target.kind,
        copies=copies,
        notes=_said(division, split, recipe_schema.is_pictures),
    )


def _said(division: Division, split: Split, is_pictures: bool) -> tuple[str, ...]:
    """Say how the rows came to be divided."""
    assert division.copies is not None
    copies = copies_said(division.copies, "pictures" if is_pictures else "rows", division.fixed)
    return (*filter(None, [copies]), *division_notes(division, split.parts()))


def model_inputs(prepare: Prepare, examples: Examples, source: Source) -> Tensor | PreparedRows:
    """Return what the model takes: on disk and prepared batch by batch where it takes more memory than it may."""
    if isinstance(examples.numbers, StoredRows):
        return PreparedRows(prepare, examples)
    return prepared_rows(prepare, examples, math.inf if source.store is None else source.store.most_bytes)


def reading_of(
    settings: Settings,
    target: str | None,
    cache: Path | None = None,
    track: Callable[..., Any] | None = None,
) -> Reading:
    """Return how data is read, as the settings have it."""
    return Reading(
        target=target,
        encoding=settings.encoding,
        sheet=settings.sheet,
        picture_size=settings.picture_size,
        cache=cache,
        track=track,
        store=None if cache is None else find_store(cache, settings.memory),
    )


def read_again(
    recipe: Recipe, data: Any, folder: RunFolder, track: Callable[..., Any] | None = None
) -> Source:
    """Read a run's data as it was read for training; `data` is what was in memory then.

    Raises: RunError if it has changed, or was in memory and is not given
    """
    reading = reading_of(
        recipe.settings, recipe.data["target"], cache=folder.path.parent / ".cache", track=track
    )
    source = read(_origin_of(recipe) if data is None else data, reading)
    check_same_data(recipe, source)
    return source


def _origin_of(recipe: Recipe) -> Any:
    """Return what `read` takes to read a run's data again.

    Raises: RunError for data that was handed over in memory
    """
    again = named_by(recipe.data)
    if again is None:
        raise RunError(
            f"this run's data ({recipe.data['name']}) was in memory; hand it over again: cr.fit(data, resume=…) or "
            "cr.load(run, data=…)"
        )
    return again


def check_same_data(recipe: Recipe, source: Source) -> None:
    """See that the data is what the run was started on. Raises: RunError."""
    if source.fingerprint() != recipe.data["fingerprint"]:
        raise RunError(
            f"the data {visible(source.name)} has changed since the run was started (its content has another hash); "
            "put the old file back, or start a new run"
        )
