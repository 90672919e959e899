"""A picture of pictures: a row of examples per class, with the number of pictures that it has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.text import visible
from chainrule.report.canvas import add_page_axes, fit_text, new_figure
from chainrule.report.data_sheet import draw_heading, heading_height
from chainrule.report.pictures import as_bytes
from chainrule.report.svg import COLOURS, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXAMPLES = 10
MOST_GROUPS = 20
_SIDE, _GAP, _EDGE, _NAMES, _SMALL = 72.0, 6.0, 28.0, 190.0, 12.5
_BAR = 130.0  # of the largest class


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A class, or a range of values: its name, how many pictures it has, a few of them. Shapes: each (C, H, W)."""

    name: str
    count: int
    examples: Sequence[np.ndarray]


def draw_examples(
    title: str, about: Sequence[str], groups: Sequence[Group], notes: Sequence[str] = ()
) -> Figure:
    """Draw a row per group: its name, its count as a bar, its examples."""
    head, step = heading_height(about), _SIDE + 2 * _GAP
    width = 2 * _EDGE + _NAMES + EXAMPLES * (_SIDE + _GAP)
    with drawing():
        height = head + len(groups) * step + len(notes) * 1.6 * _SMALL + _EDGE
        figure = new_figure(width, math.ceil(height), paper=COLOURS["paper"])
        page = add_page_axes(figure)
        draw_heading(page, title, about)
        largest = max((group.count for group in groups), default=1) or 1
        for place, group in enumerate(groups):
            _draw_group(page, group, head + place * step, largest)
        for line, note in enumerate(notes):
            down = head + len(groups) * step + (line + 1) * 1.6 * _SMALL
            page.text(_EDGE, down, note, size=_SMALL, color=COLOURS["muted"], va="baseline")
    return figure


def _draw_group(page: Axes, group: Group, top: float, largest: int) -> None:
    from matplotlib.patches import Rectangle

    page.text(_EDGE, top + 24, fit_text(visible(group.name, 100), _NAMES - 16), weight="bold", va="baseline")
    page.add_patch(
        Rectangle((_EDGE, top + 36), _BAR * group.count / largest, 10, color=COLOURS["ours"], lw=0)
    )
    count = "1 picture" if group.count == 1 else f"{group.count:,} pictures"
    page.text(_EDGE, top + 64, count, size=_SMALL, color=COLOURS["muted"], va="baseline")
    for place, picture in enumerate(group.examples[:EXAMPLES]):
        _draw_picture(page, picture, _EDGE + _NAMES + place * (_SIDE + _GAP), top)


def _draw_picture(page: Axes, picture: np.ndarray, left: float, top: float) -> None:
    """Draw one picture in its proportions, within a square."""
    height, width = picture.shape[1:]
    scale = _SIDE / max(height, width)
    across, down = width * scale, height * scale
    x, y = left + (_SIDE - across) / 2, top + (_SIDE - down) / 2
    pixels = as_bytes(picture)
    shown = np.repeat(pixels, 3, 0) if len(pixels) == 1 else pixels
    smooth = "nearest" if max(height, width) <= _SIDE else "antialiased"
    image = page.imshow(
        shown.transpose(1, 2, 0), extent=(x, x + across, y + down, y), interpolation=smooth, aspect="auto"
    )
    image.set_clip_on(False)
