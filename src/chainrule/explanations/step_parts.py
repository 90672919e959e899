"""What a training step's time goes into, by kind of layer, beside what the machine could do, and what bounds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from chainrule.core.units import show_share
from chainrule.explanations.costs import ModelCosts
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.nn.normalisation import Normalisation
from chainrule.train.layer_times import LOSS, LayerTime, StepTimes
from chainrule.train.machine import Machine

KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("dense", (nn.Linear,)),
    ("convolution", (_ConvNd,)),
    ("normalisation", (Normalisation, _NormBase, nn.LayerNorm, nn.GroupNorm)),
    ("activation", (Activate, nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.Softmax)),
    ("dropout", (Dropout, _DropoutNd)),
    ("pooling", (nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)),
    ("flatten", (nn.Flatten,)),
)  # fmt: skip
OTHER_LAYERS, UPDATE, BATCH, REST = "other layers", "update rule", "batch", "other (Python, autograd)"
WORTH_IT = 1.2  # times the peak in float32, from which on bfloat16 is worth a word
MOST = 0.5  # share of a step from which on something bounds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What the layers of one kind take of a step. Units: seconds, floating-point operations, bytes to and from memory."""

    name: str
    calls: int
    forward: float
    backward: float = 0.0
    operations: int = 0
    bytes: int = 0

    @property
    def seconds(self) -> float:
        return self.forward + self.backward

    @property
    def operation_rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds if self.seconds else 0.0

    @property
    def byte_rate(self) -> float:
        """Bytes a second, were each to come from memory and go there: more than its bandwidth says that caches help."""
        return self.bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepParts:
    """A step in its parts; their seconds add up to `seconds`. `few_seconds` is a step on `few_rows` rows alone."""

    parts: tuple[Part, ...]
    rows: int
    seconds: float
    few_rows: int
    few_seconds: float

    @property
    def operations(self) -> int:
        return sum(part.operations for part in self.parts)

    def named(self, name: str) -> Part | None:
        """Return the part called so, if the step has it."""
        return next((part for part in self.parts if part.name == name), None)

    def bound(self, machine: Machine) -> str:
        """Say in a word what bounds the step: calls, memory or arithmetic.

        A step that hardly gets faster with almost no rows pays for calls, or for the update of many weights. Otherwise
        it is arithmetic where layers of products take longer than all others.
        """
        update = self.named(UPDATE)
        if self.few_seconds >= MOST * self.seconds:
            is_memory = (
                update is not None
                and update.seconds >= MOST * self.few_seconds
                and update.byte_rate >= MOST * machine.bandwidth
            )
            return "memory" if is_memory else "calls"
        products = sum(part.seconds for part in self.parts if part.operations)
        others = sum(part.seconds for part in self.parts if not part.operations and part.name != REST)
        return "arithmetic" if products >= others else "memory"

    def sentence(self, machine: Machine) -> str:
        """Say what bounds the step, with the figures that show it, and what would help."""
        bound = self.bound(machine)
        if bound == "calls":
            share = show_share(min(1.0, self.few_seconds / self.seconds))
            return (
                f"Calls bound this step: with {self.few_rows} rows instead of {self.rows} it still takes {share} of the time. "
                f"Larger batches share the calls among more rows (fit --batch-size {4 * self.rows})."
            )
        longest = max(
            (p for p in self.parts if bool(p.operations) == (bound == "arithmetic") and p.name != REST),
            key=lambda part: part.seconds,
        )
        share = show_share(longest.seconds / self.seconds)
        if bound == "memory":
            return (
                f"Memory bounds this step: {longest.name} takes {share} of it and computes next to nothing with what it "
                "moves. Fewer or smaller maps and weights help; more cores hardly do."
            )
        reached = show_share(min(1.0, longest.operation_rate / machine.float32))
        gain = machine.bfloat16 / machine.float32
        lower = (
            f"Products in bfloat16 have {gain:.1f} times that peak here; fewer"
            if gain >= WORTH_IT
            else "Fewer"
        )
        return (
            f"Arithmetic bounds this step: {longest.name} layers take {share} of it, at {reached} of this machine's float32 "
            f"peak. {lower} units or channels, or more cores, help{' too' if gain >= WORTH_IT else ''}."
        )

    def values(self) -> dict[str, Any]:
        """Return every number."""
        parts = [
            {**asdict(part), "operation_rate": part.operation_rate, "byte_rate": part.byte_rate}
            for part in self.parts
        ]
        return {
            "rows": self.rows, "seconds": self.seconds, "operations": self.operations, "few_rows": self.few_rows,
            "few_seconds": self.few_seconds, "parts": parts,
        }  # fmt: skip


def parts_of(
    times: StepTimes,
    costs: ModelCosts | None,
    *,
    rows: int,
    seconds: float,
    fetch: Part,
    update_bytes: int,
    few_rows: int,
    few_seconds: float,
) -> StepParts:
    """Sum the layers of a step by kind, add the update rule and the fetching of the batch, and what remains of `seconds`.

    Where the parts were slower while they were looked at than the whole step is without, all are shortened alike.
    """
    adds = {} if costs is None else {layer.name: layer.multiply_adds for layer in costs.layers}
    found: dict[str, Part] = {}
    for layer in times.layers:
        part = _part(layer, 2 * adds.get(layer.name, 0) * rows)
        found[part.name] = _sum(found[part.name], part) if part.name in found else part
    found[UPDATE] = Part(name=UPDATE, calls=1, forward=times.update, bytes=update_bytes)
    found[BATCH] = fetch
    taken = sum(part.seconds for part in found.values())
    factor = min(1.0, seconds / taken)
    shown = [
        replace(p, forward=p.forward * factor, backward=p.backward * factor) for p in _ordered(found.values())
    ]
    rest = Part(name=REST, calls=0, forward=max(0.0, seconds - taken))
    return StepParts(
        parts=(*shown, rest), rows=rows, seconds=seconds, few_rows=few_rows, few_seconds=few_seconds
    )


def kind_of(layer: nn.Module | None) -> str:
    """Return the kind of a layer; None stands for the loss.

    >>> kind_of(nn.Linear(2, 3)), kind_of(nn.Conv2d(1, 2, 3)), kind_of(nn.Identity()), kind_of(None)
    ('dense', 'convolution', 'other layers', 'loss')
    """
    if layer is None:
        return LOSS
    return next((name for name, types in KINDS if isinstance(layer, types)), OTHER_LAYERS)


def _part(layer: LayerTime, operations: int) -> Part:
    """Return what one call takes: its product forward, one more for each gradient, and what goes to and from memory."""
    moved = layer.input_bytes + layer.weight_bytes + layer.output_bytes
    if layer.learns or layer.passes_on:
        moved += layer.output_bytes + layer.input_bytes  # the gradient that comes, and what was kept for it
    moved += layer.weight_bytes if layer.learns else 0
    moved += layer.input_bytes + layer.weight_bytes if layer.passes_on else 0
    kind = kind_of(layer.layer)
    return Part(
        name=kind,
        calls=1,
        forward=layer.forward,
        backward=layer.backward,
        operations=operations * (1 + layer.learns + layer.passes_on),
        bytes=0 if kind == "flatten" else moved,
    )


def _sum(one: Part, other: Part) -> Part:
    return Part(
        name=one.name,
        calls=one.calls + other.calls,
        forward=one.forward + other.forward,
        backward=one.backward + other.backward,
        operations=one.operations + other.operations,
        bytes=one.bytes + other.bytes,
    )


def _ordered(parts: Iterable[Part]) -> list[Part]:
    order = [*(name for name, _ in KINDS), OTHER_LAYERS, LOSS, UPDATE, BATCH]
    return sorted(parts, key=lambda part: order.index(part.name))
