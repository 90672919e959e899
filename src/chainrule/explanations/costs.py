"""What each layer of a model gives and costs: shape, parameters, multiply-adds, memory for activations.

Multiply-adds are those of torch's own counter, which knows matrix products, convolutions and attention; element-wise
work (activations, pooling, normalisation) is not in it. Memory is what autograd keeps of one row for the backward
pass, measured by its own hooks: parameters do not count, and a tensor that two layers keep counts where it is kept first.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from chainrule.core.errors import ShapeError
from chainrule.core.units import show_bytes
from chainrule.explanations.columns import Column, lines_of
from chainrule.explanations.passes import said_of
from chainrule.nn.activations import Activate
from chainrule.nn.visits import naming_layers, visits

ROWS = 2  # that run through the model: normalisation over a batch needs two


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One call of a layer. Shapes are those of one row; `is_repeated` says that its parameters stand further up."""

    name: str
    kind: str
    says: str
    shape: tuple[int, ...]
    weights: int
    biases: int
    multiply_adds: int
    kept_bytes: int
    is_repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCosts:
    """A model, layer by layer, for rows of one shape."""

    title: str
    input: tuple[int, ...]
    layers: tuple[LayerCost, ...]
    other_parameters: int = 0  # held by the model itself or by modules around layers
    notes: tuple[str, ...] = field(default=())

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.layers if not layer.is_repeated)

    @property
    def biases(self) -> int:
        return sum(layer.biases for layer in self.layers if not layer.is_repeated)

    @property
    def parameters(self) -> int:
        return self.weights + self.biases + self.other_parameters

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def kept_bytes(self) -> int:
        return sum(layer.kept_bytes for layer in self.layers)

    def text(self, width: int) -> str:
        """Return a table with a line per layer and their sums."""
        sums = LayerCost(
            name="", kind="", says="sum", shape=(), weights=self.weights, biases=self.biases,
            multiply_adds=self.multiply_adds, kept_bytes=self.kept_bytes,
        )  # fmt: skip
        rows = [*self.layers, sums]
        table = lines_of(
            [
                Column(title="layer", cells=["", *(row.name for row in rows)], is_text=True),
                Column(title="", cells=["input", *(row.says for row in rows)], is_text=True),
                Column(
                    title="output", cells=[show_shape(self.input), *(show_shape(row.shape) for row in rows)]
                ),
                Column(title="weights", cells=["", *(_owned(row, row.weights) for row in rows)]),
                Column(title="biases", cells=["", *(_owned(row, row.biases) for row in rows)]),
                Column(title="multiply-adds", cells=["", *(_count(row.multiply_adds) for row in rows)]),
                Column(title="memory", cells=["", *(_memory(row) for row in rows)]),
            ],
            width,
            indent="",
        )
        return "\n".join([self.title, "", *table, "", *self.words()])

    def words(self) -> list[str]:
        """Say in sentences what the sums mean."""
        other = f", {self.other_parameters:,} elsewhere" if self.other_parameters else ""
        return [
            f"{self.parameters:,} parameters ({self.weights:,} weights, {self.biases:,} biases{other}): "
            f"{show_bytes(4 * self.parameters)} in float32.",
            f"{self.multiply_adds:,} multiply-adds forward for one row, about three times as many for an update.",
            f"{show_bytes(self.kept_bytes)} of activations are kept for one row until its gradients are there: "
            f"{show_bytes(32 * self.kept_bytes)} for a batch of 32.",
            *self.notes,
        ]

    def values(self) -> dict[str, Any]:
        """Return every number."""
        return {
            "kind": "model",
            "title": self.title,
            "input": list(self.input),
            "layers": [
                {
                    "name": layer.name, "kind": layer.kind, "shape": list(layer.shape), "weights": layer.weights,
                    "biases": layer.biases, "multiply_adds": layer.multiply_adds, "kept_bytes": layer.kept_bytes,
                    "is_repeated": layer.is_repeated,
                }
                for layer in self.layers
            ],
            "parameters": self.parameters, "weights": self.weights, "biases": self.biases,
            "multiply_adds": self.multiply_adds, "kept_bytes": self.kept_bytes,
        }  # fmt: skip


def explain_costs(model: nn.Module, input: tuple[int, ...], title: str = "") -> ModelCosts:
    """Run rows of a shape through a model without computing anything, and return what every layer gives and costs.

    A model that decides its way by numbers is run on zeros.
    Raises: ShapeError naming the layer and both shapes where they do not fit
    """
    try:
        meter = _measured(model, input, "meta")
    except (RuntimeError, NotImplementedError, ShapeError) as error:
        if "meta" not in str(error):
            raise
        meter = _measured(model, input, "cpu")
    layers = tuple(meter.layers())
    inside = sum(layer.weights + layer.biases for layer in layers if not layer.is_repeated)
    return ModelCosts(
        title=title or type(model).__name__,
        input=input,
        layers=layers,
        other_parameters=sum(p.numel() for p in model.parameters()) - inside,
    )


def _measured(model: nn.Module, input: tuple[int, ...], device: str) -> _Meter:
    """Run a few rows through a copy of the model; on the device "meta" nothing is computed."""
    ghost = copy.deepcopy(model).to(device).train()
    meter = _Meter()
    with naming_layers(ghost):
        meter.run(ghost, torch.zeros(ROWS, *input, device=device, requires_grad=True))
    return meter


@dataclass(slots=True)
class _Call:
    name: str
    layer: nn.Module
    shape: tuple[int, ...]
    operations: int
    kept: int


class _Meter:
    """Counts what happens while each layer is called."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self._kept = 0
        self._known: dict[int, Tensor] = {}  # counted or not to count; held, so that no address is used again

    def run(self, model: nn.Module, rows: Tensor) -> None:
        for held in (*model.parameters(), *model.buffers()):
            self._known[held.untyped_storage()._cdata] = held

        def keep(tensor: Tensor) -> Tensor:
            address = tensor.untyped_storage()._cdata
            if address not in self._known:
                self._known[address] = tensor
                self._kept += tensor.numel() * tensor.element_size()
            return tensor

        counter = FlopCounterMode(display=False)
        began = [0, 0]

        def entered(*_: object) -> None:
            began[:] = counter.get_total_flops(), self._kept

        def seen(name: str, layer: nn.Module, _: object, output: Any) -> None:
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
            operations = counter.get_total_flops() - began[0]
            self.calls.append(_Call(name, layer, shape, operations, self._kept - began[1]))

        hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        with counter, hooks, visits(model, seen, entered):
            model(rows)

    def layers(self) -> Iterator[LayerCost]:
        met: set[int] = set()
        for call in self.calls:
            weights = sum(p.numel() for n, p in call.layer.named_parameters() if not n.endswith("bias"))
            biases = sum(p.numel() for n, p in call.layer.named_parameters() if n.endswith("bias"))
            yield LayerCost(
                name=call.name,
                kind=type(call.layer).__name__,
                says=says(call.layer),
                shape=call.shape,
                weights=weights,
                biases=biases,
                multiply_adds=call.operations // 2 // ROWS,
                kept_bytes=math.ceil(call.kept / ROWS),
                is_repeated=id(call.layer) in met,
            )
            met.add(id(call.layer))


def says(layer: nn.Module) -> str:
    """Return what a layer is, in few words.

    >>> says(nn.Linear(4, 3)), says(nn.Conv2d(3, 8, 5, stride=2)), says(nn.Flatten())
    ('dense 4 → 3', 'convolution 3 → 8, 5 × 5, stride 2', 'flatten')
    """
    match layer:
        case nn.Linear() | nn.Flatten() | Activate():
            return said_of(layer)
        case nn.Conv2d():
            return said_of(layer) + _moves(layer, (1, 1))
        case nn.MaxPool2d() | nn.AvgPool2d():
            return said_of(layer) + _moves(layer, layer.kernel_size)
    return f"{type(layer).__name__.lower()} {layer.extra_repr().split(', ')[0]}".strip()


def _moves(layer: Any, usual: Any) -> str:
    """Return stride and padding of a window, where they are not the usual ones."""
    stride, padding, expected = (
        value if isinstance(value, tuple) else (value, value)
        for value in (layer.stride, layer.padding, usual)
    )
    found = ""
    if stride != expected:
        found += f", stride {stride[0]}" if stride[0] == stride[1] else f", stride {stride[0]} × {stride[1]}"
    if any(padding):
        found += f", padding {padding[0]}"
    return found


def show_shape(shape: tuple[int, ...]) -> str:
    """Write a shape as it is typed: 3×32×32."""
    return "×".join(map(str, shape))


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _owned(layer: LayerCost, number: int) -> str:
    return "as above" if layer.is_repeated and number else _count(number)


def _memory(layer: LayerCost) -> str:
    return show_bytes(layer.kept_bytes) if layer.kept_bytes else ""
