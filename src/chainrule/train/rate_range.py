"""The learning-rate range test: one short training in which the rate rises from far too low to far too high.

Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3. Differs: the rate rises by the
same factor at every update, as fastai made usual.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from chainrule.core.errors import TrainingFailed
from chainrule.data.batches import Batches
from chainrule.optim.schedules import Place, Schedule
from chainrule.train.loop import updates
from chainrule.train.step import RuleStep

WINDOW = 0.1  # decades: losses at rates so near are averaged, on both sides, so that nothing is moved along
DIVERGED = 3.0  # times the loss of the start: further up nothing is learnt
NOTICED = 0.1  # part of the whole way down by which the loss has fallen where rates are no longer too low
MARGIN = 3.0  # from the rate of the least loss down to the suggestion; measured in docs/decisions/learning-rate-range.md
START = 10  # a part of the updates, one in so many, says what the loss is before anything is learnt


class Measured(NamedTuple):
    """The rate of an update, and the loss of its batch before it."""

    rate: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rising:
    """From `lowest`, as a part of the highest rate, up to it at the last of so many updates, by equal factors."""

    lowest: float
    steps: int

    def __call__(self, at: Place) -> float:
        return float(self.lowest ** (1 - at.epochs / (self.steps - 1)))


def sweep(step: RuleStep, batches: Batches, lowest: float, steps: int) -> Iterator[Measured]:
    """Train while the rate rises from `lowest` to that of the step; end where the loss has diverged."""
    rising = Schedule(shape=Rising(lowest=lowest / step.highest_rate, steps=steps), steps=steps)
    start, lately = 0.0, math.nan
    try:
        for report in updates(step, batches, rising):
            loss = report.loss.item()
            if not math.isfinite(loss):
                return
            yield Measured(step.rate, loss)
            if report.step <= steps // START:
                start += loss / (steps // START)
                continue
            lately = loss if math.isnan(lately) else 0.8 * lately + 0.2 * loss
            if lately > DIVERGED * start:
                return
    except TrainingFailed:  # the loss is no longer finite
        return


@dataclass(frozen=True, kw_only=True)
class RateRange:
    """What a sweep measured, and what follows from it. `steps` is how many updates it would have made."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    steps: int

    @cached_property
    def smooth(self) -> tuple[float, ...]:
        """The loss around each rate."""
        places = np.log10(self.rates)
        losses = np.minimum(self.losses, DIVERGED * max(self.start, 0.0) or math.inf)
        weights = np.exp(-0.5 * np.square((places[:, None] - places) / WINDOW))
        return tuple((weights @ losses / weights.sum(1)).tolist())

    @property
    def start(self) -> float:
        """The loss before anything is learnt."""
        return float(np.mean(self.losses[: self._first]))

    @property
    def _first(self) -> int:
        return max(1, self.steps // START)

    @property
    def least(self) -> int:
        """The place of the least loss."""
        return int(np.argmin(self.smooth))

    @property
    def has_diverged(self) -> bool:
        """Whether the sweep ended before the highest rate."""
        return len(self.rates) < self.steps

    @property
    def is_still_falling(self) -> bool:
        """Whether the least loss stands at the highest rate that was tried."""
        return not self.has_diverged and self.rates[self.least] > self.rates[-1] / 1.5

    @property
    def begins_too_high(self) -> bool:
        """Whether the loss grew at once."""
        return max(self.losses[: self._first]) > 10 * self.losses[0] or len(self.losses) <= self._first

    @property
    def is_clear(self) -> bool:
        """Whether the loss fell by more than batches differ before anything is learnt."""
        fell = self.start - self.smooth[self.least]
        noise = float(np.std(self.losses[: self._first])) / math.sqrt(self._first / 3)
        return not self.begins_too_high and fell > max(2 * noise, 0.01 * abs(self.start))

    @property
    def good(self) -> tuple[float, float] | None:
        """The rates from which on the loss falls, and up to which it does not rise; None where it does not fall."""
        if not self.is_clear:
            return None
        smooth, least = self.smooth, self.least
        enough = self.start - NOTICED * (self.start - smooth[least])
        low = max(place for place in range(least + 1) if place == 0 or smooth[place - 1] > enough)
        risen = smooth[least] + 2 * self._noise_at_least()
        high = least
        while high + 1 < len(smooth) and smooth[high + 1] <= risen:
            high += 1
        return self.rates[low], self.rates[high]

    def _noise_at_least(self) -> float:
        """Return the standard error of the smooth loss where it is least, from the half decade before."""
        near = range(self._place(self.rates[self.least] / 3), self.least + 1)
        apart = [self.losses[place] - self.smooth[place] for place in near]
        per_decade = self.least / max(1e-9, math.log10(self.rates[self.least] / self.rates[0]))
        averaged = max(1.0, math.sqrt(4 * math.pi) * WINDOW * per_decade)  # as a Gaussian window weighs
        return float(np.std(apart)) / math.sqrt(averaged)

    @property
    def suggestion(self) -> float | None:
        """The learning rate to begin with, to one digit: a third of that with the least loss.

        At the least loss itself training is about to go wrong: the rate has just been lower.
        """
        good = self.good
        return None if good is None else float(f"{max(good[0], self.rates[self.least] / MARGIN):.0e}")

    def classify(self, rate: float) -> str:
        """Say of a rate whether it is too low, good or too high; unclear where the loss did not fall.

        Too low: the loss hardly falls, so that many epochs are needed. Too high: it rises.
        """
        good = self.good
        if good is None:
            return "unclear"
        return "too low" if rate < good[0] else "good" if rate <= good[1] else "too high"

    def at(self, rate: float) -> float | None:
        """Return the smooth loss at the nearest rate that was tried; None beyond the end of the sweep."""
        if rate > 1.05 * self.rates[-1]:
            return None
        return self.smooth[self._place(rate)]

    def _place(self, rate: float) -> int:
        return int(np.argmin(np.abs(np.log(np.array(self.rates) / rate))))


def marks(lowest: float, highest: float, per_decade: Sequence[float] = (1, 3)) -> list[float]:
    """Return round rates between two others.

    >>> marks(1e-3, 1e-1)
    [0.001, 0.003, 0.01, 0.03, 0.1]
    """
    decades = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    found = [float(f"{digit}e{decade}") for decade in decades for digit in per_decade]
    return [rate for rate in found if 0.999 * lowest <= rate <= 1.001 * highest]
