"""Proposals are a function of the space, the seed and the trials so far."""

from __future__ import annotations

from typing import Any

import pytest

from chainrule.core.errors import SettingError
from chainrule.train.proposals import Tried, count_trials, propose
from chainrule.train.space import Choices, Range, Space

GRID = Space({"a": Choices((1, 2, 3)), "b": Range(low=0.0, high=1.0, steps=4)})
LINE = Space({"x": Range(low=-10.0, high=10.0)})


def all_of(space: Space, method: str, trials: int, seed: int = 0, at_once: int = 5) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < trials:
        made = propose(
            space, method, [Tried(v, 0.0) for v in found], min(at_once, trials - len(found)), seed, trials
        )
        if not made:
            break
        found += made
    return found


@pytest.mark.curriculum("HPO-04")
@pytest.mark.parametrize("at_once", [1, 5, 100])
def test_a_grid_has_every_combination_once(at_once: int) -> None:
    """A grid of 3 × 4 is 12 trials."""
    assert count_trials(GRID, "grid", None) == 12
    found = all_of(GRID, "grid", 12, at_once=at_once)
    assert len(found) == 12 and len({tuple(one.items()) for one in found}) == 12
    assert {one["a"] for one in found} == {1, 2, 3} and len({one["b"] for one in found}) == 4


@pytest.mark.curriculum("HPO-05")
def test_random_draws_are_within_bounds_and_reproducible() -> None:
    space = Space({"x": Range(low=1e-4, high=1e-1, is_log=True), "n": Range(low=2, high=5, is_whole=True)})
    found = all_of(space, "random", 200)
    assert len(found) == 200
    assert all(1e-4 <= one["x"] <= 1e-1 and one["n"] in (2, 3, 4, 5) for one in found)
    assert found == all_of(space, "random", 200, at_once=33)
    assert found != all_of(space, "random", 200, seed=1)
    decades = [sum(10**-k > one["x"] >= 10 ** -(k + 1) for one in found) for k in (1, 2, 3)]
    assert min(decades) > 40  # evenly by factors
    assert len({one["x"] for one in found}) == 200


def test_random_draws_of_a_small_space_are_all_of_it() -> None:
    assert count_trials(GRID, "random", 100) == 12
    found = all_of(GRID, "random", 12)
    assert sorted(map(str, found)) == sorted(map(str, GRID.combinations()))
    assert found != list(GRID.combinations())


@pytest.mark.curriculum("HPO-06")
@pytest.mark.parametrize("seed", [0, 1])
def test_expected_improvement_finds_the_minimum(seed: int) -> None:
    """The minimum of (x − 2)² in 25 evaluations, and nearer than 25 random draws come."""
    pytest.importorskip("optuna")
    tried: list[Tried] = []
    while len(tried) < 25:
        for values in propose(LINE, "bayes", tried, 5, seed, 25):
            tried.append(Tried(values, (values["x"] - 2) ** 2))
    best = min(tried, key=lambda one: one.cost if one.cost is not None else 0.0)
    assert best.values["x"] == pytest.approx(2, abs=0.05)
    drawn = [(one["x"] - 2) ** 2 for one in all_of(LINE, "random", 25, seed)]
    assert best.cost is not None and best.cost < min(drawn)


def test_bayes_goes_on_as_it_would_have() -> None:
    pytest.importorskip("optuna")
    space = Space({"a": Choices(("p", "q", (1, 2))), "b": Range(low=0.1, high=1.0, is_log=True, steps=5), "n": Range(low=1, high=9, is_whole=True)})  # fmt: skip
    tried = [Tried(v, float(v["n"])) for v in propose(space, "bayes", [], 10, 3, 20)]
    tried[2] = Tried(tried[2].values, None)
    first, again = (propose(space, "bayes", tried, 3, 3, 20) for _ in range(2))
    assert first == again and len(first) == 3
    for one in first:
        assert (
            one["a"] in ("p", "q", (1, 2)) and one["b"] in space.settings["b"].values and 1 <= one["n"] <= 9
        )  # type: ignore[operator]


def test_numbers_that_do_not_fit_the_method() -> None:
    with pytest.raises(SettingError, match="the range of x has no steps"):
        count_trials(LINE, "grid", None)
    with pytest.raises(
        SettingError, match="a grid has every combination, 12 of this space; leave out --trials 5"
    ):
        count_trials(GRID, "grid", 5)
    with pytest.raises(SettingError, match="--trials must be at least 1"):
        count_trials(LINE, "random", 0)
    assert count_trials(LINE, "random", None) == 32
    assert count_trials(GRID, "halving", None) == 12
    assert count_trials(LINE, "halving", 9) == 9
