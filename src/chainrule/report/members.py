"""The members of an ensemble: each beside all together, and how the score grows with every one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.text import visible
from chainrule.report.canvas import NARROW, add_plot_axes, new_figure, say, set_ticks
from chainrule.report.html import (
    Cell,
    Child,
    Column,
    Markup,
    bullets,
    columns,
    details,
    figure,
    paragraph,
    table,
)
from chainrule.report.standing import capital, number
from chainrule.report.summary import Members
from chainrule.report.svg import COLOURS, drawing, inline_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 250
_MOST_ROWS = 12  # of a table shown at once
_TOGETHER = "together"
_HOW = {
    "deep": "Members differ in their seeds: in starting weights, in the order of the rows and in dropout.",
    "bagging": "Each member trains on as many rows as there are, drawn with repetition.",
    "boosting": "Rows that a member gets wrong weigh more for the next one; one with a smaller error has more to say.",
    "snapshot": "Members are stages of one training: the learning rate falls, is raised again, and falls anew.",
}
_VOTES = {
    "average": "Their probabilities or values are averaged.",
    "majority": "The class with the most votes is answered; probabilities are the shares of the votes.",
    "median": "The median of their values is answered.",
}


def members(found: Members) -> list[Child]:
    """Return the blocks of the section."""
    said = bullets([visible(capital(line), 500) for line in found.said])
    how = paragraph(f"{_HOW.get(found.kind, '')} {_VOTES.get(found.vote, '')}".strip(), role="muted")
    listed = _listed(found)
    if any(value is None for value in found.growing):
        return [said, how, listed]
    svg = inline_svg(draw_growing(found), "members", f"{say(found.metric)} of the first members together")
    told = "Solid: the first members together. Dots: each member alone."
    drawn = figure(f"{capital(say(found.metric))} on the {found.part} rows", svg, told)
    is_wide = any(one.error is not None for one in found.members)
    return [said, how, drawn, listed] if is_wide else [said, how, columns(drawn, listed)]


def draw_growing(found: Members) -> Figure:
    """Draw the score of the first members together over their number, and of each alone as a dot."""
    growing = np.array(found.growing, dtype=np.float64)
    alone = np.array([number(one.metrics.get(found.metric)) for one in found.members])
    at = np.arange(1, len(growing) + 1)
    with drawing():
        made = new_figure(NARROW, _HEIGHT)
        axes = add_plot_axes(made)
        axes.plot(at, alone, "o", color=COLOURS["muted"], ms=5)
        axes.plot(at, growing, color=COLOURS["ours"], lw=2.2)
        axes.set_xlim(0.5, len(at) + 0.5)
        axes.margins(y=0.08)
        axes.set_xlabel("members")
        set_ticks(axes, whole_x=True)
    return made


def _listed(found: Members) -> Markup:
    shown = [name for name in (found.metric, "loss", "calibration-error") if name in found.together]
    weighs = len({round(one.share, 9) for one in found.members}) > 1
    errs = any(one.error is not None for one in found.members)
    head: list[Column | str] = ["member", *(Column(say(name)) for name in shown)]
    head += [Column("weighted error")] * errs + [Column("share of the vote")] * weighs
    rows: list[list[Cell]] = [
        [
            str(place),
            *(number(one.metrics.get(name)) for name in shown),
            *[number(one.error)] * errs,
            *[one.share] * weighs,
        ]
        for place, one in enumerate(found.members, 1)
    ]
    together: list[Cell] = [_TOGETHER, *(found.together[name] for name in shown), *[None] * (errs + weighs)]
    if len(rows) <= _MOST_ROWS:
        return table(head, [together, *rows], marked=0)
    return details(f"All {len(rows)} members", table(head, [together, *rows], marked=0))
