"""The page of a run: what came out, how it stands beside simpler models, where it errs, how to get it again."""

from __future__ import annotations

import math

from chainrule.core.text import visible
from chainrule.core.units import show_seconds
from chainrule.report import plots
from chainrule.report.canvas import say
from chainrule.report.html import (
    Cell,
    Child,
    Column,
    Markup,
    Page,
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
    subheading,
    table,
    titled,
)
from chainrule.report.mistakes import mistakes
from chainrule.report.standing import (
    SPLITS,
    capital,
    headline,
    is_behind,
    number,
    percent,
    rivals_of,
    score_of,
    scored,
)
from chainrule.report.summary import RunSummary
from chainrule.report.svg import inline_svg

_OURS = "this network"
_MOST_ROWS = 12  # of a table shown at once; longer ones open on demand


def run_page(summary: RunSummary) -> str:
    """Return the page of a run as one HTML document, the same bytes for the same summary."""
    page = Page(visible(summary.name), kicker=visible(summary.question, 400))
    page.head += [paragraph(headline(summary), role="lead"), _tiles(summary), *_said_aloud(summary)]
    page.section("Result", *_result(summary))
    if summary.classes or summary.value_names or summary.worst:
        page.section("Where it errs", *mistakes(summary))
    page.section("Training", *_training(summary))
    page.section("Data", *_data(summary))
    page.section("Model", *_model(summary))
    page.section("Again", *_again(summary))
    page.foot = f"Written by chainrule {visible(summary.versions.get('chainrule', ''))}".strip()
    return page.render()


def _tiles(summary: RunSummary) -> Markup:
    split, score = score_of(summary)
    scores: dict[str, float] = {}
    if split is not None:
        scores[f"{split} {say(summary.metric)}"] = score
    if rivals := rivals_of(summary):
        scores["best yardstick"] = max(rivals.values())
    written = (
        map(percent, scores.values()) if summary.metric == "accuracy" else aligned(list(scores.values()))
    )
    shown: dict[str, Child] = dict(zip(scores, written, strict=True))
    shown["parameters"] = f"{_parameters(summary):,}"
    shown["training time"] = _time(summary.fit_seconds)
    return facts(shown, role="tiles")


def _said_aloud(summary: RunSummary) -> list[Markup]:
    said: list[Markup] = []
    if summary.verdict:
        kind = "behind" if is_behind(summary) else "good"
        said.append(note("Verdict", visible(summary.verdict, 2000), kind=kind))
    if summary.warnings:
        said.append(note("Look at the data first", _points(summary.warnings), kind="behind"))
    if summary.notes:
        said.append(note("Please note", _points(summary.notes)))
    return said


def _points(texts: list[str]) -> Markup | str:
    points = [visible(text, 2000) for text in texts]
    return bullets(points) if len(points) > 1 else points[0]


def _result(summary: RunSummary) -> list[Child]:
    measured = [split for split in SPLITS if summary.metrics.get(split)]
    names = list(dict.fromkeys(name for split in measured for name in summary.metrics[split]))
    rows: list[list[Cell]] = [
        [split, summary.rows.get(split, 0), *(number(summary.metrics[split].get(name)) for name in names)]
        for split in measured
    ]
    blocks: list[Child] = []
    if measured:
        blocks.append(table(["", Column("rows"), *(Column(say(name)) for name in names)], rows))
    if not summary.yardsticks:
        blocks.append(paragraph("No yardsticks were run, so a simpler model may do as well.", role="muted"))
        return blocks
    return [*blocks, subheading("Beside simpler models"), *_yardsticks(summary)]


def _yardsticks(summary: RunSummary) -> list[Child]:
    split, _ = score_of(summary)
    ours = [] if split is None else [(_OURS, summary.metrics[split], summary.fit_seconds, "")]
    models = ours + [
        (visible(y.name), y.metrics, y.seconds, visible(y.note, 400)) for y in summary.yardsticks
    ]
    scores = {name: number(metrics.get(summary.metric)) for name, metrics, _, _ in models}
    models.sort(key=lambda model: -scores[model[0]] if math.isfinite(scores[model[0]]) else math.inf)
    names = list(dict.fromkeys([summary.metric, *(n for y in summary.yardsticks for n in y.metrics)]))
    has_notes = any(told for *_, told in models)
    head: list[Column | str] = [
        "model",
        *(Column(say(name)) for name in names),
        Column("time"),
        *(["note"] if has_notes else []),
    ]
    rows: list[list[Cell]] = [
        [name, *(number(metrics.get(n)) for n in names), _time(seconds), *([told] if has_notes else [])]
        for name, metrics, seconds, told in models
    ]
    marked = next((i for i, model in enumerate(models) if model[0] == _OURS), None)
    listed = table(head, rows, marked=marked)
    if not any(math.isfinite(value) for value in scores.values()):
        return [listed]
    metric = capital(say(summary.metric))
    told = ", ".join(f"{name} {_bare(summary.metric, value)}" for name, value in scores.items())
    drawn = inline_svg(plots.draw_yardsticks(scores, _OURS), "yardsticks", f"Bars of {metric}: {told}")
    bars = figure("", drawn, f"{metric} on the {split or 'same'} rows; longer is better.")
    return [bars, listed] if has_notes or len(names) > 2 else [columns(bars, listed)]


def _training(summary: RunSummary) -> list[Child]:
    names = plots.curve_names(summary.history, summary.metric)
    if not names:
        return [paragraph("No epoch was recorded.", role="muted")]
    drawn: list[Child] = []
    for place, name in enumerate(names):
        drawing = plots.draw_curve(summary.history, name, summary.best_epoch)
        scale = (
            "Each grid line is ten times the one below."
            if plots.is_logarithmic(summary.history, name)
            else ""
        )
        title = capital(say(name))
        svg = inline_svg(
            drawing, f"curve-{place}", f"{title} over {_epochs(len(summary.history))}. {scale}".strip()
        )
        drawn.append(figure(title, svg, scale))
    best = f"; the weights of epoch {summary.best_epoch} are kept" if summary.best_epoch is not None else ""
    return [
        paragraph(f"{_epochs(len(summary.history))} in {_time(summary.fit_seconds)}{best}."),
        columns(*drawn),
    ]


def _data(summary: RunSummary) -> list[Child]:
    shown: dict[str, Child] = {visible(k): visible(v, 500) for k, v in summary.data.items()}
    total = sum(summary.rows.values())
    for split in SPLITS:
        if summary.rows.get(split):
            shown[f"{split} rows"] = f"{summary.rows[split]:,} ({percent(summary.rows[split] / total)})"
    if not summary.columns:
        return [facts(shown)]
    has_details = any(detail for *_, detail in summary.columns)
    rows = [[visible(text, 400) for text in (row if has_details else row[:2])] for row in summary.columns]
    listed = table(["column", "read as", "detail"][: 2 + has_details], rows)
    return [facts(shown), listed if len(rows) <= _MOST_ROWS else details(f"All {len(rows)} columns", listed)]


def _model(summary: RunSummary) -> list[Child]:
    rows: list[list[Cell]] = [
        [visible(layer.name), visible(layer.kind), _shape(layer.output_shape), layer.parameters]
        for layer in summary.layers
    ]
    listed = table(["layer", "kind", Column("puts out"), Column("parameters")], rows)
    told = f"{_parameters(summary):,} parameters in {len(rows)} {'layer' if len(rows) == 1 else 'layers'}."
    if not rows:
        return [paragraph("No layers were recorded.", role="muted")]
    return [paragraph(told), listed if len(rows) <= 3 * _MOST_ROWS else details("All layers", listed)]


def _again(summary: RunSummary) -> list[Child]:
    settings: dict[str, Child] = {visible(k): visible(v, 500) for k, v in summary.settings.items()}
    if summary.plan:
        settings["plan"] = visible(summary.plan, 500)
    versions: dict[str, Child] = {visible(k): visible(v) for k, v in summary.versions.items()}
    return [
        paragraph("This command gives the same network from the same rows:"),
        code(summary.command),
        columns(titled("Settings", facts(settings)), titled("Versions", facts(versions))),
        titled("Run folder", paragraph(element("code", visible(summary.folder, 500)))),
    ]


def _bare(metric: str, score: float) -> str:
    return scored(metric, score).removeprefix("R² ")


def _time(seconds: float) -> str:
    return show_seconds(seconds) if seconds >= 0.0005 else "< 1 ms"


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(side) for side in shape) or "1"


def _parameters(summary: RunSummary) -> int:
    return sum(layer.parameters for layer in summary.layers)
