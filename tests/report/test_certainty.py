"""How sure a network is: bins, thresholds and their drawings against scikit-learn's curves."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as peer
from sklearn.calibration import calibration_curve

from chainrule.report import certainty
from chainrule.report.certainty import (
    bins_of,
    draw_precision_recall,
    draw_reliability,
    draw_roc,
    thresholds_of,
)
from chainrule.report.run_page import run_page
from chainrule.train.metrics import Answers
from tests.report.conftest import Make
from tests.report.reading import check_safe


def answers(rows: int = 80, classes: int = 2, seed: int = 0, *, ties: bool = False) -> Answers:
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(classes), rows)
    if ties:
        shares = np.round(shares, 1)
    true = random.integers(0, classes, rows)
    return Answers(true=true, labels=shares.argmax(1), probabilities=shares)


@pytest.mark.parametrize("ties", [False, True])
def test_thresholds_are_scikit_learns_curves(ties: bool) -> None:
    found = answers(ties=ties)
    ours = thresholds_of(found)
    false, true, scores = peer.roc_curve(found.true, found.probabilities[:, 1], drop_intermediate=False)
    np.testing.assert_allclose([ours.false, ours.found, ours.score], [false[1:], true[1:], scores[1:]])
    precision, recall, _ = peer.precision_recall_curve(found.true, found.probabilities[:, 1])
    np.testing.assert_allclose([ours.precision, ours.found], [precision[:-1][::-1], recall[:-1][::-1]])


def test_ring_stands_where_the_network_answers() -> None:
    found = answers()
    ours, labels = thresholds_of(found), found.probabilities[:, 1] >= 0.5
    at = ours.at_half()
    assert ours.found[at] == peer.recall_score(found.true, labels)
    assert ours.precision[at] == peer.precision_score(found.true, labels)
    shy = Answers(true=found.true, labels=np.zeros(80, int), probabilities=np.tile([0.9, 0.1], (80, 1)))
    assert thresholds_of(shy).at_half() is None


def test_bins_are_a_calibration_curve() -> None:
    found = answers(classes=4, rows=400)
    ours = bins_of(found)
    right, sure = calibration_curve(found.right, found.confidence, n_bins=10)
    np.testing.assert_allclose([ours.right, ours.confidence], [right, sure])
    assert ours.rows.sum() == 400


@pytest.mark.parametrize("rows", [2, 80, 3000])
def test_drawings_stay_within_their_axes(rows: int) -> None:
    found = answers(rows)
    if len(set(found.true.tolist())) < 2:
        found.true[0] = 1 - found.true[0]
    thresholds = thresholds_of(found)
    for drawn in (
        draw_reliability(bins_of(found)),
        draw_roc(thresholds),
        draw_precision_recall(thresholds, 0.4),
    ):
        (axes,) = drawn.axes
        for line in axes.get_lines():
            x, y = line.get_xdata(), line.get_ydata()
            assert np.min(x) >= 0 and np.max(x) <= 1 and np.min(y) >= 0 and np.max(y) <= 1
            assert len(x) <= certainty._MOST_CORNERS


def test_page_has_the_curves_of_two_classes_only(classes: Make) -> None:
    two = check_safe(run_page(classes(["fit", "sick"], answers=answers())))
    titles = [t for tag, t in two.texts if tag == "p"]
    assert {"Reliability", "ROC curve of sick", "Precision and recall of sick"} <= set(titles)
    three = check_safe(run_page(classes(["a", "b", "c"], answers=answers(classes=3))))
    assert "Reliability" in three.text("p") and "ROC" not in three.text("p")
    alone = Answers(true=np.zeros(9, int), labels=np.zeros(9, int), probabilities=np.tile([0.7, 0.3], (9, 1)))
    assert "ROC" not in check_safe(run_page(classes(["fit", "sick"], answers=alone))).text("p")


def test_reliability_says_which_way_it_leans(classes: Make) -> None:
    sure = np.tile([0.95, 0.05], (20, 1))
    for right, told in (
        (10, "more sure than it may be"),
        (20, "less sure than it may be"),
        (19, "sure on average"),
    ):
        true = np.array([0] * right + [1] * (20 - right))
        given = Answers(true=true, labels=np.zeros(20, int), probabilities=sure)
        caption = check_safe(run_page(classes(["a", "b"], answers=given))).text("figcaption")
        assert told in caption and ("than it may be" in caption) == (right != 19)
        assert "Calibration error" in caption
