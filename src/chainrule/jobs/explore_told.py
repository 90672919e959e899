"""What `explore` found, put in terms of the rows: what sets clusters and unusual rows apart, and a target beside them."""

from __future__ import annotations

import numpy as np

from chainrule.core.text import listed, visible
from chainrule.data.dates import has_dates
from chainrule.data.schema import Examples, Schema
from chainrule.data.source import Source
from chainrule.explanations.apart import Cells, Difference, differences
from chainrule.explanations.components import Components
from chainrule.explanations.density import Density
from chainrule.explanations.grouping import Grouping, agreement
from chainrule.jobs.explored_rows import ExploredRows
from chainrule.report.exploration import Exploration, PictureSheet, TargetBeside

NEAREST = 5  # pictures that stand for a cluster


def tell(
    found: ExploredRows,
    components: Components,
    grouping: Grouping,
    density: Density,
    *,
    notes: tuple[str, ...],
    seed: int,
) -> Exploration:
    """Put together what is told of rows and of what was found in them; `notes` are further ones."""
    source, schema, examples = found.source, found.schema, found.examples
    unusual = density.lowest()
    place = np.arange(len(examples))
    cells = [] if schema.is_pictures else cells_of(source, schema, examples)
    return Exploration(
        name=source.name,
        about=_about(found),
        notes=(*found.notes, *notes),
        total=len(source),
        rows=np.asarray(examples.rows),
        row_names=tuple(_row_name(source, int(examples.rows[row])) for row in unusual),
        features=found.features,
        shape=schema.shape if schema.is_pictures else (),
        components=components,
        grouping=grouping,
        density=density,
        apart=tuple(_apart(cells, grouping.labels == label) for label in range(len(grouping.sizes))),
        far=tuple(_apart(cells, place == row) for row in unusual),
        target=_beside(found, grouping.labels),
        sheets=_sheets(source, examples, grouping.labels) if schema.is_pictures else (),
        unusual_pictures=tuple(np.asarray(examples.numbers[row]) for row in unusual)
        if schema.is_pictures
        else (),
        seed=seed,
    )


def _about(found: ExploredRows) -> str:
    shape, columns = found.schema.shape, found.schema.columns
    shown = (
        "each " + " × ".join(map(str, shape))
        if shape
        else f"{len(columns)} columns ({listed([c.name for c in columns], 6)})"
    )
    return f"{visible(found.source.name)}: {len(found.source):,} {found.what}, {shown}"


def _apart(cells: list[Cells], rows: np.ndarray) -> tuple[Difference, ...]:
    return tuple(differences(cells, rows))


def _beside(found: ExploredRows, labels: np.ndarray) -> TargetBeside | None:
    """Compare the clusters with the target that was set aside; rows without one have no part in it."""
    schema = found.beside
    if schema is None:
        return None
    targets, known = schema.target.encode(found.source)
    cells = targets[found.places].astype(np.float64)
    cells = np.where(known[found.places], cells if cells.ndim == 1 else cells[:, 0], np.nan)
    seen = ~np.isnan(cells)
    is_classes = bool(schema.target.classes)
    answers = cells[seen].astype(np.int64) if is_classes else cells[seen]
    return TargetBeside(
        name=schema.target.names[0],
        cells=cells,
        classes=schema.target.classes,
        agreement=agreement(labels[seen], answers, is_classes=is_classes),
    )


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
