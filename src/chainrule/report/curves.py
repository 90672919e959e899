"""Curves over the epochs: loss, metrics, the learning rate where it varies."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.report.canvas import (
    LEFT,
    NARROW,
    TOP,
    add_heading,
    add_legend,
    add_plot_axes,
    new_figure,
    say,
    set_ticks,
)
from chainrule.report.svg import COLOURS, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, float]]
LOW = 0.02  # of the highest rate; a cosine is below it for a tenth of the run
_HEIGHT = 250
_TITLE = 26  # room for a title where the page does not write it
_LOOKS: dict[str, dict[str, Any]] = {
    "train": {"color": COLOURS["muted"], "dashes": (4, 2), "lw": 1.6},
    "validation": {"color": COLOURS["ours"], "lw": 2.2},
    "learning rate": {"color": COLOURS["ours"], "lw": 2.2},
}
_RING: dict[str, Any] = {"mfc": COLOURS["paper"], "mec": COLOURS["wrong"], "mew": 2.2, "ms": 9, "ls": "none"}


def curve_names(history: History, metric: str = "", most: int = 3) -> list[str]:
    """Return what can be drawn over the epochs: loss, then at most `most` metrics, the rate if it varies.

    >>> curve_names([{"epoch": 1, "train_loss": 2.0, "validation_accuracy": 0.5, "learning_rate": 0.1}])
    ['loss', 'accuracy']
    """
    keys = [key for row in history for key in row]
    names = dict.fromkeys(key.partition("_")[2] for key in keys if key.startswith(("train_", "validation_")))
    drawn = [name for name in names if _curves(history, name)]
    metrics = sorted((name for name in drawn if name != "loss"), key=lambda name: name != metric)[:most]
    rates = _column(history, "learning_rate")
    varies = len(set(rates[np.isfinite(rates)].tolist())) > 1
    return [name for name in drawn if name == "loss"] + metrics + (["learning_rate"] if varies else [])


def draw_curve(history: History, name: str, best_epoch: int | None = None) -> Figure:
    """Draw one of `curve_names` over the epochs: train dashed, validation solid, a ring at the best epoch."""
    with drawing():
        figure = new_figure(NARROW, _HEIGHT)
        _draw_curve(add_plot_axes(figure), history, name, best_epoch)
    return figure


def history_figure(history: History, best_epoch: int | None = None, metric: str = "") -> Figure:
    """Draw all curves of a run side by side, for a notebook: the figure shows itself there without pyplot."""
    names = curve_names(history, metric) or ["loss"]
    with drawing():
        figure = new_figure(NARROW * len(names), _HEIGHT + _TITLE, paper=COLOURS["paper"])
        for place, name in enumerate(names):
            axes = add_plot_axes(figure, left=LEFT + place * NARROW, top=TOP + _TITLE)
            _draw_curve(axes, history, name, best_epoch)
            add_heading(axes, say(name), up=32, weight="bold")
    figure._repr_png_ = partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def is_logarithmic(history: History, name: str) -> bool:
    """Return whether the axis of a curve is logarithmic: a loss that spans more than two decades, or a rate that drops.

    A rate that goes to zero along a cosine or a line is seen as one; one that drops by factors would be flat.
    """
    if name == "learning_rate":
        rates = _column(history, name)
        rates = rates[np.isfinite(rates)]
        return len(rates) > 0 and rates.min() > 0 and float((rates < LOW * rates.max()).mean()) > 0.2
    if name != "loss":
        return False
    drawn = [curve[np.isfinite(curve)] for curve in _curves(history, name).values()]
    lows, highs = [float(curve.min()) for curve in drawn], [float(curve.max()) for curve in drawn]
    return bool(drawn) and min(lows) > 0 and max(highs) > 100 * min(lows)


def _draw_curve(axes: Axes, history: History, name: str, best_epoch: int | None) -> None:
    from matplotlib.ticker import LogLocator

    epochs, curves = _column(history, "epoch"), _curves(history, name)
    for part, values in curves.items():
        is_dot = np.isfinite(values).sum() == 1  # one epoch makes no line
        axes.plot(epochs, values, marker="o" if is_dot else "", ms=5, label=part, **_LOOKS[part])
    if name != "learning_rate" and curves:
        _mark_best(axes, epochs, curves, best_epoch)
        add_legend(axes)
    if is_logarithmic(history, name):
        axes.set_yscale("log")
    set_ticks(axes, bins=6, whole_x=True)
    if is_logarithmic(history, name):
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.minorticks_off()
    axes.set_xlabel("epoch")


def _mark_best(
    axes: Axes, epochs: np.ndarray, curves: Mapping[str, np.ndarray], best_epoch: int | None
) -> None:
    values = curves.get("validation", curves.get("train"))
    at = np.flatnonzero(epochs == best_epoch)
    if values is not None and len(at) and np.isfinite(values[at[0]]):
        place = epochs[at[:1]], values[at[:1]]
        axes.plot(*place, marker="o", label="best epoch", zorder=5, clip_on=False, **_RING)


def _curves(history: History, name: str) -> dict[str, np.ndarray]:
    if name == "learning_rate":
        return {"learning rate": _column(history, name)}
    both = {part: _column(history, f"{part}_{name}") for part in ("train", "validation")}
    return {part: values for part, values in both.items() if np.isfinite(values).any()}


def _column(history: History, key: str) -> np.ndarray:
    values = np.array([row.get(key, math.nan) for row in history], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=144)
    return buffer.getvalue()
