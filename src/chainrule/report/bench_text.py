"""What `bench` measured, as text: the machine, the parts of a step, and the step under each plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.core.units import show_share
from chainrule.explanations.columns import Column, lines_of
from chainrule.explanations.step_parts import Part, StepParts
from chainrule.train.machine import Machine

NOTICED = 1.05  # times plain, from which on a plan is called faster


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTime:
    """A step under a plan, and under plain execution. Units: seconds."""

    name: str
    seconds: float
    plain_seconds: float

    @property
    def times_plain(self) -> float:
        """How many times as fast as plain."""
        return self.plain_seconds / self.seconds

    @property
    def is_faster(self) -> bool:
        """Whether it is faster than plain by more than measurements differ."""
        return self.times_plain >= NOTICED

    def values(self) -> dict[str, Any]:
        """Return every number by name."""
        return {"name": self.name, "seconds": self.seconds, "times_plain": self.times_plain}


def about_machine(machine: Machine) -> list[str]:
    """Return what a machine is and what was measured of it."""
    where = "" if machine.device == "cpu" else f" ({machine.device})"
    cores = f"{machine.cores} core{'' if machine.cores == 1 else 's'}"
    threads = f"{machine.threads} thread{'' if machine.threads == 1 else 's'} in use"
    sets = f", {' '.join(machine.instruction_sets)}" if machine.instruction_sets else ""
    facts = [f"{machine.name}{where}, {cores}, {threads}{sets}"]
    facts += [f"  {name:<22} {figure}" for name, figure in peaks(machine).items()]
    return facts


def peaks(machine: Machine) -> dict[str, str]:
    """Return the measured peaks of a machine with their units."""
    return {
        "products in float32": f"{machine.float32 / 1e9:,.0f} GFLOP/s",
        "products in bfloat16": f"{machine.bfloat16 / 1e9:,.0f} GFLOP/s",
        "memory": f"{machine.bandwidth / 1e9:,.1f} GB/s",
        "the smallest call": f"{machine.call_seconds * 1e6:.2f} µs",
    }


def table_of_parts(step: StepParts, machine: Machine, width: int) -> list[str]:
    """Return a line for each part of a step, and their sum."""
    whole = Part(
        name="whole step",
        calls=sum(part.calls for part in step.parts),
        forward=step.seconds,
        operations=step.operations,
    )
    rows = [*step.parts, whole]
    return lines_of(
        [
            Column(title="part", cells=[part.name for part in rows], is_text=True),
            Column(title="calls", cells=[str(part.calls) if part.calls else "" for part in rows]),
            Column(title="forward ms", cells=[*(_ms(p.forward) for p in step.parts), ""]),
            Column(title="backward ms", cells=[*(_ms(p.backward) for p in step.parts), ""]),
            Column(title="ms", cells=[_ms(part.seconds) for part in rows]),
            Column(title="of step", cells=[show_share(part.seconds / step.seconds) for part in rows]),
            Column(title="GFLOP/s", cells=[rate(part.operations, part.operation_rate) for part in rows]),
            Column(
                title="of peak", cells=[share(part.operations, part.operation_rate / machine.float32) for part in rows]
            ),
            Column(title="GB/s", cells=[rate(part.bytes, part.byte_rate) for part in rows], may_go=True),
            Column(
                title="of memory's",
                cells=[share(part.bytes, part.byte_rate / machine.bandwidth) for part in rows],
                may_go=True,
            ),
        ],
        width,
        indent="",
    )  # fmt: skip


def table_of_plans(plans: Sequence[PlanTime], width: int) -> list[str]:
    """Return a line for the whole step under each plan."""
    return lines_of(
        [
            Column(title="plan", cells=[plan.name for plan in plans], is_text=True),
            Column(title="ms a step", cells=[_ms(plan.seconds) for plan in plans]),
            Column(title="steps a second", cells=[f"{1 / plan.seconds:,.0f}" for plan in plans]),
            Column(title="times plain", cells=[f"{plan.times_plain:.2f}×" for plan in plans]),
        ],
        width,
        indent="",
    )


def rate(amount: int, a_second: float) -> str:
    """Write so many thousand millions a second; nothing where there is nothing to count."""
    return f"{a_second / 1e9:,.1f}" if amount else ""


def share(amount: int, part: float) -> str:
    """Write a share of a peak; what caches serve is more than the whole of memory's.

    >>> share(1, 0.5), share(1, 3.2), share(0, 0.0)
    ('50.0 %', '3.2×', '')
    """
    if not amount:
        return ""
    return show_share(part) if part <= 1 else f"{part:.1f}×"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3f}" if seconds else ""
