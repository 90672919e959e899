"""Trying ways to run on the user's own batches, in turn: what computes the same, and how long an update takes.

Each way gets a copy of the network: whatever a trial does, the run begins from untouched weights. All ways take turns, so
that a machine that is busy for a moment slows them all, and what counts is the median.
"""

from __future__ import annotations

import copy
import itertools
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from chainrule.core.text import visible
from chainrule.core.units import show_step_seconds
from chainrule.data.batches import Batch
from chainrule.train.agreement import Agreement, Slope, agreement, slopes
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan
from chainrule.train.step import RuleStep

JUDGED = 2  # batches on which ways are compared with plain execution
SHARE = 0.035  # of the predicted duration under plain execution that trials may take: a twentieth with what is around them
LEAST_TURNS = 3
MOST_TURNS = 60
TURN_SECONDS = 0.002  # a turn is as many updates as this holds under plain execution, at least one
MARGIN = 0.97  # a less plain way must take at most this part of the time of the plainer one
SLOW = 4  # a way that takes so many times the time of plain execution gets no third turn
BEHIND = 1.5  # and one that takes so many times that of the fastest none after the third

MakeStep = Callable[[Plan, Objective], RuleStep]


@dataclass(slots=True, kw_only=True)
class Trial:
    """One way under trial: what its updates took, or why it is out."""

    plan: Plan
    step: RuleStep | None = None
    seconds: list[float] = field(default_factory=list)  # of an update, one entry per turn
    agreement: Agreement | None = None
    refused: str = ""

    @property
    def median(self) -> float:
        """Seconds of an update."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        name = f"{self.plan.way}, {self.plan.threads} thread{'s' if self.plan.threads > 1 else ''}"
        if self.refused:
            return f"{name}: not taken, {self.refused}"
        if not self.seconds:
            taken = f"; {self.agreement}" if self.agreement else ""
            return f"{name}: not timed, the run is too short for it{taken}"
        return f"{name}: {show_step_seconds(self.median)} an update over {len(self.seconds)} turns; {self.agreement}"


def open_copy(trial: Trial, objective: Objective, make_step: MakeStep) -> None:
    """Bind a step to a copy of the network."""
    with held(trial):
        trial.step = make_step(trial.plan, copy.deepcopy(objective))


def judged(trial: Trial, batches: Sequence[Batch]) -> list[Slope]:
    assert trial.step is not None
    with trial.plan.applied():
        return slopes(trial.step, batches[:JUDGED])


def admit(trial: Trial, reference: Sequence[Slope], batches: Sequence[Batch]) -> None:
    """Compare a way with plain execution at equal weights, and refuse it where it differs."""
    if trial.refused:
        return
    with held(trial):
        trial.agreement = agreement(judged(trial, batches), reference)
    if trial.agreement is not None and not trial.agreement.is_close:
        trial.refused = f"it computes something else: {trial.agreement}"


@contextmanager
def held(trial: Trial) -> Iterator[None]:
    """Turn what goes wrong inside into a refusal; what torch warns of on the way is not for users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        trial.refused, trial.step = f"it fails ({visible(said[0])})", None


def take_turns(trials: Sequence[Trial], batches: Sequence[Batch], update_seconds: float, ends: float) -> None:
    """Let all trials make some updates each, in turn, as long as the clock allows; the first is plain execution.

    Three turns each, and no more once another round would end later than `ends`. `update_seconds` are those of an update.
    """
    share = (ends - time.perf_counter()) / (LEAST_TURNS * len(trials))
    room = int(share / update_seconds)
    untimed = int(room > 1)  # threads start, and the cache holds another's tensors
    count = max(1, min(room - untimed, round(TURN_SECONDS / update_seconds)))
    endless = itertools.cycle(batches)
    round_seconds = 0.0
    for turn in range(MOST_TURNS):
        began = time.perf_counter()
        if turn >= LEAST_TURNS and began + round_seconds > ends:
            return
        limit = _slowest_allowed(trials, turn)
        for trial in trials:
            if trial is trials[0] or not trial.seconds or min(trial.seconds) < limit:
                take_turn(trial, endless, count, untimed)
        round_seconds = time.perf_counter() - began


def _slowest_allowed(trials: Sequence[Trial], turn: int) -> float:
    """Return the seconds of an update from which on a way gets no further turn."""
    if turn < 2 or not trials[0].seconds:
        return math.inf
    if turn < LEAST_TURNS:
        return SLOW * trials[0].median
    return BEHIND * min((trial.median for trial in usable(trials)), default=math.inf)


def take_turn(trial: Trial, batches: Iterator[Batch], count: int, untimed: int = 0) -> None:
    """Make so many updates, and take the time of `count`; a failure is held as a refusal."""
    if trial.refused:
        return
    with held(trial), trial.plan.applied():
        assert trial.step is not None
        some = list(itertools.islice(batches, untimed + count))
        for batch in some[:untimed]:
            _update(trial.step, batch)
        began = time.perf_counter()
        for batch in some[untimed:]:
            _update(trial.step, batch)
        _synchronise(trial.plan)
        trial.seconds.append((time.perf_counter() - began) / count)


def _update(step: RuleStep, batch: Batch) -> None:
    # Small updates: the weights stay where loss and gradients are as they were
    step.prepare(step.number + 1, 1e-3)
    step(*batch)


def _synchronise(plan: Plan) -> None:
    if plan.device == "cuda":
        torch.cuda.synchronize()


def fastest(trials: Sequence[Trial]) -> Trial:
    """Return the fastest; a plainer one, which stands before it, if that is nearly as fast, and the first if all are out."""
    best, *others = usable(trials) or trials[:1]
    for trial in others:
        if trial.median < MARGIN * best.median:
            best = trial
    return best


def usable(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that were timed and have not failed."""
    return [trial for trial in trials if not trial.refused and trial.seconds]
