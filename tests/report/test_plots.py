"""What the figures of classes, values and yardsticks show."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from chainrule.report import plots
from chainrule.report.canvas import NARROW, WIDE
from chainrule.report.svg import COLOURS, inline_svg
from tests.report.reading import read_page


def texts(figure: Figure) -> list[str]:
    return [t for tag, t in read_page(inline_svg(figure, "one", "d").html).texts if tag == "text"]


def width(figure: Figure) -> float:
    return float(figure.get_figwidth() * 72)


def cells(figure: Figure) -> list[PolyCollection]:
    return [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]


def inside(figure: Figure) -> bool:
    """Whether all that is drawn lies within the paper."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(720)  # at 72, letters are as wide as whole pixels
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    return drawn.x0 >= -0.02 and drawn.y0 >= -0.02 and drawn.x1 <= width + 0.02 and drawn.y1 <= height + 0.02


@pytest.mark.parametrize("number", [2, 3, 10, 30])
def test_confusion_writes_every_count(number: int) -> None:
    counts = np.arange(number * number).reshape(number, number)
    figure = plots.draw_confusion(counts, [f"c{i}" for i in range(number)])
    shown = texts(figure)
    assert [t for t in shown if t.isdigit()] == [str(c) for c in counts.ravel() if c]
    assert all(shown.count(f"c{i}") == 2 for i in range(number))
    assert "true" in shown and "predicted" in shown
    assert width(figure) <= WIDE + 1 and inside(figure)


def test_confusion_of_many_classes_has_no_counts() -> None:
    figure = plots.draw_confusion(np.eye(31, dtype=int) * 5, [f"c{i}" for i in range(31)])
    shown = texts(figure)
    assert "5" not in shown and shown.count("c30") == 2
    assert sum(len(c.get_paths()) for c in cells(figure)) == 31


def test_confusion_tells_right_from_wrong_and_much_from_little() -> None:
    figure = plots.draw_confusion(np.array([[90, 10], [50, 50]]), ["a", "b"])
    right, wrong = (c.get_facecolor() for c in cells(figure))
    assert right[0][2] > right[0][0] and wrong[0][0] > wrong[0][2]
    assert right[0][3] > right[1][3] and wrong[1][3] > wrong[0][3]
    assert max(right[:, 3].max(), wrong[:, 3].max()) <= 0.75


def test_confusion_places_the_truth_in_rows() -> None:
    figure = plots.draw_confusion(np.array([[0, 7], [0, 0]]), ["first", "second"])
    placed = {t.get_text(): t.get_position() for t in figure.axes[0].texts}
    by_row = next(t.get_position()[1] for t in figure.axes[0].texts if t.get_text() == "first")
    across = [t.get_position()[0] for t in figure.axes[0].texts if t.get_text() == "second"][1]
    assert placed["7"][1] == pytest.approx(by_row, abs=1) and placed["7"][0] == pytest.approx(across, abs=1)


def test_confusion_shortens_long_names_and_keeps_odd_ones() -> None:
    figure = plots.draw_confusion(np.eye(3, dtype=int), ["<b>&$x$", "tab\there", "n" * 99])
    shown = texts(figure)
    assert shown.count("<b>&$x$") == 2 and shown.count("tab\\there") == 2
    assert sum(t.startswith("nnn") and t.endswith("…") for t in shown) == 2
    assert inside(figure)


def test_confusion_without_a_row_of_one_class() -> None:
    assert "3" in texts(plots.draw_confusion(np.array([[3, 0], [0, 0]]), ["a", "b"]))


def test_predicted_over_true() -> None:
    true, predicted = np.array([1.0, 2.0, np.nan]), np.array([1.5, 2.5, 1.0])
    line, points = plots.draw_predicted(predicted, true, "price $").axes[0].lines
    assert points.get_xdata().tolist() == [1.0, 2.0] and points.get_ydata().tolist() == [1.5, 2.5]
    assert list(line.get_xdata()) == list(line.get_ydata())
    figure = plots.draw_predicted(predicted, true, "price $")
    assert figure.axes[0].get_xlim() == figure.axes[0].get_ylim()
    assert {"true price $", "predicted price $"} <= set(texts(figure)) and inside(figure)


def test_residuals_are_predicted_minus_true() -> None:
    figure = plots.draw_residuals(np.array([1.5, 2.0]), np.array([1.0, 3.0]), "y")
    line, points = figure.axes[0].lines
    assert points.get_ydata().tolist() == [0.5, -1.0] and list(line.get_ydata()) == [0, 0]
    assert "predicted − true" in texts(figure) and inside(figure)


@pytest.mark.parametrize("draw", [plots.draw_predicted, plots.draw_residuals])
def test_at_most_so_many_points(draw: Callable[..., Figure]) -> None:
    values = np.arange(5000.0)
    one, two = (draw(values + 1, values, "y").axes[0].lines[1].get_xdata() for _ in range(2))
    assert len(one) == plots.MOST_POINTS == len(set(one)) and (one == two).all()
    assert len(draw(values + 1, values, "y", 10).axes[0].lines[1].get_xdata()) == 10


@pytest.mark.parametrize(
    "values",
    [[], [5.0], [0.0, 0.0], [1e12, 1e12], [np.nan], [-1e-9, 1e-9], [1e5, 5e5], [-1.2345e30, -1.2344e30]],
)
def test_values_without_spread(values: list[float]) -> None:
    for draw in (plots.draw_predicted, plots.draw_residuals):
        assert inside(draw(np.array(values), np.array(values), "y"))


def test_yardsticks_stand_in_order_and_ours_in_colour() -> None:
    figure = plots.draw_yardsticks({"worse": 0.5, "ours": 0.75, "no score": math.nan, "best": 0.9}, "ours")
    shown = texts(figure)
    assert [t for t in shown if not re.match(r"[\d−-]", t)] == ["best", "ours", "worse"]
    assert [t for t in shown if re.match(r"\d", t)] == ["0.9000", "0.7500", "0.5000"]
    lengths = [bar.get_width() for bar in figure.axes[0].patches]
    assert lengths[1] / lengths[0] == pytest.approx(0.75 / 0.9) and lengths[2] / lengths[0] == pytest.approx(
        0.5 / 0.9
    )
    bold = [t.get_text() for t in figure.axes[0].texts if t.get_weight() == "bold"]
    assert bold == ["ours", "0.7500"]
    assert inside(figure) and width(figure) == NARROW


def test_yardsticks_below_zero_point_left() -> None:
    figure = plots.draw_yardsticks({"mean": -0.02, "ours": -3.0, "b": 0.4}, "ours")
    lengths = [bar.get_width() for bar in figure.axes[0].patches]
    assert [length > 0 for length in lengths] == [True, False, False]
    assert len({bar.get_x() for bar in figure.axes[0].patches}) == 1
    assert inside(figure)


@pytest.mark.parametrize("scores", [{}, {"a": 0.0}, {"a": math.nan}, {"n" * 300: 1.0, "<b>": 0.0}])
def test_yardsticks_of_any_kind(scores: dict[str, float]) -> None:
    assert inside(plots.draw_yardsticks(scores, "a"))


def test_colours_are_all_known() -> None:
    figure = plots.draw_confusion(np.array([[2, 1], [1, 2]]), ["a", "b"])
    svg = inline_svg(figure, "one", "d").html
    assert not re.search(r"#[0-9a-f]{6}", svg)
    assert {f"var(--{n})" for n in ("cell-right", "cell-wrong", "ink")} <= set(
        re.findall(r"var\([a-z-]+\)", svg)
    )
    assert "cell-right" in COLOURS
