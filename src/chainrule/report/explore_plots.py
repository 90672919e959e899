"""Figures of an exploration: rows in two components, variance kept, how a number of clusters was chosen, densities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.text import visible
from chainrule.report.canvas import NARROW, add_heading, add_plot_axes, fit_text, new_figure, set_ticks
from chainrule.report.data_sheet import CLASS_COLOURS, OTHERS
from chainrule.report.svg import COLOURS, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP_COLOURS = (*CLASS_COLOURS, "#882255", "#999933", "#44aa99", "#332288")  # the further ones of Tol 2021
MOST_POINTS = 2500
MOST_BARS = 20
HEIGHT = 340
TONES, FAINTEST = 8, 0.15  # of values: how opaque their one colour is, which light paper and dark show alike
MOST_NUMBERED = 20  # clusters whose numbers stand in a map


def draw_groups(
    points: np.ndarray,
    codes: np.ndarray,
    names: Sequence[str],
    axes_names: tuple[str, str],
    *,
    numbered: bool,
) -> Figure:
    """Draw rows in two components in the colours of their groups; groups beyond the colours, and −1, are grey.

    Shapes: points (N, 2), codes (N,)
    """
    shown = _sample(len(points))
    with drawing():
        figure, axes = _map(points, axes_names)
        colours = [_colour(code) for code in range(len(names))]
        for code in (-1, *range(len(names))):
            rows = shown[codes[shown] == code]
            axes.plot(*points[rows].T, **_dots(len(shown)), color=colours[code] if code >= 0 else OTHERS)
        if numbered:
            for code in range(min(MOST_NUMBERED, len(names))):
                _number(axes, np.median(points[codes == code], axis=0), names[code])
        else:
            _legend(axes, names, colours)
    return figure


def draw_values(
    points: np.ndarray, values: np.ndarray, axes_names: tuple[str, str], marks: Sequence[tuple[int, str]] = ()
) -> Figure:
    """Draw rows in two components, stronger for higher values; `marks` are rows with a text beside them.

    Shapes: points (N, 2), values (N,) NaN where missing
    """
    shown = _sample(len(points))
    shown = np.union1d(shown, [row for row, _ in marks]).astype(np.int64)
    shown = shown[~np.isnan(values[shown])]
    low, high = np.quantile(values[shown], (0.05, 0.95)) if len(shown) else (0.0, 1.0)
    share = np.clip((values[shown] - low) / ((high - low) or 1.0), 0, 1)
    tone = np.minimum((share * TONES).astype(int), TONES - 1)
    with drawing():
        figure, axes = _map(points, axes_names)
        for step in range(TONES):  # points of one tone share their look in the file
            look = {**_dots(len(shown)), "alpha": FAINTEST + (1 - FAINTEST) * step / (TONES - 1)}
            axes.plot(*points[shown[tone == step]].T, **look, color=COLOURS["ours"])
        for row, text in marks:
            ring: dict[str, Any] = {"color": COLOURS["wrong"], "ls": "none", "marker": "o", "ms": 8}
            axes.plot(*points[row], **ring, mfc="none", mew=1.6)
            axes.annotate(text, points[row], (7, 4), textcoords="offset points", color=COLOURS["wrong"])
    return figure


def draw_shares(shares: np.ndarray, kept: int) -> Figure:
    """Draw the share of the variance that each component holds (the scree), those kept in colour, and their sum."""
    shown = shares[:MOST_BARS]
    places = np.arange(1, len(shown) + 1)
    with drawing():
        figure = new_figure(NARROW, HEIGHT)
        axes = add_plot_axes(figure)
        colours = [COLOURS["ours" if place <= kept else "rival"] for place in places]
        axes.bar(places, 100 * shown, 0.8, color=colours)
        axes.plot(places, 100 * np.cumsum(shown), color=COLOURS["muted"], lw=1.6, marker="o", ms=4)
        axes.set(xlim=(0.4, len(shown) + 0.6), ylim=(0, 105))
        set_ticks(axes, whole_x=True)
        axes.set_xlabel("component")
        add_heading(axes, "% of the variance: each, and together", color=COLOURS["muted"])
    return figure


def draw_scores(scores: Mapping[int, float], chosen: int, criterion: str) -> Figure:
    """Draw what the number of clusters was chosen by, over the number."""
    better = "lower is better" if criterion == "BIC" else "higher is better"
    return _over_clusters(scores, chosen, f"{criterion} ({better})")


def draw_inertias(inertias: Mapping[int, float], chosen: int) -> Figure:
    """Draw the share of the variance that lies within clusters, over their number."""
    return _over_clusters(
        {size: 100 * share for size, share in inertias.items()}, chosen, "% of the variance"
    )


def _over_clusters(values: Mapping[int, float], chosen: int, name: str) -> Figure:
    low, high = min(values.values()), max(values.values())
    room = 0.08 * (high - low) or 0.5
    with drawing():
        figure = new_figure(NARROW, HEIGHT)
        axes = add_plot_axes(figure)
        axes.plot(list(values), list(values.values()), color=COLOURS["ours"], lw=2, marker="o", ms=5)
        axes.set(xlim=(min(values) - 0.4, max(values) + 0.4), ylim=(low - room, high + room))
        if chosen in values:
            axes.plot(
                [chosen], [values[chosen]], color=COLOURS["wrong"], marker="o", ms=11, mfc="none", mew=2
            )
        set_ticks(axes, bins=6, whole_x=True)
        axes.set_xlabel("clusters")
        add_heading(axes, name, color=COLOURS["muted"])
    return figure


def _map(points: np.ndarray, names: tuple[str, str]) -> tuple[Figure, Axes]:
    figure = new_figure(NARROW, HEIGHT)
    axes = add_plot_axes(figure)
    axes.grid(True, axis="both")
    low, high = points.min(0), points.max(0)
    room = np.maximum(0.06 * (high - low), 1e-9)
    axes.set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(low[1] - room[1], high[1] + room[1]))
    set_ticks(axes)
    axes.set_xlabel(fit_text(names[0], 300))
    add_heading(axes, fit_text(names[1], 310), color=COLOURS["muted"])
    return figure, axes


def _dots(count: int) -> dict[str, Any]:
    return {
        "ls": "none",
        "marker": "o",
        "ms": 5 if count <= 600 else 3.5,
        "mew": 0,
        "alpha": 0.8 if count <= 600 else 0.6,
    }


def _number(axes: Axes, place: np.ndarray, text: str) -> None:
    box = {
        "facecolor": COLOURS["paper"],
        "edgecolor": COLOURS["muted"],
        "boxstyle": "round,pad=0.25",
        "lw": 1,
    }
    axes.text(float(place[0]), float(place[1]), text, ha="center", va="center", weight="bold", bbox=box)


def _legend(axes: Axes, names: Sequence[str], colours: Sequence[str]) -> None:
    """Name the groups within the drawing, as many as have colours."""
    from matplotlib.lines import Line2D

    few = list(zip(names, colours, strict=True))[: len(GROUP_COLOURS)]
    marks = [Line2D([], [], ls="none", marker="o", ms=7, mew=0, color=colour) for _, colour in few]
    labels = [fit_text(visible(name, 40), 110) for name, _ in few]
    look: dict[str, Any] = {"handletextpad": 0.1, "borderpad": 0.3, "labelspacing": 0.25, "fontsize": 12.5}
    axes.legend(
        marks,
        labels,
        loc="best",
        framealpha=0.75,
        edgecolor=COLOURS["line"],
        facecolor=COLOURS["paper"],
        **look,
    )


def _colour(code: int) -> str:
    return GROUP_COLOURS[code] if code < len(GROUP_COLOURS) else OTHERS


def _sample(count: int) -> np.ndarray:
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST_POINTS, replace=False))
