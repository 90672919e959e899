"""What every learning-rate schedule of the catalogue promises."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

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
    "plateau": (1, 1),  # without validation losses nothing has stalled
}
SHORTEST = {"plateau": 12}  # a shorter run ends before anything has stalled
OWN = {  # what each takes of its own
    "constant": {},
    "step": {"drop_epochs": 3, "drop_factor": 0.5},
    "exponential": {"decay_rate": 0.1},
    "cosine": {"lowest_rate": 0.1},
    "linear": {"lowest_rate": 0.1},
    "plateau": {"drop_factor": 0.5, "schedule_patience": 3, "lowest_rate": 0.1},
}


@given(data=st.data())
def test_factor_lies_between_zero_and_one(name: str, data: st.DataObject) -> None:
    steps = data.draw(st.integers(SHORTEST.get(name, 1), 10_000))
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
        made = schedule(name, steps=max(steps, SHORTEST.get(name, 1)))
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


@given(
    epochs=st.integers(8, 60),
    per_epoch=st.integers(1, 50),
    warmup=st.floats(0.1, 4),
    losses=st.lists(st.floats(0, 10), max_size=60),
    takes_own=st.booleans(),
)
def test_warm_up_into_any(
    name: str, epochs: int, per_epoch: int, warmup: float, losses: list[float], takes_own: bool
) -> None:
    """A straight line up to the whole rate at the end of the warm-up; from there on what comes without one."""
    own: dict[str, Any] = OWN[name] if takes_own else {"schedule_patience": 3} if name == "plateau" else {}
    long = {"steps": epochs * per_epoch, "steps_per_epoch": per_epoch}
    made = schedule(name, warmup_epochs=warmup, **long, **own)
    top = max(1, round(warmup * per_epoch))
    assert [made(step) for step in range(top + 1)] == pytest.approx(
        [(step + 1) / (top + 1) for step in range(top + 1)]
    )
    made = made.after(losses)
    rest = [made(step) for step in range(top, epochs * per_epoch)]
    assert all(a >= b for a, b in pairwise(rest)) and all(0 < factor <= 1 for factor in rest)
    bare = schedule(
        name, warmup_epochs=0, steps=epochs * per_epoch - top, steps_per_epoch=per_epoch, **own
    ).after(losses[top // per_epoch :])
    assert rest == [bare(step) for step in range(len(rest))]


def test_settings_of_its_own_and_of_others(name: str) -> None:
    long = {"steps": 1200, "steps_per_epoch": 10}
    for key, value in {key: value for own in OWN.values() for key, value in own.items()}.items():
        if key in OWN[name]:
            before, after = schedule(name, **long), schedule(name, **long, **{key: value})
            stalled = [1.0] * 25 if key != "lowest_rate" else [1.0] * 119
            assert [before.after(stalled)(s) for s in range(1190, 1200)] != [
                after.after(stalled)(s) for s in range(1190, 1200)
            ]
            continue
        with pytest.raises(SettingError, match=f"^{key} goes with the schedule .*; this one is {name}$"):
            schedule(name, **long, **{key: value})


def test_members_have_their_own(name: str) -> None:
    """Each member's factor is what it would be alone, and the losses of one do not move another."""
    losses = [[1.0] * 30, [1 / epoch for epoch in range(1, 31)], [0.5] * 12 + [0.4] * 18]
    made = schedule(name, steps=4000, steps_per_epoch=100)
    members = made.of_members(losses)
    assert len(members) == 3
    for member, own in zip(members, losses, strict=True):
        assert [member(step) for step in range(3000, 4000, 50)] == [
            made.after(own)(step) for step in range(3000, 4000, 50)
        ]
    assert [m.stalls for m in members] == ([2, 0, 2] if name == "plateau" else [0, 0, 0])
