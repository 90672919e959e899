"""Where a network errs: its confusions, predicted values against true ones, the rows it got most wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.core.text import visible
from chainrule.report import plots
from chainrule.report.canvas import NARROW
from chainrule.report.html import (
    Cell,
    Child,
    Column,
    Markup,
    Picture,
    columns,
    element,
    figure,
    paragraph,
    pictures,
    subheading,
    table,
    titled,
)
from chainrule.report.pictures import is_tiny, png_uri
from chainrule.report.standing import called, percent
from chainrule.report.summary import Example, RunSummary
from chainrule.report.svg import inline_svg

_MOST_VALUES = 6
_MOST_CLASSES = 100  # of a drawn confusion matrix; beyond, the most frequent confusions are listed
_MOST_CELLS = 12


def mistakes(summary: RunSummary) -> list[Child]:
    """Return the blocks of the section."""
    blocks: list[Child] = []
    part = called(summary, "test")
    if summary.classes and summary.confusion is not None and summary.confusion.sum():
        classes = [visible(name) for name in summary.classes]
        blocks += _confusion(summary.confusion, classes, part, summary.what)
    if summary.true is not None and summary.predicted is not None and len(summary.true):
        names = [visible(name, 80) for name in summary.value_names]
        blocks += _values(summary.predicted, summary.true, names, part)
    if summary.worst:
        blocks += [subheading(f"The {summary.what} it got most wrong"), *_worst(summary.worst)]
    return blocks or [paragraph(f"There are no test {summary.what} to look at.", role="muted")]


def _confusion(counts: np.ndarray, classes: list[str], part: str, what: str) -> list[Child]:
    wrong = counts * ~np.eye(len(classes), dtype=bool)
    total, missed = int(counts.sum()), int(wrong.sum())
    told = f"{missed:,} of {total:,} {part} {what} are off the diagonal."
    frequent = titled("Most frequent confusions", _most_frequent(wrong, counts, classes, what))
    if len(classes) > _MOST_CLASSES:
        said = f"{told} A matrix of {len(classes)} classes is too large to draw."
        return [paragraph(said), *([frequent] if missed else [])]
    drawing = plots.draw_confusion(counts, classes)
    is_wide = drawing.get_figwidth() * 72 > NARROW + 2
    left_out = " With so many classes the counts are left out." if len(classes) > plots.MOST_NUMBERED else ""
    caption = (
        f"{told} Blue is right, vermilion is wrong, stronger is a larger share of the true class.{left_out}"
    )
    svg = inline_svg(drawing, "confusion", f"Confusion matrix of {len(classes)} classes. {told}")
    matrix = figure("Confusion matrix", svg, caption, is_wide=is_wide)
    if not missed:
        return [matrix]
    return [matrix, frequent] if is_wide else [columns(matrix, frequent)]


def _most_frequent(
    wrong: np.ndarray, counts: np.ndarray, classes: list[str], what: str, most: int = 8
) -> Markup:
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(i), len(classes)) for i in order if wrong.flat[i] > 0]
    rows: list[list[Cell]] = [
        [classes[t], classes[p], int(wrong[t, p]), percent(wrong[t, p] / counts[t].sum())] for t, p in pairs
    ]
    return table(["true", "predicted", Column(what), Column("of the class")], rows)


def _values(predicted: np.ndarray, true: np.ndarray, names: list[str], part: str) -> list[Child]:
    most = plots.MOST_POINTS if len(names) <= 2 else plots.MOST_POINTS // 3
    drawn = list(enumerate(names[:_MOST_VALUES]))
    blocks: list[Child] = [_value(predicted[:, i], true[:, i], name, i, most, part) for i, name in drawn]
    if len(names) > _MOST_VALUES:
        blocks.append(paragraph(f"{len(names) - _MOST_VALUES} more values are not drawn.", role="muted"))
    return blocks


def _value(predicted: np.ndarray, true: np.ndarray, name: str, place: int, most: int, part: str) -> Markup:
    told = _drawn(predicted, true, most, part)
    first = plots.draw_predicted(predicted, true, name, most)
    second = plots.draw_residuals(predicted, true, name, most)
    over = inline_svg(first, f"predicted-{place}", f"Predicted over true {name}. {told}")
    apart = inline_svg(second, f"residuals-{place}", f"Predicted minus true over predicted {name}. {told}")
    sides = "Above the dashed line the model answered too much, below it too little."
    return columns(
        figure(f"Predicted and true {name}", over, f"{told} On the dashed line both agree."),
        figure(f"Residuals of {name}", apart, sides),
    )


def _drawn(predicted: np.ndarray, true: np.ndarray, most: int, part: str) -> str:
    finite = len(plots.finite_pairs(predicted, true)[0])
    left_out = len(true) - finite
    told = f"{finite:,} {part} {'row' if finite == 1 else 'rows'}."
    if finite > most:
        told = f"{most:,} of {finite:,} {part} rows, chosen at random."
    return f"{told} {left_out:,} more have a value that is not a finite number." if left_out else told


def _worst(examples: Sequence[Example]) -> list[Child]:
    seen = [_picture(example) for example in examples if example.picture is not None]
    read = [example for example in examples if example.picture is None]
    return [*([pictures(seen)] if seen else []), *([_listed(read)] if read else [])]


def _picture(example: Example) -> Picture:
    assert example.picture is not None
    row, truth, said = (visible(text, 60) for text in (example.row, example.truth, example.prediction))
    sure = [] if example.certainty is None else [f"{percent(example.certainty, 0)} sure"]
    lines: list[Child] = [f"true {truth}", element("strong", f"said {said}"), *sure]
    return Picture(
        source=png_uri(example.picture),
        description=", ".join([f"{row}: true {truth}", f"said {said}", *sure]),
        lines=[*lines, element("small", row)],
        is_pixelated=is_tiny(example.picture),
    )


def _listed(examples: Sequence[Example]) -> Markup:
    names = list(dict.fromkeys(name for example in examples for name in example.cells or {}))[:_MOST_CELLS]
    sure = any(example.certainty is not None for example in examples)
    rows = [
        [
            *(visible(text, 80) for text in (e.row, e.truth, e.prediction)),
            *([None if e.certainty is None else percent(e.certainty, 0)] if sure else []),
            *(visible((e.cells or {}).get(name, ""), 80) for name in names),
        ]
        for e in examples
    ]
    head: list[Column | str] = [
        "row",
        "true",
        "said",
        *([Column("sure")] if sure else []),
        *(visible(name, 60) for name in names),
    ]
    return table(head, rows)
