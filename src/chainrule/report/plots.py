"""Figures of a run, drawn by matplotlib without pyplot: each function returns a Figure and changes nothing else.

The curves over the epochs come from `curves`; here are classes, values and the comparison with simpler models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.text import visible
from chainrule.report.canvas import (
    NARROW,
    WIDE,
    add_heading,
    add_page_axes,
    add_plot_axes,
    fit_text,
    new_figure,
    rgb,
    set_ticks,
    text_width,
)
from chainrule.report.curves import curve_names, draw_curve, history_figure, is_logarithmic
from chainrule.report.html import aligned
from chainrule.report.svg import COLOURS, FONT, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "curve_names",
    "draw_confusion",
    "draw_curve",
    "draw_predicted",
    "draw_residuals",
    "draw_yardsticks",
    "finite_pairs",
    "history_figure",
    "is_logarithmic",
]

MOST_POINTS = 3000
MOST_NUMBERED = 30  # classes; beyond, cells are too small for counts
_BAR = 46.0  # pixels from one model to the next
_NAME = 120.0  # pixels at most for the name of a class
_BASELINE = 0.36 * FONT  # from the middle of a line of digits down to its foot


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Where the cells of a confusion matrix stand. Units: pixels."""

    left: float
    top: float
    cell: float
    number: int

    @property
    def side(self) -> float:
        return self.number * self.cell


# Classes


def draw_confusion(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: right answers blue, wrong ones vermilion, darker for a larger share of the true class.

    Shapes: counts (classes, classes), rows are the truth
    """
    most = _NAME if len(classes) <= 12 else 0.8 * _NAME
    names = [fit_text(visible(name), most) for name in classes]
    room = max((text_width(name) for name in names), default=0.0)
    cell = _cell_side(counts, len(names), room)
    is_flat = room + 4 <= cell
    grid = _Grid(left=36 + room, top=(FONT if is_flat else room) + 40, cell=cell, number=len(names))
    with drawing():
        figure = new_figure(math.ceil(grid.left + grid.side + 2), math.ceil(grid.top + grid.side + 2))
        axes = add_page_axes(figure)
        _draw_cells(axes, counts, grid)
        _draw_classes(axes, names, grid, is_flat=is_flat)
        look: dict[str, Any] = {"ha": "center", "color": COLOURS["muted"]}
        axes.text(grid.left + grid.side / 2, 15, "predicted", **look)
        axes.text(15, grid.top + grid.side / 2, "true", rotation=90, rotation_mode="anchor", **look)
    return figure


def _cell_side(counts: np.ndarray, number: int, room: float) -> float:
    wanted = max(30.0, text_width(_largest(counts)) + 8) if number <= MOST_NUMBERED else 22.0
    fills_narrow = (NARROW - 38 - room) / max(number, 1)
    return min(
        max(wanted, min(fills_narrow, max(72.0, room + 6 if number <= 4 else 0.0))),
        (WIDE - 38 - room) / max(number, 1),
    )


def _largest(counts: np.ndarray) -> str:
    return str(int(counts.max())) if counts.size else "0"


def _draw_cells(axes: Axes, counts: np.ndarray, grid: _Grid) -> None:
    from matplotlib.collections import PolyCollection

    rows, columns = np.nonzero(counts)
    shares = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[rows, columns]
    inside = max(grid.cell - 2, grid.cell * 0.9)
    corners = np.stack([columns, rows], axis=1) * grid.cell + (grid.left, grid.top) + (grid.cell - inside) / 2
    shapes = corners[:, None, :] + np.array([[0, 0], [inside, 0], [inside, inside], [0, inside]])
    for kind, chosen in (("cell-right", rows == columns), ("cell-wrong", rows != columns)):
        strength = 0.18 + 0.57 * shares[chosen] ** 0.7  # at most 0.75: the ink stays readable on it
        colours = [(*rgb(COLOURS[kind]), round(float(alpha), 2)) for alpha in strength]
        axes.add_collection(PolyCollection(list(shapes[chosen]), facecolors=colours, linewidths=0))
    across, down = (
        grid.left + np.array([0, 1, 1, 0, 0]) * grid.side,
        grid.top + np.array([0, 0, 1, 1, 0]) * grid.side,
    )
    axes.plot(across, down, color=COLOURS["line"], lw=1)
    if grid.number > MOST_NUMBERED:
        return
    size = min(FONT, FONT * (grid.cell - 1) / text_width(_largest(counts)))
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        x, y = grid.left + (column + 0.5) * grid.cell, grid.top + (row + 0.5) * grid.cell + 0.36 * size
        axes.text(x, y, str(int(counts[row, column])), ha="center", va="baseline", size=size)


def _draw_classes(axes: Axes, names: Sequence[str], grid: _Grid, *, is_flat: bool) -> None:
    every = math.ceil((FONT + 2) / grid.cell) if grid.cell else 1
    for place in range(0, len(names), every):
        middle = (place + 0.5) * grid.cell
        axes.text(grid.left - 8, grid.top + middle + _BASELINE, names[place], ha="right", va="baseline")
        if is_flat:
            axes.text(grid.left + middle, grid.top - 9, names[place], ha="center", va="baseline")
        else:
            x = grid.left + middle + _BASELINE
            axes.text(
                x, grid.top - 8, names[place], rotation=90, rotation_mode="anchor", ha="left", va="baseline"
            )


# Values


def finite_pairs(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs in which both numbers are finite. Shapes: (N,), (N,) -> (M,), (M,)."""
    chosen = np.isfinite(predicted) & np.isfinite(true)
    return predicted[chosen].astype(np.float64), true[chosen].astype(np.float64)


def draw_predicted(predicted: np.ndarray, true: np.ndarray, name: str, most: int = MOST_POINTS) -> Figure:
    """Draw predicted over true with the line on which they agree, at most `most` points.

    Shapes: predicted (N,), true (N,)
    """
    predicted, true = _sampled(*finite_pairs(predicted, true), most)
    low, high = _span(np.concatenate([predicted, true]))
    with drawing():
        figure = new_figure(NARROW, 340)
        axes = add_plot_axes(figure)
        axes.plot([low, high], [low, high], color=COLOURS["muted"], lw=1.4, dashes=(4, 2))
        _draw_points(axes, true, predicted)
        axes.set(xlim=(low, high), ylim=(low, high))
        _name_axes(axes, f"true {visible(name)}", f"predicted {visible(name)}")
    return figure


def draw_residuals(predicted: np.ndarray, true: np.ndarray, name: str, most: int = MOST_POINTS) -> Figure:
    """Draw predicted − true over predicted, at most `most` points. Shapes: predicted (N,), true (N,)."""
    predicted, true = _sampled(*finite_pairs(predicted, true), most)
    with drawing():
        figure = new_figure(NARROW, 340)
        axes = add_plot_axes(figure)
        axes.axhline(0, color=COLOURS["muted"], lw=1.4, dashes=(4, 2))
        _draw_points(axes, predicted, predicted - true)
        axes.set(xlim=_span(predicted), ylim=_span(np.append(predicted - true, 0.0)))
        _name_axes(axes, f"predicted {visible(name)}", "predicted − true")
    return figure


def _draw_points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    alpha = 0.75 if len(x) <= 300 else 0.4
    axes.plot(x, y, ls="none", marker="o", ms=5, mew=0, color=COLOURS["ours"], alpha=alpha)


def _name_axes(axes: Axes, across: str, up: str) -> None:
    axes.grid(True, axis="both")
    set_ticks(axes)
    axes.set_xlabel(fit_text(across, 300))
    add_heading(axes, fit_text(up, 310), color=COLOURS["muted"])


def _sampled(predicted: np.ndarray, true: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    if len(true) <= most:
        return predicted, true
    chosen = np.sort(np.random.default_rng(0).choice(len(true), most, replace=False))
    return predicted[chosen], true[chosen]


def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


# Yardsticks


def draw_yardsticks(scores: Mapping[str, float], ours: str, *, larger_is_better: bool = True) -> Figure:
    """Draw one bar per model under its name, the best first, ours in colour; scores that are not finite are left out."""
    sign = -1 if larger_is_better else 1
    ranked = sorted(((n, s) for n, s in scores.items() if math.isfinite(s)), key=lambda pair: sign * pair[1])
    values = [score for _, score in ranked]
    labels = aligned(values)
    low, high = min([0.0, *values]), max([0.0, *values])
    room = max((text_width(label) for label in labels), default=0.0) + 10
    left = room if low < 0 else 0.0
    scale = (NARROW - room - left) / ((high - low) or 1.0)
    zero = left - low * scale + 1
    with drawing():
        figure = new_figure(NARROW, _BAR * len(ranked) + 2)
        axes = add_page_axes(figure)
        for row, ((name, value), label) in enumerate(zip(ranked, labels, strict=True)):
            _draw_bar(axes, row, name, (zero, value * scale, label), is_ours=name == ours)
    return figure


def _draw_bar(axes: Axes, row: int, name: str, bar: tuple[float, float, str], *, is_ours: bool) -> None:
    (zero, length, label), top = bar, row * _BAR
    look: dict[str, Any] = {"weight": "bold", "color": COLOURS["ours"]} if is_ours else {}
    axes.text(0, top + 14, fit_text(visible(name), NARROW - 4), va="baseline", **look)
    axes.barh(top + 29, length, left=zero, height=14, color=COLOURS["ours" if is_ours else "rival"])
    if zero > 1:  # bars on both sides
        axes.plot([zero, zero], [top + 20, top + 38], color=COLOURS["muted"], lw=1)
    side, end = ("right", zero + length - 6) if length < 0 else ("left", zero + length + 6)
    axes.text(end, top + 29 + _BASELINE, label, ha=side, va="baseline", **look)
