"""What scores of folds say: intervals that cover the truth, tests that seldom find what is not there."""

import numpy as np
import pytest
from scipy import stats

from chainrule.train.significance import corrected_deviation, holm, resampled_t_test, spread_of


def test_the_corrected_test_is_students_with_another_variance():
    """By hand: mean 0.02, s² 0.00025, J = 5, a quarter as many held out as train: t = 0.02 / √(0.45 · 0.00025)."""
    one, other = [0.92, 0.91, 0.95, 0.90, 0.92], [0.90, 0.90, 0.90, 0.90, 0.90]
    found = resampled_t_test(one, other, 0.25)
    differences = np.subtract(one, other)
    t = differences.mean() / np.sqrt((1 / 5 + 0.25) * differences.var(ddof=1))
    assert found == pytest.approx(2 * stats.t.sf(t, 4), rel=1e-9)
    assert found > stats.ttest_rel(one, other).pvalue
    assert resampled_t_test(other, one, 0.25) == pytest.approx(found)


def test_equal_scores_are_told_apart_by_nothing():
    assert resampled_t_test([0.5, 0.7, 0.9], [0.5, 0.7, 0.9], 0.25) == 1.0


def test_a_difference_that_is_the_same_in_every_fold_proves_no_more_than_its_sign():
    """Without deviation Student's t is infinite, also of two folds; p is that of so many equal signs."""
    assert resampled_t_test([0.6, 0.8], [0.5, 0.7], 1.0) == 0.5
    assert resampled_t_test([0.6, 0.8, 1.0], [0.5, 0.7, 0.9], 0.25) == 0.25
    assert resampled_t_test([0.9] * 10, [0.8] * 10, 0.25) == stats.binomtest(10, 10).pvalue


def test_without_correction_it_is_the_paired_test():
    random = np.random.default_rng(0)
    one, other = random.normal(size=10), random.normal(size=10)
    assert resampled_t_test(one, other, 0.0) == pytest.approx(stats.ttest_rel(one, other).pvalue, rel=1e-9)


def test_folds_that_share_rows_make_the_plain_test_find_what_is_not_there():
    """Scores that share a part of their noise, as folds do: the corrected test errs near 5 in 100, the plain one far more."""
    random = np.random.default_rng(1)
    shared = random.normal(size=(2000, 1)) * np.sqrt(0.25 / 1.25)
    differences = shared + random.normal(size=(2000, 10)) * np.sqrt(1 / 1.25)
    nothing = np.zeros(10)
    corrected = np.mean([resampled_t_test(row, nothing, 0.25) < 0.05 for row in differences])
    plain = np.mean([resampled_t_test(row, nothing, 0.0) < 0.05 for row in differences])
    assert 0.03 < corrected < 0.07 and plain > 0.2


def test_holm_corrects_in_steps():
    assert holm([0.005, 0.5, 0.03, 0.011]) == pytest.approx([0.02, 0.5, 0.06, 0.033])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_an_interval_is_wider_than_the_plain_one_and_stays_among_scores():
    scores = [0.9, 0.95, 1.0, 0.97, 0.99]
    found = spread_of(scores, share=0.25, rows=100, lowest=0.0, highest=1.0)
    assert found.high == 1.0
    reach = stats.t.ppf(0.975, 4) * np.std(scores, ddof=1) * np.sqrt(1 / 5 + 0.25)
    assert found.mean - found.low == pytest.approx(reach) and corrected_deviation(scores, 0.25) > 0


def test_all_right_in_every_fold_is_no_proof_of_perfection():
    found = spread_of([1.0] * 5, share=0.25, rows=60, lowest=0.0, highest=1.0)
    assert found.low == pytest.approx(60 / (60 + 1.959964**2)) and found.high == 1.0


def test_the_same_share_in_every_fold_is_no_certainty():
    found = spread_of([0.9] * 5, share=0.25, rows=60, lowest=0.0, highest=1.0)
    expected = stats.binomtest(54, 60).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
