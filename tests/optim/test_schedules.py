"""The shapes of the schedules, by their formulas."""

from __future__ import annotations

import math

import pytest

from chainrule.core.errors import UnknownNameError
from chainrule.optim.schedules import WARMUP, cosine, exponential, linear, schedule, step


def test_step_divides_by_ten_twice() -> None:
    made = schedule("step", steps=300)
    assert [made(k) for k in (0, 99, 100, 199, 200, 299)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert step(1.0) == pytest.approx(0.01)


def test_exponential_is_a_straight_line_in_logarithms() -> None:
    assert [math.log(exponential(p)) for p in (0, 0.25, 0.5, 1)] == pytest.approx([0, -1.25, -2.5, -5])


def test_cosine_and_linear_after_the_warm_up() -> None:
    middle = WARMUP + (1 - WARMUP) / 2
    assert cosine(middle) == pytest.approx(0.5) and linear(middle) == pytest.approx(0.5)
    quarter = WARMUP + (1 - WARMUP) / 4
    assert cosine(quarter) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert linear(quarter) == pytest.approx(0.75)


def test_unknown_schedule() -> None:
    with pytest.raises(UnknownNameError, match="no schedule is called 'cosin'; did you mean 'cosine'"):
        schedule("cosin", steps=10)
