"""What a network goes by: bars of columns, and figures of groups."""

from __future__ import annotations

import math

import pytest

from chainrule.report.influence import draw_influence
from chainrule.report.run_page import run_page
from chainrule.report.summary import GroupFigures, Influence, Influences
from tests.report.conftest import Make
from tests.report.reading import check_safe

HOSTILE = "<script>$x^2$"


def columns(count: int) -> list[Influence]:
    return [Influence(column=f"column {i}", mean=0.5 - 0.1 * i, spread=0.05) for i in range(count)]


def found(count: int, metric: str = "accuracy", in_all: int | None = None) -> Influences:
    return Influences(
        metric=metric, part="test", rows=40, columns=columns(count), columns_in_all=in_all or count
    )


def test_bars_point_to_both_sides_of_zero() -> None:
    (axes,) = draw_influence(columns(8)).axes
    bars = [bar for bars in axes.containers for bar in bars]
    widths = [bar.get_width() for bar in bars]
    assert len(bars) == 8 and widths[0] > 0 > widths[-1] and widths == sorted(widths, reverse=True)
    low, high = axes.get_xlim()
    for line in axes.get_lines():
        assert low <= min(line.get_xdata()) <= max(line.get_xdata()) <= high
    assert [t.get_text() for t in axes.texts][:2] == ["column 0", "0.5000"]


def test_nothing_matters_draws_nothing_wide() -> None:
    still = [Influence(column="a", mean=0.0, spread=0.0)]
    (axes,) = draw_influence(still).axes
    assert axes.containers[0][0].get_width() == 0


@pytest.mark.parametrize(("metric", "verb"), [("accuracy", "falls"), ("log-loss", "rises"), ("mae", "rises")])
def test_title_says_which_way_it_goes(bare: Make, metric: str, verb: str) -> None:
    read = check_safe(run_page(bare(influences=found(3, metric))))
    assert f"{verb} without a column" in read.text("p") and "40 test rows" in read.text("figcaption")
    assert "There was time" not in read.text()


def test_many_columns_and_those_without_time(bare: Make) -> None:
    read = check_safe(run_page(bare(influences=found(20, in_all=300))))
    assert "There was time for 20 of 300 columns." in read.text("figcaption")
    assert "The other columns" in read.text("p")
    drawn = next(v for v in read.values("aria-label") if v.startswith("Bars of how much worse"))
    assert drawn.count("column ") == 12 and "column 19" in read.text("td")


def test_groups_are_a_table_with_small_ones_marked(bare: Make) -> None:
    groups = [
        GroupFigures(name=HOSTILE, rows=31, is_small=False, metrics={"accuracy": 0.9, "auc": 0.75, "recall": 0.5},
                     intervals={"accuracy": (0.8, 0.98)}),
        GroupFigures(name="few", rows=4, is_small=True, metrics={"accuracy": 0.5}, intervals={"accuracy": (0.1, 0.9)}),
        GroupFigures(name="undefined", rows=12, is_small=False, metrics={}, intervals={}),
    ]  # fmt: skip
    read = check_safe(run_page(bare(by=HOSTILE, groups=groups)))
    assert f"By {HOSTILE}" in [t for tag, t in read.texts if tag == "h2"]
    cells = [t for tag, t in read.texts if tag == "td"]
    at = cells.index(HOSTILE)
    assert cells[at : at + 5] == [HOSTILE, "31", "0.9000", "0.80 to 0.98", "0.7500"]
    at = cells.index("few")
    assert cells[at : at + 6] == ["few", "4", "0.5000", "0.1 to 0.9", "–", "few rows"]
    at = cells.index("undefined")
    assert cells[at : at + 4] == ["undefined", "12", "–", "–"]
    assert "Those of fewer than ten rows say next to nothing." in read.text()
    large = check_safe(run_page(bare(by="x", groups=groups[:1])))
    assert "few rows" not in large.text() and not math.isnan(groups[0].metrics["auc"])
