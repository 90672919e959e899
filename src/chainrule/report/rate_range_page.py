"""The learning-rate range test, drawn: the loss over the rate, and which rates are too low, good and too high."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.units import show_tick
from chainrule.report.canvas import TOP, WIDE, add_heading, add_plot_axes, new_figure
from chainrule.report.html import Column, Page, code, figure, paragraph, table
from chainrule.report.svg import COLOURS, drawing, inline_svg, picture_bytes
from chainrule.train.rate_range import RateRange, marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 380


def draw(found: RateRange, title: str = "") -> Figure:
    """Draw the loss of every update and its smooth course over the rate, on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    with drawing():
        made = new_figure(WIDE, HEIGHT + 30 * bool(title), paper=COLOURS["paper"])
        axes = add_plot_axes(made, top=TOP + 30 * bool(title), width=WIDE)
        axes.set_xscale("log")
        axes.set_xlim(found.rates[0], found.rates[-1])
        low, high = _limits(found)
        axes.set_ylim(low, high)
        _shade(axes, found)
        look = {"color": COLOURS["rival"], "ls": "none", "marker": "o", "ms": 3.5, "mew": 0}
        axes.plot(found.rates, found.losses, **look)  # type: ignore[arg-type]
        axes.plot(found.rates, found.smooth, color=COLOURS["ours"], lw=2.4)
        _mark(axes, found)
        axes.xaxis.set_major_locator(LogLocator(numticks=12))
        axes.xaxis.set_minor_locator(NullLocator())
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(show_tick))
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        if title:
            add_heading(axes, title, up=34, weight="bold")
    return made


def picture(found: RateRange, title: str, ending: str) -> bytes:
    """Return the drawing as the bytes of a .png or .svg file."""
    return picture_bytes(draw(found, title), ending)


def page(found: RateRange, *, title: str, about: str, sentences: list[str], command: str) -> Page:
    """Return the page: what follows, the drawing, the losses at round rates, the command to go on with."""
    made = Page(title=title, kicker="Learning-rate range test", foot="Written by chainrule")
    made.head = [
        paragraph(sentence, role="lead" if place == 0 else "")
        for place, sentence in enumerate(reversed(sentences))
    ]
    if command:
        made.head.append(code(command))
    said = "Training loss over the learning rate, which rises with every update."
    caption = (
        "Dots are the losses of single batches, the line their course. The rate rises with every update; shaded: rates at "
        "which the loss falls and stays down."
    )
    made.section(
        "Loss over the rate", figure("", inline_svg(draw(found), "range", said), caption, is_wide=True)
    )
    rows = [
        [show_tick(rate), found.at(rate), found.classify(rate)]
        for rate in marks(found.rates[0], found.rates[-1])
    ]
    made.section(
        "At round rates", table([Column("rate"), Column("loss"), "rates here are"], rows), paragraph(about)
    )
    return made


def _limits(found: RateRange) -> tuple[float, float]:
    """Return the losses between which a drawing is: all but the farthest of those before it diverges."""
    before = np.array(found.losses[: found.least + 1])
    low, high = np.quantile(before, (0.02, 0.98)) if len(before) else (0.0, 1.0)
    low, high = min(low, *found.smooth), max(high, *found.smooth[: found.least + 1])
    room = float(high - low) or abs(float(high)) or 1.0
    return float(low) - 0.05 * room, float(high) + 0.15 * room


def _shade(axes: Axes, found: RateRange) -> None:
    """Shade the good rates, and write above the drawing what rates are."""
    if found.good is None:
        return
    axes.axvspan(*found.good, color=COLOURS["good"], alpha=0.13, lw=0)
    edges = [found.rates[0], *found.good, found.rates[-1]]
    for place, word in enumerate(("too low", "good", "too high")):
        left, right = edges[place], edges[place + 1]
        if right > 4 * left:
            colour = COLOURS["good" if word == "good" else "muted"]
            middle, above = (left * right) ** 0.5, axes.get_xaxis_transform()
            axes.text(middle, 1.015, word, transform=above, color=colour, ha="center")


def _mark(axes: Axes, found: RateRange) -> None:
    if found.suggestion is None:
        return
    axes.axvline(found.suggestion, color=COLOURS["wrong"], lw=1.6, dashes=(4, 2))
    name, across = f" suggested: {show_tick(found.suggestion)} ", axes.get_xaxis_transform()
    box = {"facecolor": COLOURS["paper"], "lw": 0, "pad": 1.5}
    axes.text(found.suggestion, 0.93, name, transform=across, color=COLOURS["wrong"], ha="center", bbox=box)
