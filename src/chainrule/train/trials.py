"""Trying ways to run on the user's own batches, in turn, and choosing the fastest that computes the same.

Each way gets a copy of the network: whatever a trial does, the run begins from untouched weights. All ways take turns, so
that a machine that is busy for a moment slows them all, and what counts is the median.
"""

from __future__ import annotations

import copy
import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch

from chainrule.core.text import visible
from chainrule.data.batches import Batch
from chainrule.train.agreement import Agreement, Slope, agreement, slopes
from chainrule.train.candidates import other_threads
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan
from chainrule.train.step import RuleStep

JUDGED = 2  # batches on which ways are compared with plain execution
SHARE = 0.05  # of the predicted duration under plain execution that trials may take
LEAST_TURNS = 3
MOST_TURNS = 60
TURN_SECONDS = 0.002  # a turn is as many updates as this holds under plain execution, at least one
MARGIN = 0.97  # a less plain way must take at most this part of the time of the plainer one
SLOW = 4  # a way that takes so many times the time of plain execution gets no further turn

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
            return f"{name}: not tried"
        return f"{name}: {_time(self.median)} an update over {len(self.seconds)} turns; {self.agreement}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The plan that was chosen, every trial, and what the trials took."""

    plan: Plan
    trials: tuple[Trial, ...]
    seconds: float


def choose(
    objective: Objective,
    plans: Sequence[Plan],
    make_step: MakeStep,
    batches: Sequence[Batch],
    updates: int,
) -> Choice:
    """Try plans, of which the first is plain execution, and return the fastest that agrees with it.

    `updates` are those that the run will make: trials take at most a twentieth of what these would, but three turns each.
    A way that fails, that gives other numbers or a value that is not finite is left out and says why.
    """
    began = time.perf_counter()
    trials = [Trial(plan=plan) for plan in plans]
    plain = trials[0]
    open_copy(plain, objective, make_step)
    reference: list[Slope] = []
    with held(plain):
        reference = judged(plain, batches)
    if plain.refused:  # a model that fails: the run itself will say how
        return Choice(plan=plans[0], trials=tuple(trials), seconds=time.perf_counter() - began)
    for trial in trials[1:]:
        open_copy(trial, objective, make_step)
        admit(trial, reference, batches)
    plain.agreement = Agreement(loss_difference=0.0, cosine=1.0)
    take_turn(plain, itertools.cycle(batches), 1)
    if not plain.seconds:
        return Choice(plan=plans[0], trials=tuple(trials), seconds=time.perf_counter() - began)
    share = SHARE * updates * plain.median
    knows_threads = len({plan.threads for plan in plans}) == 1
    first = share if knows_threads else share / 2
    take_turns(trials, batches, lambda: time.perf_counter() - began < first)
    if not _usable(trials):
        return Choice(plan=plans[0], trials=tuple(trials), seconds=time.perf_counter() - began)
    best = _best(trials)
    others = () if knows_threads else other_threads(best.plan)
    more = [Trial(plan=replace(best.plan, threads=n), agreement=best.agreement) for n in others]
    more = [trial for trial in more if trial.plan not in plans]
    if more:
        for trial in more:
            open_copy(trial, objective, make_step)
        take_turns([plain, best, *more], batches, lambda: time.perf_counter() - began < share)
        best = _best([best, *more])
        trials += more
    for trial in trials:
        trial.step = None
    chosen = replace(
        best.plan,
        speed=plain.median / best.median,
        loss_difference=best.agreement.loss_difference if best.agreement else None,
        update_seconds=best.median,
        reason="the fastest of those that were tried",
    )
    return Choice(plan=chosen, trials=tuple(trials), seconds=time.perf_counter() - began)


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


def take_turns(trials: Sequence[Trial], batches: Sequence[Batch], has_time: Callable[[], bool]) -> None:
    """Let all trials make some updates each, in turn, while there is time; the first is plain execution."""
    plain = trials[0].median
    count = max(1, round(TURN_SECONDS / plain))
    endless = itertools.cycle(batches)
    for turn in range(MOST_TURNS):
        if turn >= LEAST_TURNS and not has_time():
            return
        for trial in trials:
            if turn < 2 or trial.refused or min(trial.seconds) < SLOW * plain:
                take_turn(trial, endless, count if turn else 1)


def take_turn(trial: Trial, batches: Iterator[Batch], count: int) -> None:
    if trial.refused:
        return
    with held(trial), trial.plan.applied():
        assert trial.step is not None
        some = list(itertools.islice(batches, count))
        if count > 1:
            _update(trial.step, some[0])  # untimed: threads start, and the cache holds another's tensors
        began = time.perf_counter()
        for batch in some:
            _update(trial.step, batch)
        _synchronise(trial.plan)
        trial.seconds.append((time.perf_counter() - began) / count)


def _update(step: RuleStep, batch: Batch) -> None:
    step.prepare(
        step.number + 1, 1e-3
    )  # small updates: the weights stay where loss and gradients are as they were
    step(*batch)


def _synchronise(plan: Plan) -> None:
    if plan.device == "cuda":
        torch.cuda.synchronize()


def _best(trials: Sequence[Trial]) -> Trial:
    """Return the fastest; a plainer one, which stands before it, if that is nearly as fast."""
    usable = _usable(trials)
    best = usable[0]
    for trial in usable[1:]:
        if trial.median < MARGIN * best.median:
            best = trial
    return best


def _usable(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if not trial.refused and trial.seconds]


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"
