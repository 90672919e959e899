"""What all figures share: paper, axes, ticks, texts that fit. A unit is a CSS pixel (72 dots per inch)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from chainrule.core.text import visible
from chainrule.core.units import show_tick
from chainrule.report.svg import FONT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NARROW = 390  # two stand side by side on a page, one fits a phone
WIDE = 810
LEFT, RIGHT, TOP, BOTTOM = 62, 10, 30, 46  # around axes: tick labels; nothing; legend; tick labels and a name
_EM = 0.64  # width of most letters of the drawing font, DejaVu Sans, over its size
_NARROW_LETTERS, _NARROW_EM = frozenset("fijlrtI .,:;'|!()[]"), 0.42
_WIDE_LETTERS, _WIDE_EM = frozenset('mwMW@%OQGDHNU—…"+−<>=#'), 1.0
_STEPS = [1, 2, 2.5, 5, 10]


def new_figure(width: float, height: float, paper: str = "none") -> Figure:
    """Return an empty figure. Units: pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72, facecolor=paper)


def add_page_axes(figure: Figure) -> Axes:
    """Return axes without any decoration whose units are pixels from the top left corner."""
    width, height = figure.get_size_inches() * 72
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return axes


def add_plot_axes(figure: Figure, *, left: float = LEFT, top: float = TOP, width: float = NARROW) -> Axes:
    """Return axes with horizontal grid lines in a part of the figure, `width` wide with its margins."""
    whole_width, whole_height = figure.get_size_inches() * 72
    across, up = width - LEFT - RIGHT, whole_height - top - BOTTOM
    place = (left / whole_width, BOTTOM / whole_height, across / whole_width, up / whole_height)
    axes = figure.add_axes(place, facecolor="none")
    axes.patch.set_visible(False)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    for spine in ("left", "right", "top"):
        axes.spines[spine].set_visible(False)
    return axes


def set_ticks(axes: Axes, *, bins: int = 5, whole_x: bool = False) -> None:
    """Put round numbers along both axes; their limits must stand by then."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for axis, is_whole in ((axes.xaxis, whole_x), (axes.yaxis, False)):
        axis.set_major_locator(MaxNLocator(nbins=bins, steps=_STEPS, integer=is_whole, min_n_ticks=1))
        axis.set_major_formatter(FuncFormatter(show_tick))
    _make_room(axes)
    _drop_ticks_outside(axes)


def set_few_ticks(axes: Axes, *, is_date: bool = False) -> None:
    """Put a few round numbers, or dates, along the axes of a small panel."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=_STEPS, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(show_tick))
    if axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(numticks=4))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(show_tick))
        return
    if not is_date:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=_STEPS, min_n_ticks=1))
        axes.xaxis.set_major_formatter(FuncFormatter(show_tick))
        _drop_ticks_outside(axes)
        return
    locator = AutoDateLocator(minticks=2, maxticks=4)  # type: ignore[no-untyped-call, unused-ignore]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call, unused-ignore]


def _make_room(axes: Axes) -> None:
    """Move the left edge of axes inwards where the numbers beside it are too long for the margin."""
    low, high = sorted(axes.get_ylim())
    labels = (show_tick(value) for value in axes.yaxis.get_majorticklocs() if low <= value <= high)
    missing = max((text_width(label) for label in labels), default=0.0) + 8 - LEFT
    if missing > 0:
        place, share = axes.get_position(), missing * _share_of_pixel(axes)
        axes.set_position((place.x0 + share, place.y0, place.width - share, place.height))


def _drop_ticks_outside(axes: Axes) -> None:
    """Leave out the numbers below axes that would overlap the next one, or reach over the right margin."""
    low, high = sorted(axes.get_xlim())
    pixels = axes.get_position().width / _share_of_pixel(axes)
    kept: list[float] = []
    free = -float(LEFT)
    for value in axes.xaxis.get_majorticklocs():
        half = text_width(show_tick(value)) / 2
        middle = (value - low) / (high - low) * pixels
        if low <= value <= high and middle - half >= free and middle + half <= pixels + RIGHT:
            kept.append(float(value))
            free = middle + half + 8
    axes.xaxis.set_ticks(kept)


def _share_of_pixel(axes: Axes) -> float:
    """Return the share of the figure's width that a pixel is."""
    return float(1 / (axes.get_window_extent().width / axes.get_position().width))


def add_legend(axes: Axes) -> None:
    """Put the legend in one line above the axes."""
    spaces = {
        "handlelength": 1.5,
        "handletextpad": 0.4,
        "columnspacing": 1.0,
        "borderpad": 0,
        "borderaxespad": 0,
    }
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.02), ncols=3, frameon=False, **spaces)


def add_heading(axes: Axes, text: str, *, up: float = 10, **look: Any) -> None:
    """Write above the axes, from their left edge."""
    from matplotlib.transforms import ScaledTranslation

    raised = axes.transAxes + ScaledTranslation(0, up / 72, axes.figure.dpi_scale_trans)
    axes.text(0, 1, text, transform=raised, va="baseline", **look)


def say(name: str) -> str:
    """Return the name of a metric as it is written in a figure."""
    known = {"r2": "R²", "rmse": "RMSE", "mae": "MAE", "auc": "AUC", "f1": "F1"}
    return known.get(name, visible(name, 60).replace("_", " ").replace("-", " "))


def rgb(colour: str) -> tuple[float, float, float]:
    """Return #rrggbb as three shares of 1."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def text_width(text: str, size: float = FONT) -> float:
    """Return about how wide a text is, rather more than less. Units: pixels."""
    return sum(_letter_width(letter) for letter in text) * size


def _letter_width(letter: str) -> float:
    if letter in _NARROW_LETTERS:
        return _NARROW_EM
    if letter in _WIDE_LETTERS or east_asian_width(letter) in "WF":
        return _WIDE_EM
    return _EM + 0.06 if letter.isupper() else _EM


def fit_text(text: str, most: float) -> str:
    """Return a text that is at most so wide, shortened with … if need be.

    >>> fit_text("always the most frequent class", 100)
    'always th…'
    """
    if text_width(text) <= most:
        return text
    while text and text_width(text) > most - FONT * _WIDE_EM:
        text = text[:-1]
    return text.rstrip() + "…"
