"""What a network goes by: columns by how much they matter to it, and how it does on groups of rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chainrule.core.text import visible
from chainrule.core.units import show_interval
from chainrule.report.canvas import NARROW, add_page_axes, fit_text, new_figure, say, text_width
from chainrule.report.html import (
    Cell,
    Child,
    Column,
    Markup,
    aligned,
    columns,
    figure,
    paragraph,
    table,
    titled,
)
from chainrule.report.summary import GroupFigures, Influence, Influences, RunSummary
from chainrule.report.svg import COLOURS, FONT, drawing, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_BARS = 12
_BAR = 46.0  # pixels from one column to the next, as for the yardsticks
_SMALL = "few rows"
_GROUP_METRICS = ("balanced-accuracy", "auc", "log-loss", "r2", "mae", "rmse")


def influence(found: Influences) -> list[Child]:
    """Return the blocks of the section about columns."""
    shown = found.columns[:_MOST_BARS]
    told = ", ".join(f"{visible(one.column, 60)} {one.mean:.3g}" for one in shown)
    bars = inline_svg(
        draw_influence(shown), "importance", f"Bars of how much worse {say(found.metric)} gets: {told}"
    )
    drawn = figure(_title(found), bars, _told(found))
    rest = found.columns[_MOST_BARS:]
    if not rest:
        return [drawn]
    return [columns(drawn, titled("The other columns", _listed(rest[: 2 * _MOST_BARS])))]


def _title(found: Influences) -> str:
    verb = "rises" if found.metric in ("loss", "log-loss", "mae", "rmse", "calibration-error") else "falls"
    return f"How much {say(found.metric)} {verb} without a column"


def _told(found: Influences) -> str:
    said = (
        f"Each column was shuffled among {found.rows:,} {found.part} rows, so that it says nothing about them any more; bars "
        "are the mean of the repeats, lines their standard deviation. Columns that say the same share their importance."
    )
    if len(found.columns) < found.columns_in_all:
        said += f" There was time for {len(found.columns)} of {found.columns_in_all} columns."
    return said


def _listed(columns: list[Influence]) -> Markup:
    means, spreads = aligned([one.mean for one in columns]), aligned([one.spread for one in columns])
    rows: list[list[Cell]] = [
        [visible(one.column, 60), mean, f"± {spread}"]
        for one, mean, spread in zip(columns, means, spreads, strict=True)
    ]
    return table(["column", Column("mean"), Column("deviation")], rows)


def draw_influence(columns: list[Influence]) -> Figure:
    """Draw one bar per column under its name, with a line of one standard deviation to both sides."""
    labels = aligned([one.mean for one in columns])
    room = max((text_width(label) for label in labels), default=0.0) + 14
    low = min([0.0, *(one.mean - one.spread for one in columns)])
    high = max([0.0, *(one.mean + one.spread for one in columns)])
    scale = (NARROW - room) / ((high - low) or 1.0)
    zero = 1 - low * scale
    with drawing():
        made = new_figure(NARROW, _BAR * len(columns) + 2)
        axes = add_page_axes(made)
        for row, (one, label) in enumerate(zip(columns, labels, strict=True)):
            _draw_bar(axes, row * _BAR, one, label, zero, scale)
    return made


def _draw_bar(axes: Axes, top: float, one: Influence, label: str, zero: float, scale: float) -> None:
    axes.text(0, top + 14, fit_text(visible(one.column), NARROW - 4), va="baseline")
    axes.barh(top + 29, one.mean * scale, left=zero, height=14, color=COLOURS["ours"])
    ends = [zero + (one.mean - one.spread) * scale, zero + (one.mean + one.spread) * scale]
    look: dict[str, Any] = {"color": COLOURS["ink"], "lw": 1.4}
    if one.spread > 0:
        axes.plot(ends, [top + 29, top + 29], **look)
    end = max(zero, *ends) + 6
    axes.text(end, top + 29 + 0.36 * FONT, label, ha="left", va="baseline")


def groups(summary: RunSummary) -> list[Child]:
    """Return the blocks of the section about the groups of a column."""
    others = [name for name in _GROUP_METRICS if name != summary.metric]
    others = [name for name in others if any(name in group.metrics for group in summary.groups)]
    rows = [_group(group, summary.metric, others) for group in summary.groups]
    has_small = any(group.is_small for group in summary.groups)
    head: list[Column | str] = [
        visible(summary.by, 60),
        Column("rows"),
        Column(say(summary.metric)),
        Column("95\N{NO-BREAK SPACE}% interval"),
        *(Column(say(name)) for name in others),
        *([""] if has_small else []),
    ]
    told = "Groups whose intervals overlap may differ by luck alone."
    if has_small:
        told += " Those of fewer than ten rows say next to nothing."
    return [table(head, [row if has_small else row[:-1] for row in rows]), paragraph(told, role="muted")]


def _group(group: GroupFigures, metric: str, others: list[str]) -> list[Cell]:
    interval = group.intervals.get(metric)
    return [
        visible(group.name, 60),
        group.rows,
        group.metrics.get(metric, math.nan),
        show_interval(*interval) if interval is not None else None,
        *(group.metrics.get(name, math.nan) for name in others),
        _SMALL if group.is_small else "",
    ]
