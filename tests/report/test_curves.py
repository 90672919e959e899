"""Curves over the epochs."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from matplotlib.figure import Figure

from chainrule.optim.schedules import schedule
from chainrule.report.curves import curve_names, draw_curve, history_figure, is_logarithmic
from chainrule.report.svg import inline_svg
from tests.report.reading import read_page

HISTORY = [
    {"epoch": e, "train_loss": 1 / e, "validation_loss": 1 / e + 0.1, "validation_accuracy": 1 - 1 / e}
    for e in range(1, 9)
]


def labels(figure: Figure) -> list[str]:
    return [str(line.get_label()) for line in figure.axes[0].lines]


def texts(figure: Figure) -> list[str]:
    return [t for tag, t in read_page(inline_svg(figure, "one", "d").html).texts if tag == "text"]


def test_names_begin_with_loss_and_the_metric_that_matters() -> None:
    rows = [
        {
            "epoch": 1,
            "validation_mae": 1.0,
            "validation_r2": 0.5,
            "validation_a": 1,
            "validation_b": 1,
            "train_loss": 2.0,
        }
    ]
    assert curve_names(rows, "r2") == ["loss", "r2", "mae", "a"]
    assert curve_names(rows, "r2", most=1) == ["loss", "r2"]
    assert curve_names([]) == []


@pytest.mark.parametrize(
    ("rates", "drawn"), [([0.1, 0.1], False), ([0.1, 0.2], True), ([0.1, math.nan], False)]
)
def test_rate_only_if_it_varies(rates: list[float], drawn: bool) -> None:
    rows = [{"epoch": i, "train_loss": 1.0, "learning_rate": r} for i, r in enumerate(rates)]
    assert ("learning_rate" in curve_names(rows)) is drawn
    if drawn:
        assert draw_curve(rows, "learning_rate").axes[0].lines[0].get_ydata().tolist() == rates


@pytest.mark.parametrize(
    ("name", "own", "logarithmic"),
    [
        ("cosine", {}, False),
        ("linear", {}, False),
        ("exponential", {}, True),
        ("exponential", {"decay_rate": 0.2}, True),
        ("step", {}, True),
        ("step", {"drop_epochs": 10, "drop_factor": 0.5}, False),
        ("plateau", {"schedule_patience": 5}, True),
    ],
)
def test_rates_that_drop_by_factors_are_drawn_by_factors(name: str, own: dict, logarithmic: bool) -> None:
    made = schedule(name, steps=600, steps_per_epoch=10, **own)
    rates = [made.after([1.0] * epoch)(10 * epoch + 9) for epoch in range(60)]
    rows = [{"epoch": i + 1, "train_loss": 1.0, "learning_rate": rate} for i, rate in enumerate(rates)]
    axes = draw_curve(rows, "learning_rate").axes[0]
    assert axes.get_yscale() == ("log" if logarithmic else "linear")
    assert axes.lines[0].get_ydata().tolist() == rates


def test_train_validation_and_a_ring_at_the_best_epoch() -> None:
    figure = draw_curve(HISTORY, "loss", best_epoch=5)
    train, validation, best = figure.axes[0].lines
    assert labels(figure) == ["train", "validation", "best epoch"]
    assert train.get_ydata()[1] == 0.5 and validation.get_ydata()[1] == 0.6
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([5], [pytest.approx(0.3)])
    assert train.get_linestyle() == "--" and validation.get_linestyle() == "-"
    assert {"train", "validation", "best epoch", "epoch"} <= set(texts(figure))


def test_without_validation_the_ring_is_on_the_training_curve() -> None:
    rows = [{"epoch": r["epoch"], "train_loss": r["train_loss"]} for r in HISTORY]
    figure = draw_curve(rows, "loss", best_epoch=8)
    assert labels(figure) == ["train", "best epoch"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [0.125]
    assert labels(draw_curve(rows, "loss", best_epoch=99)) == ["train"]
    assert labels(draw_curve(rows, "loss")) == ["train"]


@pytest.mark.parametrize(
    ("losses", "logarithmic"),
    [
        ([1.0, 0.009], True),
        ([1.0, 0.011], False),
        ([1.0, 0.0], False),
        ([1.0, -5.0], False),
        ([math.nan, math.inf], False),
    ],
)
def test_axis_is_logarithmic_beyond_two_decades(losses: list[float], logarithmic: bool) -> None:
    rows = [{"epoch": i + 1, "train_loss": loss} for i, loss in enumerate(losses)]
    assert is_logarithmic(rows, "loss") is logarithmic
    assert draw_curve(rows, "loss").axes[0].get_yscale() == ("log" if logarithmic else "linear")


def test_metrics_stay_linear() -> None:
    assert not is_logarithmic([{"epoch": 1, "validation_a": 0.001}, {"epoch": 2, "validation_a": 1.0}], "a")


def test_ticks_are_plain_numbers() -> None:
    rows = [{"epoch": i, "train_loss": 10.0**-i} for i in range(6)]
    shown = texts(draw_curve(rows, "loss"))
    assert "0.01" in shown and "1e-5" in shown and not [t for t in shown if "$" in t]


def test_one_epoch_is_a_point() -> None:
    line = draw_curve(HISTORY[:1], "loss").axes[0].lines[0]
    assert line.get_marker() == "o"
    assert "1" in texts(draw_curve(HISTORY[:1], "loss"))


def test_losses_that_are_not_finite_leave_a_gap() -> None:
    rows = [
        {"epoch": 1, "train_loss": 1.0},
        {"epoch": 2, "train_loss": math.inf},
        {"epoch": 3, "validation_loss": 1.0},
    ]
    train, validation = draw_curve(rows, "loss").axes[0].lines
    assert math.isnan(train.get_ydata()[1]) and math.isnan(train.get_ydata()[2])
    assert validation.get_ydata()[2] == 1.0


def test_figure_for_a_notebook_shows_all_curves_and_itself() -> None:
    figure = history_figure(HISTORY, best_epoch=3, metric="accuracy")
    assert isinstance(figure, Figure) and len(figure.axes) == 2
    titles = [axes.texts[0].get_text() for axes in figure.axes]
    assert titles == ["loss", "accuracy"]
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert len(history_figure([]).axes) == 1


def test_nothing_of_matplotlib_is_imported_before_a_figure_and_pyplot_never() -> None:
    program = (
        "import sys; import chainrule.report.run_page; assert 'matplotlib' not in sys.modules;"
        "from chainrule.report.plots import history_figure;"
        "history_figure([{'epoch': 1, 'train_loss': 1.0}])._repr_png_(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)
