"""What came out: every figure with its interval beside those of simpler models, in the right direction."""

from __future__ import annotations

import pytest

from chainrule.report.run_page import run_page
from chainrule.report.standing import larger_is_better, spanned
from chainrule.report.summary import Yardstick
from tests.report.conftest import Make
from tests.report.reading import check_safe

FIGURES = {
    "loss": 0.3,
    "accuracy": 0.9,
    "balanced-accuracy": 0.85,
    "precision": 0.8,
    "auc": 0.95,
    "log-loss": 0.3,
}
INTERVALS = {"accuracy": (0.81, 0.97), "loss": (0.2, 0.4), "auc": (0.9, 0.99)}


def test_every_figure_stands_beside_its_interval_and_the_yardsticks(classes: Make) -> None:
    rivals = [
        Yardstick(name="the largest class alone", metrics={"accuracy": 0.6, "auc": 0.5}, seconds=0),
        Yardstick(name="logistic regression", metrics={"accuracy": 0.88, "auc": 0.93}, seconds=0.1),
    ]
    summary = classes(
        ["fit", "sick"], metrics={"test": FIGURES}, intervals={"test": INTERVALS}, yardsticks=rivals
    )
    read = check_safe(run_page(summary))
    heads = [t for tag, t in read.texts if tag == "th"]
    at = heads.index("95\xa0% interval")
    assert heads[at - 1 : at + 3] == ["this network", "95\xa0% interval", "base rate", "logistic regression"]
    cells = [t for tag, t in read.texts if tag in ("td", "strong")]
    at = cells.index("AUC")
    assert cells[at : at + 5] == ["AUC", "0.9500", "0.90 to 0.99", "0.5000", "0.9300"]
    at = cells.index("precision of sick")
    assert cells[at : at + 5] == ["precision of sick", "0.8000", "–", "–", "–"]
    assert "luck of these 20 test rows" in read.text("p")
    assert "90.0\xa0% of 20 test rows right (95\xa0% interval 81 to 97\xa0%)." in read.text("p")
    assert "81 to 97\xa0%" in read.text("small")
    assert "smaller is better" in read.text("dd")


@pytest.mark.parametrize(
    ("mae", "told", "kind"),
    [
        (3.0, "None of 2 yardsticks does as well", "good"),
        (5.0, "1 of 2 yardsticks does better; the best, ridge", "behind"),
    ],
)
def test_smaller_errors_are_better(values: Make, mae: float, told: str, kind: str) -> None:
    rivals = [
        Yardstick(name="mean", metrics={"mae": 9.0}, seconds=0),
        Yardstick(name="ridge", metrics={"mae": 4.0}, seconds=0),
    ]
    read = check_safe(
        page := run_page(values(["y"], metric="mae", metrics={"test": {"mae": mae}}, yardsticks=rivals))
    )
    assert told in read.text("p") and f'class="note {kind}"' in page
    assert "shorter is better" in read.text("figcaption")
    drawn = [t for tag, t in read.texts if tag == "text" and t in ("this network", "ridge", "mean")]
    assert drawn == (["this network", "ridge", "mean"] if mae < 4 else ["ridge", "this network", "mean"])


def test_direction_of_any_name() -> None:
    assert larger_is_better("auc") and larger_is_better("a metric of another version")
    assert not any(
        larger_is_better(name) for name in ("loss", "mae", "rmse", "log-loss", "calibration-error")
    )
    assert spanned((0.5, float("nan")), is_share=False) == spanned(None, is_share=True) == ""
