"""Where a network stands, in numbers and in one plain sentence: its score, and those of simpler models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from chainrule.catalog import METRICS
from chainrule.core.text import visible
from chainrule.core.units import show_figure, show_interval
from chainrule.report.canvas import say
from chainrule.report.summary import LARGEST_CLASS_ALONE, MEAN_ALONE, RunSummary
from chainrule.train.metrics import metric_named, metrics_for

SPLITS = ("train", "validation", "test")


def score_of(summary: RunSummary) -> tuple[str | None, float]:
    """Return the rows on which the metric is best known (test, else validation, else train), and its value."""
    for split in reversed(SPLITS):
        if summary.metric in summary.metrics.get(split, {}):
            return split, float(summary.metrics[split][summary.metric])
    return None, math.nan


def rivals_of(summary: RunSummary) -> dict[str, float]:
    """Return the scores of the yardsticks that have one."""
    scores = {y.name: number(y.metrics.get(summary.metric)) for y in summary.yardsticks}
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def is_behind(summary: RunSummary) -> bool:
    """Return whether a yardstick does better, or the network has no score at all."""
    _, score = score_of(summary)
    return not math.isfinite(score) or any(
        beats(summary.metric, v, score) for v in rivals_of(summary).values()
    )


def beats(metric: str, score: float, other: float) -> bool:
    """Return whether a score is better than another: larger, or smaller where that is better."""
    return score > other if larger_is_better(metric) else score < other


def larger_is_better(metric: str) -> bool:
    """Return whether more of a metric is better; of a loss, less is."""
    return metric_named(metric).larger_is_better if metric in METRICS else metric != "loss"


def without_inputs(metric: str) -> str:
    """Return what the score of answering all rows alike is called."""
    return MEAN_ALONE if metric in metrics_for("regression") else LARGEST_CLASS_ALONE


def best_of(metric: str, scores: Mapping[str, float]) -> str:
    """Return the name of the best of some scores; of equal ones the first."""
    return (max if larger_is_better(metric) else min)(scores, key=lambda name: scores[name])


def headline(summary: RunSummary) -> str:
    """Return the sentence that a person understands at once: the score, and how the yardsticks do."""
    return f"{_outcome(summary)} {_standing(summary)}".strip()


def _outcome(summary: RunSummary) -> str:
    split, score = score_of(summary)
    if split is None:
        return f"There is no {say(summary.metric)} to show: nothing was measured."
    rows = counted(summary, split, summary.rows.get(split, 0))
    shown = show_figure(score, digits_of(summary))
    is_share = summary.metric == "accuracy" or (summary.metric == "r2" and score > 0)
    span = spanned(summary.intervals.get(split, {}).get(summary.metric), is_share=is_share)
    luck = f" (95\N{NO-BREAK SPACE}% interval {span})" if span else ""
    if not math.isfinite(score):
        return f"Failed: its {say(summary.metric)} on {rows} is not a number."
    if summary.metric == "accuracy":
        told = f"{percent(score)} of {rows} right{luck}."
    elif summary.metric == "r2" and score <= 0:
        told = f"No better than answering all of them with their own mean: R² is {shown} on {rows}{luck}."
    elif summary.metric == "r2":
        told = f"Explains {percent(score)} of the variation on {rows}{luck}."
    else:
        told = f"{capital(say(summary.metric))} {shown} on {rows}{luck}."
    return told if split == "test" else f"{told} There are no test {summary.what} to confirm it."


def _standing(summary: RunSummary) -> str:
    rivals = rivals_of(summary)
    if not rivals:
        return "No yardstick was run beside it."
    _, score = score_of(summary)
    best = best_of(summary.metric, rivals)
    name, reaches = visible(best, 80), f"reaches {scored(summary.metric, rivals[best], digits_of(summary))}."
    better = sum(beats(summary.metric, v, score) for v in rivals.values())
    level = rivals[best] == score
    if not math.isfinite(score):
        return f"The best yardstick, {name}, {reaches}"
    if len(rivals) == 1:
        told = "does better" if better else "does just as well" if level else "does worse"
        return f"The one yardstick {told}: {name} {reaches}"
    if better:
        return f"{better} of {len(rivals)} yardsticks {'does' if better == 1 else 'do'} better; the best, {name}, {reaches}"
    return f"None of {len(rivals)} yardsticks does {'better' if level else 'as well'}; the best, {name}, {reaches}"


def called(summary: RunSummary, split: str) -> str:
    """Return what a part is called: without test rows, those that networks of their own held out in turn."""
    return "held-out" if summary.held_out and split == "test" else split


def counted(summary: RunSummary, split: str, count: int) -> str:
    """Return so many rows or pictures of a part, as words."""
    return f"{count:,} {called(summary, split)} {summary.what[:-1] if count == 1 else summary.what}"


def digits_of(summary: RunSummary) -> int:
    """Return how many digits of a score mean something: fewer where a few rows judge."""
    return 2 if summary.held_out else 3


def number(value: float | None) -> float:
    """Return a number that may be missing, as NaN then."""
    return math.nan if value is None else float(value)


def scored(metric: str, score: float, digits: int = 3) -> str:
    """Write a score so that it can stand alone.

    >>> scored("r2", 0.4821), scored("accuracy", 0.25).replace(chr(160), " ")
    ('R² 0.482', '25.0 %')
    """
    if metric == "accuracy":
        return percent(score)
    return f"R² {show_figure(score, digits)}" if metric == "r2" else show_figure(score, digits)


def spanned(interval: Sequence[float] | None, *, is_share: bool) -> str:
    """Write an interval of a score, in percent if it is a share of 1; nothing where there is none.

    >>> spanned((0.9, 0.98), is_share=True).replace(chr(160), " "), spanned((-1.2, 0.3), is_share=False)
    ('90 to 98 %', '-1.2 to 0.3')
    """
    if interval is None or not all(map(math.isfinite, interval)):
        return ""
    low, high = interval
    if is_share:
        return f"{show_interval(100 * low, 100 * high)}\N{NO-BREAK SPACE}%"
    return show_interval(low, high)


def percent(share: float, decimals: int = 1) -> str:
    """Write a share of 1 as a percentage; only what is whole reads as 100.

    >>> [percent(x).replace(chr(160), " ") for x in (0.9806, 1.0, 0.99999)]
    ['98.1 %', '100 %', '99.9 %']
    """
    if not math.isfinite(share):
        return "–"
    text = f"{100 * share:.{decimals}f}"
    if share < 1 and float(text) >= 100:
        text = f"{100 - 10**-decimals:.{decimals}f}"
    return f"{'100' if share == 1 else text}\N{NO-BREAK SPACE}%"


def capital(text: str) -> str:
    """Return a text that begins a sentence; the rest keeps its letters."""
    return text[:1].upper() + text[1:]
