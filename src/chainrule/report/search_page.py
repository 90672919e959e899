"""The page of a search: what won, how the search went, what each setting does, and every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.catalog import CLASSICAL
from chainrule.core.text import visible
from chainrule.core.units import show_figure, show_seconds, show_value
from chainrule.report.canvas import say
from chainrule.report.html import Column, Page, bullets, facts, figure, paragraph, table
from chainrule.report.search_plots import draw_best_so_far, draw_importance, draw_parallel, draw_slices
from chainrule.report.svg import inline_svg

ROWS = 50  # of the table of trials


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTrial:
    """A row of the table: a trial with its score, or why it has none."""

    number: int
    values: Mapping[str, Any]
    score: float | None
    spread: float | None
    epochs: int
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSummary:
    """All that the page shows. `trials` stand in their ranking; `tried` and `scores` are what figures are about.

    `scores` are in the order of the trials, None of those without; in successive halving they are those of the first
    rung, which all trials have, after `rung_epochs`.
    """

    data: str
    model: str
    method: str
    metric: str
    larger_is_better: bool
    folds: int
    rows: Mapping[str, int]
    trials: Sequence[ShownTrial]
    tried: Sequence[Mapping[str, Any]]
    scores: Sequence[float | None]
    rung_epochs: int | None
    shares: Mapping[str, float] = field(default_factory=dict)
    together: float = 0.0
    means: Mapping[str, Sequence[tuple[Any, float]]] = field(default_factory=dict)
    test_score: float | None = None
    networks: int = 0
    search_seconds: float = 0.0
    command: str = ""


def search_page(summary: SearchSummary) -> Page:
    """Return the page of a search."""
    best = summary.trials[0]
    made = Page(
        title=f"Search for {summary.model} on {visible(summary.data, 60)}",
        kicker="Search over settings",
        foot="Written by chainrule",
    )
    made.head = [
        paragraph(_won(summary, best), role="lead"),
        facts(_tiles(summary, best), role="tiles"),
        paragraph(_caution(summary), role="muted"),
    ]
    about = f" Here: {_after_rung(summary)}." if summary.rung_epochs else ""
    found = [
        (values, score)
        for values, score in zip(summary.tried, summary.scores, strict=True)
        if score is not None
    ]
    scores = [score for _, score in found]
    settings = {name: [values[name] for values, _ in found] for name in best.values}
    larger = summary.larger_is_better
    curve = draw_best_so_far(summary.scores, summary.metric, larger_is_better=larger)
    said = f"The {say(summary.metric)} of every trial in its order, and the best until then."
    made.section(
        "Best so far",
        figure(
            "",
            inline_svg(curve, "best", said),
            f"{said} Dots at the edge lie beyond it.{about}",
            is_wide=True,
        ),
    )
    if summary.shares:
        said = "Share of the variance of scores that every setting explains alone."
        drawn = inline_svg(draw_importance(summary.shares, summary.together), "importance", said)
        made.section("What matters", figure("", drawn, said + _TOGETHER, is_wide=True))
    drawn = inline_svg(
        draw_slices(settings, scores, summary.means, larger_is_better=larger), "slices", "Scores by setting."
    )
    caption = f"Each dot is a trial, its {say(summary.metric)} over the value of one setting; the line is the mean that a forest of trees expects over all values of the others.{about}"
    made.section("What each setting does", figure("", drawn, caption, is_wide=True))
    if len(settings) > 1:
        drawn = inline_svg(
            draw_parallel(settings, scores, summary.metric, larger_is_better=larger),
            "parallel",
            "Trials as lines.",
        )
        caption = f"Each line is a trial, from setting to setting to its {say(summary.metric)}; the best tenth is drawn strong.{about}"
        made.section("How settings go together", figure("", drawn, caption, is_wide=True))
    made.section("Trials", *_table(summary))
    return made


_TOGETHER = (
    " Together is what only combinations explain. It is about this space: a setting that was searched in a small range "
    "matters little in it."
)


def _won(summary: SearchSummary, best: ShownTrial) -> str:
    chosen = ", ".join(f"{name} {show_value(value)}" for name, value in best.values.items())
    return f"Trial {best.number} of {len(summary.trials)} is best: {chosen}."


def _tiles(summary: SearchSummary, best: ShownTrial) -> dict[str, Any]:
    assert best.score is not None
    spread = "" if best.spread is None else f" ± {show_figure(best.spread)}"
    how = f"mean of {summary.folds} folds" if summary.folds > 1 else "rows held out"
    tiles = {f"{say(summary.metric)}, {how}": f"{show_figure(best.score)}{spread}"}
    if summary.test_score is not None:
        tiles[f"{say(summary.metric)}, test"] = show_figure(summary.test_score)
    made = f"{summary.networks:,} in {show_seconds(summary.search_seconds)}"
    return {**tiles, "trials": f"{len(summary.trials):,}, {summary.method}", f"{_what(summary)}s": made}


def _what(summary: SearchSummary) -> str:
    """Return what a trial trains."""
    return "model" if summary.model in CLASSICAL else "network"


def _caution(summary: SearchSummary) -> str:
    judged = (
        f"Every trial is the mean of {summary.folds} {_what(summary)}s, each judged on the fold that it did not train on."
        if summary.folds > 1
        else f"Every trial is one {_what(summary)}, judged on rows that it did not train on."
    )
    test = summary.rows.get("test", 0)
    return (
        f"{judged} The best of many scores is a little too good, since it was chosen for being high. The winner was "
        f"therefore trained anew on all {summary.rows.get('train', 0) + summary.rows.get('validation', 0):,} rows outside the "
        f"test and judged once on {test:,} test rows, which the search never saw: that figure is the one to quote."
    )


def _after_rung(summary: SearchSummary) -> str:
    epochs = summary.rung_epochs
    return (
        f"scores after the first rung, {epochs} {'epoch' if epochs == 1 else 'epochs'}, which all trials have"
    )


def _table(summary: SearchSummary) -> list[Any]:
    best = summary.trials[0]
    shown = summary.trials[:ROWS]
    columns: list[Column | str] = [
        Column("rank"),
        Column("trial"),
        Column(say(summary.metric)),
        Column("±"),
        Column("epochs"),
        *best.values,
    ]
    rows = [
        [
            place if trial.score is not None else None,
            trial.number,
            trial.score,
            trial.spread,
            trial.epochs,
            *(show_value(trial.values[name]) for name in best.values),
        ]
        for place, trial in enumerate(shown, 1)
    ]
    blocks: list[Any] = [table(columns, rows, marked=0)]
    if len(summary.trials) > ROWS:
        blocks.append(
            paragraph(f"The other {len(summary.trials) - ROWS:,} stand in trials.csv.", role="muted")
        )
    failed = [trial for trial in summary.trials if trial.failure is not None]
    if failed:
        blocks.append(paragraph(f"{len(failed)} without a score:"))
        blocks.append(
            bullets([f"trial {trial.number}: {visible(trial.failure, 300)}" for trial in failed[:10]])
        )
    return blocks
