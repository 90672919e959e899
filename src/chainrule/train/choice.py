"""Choosing the fastest way to run that computes the same, in a small share of the time that the run would take.

How much time that is shows once plain execution has made some updates. Where it does not hold three updates of every way,
the most promising are tried; where it holds those of none, a way that was faster wherever it was measured is taken
untimed, if it computes the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chainrule.data.batches import Batch
from chainrule.train.agreement import Agreement, Slope
from chainrule.train.candidates import is_sure, other_threads, promise
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan
from chainrule.train.trials import (
    JUDGED,
    LEAST_TURNS,
    SHARE,
    MakeStep,
    Trial,
    admit,
    fastest,
    held,
    judged,
    open_copy,
    take_turn,
    take_turns,
)

FIRST_UPDATES = 2  # of plain execution, which tell how much time there is
TOO_SHORT = "to try others would take more than a twentieth of the run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The plan that was chosen, every trial, and what the trials took."""

    plan: Plan
    trials: tuple[Trial, ...]
    seconds: float

    @property
    def tried(self) -> int:
        """How many ways were tried, plain execution among them; others had no time."""
        return 1 + _tried(self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What trials are made on: copies of a network, the step that a plan names, and batches.

    `multiply_adds` is the work of one forward pass over a batch.
    """

    objective: Objective
    make_step: MakeStep
    batches: Sequence[Batch]
    multiply_adds: int

    def open(self, trial: Trial) -> None:
        """Bind the step of a trial to a copy of the network."""
        open_copy(trial, self.objective, self.make_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """When trials must have ended, and what opening a way and an update of plain execution take."""

    ends: float
    open_seconds: float
    update_seconds: float

    def takes(self, openings: int, updates: int) -> float:
        """Return the seconds of so many openings and updates."""
        return openings * self.open_seconds + updates * self.update_seconds

    def holds(self, openings: int, updates: int) -> bool:
        """Whether there still is time to open so many ways and to make so many updates."""
        return time.perf_counter() + self.takes(openings, updates) <= self.ends


def choose(
    objective: Objective,
    plans: Sequence[Plan],
    make_step: MakeStep,
    batches: Sequence[Batch],
    updates: int,
    multiply_adds: int = 0,
) -> Choice:
    """Try plans, of which the first is plain execution, and return the fastest that agrees with it.

    `updates` are those that the run will make: trials take at most a twentieth of what these would under plain execution.
    The fastest is then tried with another number of threads, where `multiply_adds`, the work of one forward pass over a
    batch, leave open which is better, and if there is time.
    A way that fails, that gives other numbers or a value that is not finite is left out and says why.
    """
    began = time.perf_counter()
    ground = Ground(objective=objective, make_step=make_step, batches=batches, multiply_adds=multiply_adds)
    trials = [Trial(plan=plan) for plan in plans]
    plain, threads = trials[0], other_threads(plans[0], multiply_adds)
    reference, allowance = _begin(plain, ground, updates)
    sure: Trial | None = None
    if not plain.refused:  # a model that fails: the run itself will say how
        _try_ways(trials, ground, reference, allowance, kept=allowance.takes(*_needs(threads)))
        trials += _try_threads(fastest(trials), ground, allowance, threads)
        sure = _admit_sure(trials, ground, reference)
    choice = Choice(plan=plans[0], trials=tuple(trials), seconds=time.perf_counter() - began)
    for trial in trials:
        trial.step = None
    return replace(choice, plan=_plan_of(choice, sure))


def _begin(plain: Trial, ground: Ground, updates: int) -> tuple[list[Slope], Allowance]:
    """Make some updates of plain execution; return what it computes, and the time that trials have."""
    began = time.perf_counter()
    ground.open(plain)
    copied = time.perf_counter() - began
    reference: list[Slope] = []
    with held(plain):
        reference = judged(plain, ground.batches)
    for _ in range(FIRST_UPDATES):
        take_turn(plain, iter(ground.batches), 1)
    plain.agreement = Agreement(loss_difference=0.0, cosine=1.0)
    once = min(plain.seconds, default=0.0)
    return reference, Allowance(
        ends=began + SHARE * updates * once, open_seconds=copied + JUDGED * once, update_seconds=once
    )


def _try_ways(
    trials: Sequence[Trial], ground: Ground, reference: Sequence[Slope], allowance: Allowance, kept: float
) -> None:
    """Admit the ways that there is time for, and let them take turns with plain execution; some time is kept for later."""
    admitted = [trials[0]]
    for trial in sorted(trials[1:], key=lambda trial: promise(trial.plan)):
        if not allowance.holds(1, LEAST_TURNS * (len(admitted) + 1)):
            break
        ground.open(trial)
        admit(trial, reference, ground.batches)
        admitted += [] if trial.refused else [trial]
    if len(admitted) > 1:
        trials[0].seconds.clear()  # of updates in a row; what counts is taken in turns
        take_turns(admitted, ground.batches, allowance.update_seconds, allowance.ends - kept)


def _try_threads(best: Trial, ground: Ground, allowance: Allowance, threads: Sequence[int]) -> list[Trial]:
    """Let the best way take turns with itself on other numbers of threads, if there is time."""
    others = [Trial(plan=replace(best.plan, threads=count), agreement=best.agreement) for count in threads]
    if others and best.seconds and allowance.holds(*_needs(threads)):
        for trial in others:
            ground.open(trial)
        take_turns([best, *others], ground.batches, best.median, allowance.ends)
    return others


def _admit_sure(trials: Sequence[Trial], ground: Ground, reference: Sequence[Slope]) -> Trial | None:
    """Return the first sure way that computes the same, where there was no time to try anything."""
    if _tried(trials):
        return None
    for trial in trials[1:]:
        if is_sure(trial.plan, ground.multiply_adds):
            ground.open(trial)
            admit(trial, reference, ground.batches)
            if not trial.refused:
                return trial
    return None


def _tried(trials: Sequence[Trial]) -> int:
    """Return how many ways were tried beside plain execution, whatever came of it."""
    return sum(bool(trial.refused or trial.seconds) for trial in trials[1:])


def _needs(threads: Sequence[int]) -> tuple[int, int]:
    """Return the openings and updates that trying other numbers of threads needs: one may take twice as long."""
    return len(threads), LEAST_TURNS * (1 + 2 * len(threads)) if threads else 0


def _plan_of(choice: Choice, sure: Trial | None) -> Plan:
    """Return the plan of the fastest way with what was measured, or of the sure one without that.

    Plain execution where there was nothing to compare.
    """
    plain, best = choice.trials[0], fastest(choice.trials)
    if plain.refused or not best.seconds:
        return plain.plan
    if sure is not None and sure.agreement is not None:
        reason = f"faster than plain wherever it was measured; {TOO_SHORT}"
        return replace(sure.plan, loss_difference=sure.agreement.loss_difference, reason=reason)
    if choice.tried == 1:
        return replace(plain.plan, update_seconds=plain.median, reason=f"{plain.plan.reason}; {TOO_SHORT}")
    return replace(
        best.plan,
        speed=plain.median / best.median,
        loss_difference=best.agreement.loss_difference if best.agreement else None,
        update_seconds=best.median,
        reason="the fastest of those that were tried",
    )
