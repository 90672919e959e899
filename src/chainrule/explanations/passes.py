"""A forward and a backward pass with its update, as it is shown: layers as they are taught, every number beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.explanations.backprop import Call, Pass
from chainrule.explanations.columns import short
from chainrule.explanations.derivatives import activation_of
from chainrule.explanations.loss_end import LossEnd
from chainrule.nn.noise import Dropout

MOST_SCALARS = 300  # weights of a network that is shown number by number
MOST_UNITS = 40  # and values of its widest layer
MOST_VALUES = 10_000  # numbers of one tensor that go into JSON; of more, a summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A weight tensor of a layer: its value, its gradient by this row, and what the update adds (None: no rate)."""

    name: str
    full_name: str
    value: Tensor
    gradient: Tensor
    update: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer as it is taught: z = W a + b or another operation, and the activation a = f(z) that follows it.

    Shapes: z, a and their gradients (B, …)
    """

    number: int
    call: Call
    activation: Call | None
    weights: tuple[Weight, ...]

    @property
    def is_dense(self) -> bool:
        """Whether it is z = W a + b."""
        return type(self.call.layer) is nn.Linear

    @property
    def passes_on(self) -> bool:
        """Whether it hands on what it takes: dropout in prediction, a change of shape."""
        return not self.weights and torch.equal(self.call.inputs.reshape(-1), self.a.reshape(-1))

    @property
    def z(self) -> Tensor:
        """What the operation gives."""
        return self.call.outputs

    @property
    def a(self) -> Tensor:
        """What the layer gives."""
        return self.z if self.activation is None else self.activation.outputs

    @property
    def activation_name(self) -> str:
        """The activation's name; identity where there is none."""
        found = None if self.activation is None else activation_of(self.activation.layer)
        return "identity" if found is None else found.name

    @property
    def title(self) -> str:
        """What the layer is, in few words."""
        said = said_of(self.call.layer)
        again = f" (call {self.call.number + 1})" if self.call.number else ""
        return f"{said}{'' if self.activation is None else ', ' + self.activation_name}{again}"

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""
        call, after = self.call, self.activation
        found: dict[str, Any] = {
            "layer": self.number,
            "name": call.name,
            "what": self.title,
            "inputs": numbers(call.inputs),
            "z": numbers(self.z),
            "a": numbers(self.a),
        }
        derivative = after.derivative if after is not None else call.derivative
        if derivative is not None:
            found["derivative"] = numbers(derivative)
        found |= {
            "gradient_by_a": numbers(call.incoming if after is None else after.incoming),
            "gradient_by_z": numbers(call.incoming),
            "gradient_by_inputs": None if call.outgoing is None else numbers(call.outgoing),
            "by_declared_derivatives": call.is_by_rule,
            "weights": {
                w.name: {
                    "value": numbers(w.value),
                    "gradient": numbers(w.gradient),
                    "update": None if w.update is None else numbers(w.update),
                }
                for w in self.weights
            },
        }
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudges:
    """What the network gives after one weight alone was made larger by `amount`, for every weight.

    Shapes: per weight tensor of shape S: outputs S + (B, K), costs S
    """

    amount: float
    outputs: dict[str, Tensor]
    costs: dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """One number that came in: its name, what stood in the data, and what the network took."""

    name: str
    raw: str
    value: float

    @property
    def is_as_it_stood(self) -> bool:
        """Whether the network took what stood in the data."""
        return self.raw == short(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassExplanation:
    """A pass through a network, from what came in to the update of every weight.

    `about` are sentences above all, `rule` says what the updates are, `answer` what the network says in words;
    `picture` is a row that is one. `end` is None where no target is given: then there is no way back.
    """

    title: str
    about: tuple[str, ...]
    came: tuple[Came, ...]
    walk: Pass
    layers: tuple[Layer, ...]
    end: LossEnd | None
    rule: str = ""
    answer: str = ""
    cost_after: float | None = None
    nudges: Nudges | None = None
    picture: Any = None
    source: str = ""  # the file that it was read from

    @property
    def is_small(self) -> bool:
        """Whether every number can be shown beside every other."""
        weights = sum(w.value.numel() for layer in self.layers for w in layer.weights)
        widest = max(math.prod(layer.a.shape[1:]) for layer in self.layers)
        plain = all(layer.is_dense or not layer.weights for layer in self.layers)
        return plain and weights <= MOST_SCALARS and widest <= MOST_UNITS and len(self.walk.inputs) <= 16

    @property
    def rise(self) -> str:
        """What to think where the update makes the loss larger; empty where it does not."""
        if self.end is None or self.cost_after is None or self.cost_after <= self.end.cost:
            return ""
        return (
            "It rose: a gradient holds only close to the weights where it was taken, and this step goes beyond, "
            "or a penalty on the weights outweighs it."
        )

    def text(self, width: int) -> str:
        """Return it for a terminal of so many columns."""
        from chainrule.explanations.pass_text import write

        return write(self, width)

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON; of very large tensors, a summary."""
        return {
            "title": self.title,
            "about": list(self.about),
            "inputs": [{"name": c.name, "raw": c.raw, "value": c.value} for c in self.came]
            or numbers(self.walk.inputs),
            "outputs": numbers(self.walk.outputs),
            "answer": self.answer,
            "loss": None if self.end is None else self.end.values(),
            "update_rule": self.rule,
            "loss_after_update": self.cost_after,
            "layers": [layer.values() for layer in self.layers],
        }


def said_of(layer: nn.Module) -> str:
    """Return what a layer does, in few words."""
    if (activation := activation_of(layer)) is not None:
        return activation.name
    match layer:
        case nn.Linear():
            return f"dense {layer.in_features} → {layer.out_features}"
        case nn.Conv2d():
            height, width = layer.kernel_size
            return f"convolution {layer.in_channels} → {layer.out_channels}, {height} × {width}"
        case nn.MaxPool2d() | nn.AvgPool2d():
            sides = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * 2
            kind = "max" if isinstance(layer, nn.MaxPool2d) else "mean"
            return f"{kind} pooling {sides[0]} × {sides[1]}"
        case nn.Flatten():
            return "flatten"
        case Dropout() | nn.Dropout():
            return "dropout, off in prediction"
    said = " ".join(str(layer).split())
    return said if len(said) <= 60 else type(layer).__name__


def layers_of(walk: Pass, model: nn.Module, updates: Mapping[str, Tensor] | None) -> tuple[Layer, ...]:
    """Put the calls of a pass together to layers: an activation belongs to what it follows."""
    full_names = {id(p): name for name, p in model.named_parameters()}
    found: list[Layer] = []
    for call in walk.calls:
        is_activation = activation_of(call.layer) is not None
        if is_activation and found and found[-1].activation is None and _follows(found[-1].call, call):
            found[-1] = _with_activation(found[-1], call)
            continue
        weights = tuple(
            Weight(
                name=name,
                full_name=full_names[id(p)],
                value=p.detach().clone(),
                gradient=call.gradients[name],
                update=None if updates is None else updates[full_names[id(p)]],
            )
            for name, p in call.layer.named_parameters(recurse=False)
            if name in call.gradients
        )
        found.append(Layer(number=len(found) + 1, call=call, activation=None, weights=weights))
    return tuple(found)


def said_of_calls(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Say what is shown of a layer that is called several times."""
    if not any(layer.call.number and layer.weights for layer in layers):
        return ()
    return (
        "A layer is called several times: each call shows its own share of the gradient, and the update, which follows "
        "from the sum of all shares.",
    )


def _follows(before: Call, after: Call) -> bool:
    return (
        activation_of(before.layer) is None
        and before.outputs.shape == after.inputs.shape
        and torch.equal(before.outputs, after.inputs)
    )


def _with_activation(layer: Layer, call: Call) -> Layer:
    return Layer(number=layer.number, call=layer.call, activation=call, weights=layer.weights)


def numbers(tensor: Tensor) -> Any:
    """Return a tensor as nested lists, or the summary of one that is too large for them."""
    if tensor.numel() <= MOST_VALUES:
        return tensor.tolist()
    return {"shape": list(tensor.shape), **summary(tensor)}


def summary(tensor: Tensor) -> dict[str, float]:
    """Return what a large tensor is like: its norm, its range, its mean, the share of zeros."""
    values = tensor.detach().double()
    return {
        "norm": values.norm().item(),
        "least": values.min().item(),
        "mean": values.mean().item(),
        "most": values.max().item(),
        "zeros": (values == 0).double().mean().item(),
    }
