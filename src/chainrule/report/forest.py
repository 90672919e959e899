"""Scores with their intervals, one below the other: a forest plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.core.text import visible
from chainrule.core.units import show_figure, show_tick
from chainrule.report.canvas import WIDE, add_page_axes, fit_text, new_figure, say, text_width
from chainrule.report.html import aligned
from chainrule.report.svg import COLOURS, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW, HEAD, FOOT, EDGE = 30.0, 26.0, 48.0, 8.0
NAMES = 320.0  # pixels that names may take
SCORES = 62.0  # for the score at the right
TICKS = 6
BOLD = 1.12  # width of bold letters over that of others
NEAR = 1.0  # spans of the scores, within which the score without inputs is drawn


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of the plot: a score with its interval and, small, the scores that it is the mean of."""

    name: str
    score: float
    low: float
    high: float
    points: tuple[float, ...] = ()
    is_marked: bool = False


def draw_forest(
    marks: Sequence[Mark], metric: str, *, base: tuple[str, float] | None = None, paper: str = "none"
) -> Figure:
    """Draw the intervals in their order, and a dashed line at the score of answering without inputs."""
    near = base if base is not None and _is_near(marks, base[1]) else None
    low, high = _span(marks, near)
    left = EDGE + min(NAMES, max(text_width(visible(mark.name)) for mark in marks) * BOLD + 16)
    right = WIDE - SCORES
    scale = (right - left) / (high - low)
    bottom = HEAD + ROW * len(marks)
    with drawing():
        figure = new_figure(WIDE, bottom + FOOT, paper=paper)
        axes = add_page_axes(figure)
        _draw_ticks(axes, (low, high), (left, scale), bottom)
        if near is not None:
            at = left + (near[1] - low) * scale
            axes.plot([at, at], [HEAD, bottom], color=COLOURS["muted"], lw=1.4, dashes=(4, 2))
            side = "left" if at < (left + right) / 2 else "right"
            axes.text(at, HEAD - 9, near[0], color=COLOURS["muted"], ha=side)
        labels = aligned([mark.score for mark in marks], 3)
        for row, (mark, label) in enumerate(zip(marks, labels, strict=True)):
            _draw_mark(axes, mark, label, HEAD + ROW * (row + 0.5), (left, right), (low, scale))
        far = "" if base is None or near else f" ({base[0]}, beyond this scale: {show_figure(base[1])})"
        axes.text((left + right) / 2, bottom + 40, say(metric) + far, color=COLOURS["muted"], ha="center")
    return figure


def _draw_mark(
    axes: Axes,
    mark: Mark,
    label: str,
    at: float,
    ends: tuple[float, float],
    across: tuple[float, float],
) -> None:
    (left, right), (low, scale) = ends, across
    colour = COLOURS["ours" if mark.is_marked else "muted"]
    look: dict[str, Any] = {"weight": "bold", "color": COLOURS["ours"]} if mark.is_marked else {}
    axes.text(EDGE, at + 5, fit_text(visible(mark.name), left - EDGE - 8), **look)
    x = [left + (value - low) * scale for value in (mark.low, mark.high, mark.score)]
    points = [left + (value - low) * scale for value in mark.points if math.isfinite(value)]
    axes.plot(points, [at + 9] * len(points), ls="none", marker="o", ms=4, mew=0, color=COLOURS["rival"])
    axes.plot(x[:2], [at, at], color=colour, lw=2.4, solid_capstyle="butt")
    for end in x[:2]:
        axes.plot([end, end], [at - 5, at + 5], color=colour, lw=1.6)
    axes.plot(x[2], at, marker="s", ms=9, mew=0, color=colour)
    axes.text(right + 10, at + 5, label, **look)


def _draw_ticks(axes: Axes, ends: tuple[float, float], across: tuple[float, float], bottom: float) -> None:
    from matplotlib.ticker import MaxNLocator

    (low, high), (left, scale) = ends, across
    for value in MaxNLocator(nbins=TICKS, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high):
        if low <= value <= high:
            at = left + (value - low) * scale
            axes.plot([at, at], [HEAD, bottom], color=COLOURS["line"], lw=1)
            axes.text(at, bottom + 18, show_tick(float(value)), color=COLOURS["muted"], ha="center")


def _values(marks: Sequence[Mark]) -> list[float]:
    found = [value for mark in marks for value in (mark.low, mark.high, mark.score, *mark.points)]
    return [value for value in found if math.isfinite(value)]


def _is_near(marks: Sequence[Mark], base: float) -> bool:
    """Whether a score is so near to the others that drawing it leaves them their width."""
    low, high = min(_values(marks)), max(_values(marks))
    room = NEAR * (high - low)
    return low - room <= base <= high + room


def _span(marks: Sequence[Mark], base: tuple[str, float] | None) -> tuple[float, float]:
    """Return the scores between which the plot is."""
    values = [*_values(marks), *([base[1]] if base else [])]
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.04 * abs(high) or 0.5
    return low - room, high + room
