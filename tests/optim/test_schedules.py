"""The shapes of the schedules, by their formulas and by the figures of the course."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

import chainrule as cr
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.optim.schedules import (
    WARMUP,
    Cosine,
    Exponential,
    Linear,
    Place,
    Schedule,
    Step,
    count_stalls,
    schedule,
)


def rates(made: Schedule, learning_rate: float, steps: list[int]) -> list[float]:
    return [learning_rate * made(step) for step in steps]


def plateau_rates(losses: list[float], learning_rate: float = 0.1, **own: float) -> list[float]:
    """Return the rate of each epoch, given the validation losses of the epochs before it."""
    made = schedule("plateau", steps=len(losses), learning_rate=learning_rate, **own)  # type: ignore[arg-type]
    return [learning_rate * made.after(losses[:epoch])(epoch) for epoch in range(len(losses))]


# ---- today's defaults


def test_step_divides_by_ten_twice() -> None:
    made = schedule("step", steps=300)
    assert [made(k) for k in (0, 99, 100, 199, 200, 299)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert Step()(Place(1.0)) == pytest.approx(0.01)


def test_exponential_is_a_straight_line_in_logarithms() -> None:
    found = [math.log(Exponential()(Place(p))) for p in (0, 0.25, 0.5, 1)]
    assert found == pytest.approx([0, -1.25, -2.5, -5])


def test_cosine_and_linear_after_the_warm_up() -> None:
    cosine, linear = schedule("cosine", steps=10_000), schedule("linear", steps=10_000)
    middle = round(10_000 * (WARMUP + (1 - WARMUP) / 2))
    assert cosine(middle) == pytest.approx(0.5) and linear(middle) == pytest.approx(0.5)
    quarter = round(10_000 * (WARMUP + (1 - WARMUP) / 4))
    assert cosine(quarter) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert linear(quarter) == pytest.approx(0.75)
    assert Cosine()(Place(0.0)) == Linear()(Place(0.0)) == 1


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("constant", lambda p: 1.0),
        ("step", lambda p: 0.1 ** min(2, int(p * 3))),
        ("exponential", lambda p: math.exp(-5 * p)),
        (
            "cosine",
            lambda p: (
                min(1.0, (p + 1e-3) / 0.05) * 0.5 * (1 + math.cos(math.pi * max(0.0, (p - 0.05) / 0.95)))
            ),
        ),
        ("linear", lambda p: min(1.0, (p + 1e-3) / 0.05) * (1 - max(0.0, (p - 0.05) / 0.95))),
    ],
)
def test_where_nothing_is_said_the_bits_are_those_of_earlier_runs(name, formula) -> None:
    for steps in (1, 7, 1000, 4999):
        made = schedule(name, steps=steps, steps_per_epoch=3, learning_rate=0.003)
        assert all(made(step) == formula(step / steps) for step in range(steps))


def test_unknown_schedule() -> None:
    with pytest.raises(UnknownNameError, match="no schedule is called 'cosin'; did you mean 'cosine'"):
        schedule("cosin", steps=10)


# ---- the figures of the course


@pytest.mark.curriculum("LRS-03")
def test_no_schedule_rises_after_its_warm_up() -> None:
    for name in ("step", "exponential", "cosine", "linear"):
        made = cr.schedule(name, steps=60, steps_per_epoch=6, warmup_epochs=0)
        factors = [made(step) for step in range(60)]
        assert all(a >= b for a, b in pairwise(factors)) and factors[0] == 1 and factors[-1] < 0.1
    waits = plateau_rates([1, 0.9, *[0.9] * 30])
    assert all(a >= b for a, b in pairwise(waits)) and waits[-1] < waits[0]


@pytest.mark.curriculum("LRS-04")
def test_halved_every_five_epochs() -> None:
    """G39."""
    made = cr.schedule("step", steps=25 * 7, steps_per_epoch=7, drop_epochs=5, drop_factor=0.5)
    first = [7 * epoch for epoch in (0, 4, 5, 9, 10, 15, 20)]
    assert rates(made, 0.1, first) == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.0125, 0.00625], abs=1e-12)
    last = [7 * epoch + 6 for epoch in (0, 4, 5, 9, 10)]
    assert rates(made, 0.1, last) == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025], abs=1e-12)


@pytest.mark.curriculum("LRS-05")
def test_a_tenth_every_twenty_epochs() -> None:
    """G39."""
    made = cr.schedule("step", steps=60 * 3, steps_per_epoch=3, drop_epochs=20)
    epochs = [3 * epoch for epoch in (0, 19, 20, 39, 40, 59)]
    assert rates(made, 0.1, epochs) == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001], abs=1e-12)


@pytest.mark.curriculum("LRS-06")
def test_exponential_decay_by_its_constant() -> None:
    """D11."""
    made = cr.schedule("exponential", steps=20 * 9, steps_per_epoch=9, decay_rate=0.1)
    assert rates(made, 0.1, [0, 9, 45, 90]) == pytest.approx([0.1, 0.090484, 0.060653, 0.036788], abs=1e-6)


@pytest.mark.curriculum("LRS-07")
def test_cosine_decay_over_a_hundred() -> None:
    """D11."""
    made = cr.schedule("cosine", steps=100, warmup_epochs=0)
    found = rates(made, 0.1, [0, 25, 50, 75, 100])
    assert found == pytest.approx([0.1, 0.085355, 0.05, 0.014645, 0], abs=1e-6)


@pytest.mark.curriculum("LRS-08", "TOO-07")
def test_plateau_of_a_constant_validation_loss() -> None:
    """G40. Factor 0.1, patience 10, lowest rate 1e-6; the floor ends the cuts, not the training (E41)."""
    found = plateau_rates([0.7] * 81)
    cuts = [epoch for epoch in range(1, 81) if found[epoch] < 0.99 * found[epoch - 1]]
    assert cuts == [11, 21, 31, 41, 51], "one cut per ten stale epochs, the first epoch being the best"
    assert [found[epoch] for epoch in (0, 11, 21, 31, 41, 51, 61, 80)] == pytest.approx(
        [0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6, 1e-6], rel=1e-9
    )


@pytest.mark.curriculum("LRS-08")
def test_plateau_multiplies_by_its_factor_and_waits_anew() -> None:
    """By a factor such as a half, not by a constant that is taken off (E54); a lower loss starts the count again."""
    losses = [1.0, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8]
    found = plateau_rates(losses, drop_factor=0.5, schedule_patience=3)
    assert found == pytest.approx([0.1] * 8 + [0.05])
    assert count_stalls([1.0, 0.5, 0.6, 0.7, 0.51, 0.4], 3) == 1, (
        "worse than the best is stale, however it moves"
    )
    assert count_stalls([], 3) == count_stalls([math.nan], 3) == 0


def test_a_plateau_never_raises_the_rate() -> None:
    assert plateau_rates([1.0] * 30, learning_rate=1e-8) == [1e-8] * 30


@pytest.mark.curriculum("LRS-09")
def test_linear_warm_up_reaches_the_rate_and_then_it_falls() -> None:
    for name in ("cosine", "linear", "exponential"):
        made = cr.schedule(name, steps=100, steps_per_epoch=10, warmup_epochs=2)
        found = rates(made, 0.1, list(range(100)))
        assert found[20] == pytest.approx(0.1) and max(found) == found[20]
        steps = [b - a for a, b in pairwise(found[:21])]
        assert steps == pytest.approx([steps[0]] * 20) and steps[0] > 0, "a straight line up"
        assert all(a > b for a, b in pairwise(found[20:])), "and down to the end"
        assert found[0] > 0, "no update is wasted"


def test_cosine_and_linear_end_at_the_lowest_rate() -> None:
    for name in ("cosine", "linear"):
        made = schedule(name, steps=100, learning_rate=0.1, lowest_rate=0.01, warmup_epochs=0)
        assert rates(made, 0.1, [0, 50, 100]) == pytest.approx([0.1, 0.055, 0.01])


# ---- what is refused

REFUSED = [
    (
        "step",
        {"drop_epochs": 10},
        "the rate would first drop after 10 epochs, but the run has 10; take fewer",
    ),
    (
        "step",
        {"drop_epochs": 8, "warmup_epochs": 2},
        "after 8 epochs after a warm-up of 2, but the run has 10",
    ),
    ("step", {"drop_epochs": 0}, "drop_epochs must be above 0; got 0"),
    ("step", {"drop_epochs": 3, "drop_factor": 1.0}, "drop_factor must be above 0 and below 1; got 1"),
    ("step", {"drop_epochs": 3, "drop_factor": -0.1}, "drop_factor must be above 0 and below 1; got -0.1"),
    ("exponential", {"decay_rate": -0.1}, "decay_rate must be above 0; got -0.1"),
    ("exponential", {"decay_rate": math.nan}, "decay_rate must be above 0; got nan"),
    ("cosine", {"learning_rate": -0.1}, "learning_rate must be above 0; got -0.1"),
    ("cosine", {"lowest_rate": -0.1}, "lowest_rate must be 0 or above; got -0.1"),
    (
        "cosine",
        {"lowest_rate": 0.5, "learning_rate": 0.1},
        "lowest_rate must be below the learning rate, which is 0.1",
    ),
    (
        "constant",
        {"warmup_epochs": 12},
        "a warm-up of 12 epochs (60 updates) does not fit in a run of 10 (50 updates)",
    ),
    ("constant", {"warmup_epochs": -1}, "warmup_epochs must be 0 or above; got -1"),
    (
        "plateau",
        {},
        "a plateau is seen after 1 + 10 epochs at the soonest, but the run has 10; take a smaller",
    ),
    (
        "cosine",
        {"drop_epochs": 2},
        "drop_epochs goes with the schedule step; this one is cosine",
    ),
    (
        "linear",
        {"drop_factor": 0.5},
        "drop_factor goes with the schedule step or plateau; this one is linear",
    ),
]


@pytest.mark.parametrize(("name", "own", "said"), REFUSED)
def test_refused(name: str, own: dict[str, float], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        schedule(name, steps=50, steps_per_epoch=5, **own)  # type: ignore[arg-type]
    assert said in str(caught.value)
