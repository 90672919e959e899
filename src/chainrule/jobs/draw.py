"""`datasets NAME --draw`: a picture of any data that `fit` takes, before anything is trained on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.core.files import output_ending, write_atomic
from chainrule.core.text import listed, visible
from chainrule.core.units import show_bytes, show_number
from chainrule.data.dates import has_dates
from chainrule.data.read import read
from chainrule.data.schema import Examples, Schema, find_schema
from chainrule.data.source import Source
from chainrule.jobs.material import reading_of
from chainrule.report.contact_sheet import EXAMPLES, MOST_GROUPS, Group, draw_examples
from chainrule.report.data_sheet import CLASS_COLOURS, DataSheet, Panel, draw_data
from chainrule.report.svg import picture_bytes
from chainrule.train.settings import Settings

ENDINGS = (".png", ".svg")
MOST_PANELS = 30
LOOKED_AT = 2000  # rows by which columns are compared
GROUPS = 8  # of equal size that numbers are cut into for that


def draw(
    data: str,
    *,
    target: str | None = None,
    output: Path | None = None,
    track: Callable[..., Any] | None = None,
) -> str:
    """Draw data into a file and return the sentence that says so; without `output`, NAME.png in the current folder.

    Raises: SettingError for an output that is another ending; DataError for data that cannot be read
    """
    ending = ".png" if output is None else output_ending(output, ENDINGS)
    source = read(data, reading_of(Settings(), target, track=track))
    schema, _ = find_schema(source, target=target or source.origin.get("target"))
    examples = schema.encode(source)
    figure = (
        draw_pictures(source, schema, examples)
        if schema.is_pictures
        else draw_data(sheet_of(source, schema, examples))
    )
    stem = re.sub(r"[^\w.-]+", "-", Path(source.name).stem).strip("-.") or "data"
    path = output or Path(f"{stem}.png")
    content = picture_bytes(figure, ending)
    write_atomic(path, content)
    width, height = (round(side * (72 if ending == ".svg" else 144)) for side in figure.get_size_inches())
    return f"{visible(source.name)} is drawn in {visible(path)} ({width} × {height} pixels, {show_bytes(len(content))})"


def sheet_of(source: Source, schema: Schema, examples: Examples) -> DataSheet:
    """Gather what a picture of a table shows: the target, and the columns that tell most about it where there are many."""
    assert examples.targets is not None
    target, answers = schema.target, examples.targets
    first = answers if answers.ndim == 1 else answers[:, 0]
    panels = list(_panels(source, schema, examples))
    notes = []
    if len(panels) > MOST_PANELS:
        notes.append(
            f"of {len(panels):,} columns the {MOST_PANELS} are shown that by themselves tell most about "
            f"'{visible(target.names[0], 60)}', the best first"
        )
        panels = _most_telling(panels, first, is_classes=bool(target.classes))
    if schema.left_out:
        notes.append(f"not shown, because a network would not take them: {listed(list(schema.left_out), 6)}")
    if len(target.names) > 1:
        notes.append(f"the first of the targets {listed(list(target.names), 4)} gives the colours")
    columns = len(schema.columns) or int(np.prod(schema.shape))
    name = f"'{visible(target.names[0], 60)}'"
    few = len(CLASS_COLOURS)
    colours = (
        f"Bars count rows; their colours are the classes of {name}, as in the first panel"
        + (f" (the {few - 1} most frequent; others are grey)." if len(target.classes) > few else ".")
        if target.classes
        else f"Bars count rows; the darker a bar, the higher the median of {name} among its rows."
    )
    return DataSheet(
        title=source.name,
        about=(
            f"{_count(len(examples), 'row')}, {_count(columns, 'column')}; to predict: {name}, {_kind(schema)}",
            colours,
        ),
        target=Panel(
            name=f"{visible(target.names[0])} (the target)",
            cells=first.astype(np.float64),
            names=target.classes,
        ),
        panels=tuple(panels),
        notes=tuple(notes),
    )


def draw_pictures(source: Source, schema: Schema, examples: Examples) -> Any:
    """Draw examples of each class, or of each quarter of the values."""
    assert examples.targets is not None and source.array is not None
    groups = []
    for name, rows in _groups(schema, examples):
        chosen = rows[np.linspace(0, len(rows) - 1, min(EXAMPLES, len(rows))).astype(np.int64)]
        pictures = [np.asarray(source.array[examples.rows[row : row + 1]][0]) for row in chosen.tolist()]
        groups.append(Group(name=name, count=len(rows), examples=pictures))
    notes = []
    if len(groups) > MOST_GROUPS:
        rest = sum(group.count for group in groups[MOST_GROUPS:])
        notes.append(f"and {len(groups) - MOST_GROUPS:,} more classes with {_count(rest, 'picture')}")
    channels, height, width = schema.shape
    kind = "grey" if channels == 1 else "colour" if channels == 3 else f"{channels} channels"
    about = (
        f"{_count(len(examples), 'picture')} of {height} × {width}, {kind}; to predict: "
        f"'{visible(schema.target.names[0], 60)}', {_kind(schema)}",
        "Examples are drawn evenly from the order of the data.",
    )
    return draw_examples(source.name, about, groups[:MOST_GROUPS], notes)


def _groups(schema: Schema, examples: Examples) -> list[tuple[str, np.ndarray]]:
    """Return names and rows of the classes, or of four equal parts of the values, low to high."""
    assert examples.targets is not None
    if schema.target.classes:
        return [
            (name, np.flatnonzero(examples.targets == code))
            for code, name in enumerate(schema.target.classes)
        ]
    values = examples.targets[:, 0]
    order = np.argsort(values, kind="stable")
    parts = [part for part in np.array_split(order, 4) if len(part)]
    return [
        (f"{show_number(float(values[part[0]]))} to {show_number(float(values[part[-1]]))}", part)
        for part in parts
    ]


def _panels(source: Source, schema: Schema, examples: Examples) -> list[Panel]:
    if not schema.columns:
        cells = examples.numbers[:].reshape(len(examples), -1)
        names = source.feature_names or tuple(f"column {i + 1}" for i in range(cells.shape[1]))
        return [Panel(name=name, cells=cells[:, i].astype(np.float64)) for i, name in enumerate(names)]
    numbers, codes_of_rows = examples.numbers[:], examples.codes[:]
    found, number, category = [], 0, 0
    for column in schema.columns:
        if column.kind == "category":
            codes = codes_of_rows[:, category].astype(np.float64) - 2
            found.append(
                Panel(name=column.name, cells=np.where(codes < 0, np.nan, codes), names=column.values)
            )
            category += 1
            continue
        cells = numbers[:, number].astype(np.float64)
        number += len(column.numbers)
        names = ("no", "yes") if column.kind == "boolean" else ()
        is_date = column.kind in ("date", "time") and has_dates(column.format)
        found.append(Panel(name=column.name, cells=cells, names=names, is_date=is_date))
    return found


def _most_telling(panels: list[Panel], answers: np.ndarray, *, is_classes: bool) -> list[Panel]:
    """Return the columns from which alone the target is guessed best, the best first."""
    rows = np.linspace(0, len(answers) - 1, min(LOOKED_AT, len(answers))).astype(np.int64)
    wanted = answers[rows].astype(np.float64)[:, None]
    if is_classes:
        wanted = (wanted == np.unique(wanted)).astype(np.float64)
    scores = [_share_told(panel.cells[rows], wanted, is_names=bool(panel.names)) for panel in panels]
    best = sorted(range(len(panels)), key=lambda place: -scores[place])[:MOST_PANELS]
    return [panels[place] for place in best]


def _share_told(cells: np.ndarray, wanted: np.ndarray, *, is_names: bool) -> float:
    """Return the share of the target's variance that lies between groups of equal or near cells, less what chance gives.

    Shapes: cells (n,) NaN where missing, wanted (n, values)
    """
    edges = np.unique(np.nanquantile(cells, np.linspace(0, 1, GROUPS + 1)[1:-1])) if not is_names else None
    groups = np.searchsorted(edges, cells, "right") if edges is not None else np.nan_to_num(cells, nan=-1)
    groups = np.where(np.isnan(cells), -1, groups)
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(group, value) / counts for value in wanted.T], 1)
    spread, left = np.var(wanted, 0).sum(), np.square(wanted - means[group]).mean(0).sum()
    free = max(1, len(cells) - len(counts))
    return float(1 - left / (spread or 1.0) * (len(cells) - 1) / free)


def _kind(schema: Schema) -> str:
    return f"one of {len(schema.target.classes)} classes" if schema.target.classes else "a number"


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"
