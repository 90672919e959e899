"""A picture of a table before anything is trained: the target, then a panel per column, in the colours of the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_share
from chainrule.report.canvas import add_page_axes, fit_text, new_figure, set_few_ticks, text_width
from chainrule.report.svg import COLOURS, FONT, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASS_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")  # Okabe and Ito 2008
OTHERS = COLOURS["rival"]
# Colours of values: light to dark, so that grey print keeps the order.
LOW, HIGH = (0.80, 0.88, 0.94), (0.03, 0.19, 0.42)
MOST_BARS = 8  # of a category; the others share one
MOST_BINS = 28
FAR = 6.0  # a span so many times that of the middle 98 of 100 values is cut
CROWDED = 0.8
ACROSS = 3
_PANEL, _HEIGHT, _GAP, _EDGE, _SMALL = 300.0, 150.0, 28.0, 28.0, 12.5
_HEAD, _FOOT = 42.0, 26.0  # of a panel: name and a line about it; numbers below it


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One column: numbers, dates in days since 1970, or places among `names`; NaN where missing. Shapes: cells (N,)."""

    name: str
    cells: np.ndarray
    names: tuple[str, ...] = ()
    is_date: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSheet:
    """What is drawn: a title, sentences about the data, the target and the columns, sentences at the end."""

    title: str
    about: tuple[str, ...]
    target: Panel
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tints:
    """The colours of rows: a few classes, or a ramp over values."""

    parts: tuple[tuple[np.ndarray, str], ...] = ()  # which rows, in which colour
    values: np.ndarray | None = None
    low: float = 0.0
    high: float = 1.0

    def of_value(self, value: float) -> tuple[float, float, float]:
        share = min(1.0, max(0.0, (value - self.low) / ((self.high - self.low) or 1.0)))
        red, green, blue = (a + share * (b - a) for a, b in zip(LOW, HIGH, strict=True))
        return red, green, blue


def draw_data(sheet: DataSheet) -> Figure:
    """Draw a data sheet."""
    tints = _tints(sheet.target)
    panels = [sheet.target, *sheet.panels]
    rows = math.ceil(len(panels) / ACROSS)
    width = 2 * _EDGE + ACROSS * _PANEL + (ACROSS - 1) * _GAP
    head, foot = heading_height(sheet.about), len(sheet.notes) * 1.6 * _SMALL
    step = _HEAD + _HEIGHT + _FOOT + _GAP
    with drawing():
        figure = new_figure(width, head + rows * step + foot + _EDGE / 2, paper=COLOURS["paper"])
        page = add_page_axes(figure)
        draw_heading(page, sheet.title, sheet.about)
        for place, panel in enumerate(panels):
            left = _EDGE + place % ACROSS * (_PANEL + _GAP)
            _draw_panel(figure, page, panel, tints, (left, head + place // ACROSS * step))
        for line, note in enumerate(sheet.notes):
            foot_line = head + rows * step + line * 1.6 * _SMALL
            page.text(
                _EDGE,
                foot_line,
                _cut(note, width - 2 * _EDGE),
                size=_SMALL,
                color=COLOURS["muted"],
                va="baseline",
            )
    return figure


def heading_height(about: Sequence[str]) -> float:
    """Return how much room `draw_heading` takes. Units: pixels."""
    return _EDGE + 34 + len(about) * 1.5 * FONT + 14


def draw_heading(page: Axes, title: str, about: Sequence[str]) -> None:
    """Write the title and the sentences below it at the top of a page."""
    width = page.get_xlim()[1] - 2 * _EDGE
    shown = fit_text(visible(title), width / 1.6)
    page.text(_EDGE, _EDGE + 18, shown, size=1.55 * FONT, weight="bold", va="baseline")
    for line, sentence in enumerate(about):
        down = _EDGE + 34 + (line + 0.7) * 1.5 * FONT
        page.text(_EDGE, down, fit_text(visible(sentence, 400), width), color=COLOURS["muted"], va="baseline")


def _tints(target: Panel) -> _Tints:
    if not target.names:
        seen = target.cells[np.isfinite(target.cells)]
        low, high = np.quantile(seen, (0.05, 0.95)) if len(seen) else (0.0, 1.0)
        return _Tints(values=target.cells, low=float(low), high=float(high))
    counts = np.bincount(
        target.cells[np.isfinite(target.cells)].astype(np.int64), minlength=len(target.names)
    )
    most = len(CLASS_COLOURS) - (len(target.names) > len(CLASS_COLOURS))
    shown = sorted(np.argsort(-counts, kind="stable")[:most].tolist())
    parts = [(target.cells == code, colour) for code, colour in zip(shown, CLASS_COLOURS, strict=False)]
    others = ~np.isin(target.cells, shown)
    return _Tints(parts=(*parts, (others, OTHERS)) if others.any() else tuple(parts))


def _draw_panel(figure: Figure, page: Axes, panel: Panel, tints: _Tints, corner: tuple[float, float]) -> None:
    left, top = corner
    missing = int(np.isnan(panel.cells).sum())
    page.text(left, top + 16, _cut(visible(panel.name), _PANEL, FONT * 1.06), weight="bold", va="baseline")
    if missing:
        text = f"{missing:,} missing ({show_share(missing / len(panel.cells))})"
        page.text(left, top + 34, text, size=_SMALL, color=COLOURS["wrong"], va="baseline")
    axes = _panel_axes(figure, left, top + _HEAD, names_room(panel))
    if panel.names:
        _draw_bars(axes, panel, tints)
    else:
        _draw_histogram(axes, panel, tints)


def names_room(panel: Panel) -> float:
    """Return the room that the names of bars, or the numbers beside the axis, take. Units: pixels."""
    if not panel.names:
        return 46.0
    return min(0.42 * _PANEL, max(text_width(visible(n, 60), _SMALL) for n in panel.names) + 10)


def _panel_axes(figure: Figure, left: float, top: float, room: float) -> Axes:
    width, height = figure.get_size_inches() * 72
    place = ((left + room) / width, 1 - (top + _HEIGHT) / height, (_PANEL - room) / width, _HEIGHT / height)
    axes = figure.add_axes(place, facecolor="none")
    axes.tick_params(labelsize=_SMALL)
    axes.tick_params(axis="x", pad=7)
    for spine in ("left", "right", "top"):
        axes.spines[spine].set_visible(False)
    axes.set_axisbelow(True)
    return axes


def _draw_histogram(axes: Axes, panel: Panel, tints: _Tints) -> None:
    """Draw how often numbers or dates occur; each bar in the colours of its rows."""
    seen = panel.cells[np.isfinite(panel.cells)]
    if not len(seen):
        axes.axis("off")
        return
    is_logarithmic = not panel.is_date and _leans(seen)
    edges, beyond = (_log_edges(seen), 0) if is_logarithmic else _edges(seen)
    heights = _draw_columns(axes, panel, tints, edges)
    axes.set_xscale("log" if is_logarithmic else "linear")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, max(1.0, float(heights.max())) * 1.06)
    axes.grid(axis="y")
    set_few_ticks(axes, is_date=panel.is_date)
    said = f"{beyond:,} beyond" if beyond else "logarithmic" if is_logarithmic else ""
    if said:
        look: dict[str, Any] = {"size": _SMALL, "color": COLOURS["muted"], "ha": "right"}
        axes.text(1, 1.02, said, transform=axes.transAxes, **look)


def _leans(seen: np.ndarray) -> bool:
    """Whether positive values crowd at the low end, as incomes do: a tenth of the span holds nearly all."""
    low, high = float(seen.min()), float(seen.max())
    return low > 0 and high > 100 * low and bool((seen < low + 0.1 * (high - low)).mean() > CROWDED)


def _log_edges(seen: np.ndarray) -> np.ndarray:
    return np.geomspace(seen.min() * (1 - 1e-9), seen.max() * (1 + 1e-9), MOST_BINS - 7)


def _edges(seen: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the edges of bars, and how many values lie beyond them because they are far from all others."""
    values = np.unique(seen)
    if len(values) <= MOST_BINS // 2 and len(values) > 1 and np.diff(values).min() * 40 > np.ptp(values):
        half = np.diff(values).min() / 2
        if np.allclose(np.diff(values) / (2 * half), np.round(np.diff(values) / (2 * half))):
            return np.arange(values[0] - half, values[-1] + 1.5 * half, 2 * half), 0
    low, high = np.quantile(seen, (0.01, 0.99))
    if 0 < FAR * (high - low) < np.ptp(seen):
        low, high = max(values[0], low - (high - low)), min(values[-1], high + (high - low))
    else:
        low, high = values[0], values[-1]
    inside = seen[(seen >= low) & (seen <= high)]
    if low == high:
        low, high = low - 0.5, high + 0.5
    bins = min(MOST_BINS, max(8, 2 * math.ceil(len(inside) ** (1 / 3))))
    return np.linspace(low, high, bins + 1), len(seen) - len(inside)


def _draw_columns(axes: Axes, panel: Panel, tints: _Tints, edges: np.ndarray) -> np.ndarray:
    middle, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges) * 0.92  # the place of a bar is its middle
    heights = np.zeros(len(middle))
    if tints.values is None:
        for rows, colour in tints.parts:
            counts = np.histogram(panel.cells[rows & np.isfinite(panel.cells)], edges)[0]
            axes.bar(middle, counts, widths, bottom=heights, color=colour)
            heights = heights + counts
        return heights
    inside = (panel.cells >= edges[0]) & (panel.cells <= edges[-1])
    bins = np.clip(np.searchsorted(edges, panel.cells[inside], "right") - 1, 0, len(middle) - 1)
    heights = np.bincount(bins, minlength=len(middle)).astype(np.float64)
    axes.bar(middle, heights, widths, color=_medians(bins, tints, inside, len(middle)))
    return heights


def _medians(
    groups: np.ndarray, tints: _Tints, rows: np.ndarray, count: int
) -> list[tuple[float, float, float]]:
    """Return the colour of the median target of each group of rows."""
    assert tints.values is not None
    values = tints.values[rows]
    found = []
    for group in range(count):
        inside = values[(groups == group) & np.isfinite(values)]
        found.append(tints.of_value(float(np.median(inside)) if len(inside) else tints.low))
    return found


def _draw_bars(axes: Axes, panel: Panel, tints: _Tints) -> None:
    """Draw how often each of a few names occurs, the most frequent first unless they have an order of their own."""
    known = np.isfinite(panel.cells)
    codes = panel.cells[known].astype(np.int64)
    counts = np.bincount(codes, minlength=len(panel.names))
    order = (
        np.argsort(-counts, kind="stable") if len(panel.names) > MOST_BARS else np.arange(len(panel.names))
    )
    shown = order[:MOST_BARS].tolist()
    bars = [(panel.names[code], codes == code) for code in shown]
    if len(order) > MOST_BARS:
        bars.append((f"{len(order) - MOST_BARS:,} others", ~np.isin(codes, shown)))
    lengths = np.array([rows.sum() for _, rows in bars], dtype=np.float64)
    longest = lengths[:MOST_BARS].max()
    if lengths[-1] > 2 * longest:  # many others would leave no room for the bars that have names
        lengths[-1] = 0
    for place, (name, rows) in enumerate(bars):
        if lengths[place]:
            _draw_bar(axes, place, known, rows, tints)
        label = _cut(visible(name, 60), 0.42 * _PANEL - 10, _SMALL)
        axes.text(
            -0.02, place, label, size=_SMALL, ha="right", va="center", transform=axes.get_yaxis_transform()
        )
        axes.text(
            lengths[place],
            place,
            f" {int(rows.sum()):,}",
            size=_SMALL,
            color=COLOURS["muted"],
            va="center",
        )
    axes.set_xlim(0, max(1.0, float(lengths.max())) * 1.28)
    axes.set_ylim(max(len(bars), 3) - 0.5, -0.5)
    axes.axis("off")


def _draw_bar(axes: Axes, place: int, known: np.ndarray, rows: np.ndarray, tints: _Tints) -> None:
    if tints.values is not None:
        values = tints.values[known][rows]
        values = values[np.isfinite(values)]
        colour = tints.of_value(float(np.median(values)) if len(values) else tints.low)
        axes.barh(place, rows.sum(), 0.72, color=[colour])
        return
    start = 0
    for part, colour_name in tints.parts:
        count = int((part[known] & rows).sum())
        axes.barh(place, count, 0.72, left=start, color=colour_name)
        start += count


def _cut(text: str, most: float, size: float = FONT) -> str:
    """Return a text that fits, at this size. Units: pixels."""
    return fit_text(text, most * FONT / size)
