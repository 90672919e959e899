"""What came out, in tiles and tables: every figure with its interval, beside simpler models on the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.catalog import METRICS
from chainrule.core.text import visible
from chainrule.core.units import show_interval, show_seconds
from chainrule.report import plots
from chainrule.report.canvas import say
from chainrule.report.html import (
    Cell,
    Child,
    Column,
    Markup,
    aligned,
    columns,
    details,
    element,
    facts,
    figure,
    join,
    paragraph,
    subheading,
    table,
)
from chainrule.report.standing import (
    SPLITS,
    best_of,
    called,
    capital,
    digits_of,
    larger_is_better,
    number,
    percent,
    rivals_of,
    score_of,
    scored,
    spanned,
)
from chainrule.report.summary import LARGEST_CLASS_ALONE, MEAN_ALONE, RunSummary
from chainrule.report.svg import inline_svg
from chainrule.train.metrics import metric_named

_MOST_COLUMNS = 4  # metrics that stand beside each other; more are rows of their own


def tiles(summary: RunSummary) -> Markup:
    """Return the few numbers that matter most."""
    split, score = score_of(summary)
    scores: dict[str, float] = {}
    below: dict[str, str] = {}
    if split is not None:
        name = f"{called(summary, split)} {say(summary.metric)}"
        scores[name] = score
        interval = summary.intervals.get(split, {}).get(summary.metric)
        if span := spanned(interval, is_share=summary.metric == "accuracy"):  # as the score above it
            below[name] = span
    if rivals := rivals_of(summary):
        best = best_of(summary.metric, rivals)
        scores["best yardstick"], below["best yardstick"] = rivals[best], visible(best, 40)
    written = (
        map(percent, scores.values())
        if summary.metric == "accuracy"
        else aligned(list(scores.values()), digits_of(summary))
    )
    shown: dict[str, Child] = {
        name: join(text, element("br"), element("small", below[name])) if name in below else text
        for name, text in zip(scores, written, strict=True)
    }
    if summary.layers:
        shown["parameters"] = f"{parameters_of(summary):,}"
    shown["training time"] = time_of(summary.fit_seconds)
    return facts(shown, role="tiles")


def result(summary: RunSummary) -> list[Child]:
    """Return the blocks of the section."""
    blocks: list[Child] = []
    if any(summary.metrics.get(split) for split in SPLITS):
        blocks.append(_by_part(summary))
    if not summary.yardsticks:
        blocks.append(paragraph("No yardsticks were run, so a simpler model may do as well.", role="muted"))
    else:
        blocks += [subheading("Beside simpler models"), *_yardsticks(summary)]
    if any(len(metrics) > _MOST_COLUMNS for metrics in summary.metrics.values()) or summary.intervals:
        blocks += [subheading("Every figure"), *_every_figure(summary)]
    return blocks


def _by_part(summary: RunSummary) -> Markup:
    measured = [split for split in SPLITS if summary.metrics.get(split)]
    names = list(dict.fromkeys(name for split in measured for name in summary.metrics[split]))
    if len(names) > _MOST_COLUMNS:
        names = [name for name in names if name in ("loss", summary.metric)]
    rows: list[list[Cell]] = [
        [
            called(summary, split),
            summary.rows.get(split, 0),
            *(number(summary.metrics[split].get(name)) for name in names),
        ]
        for split in measured
    ]
    return table(["", Column(summary.what), *(Column(say(name)) for name in names)], rows)


def _yardsticks(summary: RunSummary) -> list[Child]:
    split, _ = score_of(summary)
    ours = [] if split is None else [(ours_of(summary), summary.metrics[split], summary.fit_seconds, "")]
    models = ours + [
        (visible(y.name), y.metrics, y.seconds, visible(y.note, 400)) for y in summary.yardsticks
    ]
    scores = {name: number(metrics.get(summary.metric)) for name, metrics, _, _ in models}
    sign = -1 if larger_is_better(summary.metric) else 1
    models.sort(key=lambda model: sign * scores[model[0]] if math.isfinite(scores[model[0]]) else math.inf)
    names = list(dict.fromkeys([summary.metric, *(n for y in summary.yardsticks for n in y.metrics)]))
    if len(names) > _MOST_COLUMNS:
        names = [summary.metric]
    has_notes = any(told for *_, told in models)
    head: list[Column | str] = [
        "model",
        *(Column(say(name)) for name in names),
        Column("time"),
        *(["note"] if has_notes else []),
    ]
    rows: list[list[Cell]] = [
        [name, *(number(metrics.get(n)) for n in names), time_of(seconds), *([told] if has_notes else [])]
        for name, metrics, seconds, told in models
    ]
    marked = next((i for i, model in enumerate(models) if model[0] == ours_of(summary)), None)
    listed = table(head, rows, marked=marked)
    if not any(math.isfinite(value) for value in scores.values()):
        return [listed]
    metric = capital(say(summary.metric))
    told = ", ".join(
        f"{name} {scored(summary.metric, value, digits_of(summary)).removeprefix('R² ')}"
        for name, value in scores.items()
    )
    drawing = plots.draw_yardsticks(scores, ours_of(summary), larger_is_better=sign < 0)
    drawn = inline_svg(drawing, "yardsticks", f"Bars of {metric}: {told}")
    better = "longer" if sign < 0 else "shorter"
    rows_shown = "same" if split is None else called(summary, split)
    bars = figure("", drawn, f"{metric} on the {rows_shown} {summary.what}; {better} is better.")
    return [bars, listed] if has_notes or len(names) > 2 else [columns(bars, listed)]


def _every_figure(summary: RunSummary) -> list[Child]:
    """Return a row per metric: the network with its interval, the base rate, the other yardsticks."""
    split, _ = score_of(summary)
    if split is None:
        return []
    ours, intervals = summary.metrics[split], summary.intervals.get(split, {})
    names = [summary.metric, *(name for name in ours if name != summary.metric)]
    rivals = [y for y in summary.yardsticks if y.metrics]
    rows = [
        [_titled(summary, name), *_figures(name, ours, intervals, [y.metrics for y in rivals])]
        for name in names
        if name in ours
    ]
    meanings: dict[str, Child] = {say(name): _meaning(name) for name in names if _meaning(name)}
    head: list[Column | str] = [
        "",
        Column(ours_of(summary)),
        Column("95\N{NO-BREAK SPACE}% interval"),
        *(Column("base rate" if y.name == LARGEST_CLASS_ALONE else visible(y.name)) for y in rivals),
    ]
    return [
        table(head, rows),
        paragraph(_about_intervals(summary, split), role="muted"),
        *([details("What each figure says", facts(meanings))] if meanings else []),
    ]


def _figures(
    name: str,
    ours: dict[str, float],
    intervals: dict[str, Sequence[float]],
    rivals: Sequence[dict[str, float]],
) -> list[Cell]:
    """Return the cells of a metric, all with the same decimals."""
    values = aligned([number(ours.get(name)), *(number(rival.get(name)) for rival in rivals)])
    span = show_interval(*intervals[name]) if name in intervals else ""
    return [values[0], span or None, *values[1:]]


def _titled(summary: RunSummary, name: str) -> Cell:
    about = (
        f" of {visible(summary.classes[1], 40)}" if len(summary.classes) == 2 and _is_of_second(name) else ""
    )
    text = f"{say(name)}{about}"
    return element("strong", text) if name == summary.metric else text


def _is_of_second(name: str) -> bool:
    return name in METRICS and metric_named(name).is_of_second


def _meaning(name: str) -> str:
    if name == "loss":
        return "what training makes small"
    if name not in METRICS:
        return ""
    metric = metric_named(name)
    return metric.meaning if metric.larger_is_better else f"{metric.meaning}; smaller is better"


def _about_intervals(summary: RunSummary, split: str) -> str:
    rows = summary.rows.get(split, 0)
    told = (
        f"The interval says how far luck of these {rows:,} {called(summary, split)} {summary.what} reaches: 95\N{NO-BREAK SPACE}% of the values when "
        f"as many {summary.what} are drawn again from them. Another seed of the training would move the figures too."
    )
    constants = {y.name for y in summary.yardsticks}
    if LARGEST_CLASS_ALONE in constants:
        told += " The base rate is what answering the largest class always reaches."
    if MEAN_ALONE in constants:
        told += " The mean alone answers all of them with the mean of the training rows."
    if len(summary.classes) > 2:
        told += " Precision, recall, F1, AUC and average precision are the mean over the classes."
    return told


def ours_of(summary: RunSummary) -> str:
    """Return what the run's own model is called beside others."""
    return f"this {summary.called}"


def time_of(seconds: float) -> str:
    """Write a duration; one too short to measure is said to be short."""
    return show_seconds(seconds) if seconds >= 0.0005 else "< 1 ms"


def parameters_of(summary: RunSummary) -> int:
    """Return the number of parameters of the network."""
    return sum(layer.parameters for layer in summary.layers)
