"""A training step, drawn: what each part takes of it, and which share of the machine's peaks it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chainrule.core.units import show_share, show_step_seconds
from chainrule.explanations.step_parts import REST, Part, StepParts
from chainrule.report.bench_text import PlanTime, peaks, rate, share
from chainrule.report.canvas import NARROW, WIDE, add_page_axes, new_figure, text_width
from chainrule.report.html import Cell, Column, Markup, Page, columns, facts, figure, paragraph, table
from chainrule.report.svg import COLOURS, FONT, drawing, inline_svg, picture_bytes
from chainrule.train.machine import Machine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 46.0  # pixels from one part to the next: its name, and its bar below
BAR = 14.0
HEAD = 34.0
TIMES, SHARES = "Milliseconds of a step", "Share of the machine's peak"
CAPTION_OF_TIMES = "Dark: forward, and what has no other direction; light: backward."
CAPTION_OF_SHARES = (
    "Layers of products beside the peak of products in float32, all others beside the bandwidth of memory, where more than "
    "the whole (×) means that the processor's caches serve them. Long at a small share: the time goes into calls."
)


def draw_times(step: StepParts) -> Figure:
    """Draw a bar per part, forward and backward, with milliseconds and share of the step."""
    with drawing():
        made = new_figure(NARROW, ROW * len(step.parts) + 2)
        _times(add_page_axes(made), step, 0.0)
    return made


def draw_shares(step: StepParts, machine: Machine) -> Figure:
    """Draw a bar per part that computes or moves something, as a share of the peak that it is measured by."""
    with drawing():
        made = new_figure(NARROW, ROW * max(1, len(_measured(step))) + 2)
        _shares(add_page_axes(made), step, machine, 0.0, 0.0)
    return made


def draw(step: StepParts, machine: Machine, title: str = "") -> Figure:
    """Draw both side by side, on paper, for a picture of its own."""
    top = HEAD * (1 + bool(title))
    with drawing():
        made = new_figure(WIDE + 20, top + ROW * len(step.parts) + 12, paper=COLOURS["paper"])
        axes = add_page_axes(made)
        if title:
            axes.text(10, 24, title, va="baseline", weight="bold")
        for left, heading in ((10, TIMES), (WIDE - NARROW + 10, SHARES)):
            axes.text(left, top - 10, heading, va="baseline", color=COLOURS["muted"])
        _times(axes, step, top, 10)
        _shares(axes, step, machine, top, WIDE - NARROW + 10)
    return made


def picture(step: StepParts, machine: Machine, title: str, ending: str) -> bytes:
    """Return the drawing as the bytes of a .png or .svg file."""
    return picture_bytes(draw(step, machine, title), ending)


def page(
    step: StepParts,
    machine: Machine,
    plans: Sequence[PlanTime],
    *,
    title: str,
    about: str,
    sentence: str,
    left_out: Sequence[str],
) -> Page:
    """Return the page: what bounds the step, its parts as bars and as a table, the plans, the machine."""
    made = Page(
        title=title, kicker="What this machine could do, and what is reached", foot="Written by chainrule"
    )
    made.head = [paragraph(sentence, role="lead"), paragraph(about.rstrip(":") + ".", role="muted")]
    told = ", ".join(f"{p.name} {show_step_seconds(p.seconds)}" for p in step.parts)
    made.section(
        "Where the time goes",
        columns(
            figure(
                TIMES,
                inline_svg(draw_times(step), "times", f"Bars of the parts of a step: {told}"),
                CAPTION_OF_TIMES,
            ),
            figure(
                SHARES,
                inline_svg(draw_shares(step, machine), "shares", _told(step, machine)),
                CAPTION_OF_SHARES,
            ),
        ),
        _table(step, machine),
    )
    rows: list[list[Cell]] = [
        [p.name, p.seconds * 1000, round(1 / p.seconds), f"{p.times_plain:.2f}×"] for p in plans
    ]
    made.section(
        "Under each plan",
        table(["plan", Column("ms a step"), Column("steps a second"), Column("times plain")], rows),
        *(paragraph(said, role="muted") for said in left_out),
    )
    sets = " ".join(machine.instruction_sets) or "not known"
    where = {"name": machine.name, "cores": str(machine.cores), "threads in use": str(machine.threads)}
    made.section("The machine", facts({**where, "instruction sets": sets, **peaks(machine)}))
    return made  # fmt: skip


def _table(step: StepParts, machine: Machine) -> Markup:
    head: list[Column | str] = [
        "part", Column("calls"), Column("forward ms"), Column("backward ms"), Column("of step"), Column("GFLOP/s"),
        Column("GB/s"), Column("of peak"),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            p.name, p.calls or None, p.forward * 1000, p.backward * 1000, show_share(p.seconds / step.seconds),
            rate(p.operations, p.operation_rate), rate(p.bytes, p.byte_rate), _share(p, machine)[1],
        ]
        for p in step.parts
    ]  # fmt: skip
    return table(head, rows)


def _measured(step: StepParts) -> list[Part]:
    return [part for part in step.parts if part.operations or part.bytes]


def _share(part: Part, machine: Machine) -> tuple[float, str]:
    """Return the share of its peak that a part reaches, and how it is written."""
    if part.operations:
        found = part.operation_rate / machine.float32
        return found, share(part.operations, found)
    found = part.byte_rate / machine.bandwidth
    return found, share(part.bytes, found)


def _told(step: StepParts, machine: Machine) -> str:
    said = ", ".join(f"{part.name} {_share(part, machine)[1]}" for part in _measured(step))
    return f"Bars of the share of its peak that each part reaches: {said}"


def _times(axes: Axes, step: StepParts, top: float, left: float = 0.0) -> None:
    labels = [f"{show_step_seconds(p.seconds)}, {show_share(p.seconds / step.seconds)}" for p in step.parts]
    room = NARROW - max(text_width(label) for label in labels) - 10
    longest = max(part.seconds for part in step.parts) or 1.0
    for row, (part, label) in enumerate(zip(step.parts, labels, strict=True)):
        colour = COLOURS["rival" if part.name == REST else "ours"]
        ahead, back = (seconds / longest * room for seconds in (part.forward, part.backward))
        y = _named(axes, top + row * ROW, part.name, left)
        axes.barh(y, ahead, left=left, height=BAR, color=colour)
        axes.barh(y, back, left=left + ahead, height=BAR, color=colour, alpha=0.45)
        _label(axes, left + ahead + back + 6, y, label)


def _shares(axes: Axes, step: StepParts, machine: Machine, top: float, left: float) -> None:
    for row, part in enumerate(_measured(step)):
        reached, label = _share(part, machine)
        peak = "products" if part.operations else "memory"
        y = _named(axes, top + row * ROW, f"{part.name} ({peak})", left)
        room = NARROW - text_width("less than 0.1 %") - 10
        axes.barh(y, room, left=left, height=BAR, color=COLOURS["line"])
        axes.barh(y, min(1.0, reached) * room, left=left, height=BAR, color=COLOURS["good"])
        _label(axes, left + room + 6, y, label)


def _named(axes: Axes, top: float, name: str, left: float) -> float:
    """Write a name above its bar; return where the bar's middle is."""
    axes.text(left, top + 15, name, va="baseline")
    return top + 29


def _label(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(x, y + 0.36 * FONT, text, ha="left", va="baseline")
