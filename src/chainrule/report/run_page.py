"""The page of a run: what came out, how it stands beside simpler models, where it errs, how to get it again."""

from __future__ import annotations

from chainrule.core.text import visible
from chainrule.report import plots
from chainrule.report.canvas import say
from chainrule.report.certainty import certainty
from chainrule.report.html import (
    Cell,
    Child,
    Column,
    Markup,
    Page,
    bullets,
    code,
    columns,
    details,
    element,
    facts,
    figure,
    note,
    paragraph,
    table,
    titled,
)
from chainrule.report.influence import groups, influence
from chainrule.report.members import members
from chainrule.report.mistakes import mistakes
from chainrule.report.result import parameters_of, result, tiles, time_of
from chainrule.report.standing import SPLITS, capital, headline, is_behind, percent
from chainrule.report.summary import RunSummary
from chainrule.report.svg import inline_svg

_MOST_ROWS = 12  # of a table shown at once; longer ones open on demand


def run_page(summary: RunSummary) -> str:
    """Return the page of a run as one HTML document, the same bytes for the same summary."""
    page = Page(visible(summary.name), kicker=visible(summary.question, 400))
    page.head += [paragraph(headline(summary), role="lead"), tiles(summary), *_said_aloud(summary)]
    page.section("Result", *result(summary))
    if summary.ensemble is not None:
        page.section("Members", *members(summary.ensemble))
    if summary.classes or summary.value_names or summary.worst:
        page.section("Where it errs", *mistakes(summary))
    if summary.answers is not None and summary.answers.probabilities is not None:
        page.section("How sure it is", *certainty(summary))
    if summary.influences is not None and summary.influences.columns:
        page.section("What it goes by", *influence(summary.influences))
    if summary.groups:
        page.section(f"By {visible(summary.by, 60)}", *groups(summary))
    if not summary.about:
        page.section("Training", *_training(summary))
    page.section("Data", *_data(summary))
    page.section("Model", *_model(summary))
    page.section("Again", *_again(summary))
    page.foot = f"Written by chainrule {visible(summary.versions.get('chainrule', ''))}".strip()
    return page.render()


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
        paragraph(
            f"{_epochs(len(summary.history))}{_of_members(summary)} in {time_of(summary.fit_seconds)}{best}."
        ),
        columns(*drawn),
    ]


def _data(summary: RunSummary) -> list[Child]:
    shown: dict[str, Child] = {visible(k): visible(v, 500) for k, v in summary.data.items()}
    parts = SPLITS[:1] if summary.held_out else SPLITS  # then the test rows are the training rows of others
    total = sum(summary.rows.get(split, 0) for split in parts)
    for split in parts:
        if summary.rows.get(split):
            shown[f"{split} {summary.what}"] = (
                f"{summary.rows[split]:,} ({percent(summary.rows[split] / total)})"
            )
    if not summary.columns:
        return [facts(shown)]
    has_details = any(detail for *_, detail in summary.columns)
    rows = [[visible(text, 400) for text in (row if has_details else row[:2])] for row in summary.columns]
    listed = table(["column", "read as", "detail"][: 2 + has_details], rows)
    return [facts(shown), listed if len(rows) <= _MOST_ROWS else details(f"All {len(rows)} columns", listed)]


def _model(summary: RunSummary) -> list[Child]:
    if summary.about:
        return [facts({visible(k): visible(v, 500) for k, v in summary.about.items()})]
    rows: list[list[Cell]] = [
        [visible(layer.name), visible(layer.kind), _shape(layer.output_shape), layer.parameters]
        for layer in summary.layers
    ]
    listed = table(["layer", "kind", Column("puts out"), Column("parameters")], rows)
    told = f"{parameters_of(summary):,} parameters in {len(rows)} {'layer' if len(rows) == 1 else 'layers'}."
    if not rows:
        return [paragraph("No layers were recorded.", role="muted")]
    return [paragraph(told), listed if len(rows) <= 3 * _MOST_ROWS else details("All layers", listed)]


def _again(summary: RunSummary) -> list[Child]:
    settings: dict[str, Child] = {visible(k): visible(v, 500) for k, v in summary.settings.items()}
    if summary.plan:
        settings["plan"] = visible(summary.plan, 500)
    versions: dict[str, Child] = {visible(k): visible(v) for k, v in summary.versions.items()}
    return [
        paragraph(f"This command gives the same {summary.called} from the same rows:"),
        code(summary.command),
        columns(titled("Settings", facts(settings)), titled("Versions", facts(versions))),
        titled("Run folder", paragraph(element("code", visible(summary.folder, 500)))),
    ]


def _of_members(summary: RunSummary) -> str:
    if summary.ensemble is None or summary.ensemble.kind == "snapshot":
        return ""
    return f" of each of {len(summary.ensemble.members)} members, whose mean is drawn,"


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(side) for side in shape) or "1"
