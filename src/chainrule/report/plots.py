"""Figures of a run, drawn by matplotlib without pyplot: each function returns a Figure and changes nothing else.

A unit is a CSS pixel (72 dots per inch). A figure is NARROW so that two stand side by side on a page and one fits a
phone; only a confusion matrix of many classes is wider.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_number
from chainrule.report.svg import COLOURS, FONT, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NARROW = 390
WIDE = 810
MOST_POINTS = 3000
MOST_NUMBERED = 30  # classes; beyond, cells are too small for counts
_LEFT, _RIGHT, _TOP, _BOTTOM = (
    62,
    10,
    30,
    46,
)  # around a plot: tick labels, nothing, legend, tick labels and a name
_EM = 0.6  # mean width of a letter of the drawing font over its size; a wide (CJK) letter counts as two


# Curves


def curve_names(history: Sequence[Mapping[str, float]], metric: str = "", most: int = 3) -> list[str]:
    """Return what can be drawn over the epochs: loss, then at most `most` metrics, the rate if it varies.

    >>> curve_names([{"epoch": 1, "train_loss": 2.0, "validation_accuracy": 0.5, "learning_rate": 0.1}])
    ['loss', 'accuracy']
    """
    keys = [key for row in history for key in row]
    names = dict.fromkeys(key.partition("_")[2] for key in keys if key.startswith(("train_", "validation_")))
    drawn = [name for name in names if any(np.isfinite(c).any() for c in _curves(history, name).values())]
    metrics = sorted((name for name in drawn if name != "loss"), key=lambda name: name != metric)[:most]
    rates = set(_column(history, "learning_rate")[np.isfinite(_column(history, "learning_rate"))].tolist())
    return [n for n in drawn if n == "loss"] + metrics + (["learning_rate"] if len(rates) > 1 else [])


def draw_curve(history: Sequence[Mapping[str, float]], name: str, best_epoch: int | None = None) -> Figure:
    """Draw one of `curve_names` over the epochs: train dashed, validation solid, a ring at the best epoch."""
    with drawing():
        figure = _figure(NARROW, 250)
        _draw_curve(_plot(figure, NARROW, 250), history, name, best_epoch)
    return figure


def draw_curves(
    history: Sequence[Mapping[str, float]], *, metric: str = "", best_epoch: int | None = None
) -> Figure:
    """Draw all curves of a run side by side, for a notebook: it shows itself there without pyplot."""
    names = curve_names(history, metric) or ["loss"]
    with drawing():
        figure = _figure(NARROW * len(names), 280, paper=COLOURS["paper"])
        for place, name in enumerate(names):
            axes = _plot(figure, NARROW, 280, left=_LEFT + place * NARROW, top=_TOP + 26)
            _draw_curve(axes, history, name, best_epoch)
            axes.text(0, 1, _said(name), transform=_shifted(axes, 0, 34), weight="bold", va="bottom")
    figure._repr_png_ = partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def is_logarithmic(history: Sequence[Mapping[str, float]], name: str) -> bool:
    """Return whether the axis of a curve is logarithmic: a loss that spans more than two decades."""
    drawn = [c[np.isfinite(c)] for c in _curves(history, name).values()]
    values = np.concatenate(drawn) if drawn else np.zeros(0)
    return name == "loss" and values.size > 0 and values.min() > 0 and values.max() > 100 * values.min()


def _draw_curve(
    axes: Axes, history: Sequence[Mapping[str, float]], name: str, best_epoch: int | None
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    epochs, curves = _column(history, "epoch"), _curves(history, name)
    looks = {"train": (COLOURS["muted"], (4, 2), 1.6), "validation": (COLOURS["ours"], (None, None), 2.2)}
    for part, values in curves.items():
        colour, dashes, width = looks.get(part, (COLOURS["ours"], (None, None), 2.2))
        dot = "o" if np.isfinite(values).sum() == 1 else ""
        axes.plot(epochs, values, color=colour, dashes=dashes, lw=width, marker=dot, ms=5, label=part)
    if name != "learning_rate":
        _mark_best(axes, epochs, curves, best_epoch)
        _legend(axes)
    if is_logarithmic(history, name):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.minorticks_off()
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    axes.yaxis.set_major_formatter(FuncFormatter(_tick))
    axes.set_xlabel("epoch")


def _mark_best(
    axes: Axes, epochs: np.ndarray, curves: Mapping[str, np.ndarray], best_epoch: int | None
) -> None:
    values = curves.get("validation", curves.get("train"))
    at = np.flatnonzero(epochs == best_epoch) if best_epoch is not None else []
    if values is None or not len(at) or not np.isfinite(values[at[0]]):
        return
    look: dict[str, Any] = {
        "mfc": COLOURS["paper"],
        "mec": COLOURS["wrong"],
        "mew": 2.2,
        "ms": 9,
        "ls": "none",
    }
    axes.plot(epochs[at[:1]], values[at[:1]], marker="o", label="best epoch", zorder=5, clip_on=False, **look)


def _curves(history: Sequence[Mapping[str, float]], name: str) -> dict[str, np.ndarray]:
    if name == "learning_rate":
        return {"learning rate": _column(history, name)}
    both = {part: _column(history, f"{part}_{name}") for part in ("train", "validation")}
    return {part: values for part, values in both.items() if np.isfinite(values).any()}


def _column(history: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    values = np.array([row.get(key, math.nan) for row in history], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


# Classes


def draw_confusion(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: right answers blue, wrong ones vermilion, darker for a larger share of the true class.

    Shapes: counts (classes, classes), rows are the truth
    """
    number = len(classes)
    room = max((_width(visible(name)) for name in classes), default=0.0)
    side = min(room, 120.0) + 8  # for names at the left
    cell = _cell_side(counts, number, side)
    is_flat = room + 6 <= cell
    head = (FONT if is_flat else side) + 40  # for names above
    width, height = math.ceil(26 + side + number * cell + 2), math.ceil(head + number * cell + 2)
    with drawing():
        figure = _figure(width, height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        _draw_cells(axes, counts, 26 + side, head, cell)
        _draw_classes(axes, classes, 26 + side, head, cell, is_flat=is_flat)
        middle = number * cell / 2
        axes.text(26 + side + middle, 15, "predicted", ha="center", color=COLOURS["muted"])
        axes.text(
            15,
            head + middle,
            "true",
            rotation=90,
            rotation_mode="anchor",
            ha="center",
            color=COLOURS["muted"],
        )
    return figure


def _cell_side(counts: np.ndarray, number: int, side: float) -> float:
    digits = len(str(int(counts.max()))) if counts.size else 1
    wanted = max(30.0, digits * FONT * _EM + 10) if number <= MOST_NUMBERED else 22.0
    roomy = (NARROW - 28 - side) / max(number, 1)
    return min(max(wanted, min(roomy, 64.0)), (WIDE - 28 - side) / max(number, 1))


def _draw_cells(axes: Axes, counts: np.ndarray, left: float, top: float, cell: float) -> None:
    from matplotlib.collections import PolyCollection

    rows, columns = np.nonzero(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    inside = max(cell - 2, cell * 0.9)
    square = np.array([[0, 0], [inside, 0], [inside, inside], [0, inside]])
    corners = np.stack([left + columns * cell, top + rows * cell], axis=1) + (cell - inside) / 2
    for kind, chosen in (("cell-right", rows == columns), ("cell-wrong", rows != columns)):
        strength = (
            0.1 + 0.65 * shares[rows, columns][chosen] ** 0.7
        )  # at most 0.75: the ink stays readable on it
        shapes = corners[chosen][:, None, :] + square
        colour = [(*_rgb(COLOURS[kind]), round(float(a), 2)) for a in strength]
        axes.add_collection(PolyCollection(list(shapes), facecolors=colour, linewidths=0))
    span = (left, left + len(counts) * cell, top + len(counts) * cell, top)
    axes.plot(
        [span[i] for i in (0, 1, 1, 0, 0)], [span[i] for i in (2, 2, 3, 3, 2)], color=COLOURS["line"], lw=1
    )
    if len(counts) > MOST_NUMBERED:
        return
    digits = len(str(int(counts.max()))) if counts.size else 1
    size = min(FONT, (cell - 4) / (digits * _EM))
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell + 0.36 * size
        axes.text(x, y, str(int(counts[row, column])), ha="center", va="baseline", size=size)


def _draw_classes(
    axes: Axes, classes: Sequence[str], left: float, top: float, cell: float, *, is_flat: bool
) -> None:
    every = math.ceil((FONT + 2) / cell) if cell else 1
    for place in range(0, len(classes), every):
        text = _fitted(visible(classes[place]), 120)
        middle = (place + 0.5) * cell
        axes.text(left - 8, top + middle + 0.36 * FONT, text, ha="right", va="baseline")
        if is_flat:
            axes.text(left + middle, top - 9, text, ha="center", va="baseline")
        else:
            x = left + middle + 0.36 * FONT
            axes.text(x, top - 8, text, rotation=90, rotation_mode="anchor", ha="left", va="baseline")


# Values


def finite_pairs(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs in which both numbers are finite. Shapes: (N,), (N,) -> (M,), (M,)."""
    chosen = np.isfinite(predicted) & np.isfinite(true)
    return predicted[chosen].astype(np.float64), true[chosen].astype(np.float64)


def draw_predicted(predicted: np.ndarray, true: np.ndarray, name: str) -> Figure:
    """Draw predicted over true with the line on which they agree. Shapes: predicted (N,), true (N,)."""
    predicted, true = _sampled(*finite_pairs(predicted, true))
    both = np.concatenate([predicted, true])
    low, high = _span(both)
    with drawing():
        figure = _figure(NARROW, 340)
        axes = _plot(figure, NARROW, 340, top=10)
        axes.plot([low, high], [low, high], color=COLOURS["muted"], lw=1.4, dashes=(4, 2))
        _points(axes, true, predicted)
        axes.set(xlim=(low, high), ylim=(low, high), xlabel=_fitted(f"true {visible(name)}", 300))
        _number_axes(axes)
        _inside(axes, "predicted ↑")
    return figure


def draw_residuals(predicted: np.ndarray, true: np.ndarray, name: str) -> Figure:
    """Draw predicted − true over predicted. Shapes: predicted (N,), true (N,)."""
    predicted, true = _sampled(*finite_pairs(predicted, true))
    with drawing():
        figure = _figure(NARROW, 340)
        axes = _plot(figure, NARROW, 340, top=10)
        axes.axhline(0, color=COLOURS["muted"], lw=1.4, dashes=(4, 2))
        _points(axes, predicted, predicted - true)
        limits = _span(np.append(predicted - true, 0.0))
        axes.set(xlim=_span(predicted), ylim=limits, xlabel=_fitted(f"predicted {visible(name)}", 300))
        _number_axes(axes)
        _inside(axes, "predicted − true ↑")
    return figure


def _points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    alpha = 0.75 if len(x) <= 300 else 0.4
    axes.plot(x, y, ls="none", marker="o", ms=5, mew=0, color=COLOURS["ours"], alpha=alpha)


def _sampled(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(true) <= MOST_POINTS:
        return predicted, true
    chosen = np.sort(np.random.default_rng(0).choice(len(true), MOST_POINTS, replace=False))
    return predicted[chosen], true[chosen]


def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


# Yardsticks


def draw_yardsticks(scores: Mapping[str, float], ours: str) -> Figure:
    """Draw one bar per model, the best first, ours in colour. Scores that are not finite are left out."""
    ranked = sorted(((n, s) for n, s in scores.items() if math.isfinite(s)), key=lambda pair: -pair[1])
    values = [score for _, score in ranked]
    side = min(max((_width(visible(name)) for name, _ in ranked), default=0.0), 165.0) + 10
    labels = [show_number(value) for value in values]
    room = max((_width(label) for label in labels), default=0.0) + 8
    low, high = min([0.0, *values]), max([0.0, *values])
    scale = (NARROW - side - room - (room if low < 0 else 0)) / ((high - low) or 1.0)
    zero = side + (room if low < 0 else 0) - low * scale
    with drawing():
        height = 32 * len(ranked) + 4
        figure = _figure(NARROW, height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, NARROW), ylim=(height, 0))
        axes.axis("off")
        for row, ((name, value), label) in enumerate(zip(ranked, labels, strict=True)):
            look = {"weight": "bold", "color": COLOURS["ours"]} if name == ours else {}
            y, end = 18.0 + 32 * row, zero + value * scale
            axes.barh(
                y, value * scale, left=zero, height=20, color=COLOURS["ours" if name == ours else "line"]
            )
            axes.text(side - 10, y + 5, _fitted(visible(name), 165), ha="right", va="baseline", **look)  # type: ignore[arg-type]
            where = ("left", end + 6) if value >= 0 else ("right", end - 6)
            axes.text(where[1], y + 5, label, ha=where[0], va="baseline", **look)  # type: ignore[arg-type]
        axes.plot([zero, zero], [2, height - 2], color=COLOURS["muted"], lw=1)
    return figure


# What all of them share


def _figure(width: float, height: float, paper: str = "none") -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72, facecolor=paper)


def _plot(figure: Figure, width: float, height: float, *, left: float = _LEFT, top: float = _TOP) -> Axes:
    whole_width, whole_height = figure.get_size_inches() * 72
    across, up = width - _LEFT - _RIGHT, height - top - _BOTTOM
    axes = figure.add_axes(
        (left / whole_width, _BOTTOM / whole_height, across / whole_width, up / whole_height),
        facecolor="none",
    )
    axes.patch.set_visible(False)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    for spine in ("left", "right", "top"):
        axes.spines[spine].set_visible(False)
    return axes


def _number_axes(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.grid(axis="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=5))
        axis.set_major_formatter(FuncFormatter(_tick))


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.02),
        ncols=3,
        frameon=False,
        handlelength=1.5,
        handletextpad=0.4,
        columnspacing=1.0,
        borderpad=0,
        borderaxespad=0,
    )


def _inside(axes: Axes, text: str) -> None:
    axes.text(0, 1, text, transform=_shifted(axes, 8, -16), color=COLOURS["muted"])


def _shifted(axes: Axes, x: float, y: float) -> Any:
    from matplotlib.transforms import ScaledTranslation

    return axes.transAxes + ScaledTranslation(x / 72, y / 72, axes.figure.dpi_scale_trans)


def _tick(value: float, position: int | None = None) -> str:
    text = f"{value:.6g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return text.replace("-", "−", 1) if text.startswith("-") else text


def _said(name: str) -> str:
    return visible(name).replace("_", " ")


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _width(text: str) -> float:
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text) * FONT * _EM


def _fitted(text: str, most: float) -> str:
    if _width(text) <= most:
        return text
    while _width(text) > most - FONT * _EM:
        text = text[:-1]
    return text.rstrip() + "…"


def _png(figure: Figure) -> bytes:
    import io

    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=144)
    return buffer.getvalue()
