"""What follows from the losses of a range test: on curves that are known, and in small trainings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.train.rate_range import DIVERGED, RateRange, marks, sweep

RATES = tuple(np.geomspace(1e-6, 10, 300).tolist())


def curve(*, noise: float = 0.0, until: float = 10.0, fall: float = 1.5) -> RateRange:
    """Return losses of 2 that fall around 1e-3, are least at 0.1 and grow from there on."""
    rates = np.array([rate for rate in RATES if rate <= until])
    places = np.log10(rates)
    losses = (
        2 - fall / (1 + np.exp(-4 * (places + 3))) - 0.02 * (places + 3) + 40 * np.maximum(0, places + 1) ** 2
    )
    random = np.random.default_rng(0).normal(0, noise, len(rates))
    return RateRange(rates=tuple(rates.tolist()), losses=tuple((losses + random).tolist()), steps=300)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_good_rates_and_a_suggestion_of_a_known_curve(noise: float) -> None:
    found = curve(noise=noise, until=1.0)
    assert found.good is not None and found.suggestion is not None
    low, high = found.good
    assert 1e-4 < low < 1e-3 and 0.05 < high < 0.2
    assert 0.02 <= found.suggestion <= 0.05, "a third of 0.1"
    assert [found.classify(rate) for rate in (1e-5, 0.01, 0.5)] == ["too low", "good", "too high"]
    assert found.has_diverged and not found.is_still_falling


def test_noise_alone_suggests_nothing() -> None:
    for noise in (0.01, 0.5):
        random = np.random.default_rng(1).normal(1, noise, 300)
        found = RateRange(rates=RATES, losses=tuple(random.tolist()), steps=300)
        assert (found.good, found.suggestion, found.classify(0.1)) == (None, None, "unclear")


def test_a_bottom_within_the_noise_is_good_as_far_as_it_goes() -> None:
    """From 0.001 to 1 the loss stays where it is but for noise: which of them has the least is luck."""
    places = np.log10(RATES)
    losses = (
        2
        - 1 / (1 + np.exp(-6 * (places + 3.5)))
        + 3 * np.maximum(0, places)
        + np.random.default_rng(2).normal(0, 0.1, 300)
    )
    found = RateRange(rates=RATES, losses=tuple(losses.tolist()), steps=300)
    assert found.good is not None and found.good[1] > found.rates[found.least]
    assert found.good[1] < 3


def test_still_falling_at_the_highest_rate() -> None:
    losses = tuple(np.linspace(2, 1, 300).tolist())
    found = RateRange(rates=RATES, losses=losses, steps=300)
    assert found.is_still_falling and not found.has_diverged
    assert found.suggestion == pytest.approx(3)


def test_a_lowest_rate_that_is_too_high_already() -> None:
    losses = (2.0, 5.0, 80.0, 400.0)
    found = RateRange(rates=RATES[:4], losses=losses, steps=300)
    assert found.begins_too_high and found.suggestion is None


def test_smooth_loss_is_not_moved_along() -> None:
    """Averages look to both sides: the middle of a fall stays where it is."""
    places = np.log10(RATES)
    losses = 2 - 1 / (1 + np.exp(-8 * (places + 3)))
    found = RateRange(rates=RATES, losses=tuple(losses.tolist()), steps=300)
    middle = found.rates[int(np.argmin(np.abs(np.array(found.smooth) - 1.5)))]
    assert math.log10(middle) == pytest.approx(-3, abs=0.03)


def test_round_rates() -> None:
    assert marks(2e-4, 0.02) == [3e-4, 1e-3, 3e-3, 0.01]
    found = curve(until=1.0)
    assert found.at(0.5) is not None and found.at(3.0) is None


def _trained(rate: float) -> tuple[cr.AutogradStep, cr.Batches]:
    torch.manual_seed(0)
    inputs = torch.linspace(-1.7, 1.7, 64)[:, None]
    task = cr.Regression(["y"])
    targets = (3 * inputs + 0.3 * torch.randn(64, 1)).numpy()
    task.fit(targets)
    objective = cr.Objective(nn.Linear(1, 1), task)
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.model.parameters(), learning_rate=rate))
    return step, cr.Batches(inputs, task.encode(targets), 16)


def test_the_rate_rises_by_equal_factors_up_to_the_highest() -> None:
    step, batches = _trained(0.5)
    measured = list(sweep(step, batches, 1e-5, 100))
    rates = np.array([m.rate for m in measured])
    assert len(rates) == 100 and rates[0] == pytest.approx(1e-5) and rates[-1] == pytest.approx(0.5)
    assert np.ptp(np.diff(np.log(rates))) < 1e-9
    step, batches = _trained(0.5)
    assert list(sweep(step, batches, 1e-5, 100)) == measured, (
        "the same weights, order and rates: the same losses"
    )


def test_it_ends_where_the_loss_diverges() -> None:
    step, batches = _trained(1e3)
    measured = list(sweep(step, batches, 1e-5, 200))
    assert len(measured) < 200
    assert measured[-1].loss > DIVERGED * np.mean([m.loss for m in measured[:20]])
    assert all(math.isfinite(m.loss) for m in measured)
