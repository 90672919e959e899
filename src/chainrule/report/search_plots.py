"""Figures of a search: the best so far, what each setting does, how settings go together, what matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.units import rounded, show_tick, show_value
from chainrule.report.canvas import (
    NARROW,
    WIDE,
    add_heading,
    add_legend,
    add_page_axes,
    add_plot_axes,
    fit_text,
    new_figure,
    rgb,
    say,
    set_few_ticks,
    set_ticks,
    text_width,
)
from chainrule.report.svg import COLOURS, FONT, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR = 34.0  # pixels from one setting to the next
_DOTS = {"ls": "none", "marker": "o", "ms": 6, "mew": 0}
_PANEL = 210  # pixels of height
MOST_NAMED = 12  # numbers that stand side by side as names do
_SHOWN = 0.1  # share of the trials that count as the best


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A setting as an axis: the places of values on it, and what is written at some of them.

    >>> Axis.of("units", [16, 64, 256]).is_log, Axis.of("optimizer", ["sgd", "adam"]).names
    (True, ('sgd', 'adam'))
    """

    name: str
    is_log: bool
    names: tuple[str, ...] = ()  # of values that are no numbers, in their order

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Axis:
        """Return the axis on which these values have a place."""
        different = list(dict.fromkeys(values))
        numbers = [v for v in different if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) < len(different):
            return cls(name=name, is_log=False, names=tuple(map(show_value, different)))
        least, most = min((v for v in numbers if v > 0), default=0.0), max(numbers)
        is_wide = least > 0 and most >= 4 * least
        if is_wide and min(numbers) <= 0 and len(numbers) <= MOST_NAMED:  # 0 has no place among factors
            return cls(name=name, is_log=False, names=tuple(map(show_value, sorted(numbers))))
        return cls(name=name, is_log=is_wide and min(numbers) > 0)

    def place(self, value: Any) -> float:
        """Return where a value lies."""
        return float(self.names.index(show_value(value))) if self.names else float(value)


def draw_best_so_far(scores: Sequence[float | None], metric: str, *, larger_is_better: bool) -> Figure:
    """Draw every trial's score in its order, and the best until then as a line."""
    with drawing():
        figure = new_figure(WIDE, 300, paper=COLOURS["paper"])
        axes = add_plot_axes(figure, width=WIDE)
        found = [(number, score) for number, score in enumerate(scores) if score is not None]
        axes.set_xlim(-0.5, max(1, len(scores) - 0.5))
        low, high = _limits([score for _, score in found], larger_is_better=larger_is_better)
        axes.set_ylim(low, high)
        numbers = [number for number, _ in found]
        shown = np.clip([score for _, score in found], low, high)
        axes.plot(numbers, shown, color=COLOURS["rival"], label="one trial", clip_on=False, **_DOTS)  # type: ignore[arg-type]
        best = (np.maximum if larger_is_better else np.minimum).accumulate([score for _, score in found])
        steps = [*numbers, len(scores) - 0.5]
        axes.plot(
            steps,
            [*best, best[-1]],
            color=COLOURS["ours"],
            lw=2.4,
            drawstyle="steps-post",
            label="best so far",
        )
        axes.set_xlabel("trial")
        add_heading(axes, "", up=34)
        set_ticks(axes, whole_x=True)
        axes.set_ylabel(say(metric))
        add_legend(axes)
    return figure


def draw_slices(
    settings: Mapping[str, Sequence[Any]],
    scores: Sequence[float],
    means: Mapping[str, Sequence[tuple[Any, float]]],
    *,
    larger_is_better: bool,
) -> Figure:
    """Draw the scores over the values of every setting, a panel each, and the mean that is expected along it."""
    with drawing():
        rows = -(-len(settings) // 2)
        figure = new_figure(WIDE, rows * (_PANEL + 46) + 10, paper=COLOURS["paper"])
        low, high = _limits(scores, larger_is_better=larger_is_better)
        expected = [mean for along in means.values() for _, mean in along]
        room = 0.04 * (high - low)
        low, high = (
            min([low, *(mean - room for mean in expected)]),
            max([high, *(mean + room for mean in expected)]),
        )
        for number, (name, values) in enumerate(settings.items()):
            axes = _panel(figure, number, rows)
            axis = Axis.of(name, [*values, *(value for value, _ in means.get(name, ()))])
            axes.set_ylim(low, high)
            _set_axis(axes, axis, values)
            dots = np.clip(scores, low, high)
            axes.plot([axis.place(v) for v in values], dots, color=COLOURS["rival"], clip_on=False, **_DOTS)  # type: ignore[arg-type]
            if name in means:
                along = sorted((axis.place(value), mean) for value, mean in means[name])
                look = {"ls": "none", "marker": "_", "ms": 22, "mew": 3} if axis.names else {"lw": 2.4}
                axes.plot(*zip(*along, strict=True), color=COLOURS["ours"], **look)
            add_heading(axes, name, weight="bold")
    return figure


def draw_parallel(
    settings: Mapping[str, Sequence[Any]], scores: Sequence[float], metric: str, *, larger_is_better: bool
) -> Figure:
    """Draw every trial as a line through its values, from setting to setting to its score; the best tenth stands out."""
    with drawing():
        columns = [*settings, metric]
        width = max(WIDE, 120 * len(columns))
        figure = new_figure(width, 330, paper=COLOURS["paper"])
        axes = add_page_axes(figure)
        low, high = _limits(scores, larger_is_better=larger_is_better)
        shown = np.clip(scores, low, high)
        low, high = float(shown.min()), float(shown.max())
        places = [
            [_share(Axis.of(name, values), values, value) for value in values]
            for name, values in settings.items()
        ]
        places.append([(score - low) / (high - low) if high > low else 0.5 for score in shown.tolist()])
        across = np.linspace(60, width - 60, len(columns))
        order = np.argsort(scores, kind="stable")
        order = order if larger_is_better else order[::-1]
        best = set(order[-max(1, round(_SHOWN * len(order))) :].tolist())
        for trial in order.tolist():
            heights = [280 - 220 * column[trial] for column in places]
            is_best = trial in best
            look = {"color": rgb(COLOURS["ours" if is_best else "rival"]), "lw": 2.0 if is_best else 0.9}
            axes.plot(across, heights, alpha=0.9 if is_best else 0.55, solid_joinstyle="round", **look)  # type: ignore[arg-type]
        room = (width - 120) / max(1, len(columns) - 1)
        for x, name in zip(across, columns, strict=True):
            axes.plot([x, x], [60, 280], color=COLOURS["muted"], lw=1)
            axes.text(
                x,
                26,
                fit_text(say(name) if name == metric else name, room),
                ha="center",
                va="center",
                weight="bold",
                size=13,
            )
        ends = [
            *(_ends(Axis.of(name, values), values) for name, values in settings.items()),
            (_tick(low), _tick(high)),
        ]
        for x, (bottom, top) in zip(across, ends, strict=True):
            for y, text in ((298, bottom), (46, top)):
                axes.text(
                    x, y, fit_text(text, room), ha="center", va="center", color=COLOURS["muted"], size=13
                )
    return figure


def draw_importance(shares: Mapping[str, float], together: float) -> Figure:
    """Draw the share of the variance that every setting explains alone, and what is left, as bars."""
    with drawing():
        bars = [*sorted(shares.items(), key=lambda item: -item[1]), ("together", together)]
        left = max(text_width(name) for name, _ in bars) + 24
        figure = new_figure(WIDE, _BAR * len(bars) + 16, paper=COLOURS["paper"])
        axes = add_page_axes(figure)
        whole = WIDE - left - 70
        for place, (name, share) in enumerate(bars):
            y = 8 + _BAR * place
            colour = COLOURS["rival" if place == len(bars) - 1 else "ours"]
            axes.barh(y + 11, share * whole, height=18, left=left, color=colour)
            axes.text(left - 12, y + 11 + 0.36 * FONT, name, ha="right", va="baseline")
            axes.text(
                left + share * whole + 8,
                y + 11 + 0.36 * FONT,
                f"{100 * share:.0f} %",
                va="baseline",
                color=COLOURS["muted"],
            )
    return figure


def _limits(scores: Sequence[float], *, larger_is_better: bool) -> tuple[float, float]:
    """Return the scores between which is drawn: up to the best, and down to where most are; the others stand at the edge."""
    ordered = np.sort(np.array(scores, dtype=np.float64))
    if not larger_is_better:
        low, high = _limits((-ordered).tolist(), larger_is_better=True)
        return -high, -low
    best, middle = float(ordered[-1]), float(np.median(ordered))
    least = max(float(ordered[0]), best - 4 * (best - middle)) if best > middle else float(ordered[0])
    room = (best - least) or abs(best) or 1.0
    return least - 0.04 * room, best + 0.08 * room


def _panel(figure: Figure, number: int, rows: int) -> Axes:
    width, height = figure.get_size_inches() * 72
    left = 62 + (number % 2) * (WIDE - NARROW)
    top = 36 + (number // 2) * (_PANEL + 46)
    place = (left / width, 1 - (top + _PANEL - 30) / height, (NARROW - 82) / width, (_PANEL - 30) / height)
    axes = figure.add_axes(place, facecolor="none")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    for spine in ("left", "right", "top"):
        axes.spines[spine].set_visible(False)
    return axes


def _set_axis(axes: Axes, axis: Axis, values: Sequence[Any]) -> None:
    """Set limits and ticks of a setting across a panel."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if axis.names:
        axes.set_xlim(-0.5, len(axis.names) - 0.5)
        room = (NARROW - 82) / len(axis.names)
        axes.set_xticks(range(len(axis.names)), [fit_text(name, room) for name in axis.names])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.yaxis.set_major_formatter(FuncFormatter(show_tick))
        return
    places = [axis.place(value) for value in values]
    low, high = min(places), max(places)
    if axis.is_log:
        axes.set_xscale("log")
        room = (high / low) ** 0.05
        axes.set_xlim(low / room, high * room)
    else:
        room = 0.05 * (high - low) or 0.5
        axes.set_xlim(low - room, high + room)
    set_few_ticks(axes)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    different = sorted(set(places))
    if len(different) <= MOST_NAMED // 2 or (axis.is_log and high < 100 * low):
        _tick_values(axes, different if len(different) <= MOST_NAMED // 2 else [low, high])


def _tick_values(axes: Axes, values: Sequence[float]) -> None:
    """Write the values that were tried themselves, but for those that would stand in the way of another."""
    axes.minorticks_off()
    pixels, free, kept = NARROW - 82, -math.inf, []
    for value in values:
        middle = float(axes.transAxes.inverted().transform(axes.transData.transform((value, 0)))[0]) * pixels
        half = text_width(_tick(value)) / 2
        if middle - half >= free:
            kept.append(value)
            free = middle + half + 6
    axes.set_xticks(kept, [_tick(value) for value in kept])


def _tick(value: float) -> str:
    return show_tick(rounded(value, 3))


def _share(axis: Axis, values: Sequence[Any], value: Any) -> float:
    """Return where a value lies between the least and the most of those tried, from 0 to 1."""
    places = [axis.place(one) for one in values]
    here = axis.place(value)
    if axis.is_log:
        places, here = [math.log(one) for one in places], math.log(here)
    low, high = min(places), max(places)
    return (here - low) / (high - low) if high > low else 0.5


def _ends(axis: Axis, values: Sequence[Any]) -> tuple[str, str]:
    """Return what stands below and above the axis of a setting."""
    if axis.names:
        return axis.names[0], axis.names[-1]
    places = [axis.place(value) for value in values]
    return _tick(min(places)), _tick(max(places))
