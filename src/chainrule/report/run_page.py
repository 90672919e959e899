"""The page of a run: what came out, how it stands beside simpler models, where it errs, how to get it again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_number, show_seconds
from chainrule.report import plots
from chainrule.report.html import (
    Child,
    Column,
    Markup,
    Page,
    Picture,
    aligned,
    bullets,
    code,
    columns,
    details,
    element,
    facts,
    figure,
    note,
    paragraph,
    pictures,
    subheading,
    table,
)
from chainrule.report.pictures import is_tiny, png_uri
from chainrule.report.summary import Example, RunSummary
from chainrule.report.svg import inline_svg

_SPLITS = ("train", "validation", "test")
_OURS = "this network"
_MOST_VALUES = 6
_MOST_CLASSES = 100  # of a drawn confusion matrix; beyond, the most frequent confusions are listed
_MOST_COLUMNS = 12  # shown at once; more open on demand


def run_page(summary: RunSummary) -> str:
    """Return the page of a run as one HTML document, the same bytes for the same summary."""
    page = Page(visible(summary.name), kicker=visible(summary.question, 400))
    page.head += [paragraph(_headline(summary), role="lead"), _tiles(summary), *_said_aloud(summary)]
    page.section("Result", *_result(summary))
    if summary.classes or summary.true is not None:
        page.section("Where it errs", *_errors(summary))
    page.section("Training", *_training(summary))
    page.section("Data", *_data(summary))
    page.section("Model", *_model(summary))
    page.section("Again", *_again(summary))
    page.foot = f"Written by chainrule {visible(summary.versions.get('chainrule', ''))}".strip()
    return page.render()


# The head


def _headline(summary: RunSummary) -> str:
    return f"{_outcome(summary)} {_standing(summary)}"


def _outcome(summary: RunSummary) -> str:
    split, score = _score(summary)
    if split is None:
        return f"There is no {_said(summary.metric)} to show: nothing was measured."
    rows = f"{summary.rows.get(split, 0):,} {split} rows"
    if not math.isfinite(score):
        return f"Failed: its {_said(summary.metric)} on {rows} is not a number."
    if summary.metric == "accuracy":
        told = f"{_percent(score)} of {rows} right."
    elif summary.metric == "r2" and score <= 0:
        told = f"No better than always answering the mean: R² is {show_number(score)} on {rows}."
    elif summary.metric == "r2":
        told = f"Explains {_percent(score)} of the variation on {rows}."
    else:
        told = f"{_said(summary.metric).capitalize()} {show_number(score)} on {rows}."
    return told if split == "test" else f"{told} There are no test rows to confirm it."


def _standing(summary: RunSummary) -> str:
    rivals = _rivals(summary)
    _, score = _score(summary)
    if not rivals:
        return "No yardstick was run beside it." if not summary.yardsticks else ""
    best = max(rivals, key=lambda name: rivals[name])
    reaches = f"{visible(best)}, reaches {_scored(summary, rivals[best])}"
    better = sum(value > score for value in rivals.values())
    if not math.isfinite(score):
        return f"The best yardstick, {reaches}."
    if better:
        who = "The yardstick does" if len(rivals) == 1 else f"{better} of {len(rivals)} yardsticks do"
        return f"{who} better; the best, {reaches}."
    level = "as well" if rivals[best] == score else "better"
    return f"{'The yardstick does not do' if len(rivals) == 1 else f'None of {len(rivals)} yardsticks does'} {level}; the best, {reaches}."


def _tiles(summary: RunSummary) -> Markup:
    split, score = _score(summary)
    shown: dict[str, Child] = {}
    if split is not None:
        shown[f"{split} {_said(summary.metric)}"] = _scored(summary, score)
    rivals = _rivals(summary)
    if rivals:
        shown["best yardstick"] = _scored(summary, max(rivals.values()))
    shown["parameters"] = f"{sum(layer.parameters for layer in summary.layers):,}"
    shown["training time"] = show_seconds(summary.fit_seconds)
    return facts(shown, role="tiles")


def _said_aloud(summary: RunSummary) -> list[Markup]:
    _, score = _score(summary)
    behind = not math.isfinite(score) or any(value > score for value in _rivals(summary).values())
    said = (
        [note("Verdict", visible(summary.verdict, 2000), kind="behind" if behind else "good")]
        if summary.verdict
        else []
    )
    if summary.notes:
        points: list[Child] = [visible(text, 2000) for text in summary.notes]
        said.append(note("Please note", bullets(points) if len(points) > 1 else paragraph(points[0])))
    return said


# Result


def _result(summary: RunSummary) -> list[Child]:
    measured = [split for split in _SPLITS if summary.metrics.get(split)]
    names = list(dict.fromkeys(name for split in measured for name in summary.metrics[split]))
    rows = [
        [split, summary.rows.get(split, 0), *(summary.metrics[split].get(name) for name in names)]
        for split in measured
    ]
    metrics = table(["", Column("rows"), *(Column(_said(name)) for name in names)], rows)
    blocks: list[Child] = [metrics] if measured else [paragraph("Nothing was measured.", role="muted")]
    if not summary.yardsticks:
        return [
            *blocks,
            paragraph("No yardsticks were run, so a simpler model may do as well.", role="muted"),
        ]
    return [*blocks, subheading("Beside simpler models"), *_yardsticks(summary)]


def _yardsticks(summary: RunSummary) -> list[Child]:
    split, score = _score(summary)
    ours = [] if split is None else [(_OURS, summary.metrics[split], summary.fit_seconds, "")]
    models = ours + [(visible(y.name), y.metrics, y.seconds, y.note) for y in summary.yardsticks]
    models.sort(key=lambda model: -_number(model[1].get(summary.metric)))
    names = list(dict.fromkeys([summary.metric, *(n for y in summary.yardsticks for n in y.metrics)]))
    has_notes = any(model[3] for model in models)
    head: list[Column | str] = ["model", *(Column(_said(name)) for name in names), Column("time")]
    rows = [
        [name, *(m.get(n) for n in names), show_seconds(s), *([visible(told, 400)] if has_notes else [])]
        for name, m, s, told in models
    ]
    marked = next((i for i, model in enumerate(models) if model[0] == _OURS), None)
    listed = table(head + (["note"] if has_notes else []), rows, marked=marked)
    scores = {name: _number(m.get(summary.metric)) for name, m, _, _ in models}
    if not any(math.isfinite(value) for value in scores.values()):
        return [listed]
    told = f"{_said(summary.metric).capitalize()} on the {split or 'test'} rows; longer is better."
    drawn = inline_svg(
        plots.draw_yardsticks(scores, _OURS), "yardsticks", _spoken(scores, _said(summary.metric))
    )
    return (
        [columns(figure("", drawn, told), listed)]
        if len(names) < 3 and not has_notes
        else [figure("", drawn, told), listed]
    )


# Where it errs


def _errors(summary: RunSummary) -> list[Child]:
    blocks: list[Child] = []
    if summary.classes and summary.confusion is not None and summary.confusion.sum():
        blocks += _confusion(summary.confusion, [visible(name) for name in summary.classes])
    if summary.true is not None and summary.predicted is not None and len(summary.true):
        blocks += _values(summary, summary.true, summary.predicted)
    if summary.worst:
        blocks += [subheading("The rows it got most wrong"), *_worst(summary.worst)]
    return blocks or [paragraph("There are no test rows to look at.", role="muted")]


def _confusion(counts: np.ndarray, classes: list[str]) -> list[Child]:
    wrong = counts * ~np.eye(len(classes), dtype=bool)
    total, mistakes = int(counts.sum()), int(wrong.sum())
    told = f"{mistakes:,} of {total:,} test rows are off the diagonal."
    most = _most_frequent(wrong, counts, classes)
    if len(classes) > _MOST_CLASSES:
        return [
            paragraph(f"{told} With {len(classes)} classes only the most frequent confusions are listed."),
            most,
        ]
    numbers = "" if len(classes) <= plots.MOST_NUMBERED else " Counts are left out with so many classes."
    caption = (
        f"{told} Darker means a larger share of the true class; blue is right, vermilion is wrong.{numbers}"
    )
    drawing = plots.draw_confusion(counts, classes)
    drawn = inline_svg(drawing, "confusion", f"Confusion matrix of {len(classes)} classes. {told}")
    is_wide = drawing.get_figwidth() * 72 > plots.NARROW + 60
    shown = figure("Confusion matrix", drawn, caption, is_wide=is_wide)
    if not mistakes:
        return [shown]
    titled = join_titled("Most frequent confusions", most)
    return [shown, titled] if is_wide else [columns(shown, titled)]


def join_titled(title: str, block: Markup) -> Markup:
    """Return a block below its title."""
    return element("div", element("p", title, attributes={"class": "figure-title"}), block)


def _most_frequent(wrong: np.ndarray, counts: np.ndarray, classes: list[str], most: int = 8) -> Markup:
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(int(i) // len(classes), int(i) % len(classes)) for i in order if wrong.flat[i] > 0]
    rows = [
        [classes[t], classes[p], int(wrong[t, p]), _percent(wrong[t, p] / max(counts[t].sum(), 1))]
        for t, p in pairs
    ]
    return table(["true", "predicted", Column("rows"), Column("of the class")], rows)


def _values(summary: RunSummary, true: np.ndarray, predicted: np.ndarray) -> list[Child]:
    names = [visible(name) for name in summary.value_names] or [
        f"value {i + 1}" for i in range(true.shape[1])
    ]
    blocks: list[Child] = []
    for place, name in enumerate(names[:_MOST_VALUES]):
        p, t = predicted[:, place], true[:, place]
        left_out = len(t) - len(plots.finite_pairs(p, t)[0])
        drawn = min(len(t) - left_out, plots.MOST_POINTS)
        told = (
            f"{drawn:,} of {len(t):,} test rows, drawn at random."
            if drawn < len(t) - left_out
            else f"{drawn:,} test rows."
        )
        told += f" {left_out:,} with a value that is no number are left out." if left_out else ""
        first = inline_svg(
            plots.draw_predicted(p, t, name),
            f"predicted-{place}",
            f"Predicted {name} over true {name}. {told}",
        )
        second = inline_svg(
            plots.draw_residuals(p, t, name),
            f"residuals-{place}",
            f"Residuals of {name} over predicted. {told}",
        )
        agree = f"{told} On the dashed line prediction and truth agree."
        blocks.append(
            columns(
                figure(f"Predicted and true {name}", first, agree),
                figure(
                    f"Residuals of {name}",
                    second,
                    "Above the dashed line the network answers too much, below too little.",
                ),
            )
        )
    if len(names) > _MOST_VALUES:
        blocks.append(paragraph(f"{len(names) - _MOST_VALUES} more values are not drawn.", role="muted"))
    return blocks


def _worst(examples: Sequence[Example]) -> list[Child]:
    seen = [example for example in examples if example.picture is not None]
    read = [example for example in examples if example.picture is None]
    return ([pictures([_picture(example) for example in seen])] if seen else []) + (
        _cells(read) if read else []
    )


def _picture(example: Example) -> Picture:
    assert example.picture is not None
    row, truth, prediction = (
        visible(example.row, 40),
        visible(example.truth, 60),
        visible(example.prediction, 60),
    )
    sure = "" if example.certainty is None else f", {_percent(example.certainty)} sure"
    return Picture(
        source=png_uri(example.picture),
        description=f"Row {row}: true {truth}, predicted {prediction}{sure}",
        lines=(
            f"true {truth}",
            element("strong", f"said {prediction}{sure}"),
            element("span", row, attributes={"class": "muted"}),
        ),
        is_pixelated=is_tiny(example.picture),
    )


def _cells(examples: Sequence[Example]) -> list[Child]:
    names = list(dict.fromkeys(name for example in examples for name in example.cells or {}))[:_MOST_COLUMNS]
    has_certainty = any(example.certainty is not None for example in examples)
    head: list[Column | str] = ["row", "true", "predicted", *([Column("sure")] if has_certainty else [])]
    rows = [
        [
            visible(e.row, 60),
            visible(e.truth, 80),
            visible(e.prediction, 80),
            *([None if e.certainty is None else _percent(e.certainty)] if has_certainty else []),
            *(visible((e.cells or {}).get(name, ""), 80) for name in names),
        ]
        for e in examples
    ]
    return [table([*head, *(visible(name, 60) for name in names)], rows)]


# Training


def _training(summary: RunSummary) -> list[Child]:
    names = plots.curve_names(summary.history, summary.metric)
    if not names:
        return [paragraph("No epoch was recorded.", role="muted")]
    drawn: list[Child] = []
    for place, name in enumerate(names):
        drawing = plots.draw_curve(summary.history, name, summary.best_epoch)
        logarithmic = " The axis is logarithmic." if plots.is_logarithmic(summary.history, name) else ""
        told = f"{_said(name).capitalize()} over {_epochs(len(summary.history))}.{logarithmic}"
        drawn.append(
            figure(_said(name).capitalize(), inline_svg(drawing, f"curve-{place}", told), logarithmic.strip())
        )
    best = "" if summary.best_epoch is None else f"; the weights of epoch {summary.best_epoch} are kept"
    return [
        paragraph(f"{_epochs(len(summary.history))} in {show_seconds(summary.fit_seconds)}{best}."),
        columns(*drawn),
    ]


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number:,} epochs"


# Data, model, again


def _data(summary: RunSummary) -> list[Child]:
    shown: dict[str, Child] = {visible(k): visible(v, 500) for k, v in summary.data.items()}
    total = sum(summary.rows.values())
    for split in _SPLITS:
        if summary.rows.get(split):
            shown[f"{split} rows"] = f"{summary.rows[split]:,} ({_percent(summary.rows[split] / total)})"
    blocks: list[Child] = [facts(shown)]
    if summary.columns:
        listed = table(
            ["column", "read as", "detail"], [[visible(c, 400) for c in row] for row in summary.columns]
        )
        few = len(summary.columns) <= _MOST_COLUMNS
        blocks.append(listed if few else details(f"All {len(summary.columns)} columns", listed))
    return blocks


def _model(summary: RunSummary) -> list[Child]:
    rows = [
        [visible(x.name), visible(x.kind), " × ".join(map(str, x.output_shape)) or "1", x.parameters]
        for x in summary.layers
    ]
    total = sum(layer.parameters for layer in summary.layers)
    listed = table(["layer", "kind", Column("puts out"), Column("parameters")], rows)
    return [paragraph(f"{total:,} parameters in {len(rows)} layers."), listed]


def _again(summary: RunSummary) -> list[Child]:
    shown = {visible(k): visible(v, 500) for k, v in summary.settings.items()}
    if summary.plan:
        shown["plan"] = visible(summary.plan, 500)
    versions = {visible(k): visible(v, 200) for k, v in summary.versions.items()}
    return [
        paragraph("This command trains the same network on the same rows:"),
        code(summary.command),
        facts({"run folder": element("code", visible(summary.folder, 500))}),
        columns(join_titled("Settings", facts(shown)), join_titled("Versions", facts(versions))),
    ]


# Numbers in words


def _score(summary: RunSummary) -> tuple[str | None, float]:
    for split in reversed(_SPLITS):
        if summary.metric in summary.metrics.get(split, {}):
            return split, float(summary.metrics[split][summary.metric])
    return None, math.nan


def _rivals(summary: RunSummary) -> dict[str, float]:
    scores = {y.name: _number(y.metrics.get(summary.metric)) for y in summary.yardsticks}
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _scored(summary: RunSummary, score: float) -> str:
    if summary.metric == "accuracy" and math.isfinite(score):
        return _percent(score)
    return f"R² {show_number(score)}" if summary.metric == "r2" else show_number(score)


def _said(metric: str) -> str:
    return {"r2": "R²", "rmse": "RMSE", "mae": "MAE"}.get(metric, visible(metric, 60).replace("_", " "))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _spoken(scores: dict[str, float], metric: str) -> str:
    return f"Bars of {metric}: " + ", ".join(
        f"{n} {v}" for n, v in zip(scores, aligned(list(scores.values())), strict=True)
    )
