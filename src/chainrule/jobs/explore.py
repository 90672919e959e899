"""`explore`: what rows look like without a target: few numbers for many, clusters, densities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.catalog import parametrised
from chainrule.core.errors import DataError, SettingError
from chainrule.core.text import listed, visible
from chainrule.data.arrays import from_arrays
from chainrule.data.class_folders import are_loose
from chainrule.data.dates import has_dates
from chainrule.data.pictures import read_loose_pictures
from chainrule.data.prepare import Prepare
from chainrule.data.read import read
from chainrule.data.reading import Reading
from chainrule.data.schema import USUAL_TARGETS, Examples, Schema, find_inputs, find_schema
from chainrule.data.source import Source
from chainrule.explanations.apart import Cells, Difference, differences
from chainrule.explanations.components import Components, find_components
from chainrule.explanations.density import Density, find_density
from chainrule.explanations.grouping import Grouping, agreement, find_groups
from chainrule.jobs.material import reading_of
from chainrule.models.unsupervised import CLUSTERING, DENSITY, GAUSSIAN_MIXTURE, PCA, REDUCTION, Method
from chainrule.report.exploration import Exploration, PictureSheet, TargetBeside
from chainrule.train.settings import Settings

USUAL = {REDUCTION: "pca", CLUSTERING: "k-means", DENSITY: "gaussian-mixture"}
FEWEST_ROWS = 4
NUMBERS = 1 << 24  # rows × prepared columns that are held at a time: 134 MB
WIDE = 50  # prepared columns; of more, the first principal components are divided into clusters
DENSE = 10  # directions in which densities are taken, at most
HELD = 0.99  # of the variance, by those directions
NEAREST = 5  # pictures that stand for a cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """One method per tag, each with the number behind its name."""

    reduction: tuple[Method, float | None]
    clustering: tuple[Method, float | None]
    density: tuple[Method, float | None]

    @property
    def slowest(self) -> Method:
        """The method that takes the fewest rows."""
        return min((m for m, _ in (self.reduction, self.clustering, self.density)), key=lambda m: m.most_rows)


def explore(
    data: Any,
    *,
    target: str | None = None,
    method: str | Sequence[str] = (),
    clusters: int | None = None,
    components: int | None = None,
    seed: int = 0,
    columns: Sequence[str] = (),
    decimal: str | None = None,
    runs: str | Path = "runs",
    track: Callable[..., Any] | None = None,
) -> Exploration:
    """Look at rows without a target: which few numbers hold most of them, which clusters they form, which are unusual.

    `data` is as in `fit`, or inputs alone. `target` names a column that has no part in it and is compared with the
    clusters; without it, it is one that comes with the data or is called target, label, class or y. `method` names
    one method per kind (chainrule names method). `columns` say what columns are, as NAME=KIND. The same seed gives the same figures.
    Raises: ChainruleError for what cannot be done
    """
    methods = choose_methods([method] if isinstance(method, str) else method)
    _check_numbers(clusters, components)
    source = read_rows(
        data, reading_of(Settings(seed=seed), target, cache=Path(runs) / ".cache", track=track)
    )
    schema, said, beside = _schema(source, target, columns, decimal)
    examples, rows, cut = _some_rows(schema.encode_inputs(source), methods.slowest, schema, seed)
    prepare = Prepare(schema).fit(examples, np.arange(len(examples)))
    x = prepare.tensors(examples).reshape(len(examples), -1).double().numpy()
    features = _features(schema, prepare, x.shape[1])
    varies = (
        _varying(x, source) | schema.is_pictures
    )  # of pictures all are kept: components are drawn as pictures
    x, features = x[:, varies], tuple(np.array(features, object)[varies].tolist())
    principal = find_components(x, PCA, components if methods.reduction[0] is PCA else None, seed)
    reduced = (
        principal
        if methods.reduction[0] is PCA
        else find_components(x, methods.reduction[0], components, seed)
    )
    turned = principal.estimator.transform(x)
    grouping = find_groups(
        turned if x.shape[1] > WIDE else x, methods.clustering[0], clusters, methods.clustering[1], seed
    )
    dense, of_density = _dense(turned, principal.shares)
    density = find_density(
        dense, methods.density[0], clusters if grouping.method is methods.density[0] else None,
        methods.density[1], seed,
    )  # fmt: skip
    return _gathered(
        source, schema, examples, rows,
        notes=(*source.notes, *said, *examples.notes, *cut, *_about_space(x, turned), of_density),
        features=features, components=reduced, grouping=grouping, density=density,
        target=_beside(source, rows, beside, grouping.labels), seed=seed,
    )  # fmt: skip


def read_rows(data: Any, reading: Reading) -> Source:
    """Read data as `fit` does, and also what has no target: an array, a folder of pictures without class folders."""
    if isinstance(data, np.ndarray):
        return from_arrays(data, None)
    if isinstance(data, str | Path) and Path(data).is_dir() and are_loose(Path(data)):
        return read_loose_pictures(Path(data), track=reading.track, store=reading.store)
    return read(data, reading)


def choose_methods(names: Sequence[str]) -> Methods:
    """Return one method per tag, the usual ones where none is named; a mixture that is named gives the clusters too.

    Raises: UnknownNameError with the nearest; SettingError for two of one tag
    """
    found: dict[str, tuple[Method, float | None]] = {}
    for name in names:
        method, number = parametrised("method", name)
        if number is not None and number <= 0:
            raise SettingError(f"the number of {method.name} must be above 0; got {visible(name)!r}")
        if method.tag in found:
            raise SettingError(
                f"{found[method.tag][0].name} and {method.name} are both for {method.tag}: name one of them at a time"
            )
        found[method.tag] = (method, number)
    if found.get(DENSITY, (None,))[0] is GAUSSIAN_MIXTURE and CLUSTERING not in found:
        found[CLUSTERING] = found[DENSITY]
    for tag, name in USUAL.items():
        found.setdefault(tag, parametrised("method", name))
    return Methods(reduction=found[REDUCTION], clustering=found[CLUSTERING], density=found[DENSITY])


def _check_numbers(clusters: int | None, components: int | None) -> None:
    if clusters is not None and clusters < 1:
        raise SettingError(f"--clusters takes a number from 1; got {clusters}")
    if components is not None and components < 2:
        raise SettingError(f"--components takes a number from 2, which make a map; got {components}")


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


def _about_space(x: np.ndarray, turned: np.ndarray) -> tuple[str, ...]:
    if x.shape[1] <= WIDE:
        return ()
    return (
        f"clusters are looked for in the first {turned.shape[1]} principal components of {x.shape[1]:,} columns",
    )


def _dense(turned: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the directions in which densities are taken: few, none of them without variance."""
    held = np.cumsum(shares)
    real = int((shares > 1e-9).sum())
    count = max(1, min(DENSE, real, int(np.searchsorted(held, HELD)) + 1))
    those = "1 principal component" if count == 1 else f"{count} principal components"
    return turned[:, :count], (
        f"densities are taken in {those}, which hold{'s' * (count == 1)} {100 * held[count - 1]:.1f} % of the variance"
    )


def _beside(
    source: Source, rows: np.ndarray, schema: Schema | None, labels: np.ndarray
) -> TargetBeside | None:
    if schema is None:
        return None
    targets, known = schema.target.encode(source)
    cells = targets[rows].astype(np.float64)
    cells = np.where(known[rows], cells if cells.ndim == 1 else cells[:, 0], np.nan)
    seen = ~np.isnan(cells)
    is_classes = bool(schema.target.classes)
    answers = cells[seen].astype(np.int64) if is_classes else cells[seen]
    return TargetBeside(
        name=schema.target.names[0],
        cells=cells,
        classes=schema.target.classes,
        agreement=agreement(labels[seen], answers, is_classes=is_classes),
    )


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


def cells_of(source: Source, schema: Schema, examples: Examples) -> list[Cells]:
    """Return the columns of a table in their own units."""
    if not schema.columns:
        names = source.feature_names or tuple(
            f"column {i + 1}" for i in range(int(np.prod(examples.numbers.shape[1:])))
        )
        flat = np.asarray(examples.numbers).reshape(len(examples), -1).astype(np.float64)
        return [Cells(name=name, cells=flat[:, i]) for i, name in enumerate(names)]
    found, number, category = [], 0, 0
    for column in schema.columns:
        if column.kind == "category":
            codes = np.asarray(examples.codes)[:, category].astype(np.float64) - 2
            found.append(
                Cells(name=column.name, cells=np.where(codes < 0, np.nan, codes), names=column.values)
            )
            category += 1
            continue
        cells = np.asarray(examples.numbers)[:, number].astype(np.float64)
        number += len(column.numbers)
        names = ("no", "yes") if column.kind == "boolean" else ()
        is_date = column.kind in ("date", "time") and has_dates(column.format)
        found.append(Cells(name=column.name, cells=cells, names=names, is_date=is_date))
    return found


def _gathered(
    source: Source,
    schema: Schema,
    examples: Examples,
    rows: np.ndarray,
    *,
    notes: tuple[str, ...],
    features: tuple[str, ...],
    components: Components,
    grouping: Grouping,
    density: Density,
    target: TargetBeside | None,
    seed: int,
) -> Exploration:
    """Put together what is told: what sets clusters and unusual rows apart, the pictures that stand for them."""
    unusual = density.lowest()
    apart, far = _apart([] if schema.is_pictures else cells_of(source, schema, examples), grouping, unusual)
    what = "pictures" if schema.is_pictures else "rows"
    shown = (
        "each " + " × ".join(map(str, schema.shape))
        if schema.shape
        else f"{len(schema.columns)} columns ({listed([c.name for c in schema.columns], 6)})"
    )
    numbers = np.asarray(examples.numbers)
    return Exploration(
        name=source.name,
        about=f"{visible(source.name)}: {len(source):,} {what}, {shown}",
        notes=notes,
        total=len(source),
        rows=np.asarray(examples.rows),
        row_names=tuple(_row_name(source, int(examples.rows[row])) for row in unusual),
        features=features,
        shape=schema.shape if schema.is_pictures else (),
        components=components,
        grouping=grouping,
        density=density,
        apart=apart,
        far=far,
        target=target,
        sheets=_sheets(source, examples, grouping.labels) if schema.is_pictures else (),
        unusual_pictures=tuple(numbers[row] for row in unusual) if schema.is_pictures else (),
        seed=seed,
    )


def _apart(
    columns: list[Cells], grouping: Grouping, unusual: list[int]
) -> tuple[tuple[tuple[Difference, ...], ...], tuple[tuple[Difference, ...], ...]]:
    count, place = len(grouping.sizes), np.arange(len(grouping.labels))
    return (
        tuple(tuple(differences(columns, grouping.labels == label)) for label in range(count)),
        tuple(tuple(differences(columns, place == row)) for row in unusual),
    )


def _row_name(source: Source, row: int) -> str:
    if source.row_names:
        return visible(source.row_names[row], 80)
    return source.at(row).rpartition(", ")[2] if not source.pieces else source.at(row)


def _sheets(source: Source, examples: Examples, labels: np.ndarray) -> tuple[PictureSheet, ...]:
    """Return for each cluster its mean picture and the pictures nearest to that."""
    flat = np.asarray(examples.numbers).reshape(len(examples), -1)
    found = []
    for label in range(int(labels.max()) + 1):
        inside = np.flatnonzero(labels == label)
        mean = flat[inside].mean(0, dtype=np.float64)
        away = np.square(flat[inside] - mean).sum(1)
        near = inside[np.argsort(away, kind="stable")[:NEAREST]].tolist()
        pictures = [
            (_row_name(source, int(examples.rows[row])), np.asarray(examples.numbers[row])) for row in near
        ]
        found.append(PictureSheet(mean=mean.reshape(examples.numbers.shape[1:]), nearest=pictures))
    return tuple(found)
