"""What every learning-rate schedule of the catalogue promises."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chainrule.catalog import SCHEDULES
from chainrule.core.errors import SettingError
from chainrule.optim.schedules import schedule

pytestmark = pytest.mark.parametrize("name", SCHEDULES)

ENDS = {
    "constant": (1, 1),
    "step": (1, 0.01),
    "exponential": (1, 0.00674),
    "cosine": (0.02, 0),
    "linear": (0.02, 0),
}


@given(steps=st.integers(1, 10_000), data=st.data())
def test_factor_lies_between_zero_and_one(name: str, steps: int, data: st.DataObject) -> None:
    made = schedule(name, steps=steps)
    step = data.draw(st.integers(0, steps))
    assert 0 <= made(step) <= 1
    assert made(step) == schedule(name, steps=steps)(step), "a function of the step alone"


def test_begins_and_ends_where_it_says(name: str) -> None:
    made = schedule(name, steps=9000)
    assert (made(0), made(9000)) == pytest.approx(ENDS[name], abs=1e-5)


def test_every_update_moves_something(name: str) -> None:
    """The rate is 0 only after the last update: none is wasted."""
    for steps in (1, 2, 7, 1000):
        made = schedule(name, steps=steps)
        assert all(made(step) > 0 for step in range(steps))


def test_falls_once_it_is_warm(name: str) -> None:
    made = schedule(name, steps=1000)
    factors = [made(step) for step in range(1001)]
    top = factors.index(max(factors))
    assert top <= 50 and max(factors) == pytest.approx(1, abs=1e-6)
    assert all(a <= b for a, b in pairwise(factors[: top + 1]))
    assert all(a >= b for a, b in pairwise(factors[top:]))


def test_length_scales_the_shape(name: str) -> None:
    short, long = schedule(name, steps=100), schedule(name, steps=10_000)
    assert [short(step) for step in range(101)] == [long(100 * step) for step in range(101)]


@pytest.mark.parametrize("steps", [0, -5])
def test_needs_a_step(name: str, steps: int) -> None:
    with pytest.raises(SettingError, match=f"a schedule needs at least one step; got {steps}"):
        schedule(name, steps=steps)
