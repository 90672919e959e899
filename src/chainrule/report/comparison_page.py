"""The page of a comparison: ranking, intervals, pairs that differ, what may be concluded, what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chainrule.core.units import show_figure, show_interval, show_seconds
from chainrule.report.forest import Mark, draw_forest
from chainrule.report.html import (
    Cell,
    Column,
    Markup,
    Page,
    aligned,
    bullets,
    code,
    details,
    figure,
    paragraph,
    table,
)
from chainrule.report.model_comparison import ModelComparison, Pair, show_p
from chainrule.report.standing import larger_is_better, without_inputs
from chainrule.report.svg import COLOURS, inline_svg, picture_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST = (
    "Pairs are compared by the corrected resampled t-test on the scores of the same folds (Nadeau and Bengio 2003), and all "
    "p-values are corrected together (Holm 1979), so that of 100 comparisons like this one at most 5 find a "
    "difference where there is none."
)


def draw(found: ModelComparison, paper: str = "none") -> Figure:
    """Return every model's mean with its interval and folds as a matplotlib figure."""
    ties = {found.best.name, *found.ties()}
    marks = [
        Mark(one.name, one.spread.mean, one.spread.low, one.spread.high, one.scores, one.name in ties)
        for one in found.models
    ]
    return draw_forest(
        marks,
        found.metric,
        base=None if found.base is None else (without_inputs(found.metric), found.base),
        paper=paper,
    )


def picture(found: ModelComparison, ending: str) -> bytes:
    """Return the drawing as the content of a file."""
    return picture_bytes(draw(found, COLOURS["paper"]), ending)


def page(found: ModelComparison) -> Page:
    """Return the page: ranking, intervals, pairs, what may be concluded, what was left out."""
    made = Page(title=f"Models on {found.data}", kicker="Comparison")
    said = found.sentences()
    made.head += [paragraph(text, role="lead" if place == 0 else "") for place, text in enumerate(said)]
    made.head.append(paragraph(found.about() + "."))
    better = "to the right" if larger_is_better(found.metric) else "to the left"
    made.section(
        "Ranking",
        figure(
            "",
            inline_svg(draw(found), "intervals", " ".join([found.about(), *said])),
            f"Squares are means over the folds, lines their 95 % intervals, dots the folds; better is {better}. In colour: "
            f"{found.best.name} and what is not told apart from it.",
        ),
        _ranking_table(found),
        paragraph(
            "Time is that of training on all folds. Intervals count in that folds share training rows; two that overlap may "
            "still differ, since models meet the same folds.",
            role="muted",
        ),
    )
    if found.pairs:
        made.section("What differs", *_pair_blocks(found))
    made.section("What this allows to conclude", paragraph(found.conclusion()))
    if found.left_out:
        made.section("Left out", bullets([f"{one.name}: {one.why}" for one in found.left_out]))
    if found.command:
        made.section("How", code(found.command))
    return made


def _ranking_table(found: ModelComparison) -> Markup:
    means = aligned([one.spread.mean for one in found.models], 3)
    rows: list[list[Cell]] = [
        [place, one.name, one.family, mean, show_interval(one.spread.low, one.spread.high),
         show_seconds(one.seconds), *found.against_best(one.name)]
        for place, (one, mean) in enumerate(zip(found.models, means, strict=True), 1)
    ]  # fmt: skip
    numeric = [Column(found.metric), Column("95 % interval"), Column("time")]
    return table([Column("#"), "model", "family", *numeric, "beside the best", Column("p")], rows)


def _pair_blocks(found: ModelComparison) -> list[Markup]:
    differing = [pair for pair in found.pairs if pair.is_significant]
    blocks = [paragraph(TEST)]
    if differing:
        blocks.append(_pair_table(differing))
    else:
        blocks.append(paragraph("No pair differs significantly: these rows do not say which model is best."))
    blocks.append(details(f"All {len(found.pairs)} pairs", _pair_table(found.pairs)))
    return blocks


def _pair_table(pairs: Sequence[Pair]) -> Markup:
    rows: list[list[Cell]] = [
        [
            pair.one,
            pair.other,
            show_figure(pair.difference, 2),
            show_p(pair.p),
            show_p(pair.corrected),
            "yes" if pair.is_significant else "no",
        ]
        for pair in pairs
    ]
    return table(
        [
            "better mean",
            "other",
            Column("difference"),
            Column("p alone"),
            Column("p among all"),
            "significant",
        ],
        rows,
    )
