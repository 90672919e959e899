"""Boosting raises the weights of rows that a member got wrong, and gives better members more to say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.train.boosting import boost_classes, boost_values


@pytest.mark.curriculum("ENS-03")
def test_an_error_of_a_quarter_counts_half_the_logarithm_of_three() -> None:
    found = boost_classes(np.full(8, 1 / 8), np.arange(8) < 2, 2)
    assert found.error == 0.25
    assert found.say == pytest.approx(0.549306, abs=1e-6)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert found.weights[:2] == pytest.approx(1 / 4)  # the wrong rows weigh as much as all others together
    assert found.weights[2:] == pytest.approx(1 / 12)


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=2, max_size=30), st.integers(2, 6))
def test_weights_stay_a_distribution_and_wrong_rows_gain(
    rows: list[tuple[float, bool]], classes: int
) -> None:
    weights = np.array([weight for weight, _ in rows])
    weights /= weights.sum()
    wrong = np.array([is_wrong for _, is_wrong in rows])
    found = boost_classes(weights, wrong, classes)
    assert found.weights.sum() == pytest.approx(1)
    assert (found.weights > 0).all()
    if not found.is_useless and wrong.any():
        assert (found.weights[wrong] >= weights[wrong] - 1e-12).all()


def test_a_member_is_useless_from_the_error_of_chance_on() -> None:
    four = np.full(4, 0.25)
    assert boost_classes(four, np.array([True, True, False, False]), 2).is_useless
    assert not boost_classes(four, np.array([True, True, False, False]), 3).is_useless
    assert boost_classes(four, np.zeros(4, bool), 2).is_perfect


def test_values_weigh_by_how_far_they_were_missed() -> None:
    found = boost_values(np.full(4, 0.25), np.array([0.0, 0.0, 0.0, 2.0]))
    assert found.error == 0.25
    assert found.say == pytest.approx(np.log(3))
    assert found.weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert boost_values(np.full(4, 0.25), np.array([1.0, 1.0, 1.0, 1.0])).is_useless
