"""Learning-rate schedules as pure functions of progress.

A shape takes a place in the run, counted from the end of the warm-up, and gives the factor by which the learning rate
is multiplied; its fields are its settings. A Schedule is a shape with a number of steps and a warm-up into it. What a
plateau needs beside the step, the validation losses so far, stands in the history of the run: there is no state of its
own to save, and every member of a population has its own by its own losses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from chainrule.catalog import SCHEDULES, load
from chainrule.core.errors import SettingError

WARMUP = 0.05  # part of the run in which cosine and linear rise from 0; Adam's second moment needs some steps


class Place(NamedTuple):
    """Where a run stands after its warm-up."""

    progress: float  # part of the rest that is done: 0 at its first update, 1 after the last
    epochs: float = 0.0
    stalls: int = 0  # times that the validation loss has stalled


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The same rate throughout."""

    def __call__(self, at: Place) -> float:
        return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The rate times `drop_factor` every `drop_epochs` epochs; without it, after a third and two thirds of the run."""

    drop_epochs: int | None = None
    drop_factor: float = 0.1

    def __call__(self, at: Place) -> float:
        if self.drop_epochs is None:
            return self.drop_factor ** min(2, int(at.progress * 3))
        return self.drop_factor ** int(at.epochs / self.drop_epochs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential:
    """e^(−k t) after t epochs, k the `decay_rate`; without it e^(−5 progress), below a hundredth at the end."""

    decay_rate: float | None = None

    def __call__(self, at: Place) -> float:
        return math.exp(-5 * at.progress if self.decay_rate is None else -self.decay_rate * at.epochs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Falling:
    """From the learning rate down to the lowest rate."""

    learning_rate: float = 1.0
    lowest_rate: float = 0.0

    def falls(self, left: float) -> float:
        """Return the factor where this part of the way down is left."""
        lowest = self.lowest_rate / self.learning_rate
        return lowest + (1 - lowest) * left


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine(Falling):
    """Half a cosine down to the lowest rate, `cycles` times. Source: Loshchilov and Hutter 2017; without restarts if once."""

    cycles: int = 1

    def __call__(self, at: Place) -> float:
        done = at.progress * self.cycles
        return self.falls(0.5 * (1 + math.cos(math.pi * (done if self.cycles == 1 else done % 1))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Falling):
    """Straight down to the lowest rate."""

    def __call__(self, at: Place) -> float:
        return self.falls(1 - at.progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """The rate times `drop_factor` whenever the validation loss was no lower than the best for `schedule_patience` epochs.

    Below `lowest_rate` it does not go; training goes on there (E41). Source: Keras, ReduceLROnPlateau, with the values
    of its documentation's example; any lower loss counts as better.
    """

    drop_factor: float = 0.1
    schedule_patience: int = 10
    learning_rate: float = 1.0
    lowest_rate: float = 1e-6

    def __call__(self, at: Place) -> float:
        return max(self.drop_factor**at.stalls, min(1.0, self.lowest_rate / self.learning_rate))


Shape = Callable[[Place], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How many updates a run makes, and the factor on the learning rate at each.

    During `warmup_steps` updates the rate rises in a straight line; None: during a twentieth of the run.
    """

    shape: Shape
    steps: int
    steps_per_epoch: int = 1
    warmup_steps: int | None = 0
    stalls: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingError(f"a schedule needs at least one step; got {self.steps}")

    def __call__(self, step: int) -> float:
        """Return the factor for the update with this number, counted from 0."""
        if self.warmup_steps is None:
            progress = step / self.steps
            rise = min(1.0, (progress + 1e-3) / WARMUP)
            return rise * self.shape(Place(max(0.0, (progress - WARMUP) / (1 - WARMUP))))
        rise = min(1.0, (step + 1) / (self.warmup_steps + 1))
        over = max(0, step - self.warmup_steps)
        progress = over / (self.steps - self.warmup_steps)
        return rise * self.shape(Place(progress, over / self.steps_per_epoch, self.stalls))

    def ends_of(self, parts: int) -> list[int]:
        """Return after how many updates each of so many equal parts of what follows the warm-up is over."""
        warm = WARMUP * self.steps if self.warmup_steps is None else self.warmup_steps
        return [math.ceil(warm + (self.steps - warm) * k / parts - 1e-9) for k in range(1, parts + 1)]

    @property
    def watches_validation(self) -> bool:
        """Whether the validation losses decide on the rate."""
        return isinstance(self.shape, Plateau)

    def after(self, losses: Sequence[float]) -> Schedule:
        """Return the schedule as it goes on after epochs with these validation losses."""
        if not isinstance(self.shape, Plateau):
            return self
        warm = (self.warmup_steps or 0) // self.steps_per_epoch  # epochs in which the rate was still rising
        return replace(self, stalls=count_stalls(losses[warm:], self.shape.schedule_patience))

    def of_members(self, losses: Sequence[Sequence[float]]) -> tuple[Schedule, ...]:
        """Return one schedule per member, each as it goes on after the member's own losses. Shapes: losses (M, epochs)."""
        return tuple(self.after(member) for member in losses)


def count_stalls(losses: Sequence[float], patience: int) -> int:
    """Return how often `patience` epochs in a row brought nothing lower than the best.

    >>> count_stalls([0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.3], 2)
    2
    """
    best, stale, stalls = math.inf, 0, 0
    for loss in losses:
        stale = 0 if loss < best else stale + 1
        best = min(best, loss)
        if stale == patience:
            stale, stalls = 0, stalls + 1
    return stalls


def schedule(
    name: str,
    *,
    steps: int,
    steps_per_epoch: int = 1,
    learning_rate: float = 1.0,
    warmup_epochs: float | None = None,
    drop_epochs: int | None = None,
    drop_factor: float | None = None,
    decay_rate: float | None = None,
    schedule_patience: int | None = None,
    lowest_rate: float | None = None,
    cycles: int | None = None,
) -> Schedule:
    """Return the schedule called `name` over a number of updates; what is None has the schedule's own value.

    `learning_rate` is what the factors multiply; `lowest_rate` is meant beside it.
    Raises: UnknownNameError; SettingError for a setting of another schedule, beyond its limits, or longer than the run
    >>> cosine_of_100 = schedule("cosine", steps=1000)
    >>> [round(cosine_of_100(step), 3) for step in (50, 525, 1000)]
    [1.0, 0.5, 0.0]
    >>> halving = schedule("step", steps=25, drop_epochs=5, drop_factor=0.5)
    >>> [halving(epoch) for epoch in (0, 4, 5, 9, 10)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    kind = load("schedule", name)
    said = {
        "drop_epochs": drop_epochs, "drop_factor": drop_factor, "decay_rate": decay_rate,
        "schedule_patience": schedule_patience, "lowest_rate": lowest_rate,
        "cycles": cycles,
    }  # fmt: skip
    given = {key: value for key, value in said.items() if value is not None}
    _check_given(name, {**given, "learning_rate": learning_rate, "steps_per_epoch": steps_per_epoch})
    if lowest_rate is not None and lowest_rate >= learning_rate:
        raise SettingError(
            f"lowest_rate must be below the learning rate, which is {learning_rate:g}; got {lowest_rate:g}"
        )
    if "learning_rate" in _fields(kind):
        given["learning_rate"] = learning_rate
    made = Schedule(
        shape=kind(**given),
        steps=steps,
        steps_per_epoch=steps_per_epoch,
        warmup_steps=_warmup_steps(kind, warmup_epochs, steps, steps_per_epoch),
    )
    _check_length(made)
    return made


_BELOW_ONE = ("drop_factor",)
_FROM_ZERO = ("lowest_rate",)


def _check_given(name: str, given: dict[str, float]) -> None:
    """Refuse settings of other schedules, and values beyond their limits. Raises: SettingError"""
    known = {other: _fields(load("schedule", other)) for other in SCHEDULES}
    for key, value in given.items():
        owners = [other for other in SCHEDULES if key in known[other]]
        if owners and key != "learning_rate" and name not in owners:
            raise SettingError(f"{key} goes with the schedule {' or '.join(owners)}; this one is {name}")
        limits = " and below 1" * (key in _BELOW_ONE)
        is_low = value < 0 if key in _FROM_ZERO else value <= 0
        if is_low or not value < (1 if limits else math.inf):
            wanted = "0 or above" if key in _FROM_ZERO else f"above 0{limits}"
            raise SettingError(f"{key} must be {wanted}; got {value:g}")


def _fields(kind: type) -> set[str]:
    return {item.name for item in fields(kind)}


def _warmup_steps(kind: type, epochs: float | None, steps: int, steps_per_epoch: int) -> int | None:
    """Return the updates of a warm-up. Raises: SettingError for one that is negative, or no shorter than the run"""
    if epochs is None:
        return None if issubclass(kind, Falling) else 0
    if not 0 <= epochs < math.inf:
        raise SettingError(f"warmup_epochs must be 0 or above; got {epochs:g}")
    found = max(1, round(epochs * steps_per_epoch)) if epochs else 0
    if found and found >= steps:
        raise SettingError(
            f"a warm-up of {epochs:g} epochs ({found} updates) does not fit in a run of {steps / steps_per_epoch:g} "
            f"({steps} updates); it must be shorter"
        )
    return found


def _check_length(made: Schedule) -> None:
    """Refuse a first drop that would come after the end of the run. Raises: SettingError with both numbers"""
    warm = (made.warmup_steps or 0) / made.steps_per_epoch
    run = made.steps / made.steps_per_epoch
    after = f" after a warm-up of {warm:g}" * bool(warm)
    if isinstance(made.shape, Step) and made.shape.drop_epochs and warm + made.shape.drop_epochs >= run:
        raise SettingError(
            f"the rate would first drop after {made.shape.drop_epochs} epochs{after}, but the run has {run:g}; take fewer "
            "drop_epochs, or more epochs"
        )
    if isinstance(made.shape, Plateau) and int(warm) + 1 + made.shape.schedule_patience >= run:
        raise SettingError(
            f"a plateau is seen after 1 + {made.shape.schedule_patience} epochs{after} at the soonest, but the run has "
            f"{run:g}; take a smaller schedule_patience, or more epochs"
        )
