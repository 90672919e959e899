"""Learning-rate schedules as pure functions of progress.

A shape takes the part of the run that is done, 0 at the first update and 1 after the last, and gives the factor by
which the learning rate is multiplied. A Schedule is a shape with a number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from chainrule.catalog import load
from chainrule.core.errors import SettingError

Shape = Callable[[float], float]
WARMUP = 0.05  # part of the run in which cosine and linear rise from 0; Adam's second moment needs some steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How many updates a run makes, and the factor on the learning rate at each."""

    shape: Shape
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingError(f"a schedule needs at least one step; got {self.steps}")

    def __call__(self, step: int) -> float:
        """Return the factor for the update with this number, counted from 0."""
        return self.shape(step / self.steps)


def schedule(name: str, *, steps: int) -> Schedule:
    """Return the schedule called `name` over a number of updates.

    >>> cosine_of_100 = schedule("cosine", steps=1000)
    >>> [round(cosine_of_100(step), 3) for step in (50, 525, 1000)]
    [1.0, 0.5, 0.0]
    """
    return Schedule(shape=load("schedule", name), steps=steps)


def constant(progress: float) -> float:
    """The same rate throughout."""
    return 1.0


def step(progress: float) -> float:
    """A tenth of the rate after a third of the run, a hundredth after two thirds."""
    return 0.1 ** min(2, int(progress * 3))


def exponential(progress: float) -> float:
    """e^(−5 progress): below a hundredth at the end."""
    return math.exp(-5 * progress)


def cosine(progress: float) -> float:
    """A short warm-up, then half a cosine down to zero. Source: Loshchilov and Hutter 2017, without restarts."""
    return _warm(progress) * 0.5 * (1 + math.cos(math.pi * _after_warmup(progress)))


def linear(progress: float) -> float:
    """A short warm-up, then straight down to zero."""
    return _warm(progress) * (1 - _after_warmup(progress))


def _warm(progress: float) -> float:
    return min(1.0, (progress + 1e-3) / WARMUP)


def _after_warmup(progress: float) -> float:
    return max(0.0, (progress - WARMUP) / (1 - WARMUP))
