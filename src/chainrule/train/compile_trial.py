"""Compiling the way to run that was chosen, and judging the result beside the same way uncompiled.

Apart from the other trials, since it takes many seconds: whoever calls has asked `compile_costs` whether it is worth them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chainrule.data.batches import Batch
from chainrule.train.agreement import Agreement, Slope
from chainrule.train.compiled import compilations
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan
from chainrule.train.trials import (
    MARGIN,
    SHARE,
    MakeStep,
    Trial,
    admit,
    held,
    judged,
    open_copy,
    take_turn,
    take_turns,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileTrial:
    """A way to run beside the same way compiled; `seconds` is what compiling took, up to the first batch and its check."""

    uncompiled: Trial
    compiled: Trial
    seconds: float
    is_cold: bool

    @property
    def gain(self) -> float:
        """Speed beside the same way uncompiled; 0 where it failed or computes something else."""
        if self.compiled.refused or not (self.compiled.seconds and self.uncompiled.seconds):
            return 0.0
        return self.uncompiled.median / self.compiled.median

    @property
    def plan(self) -> Plan | None:
        """The compiled plan with what was measured, where it is faster; None where the run goes on without it."""
        before, agreement = self.uncompiled.plan, self.compiled.agreement
        if self.gain * MARGIN <= 1 or agreement is None:
            return None
        return replace(
            self.compiled.plan,
            speed=(before.speed or 1.0) * self.gain,
            loss_difference=agreement.loss_difference,
            update_seconds=self.compiled.median,
        )

    def __str__(self) -> str:
        took = f"compiling took {self.seconds:.1f} s"
        if self.gain == 0:
            what = "failed" if self.compiled.agreement is None else "computes something else"
            return f"{took} and {what}; the run goes on without it"
        taken = "" if self.plan else "; the run goes on without it"
        return f"{took}, and an update is {self.gain:.2f} × as fast as uncompiled{taken}"


def try_compiled(
    objective: Objective,
    plain: Plan,
    chosen: Plan,
    make_step: MakeStep,
    batches: Sequence[Batch],
    updates: int,
) -> CompileTrial:
    """Compile a way to run on a copy of the network, and let it take turns with the same way uncompiled.

    It is admitted like any other way, against plain execution; where it fails or computes something else, its trial says so.
    Turns take at most a twentieth of what the updates would take uncompiled, but three each.
    """
    reference, before = Trial(plan=plain), Trial(plan=chosen)
    after = Trial(plan=replace(chosen, compiled=True, reason="compiled, and faster than uncompiled"))
    open_copy(reference, objective, make_step)
    open_copy(before, objective, make_step)
    slopes: list[Slope] = []
    with held(reference):
        slopes = judged(reference, batches)
    began, made = time.perf_counter(), compilations()
    if slopes and not before.refused:
        open_copy(after, objective, make_step)
        admit(after, slopes, batches)
    seconds = time.perf_counter() - began
    if after.agreement is not None and not after.refused:
        before.agreement = Agreement(loss_difference=chosen.loss_difference or 0.0, cosine=1.0)
        share = SHARE * updates * (chosen.update_seconds or 0.0)
        _compare(before, after, batches, share)
    for trial in (reference, before, after):
        trial.step = None
    return CompileTrial(uncompiled=before, compiled=after, seconds=seconds, is_cold=compilations() > made)


def _compare(before: Trial, after: Trial, batches: Sequence[Batch], share: float) -> None:
    """Take turns for `share` seconds, after an update that tells how many of them a turn holds."""
    take_turn(before, iter(batches), 1)
    if before.seconds:
        take_turns([before, after], batches, before.median, time.perf_counter() + share)
