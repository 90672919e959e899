"""Layers of many networks of one architecture at once: one product serves the dense layers of all of them.

A stack has the names of the layers that it is made of, and every parameter and buffer has a first axis of members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError, ShapeError
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.nn.normalisation import BatchNormalisation, GroupNormalisation, LayerNormalisation


class StackedLinear(nn.Module):
    """z = W x + b for every member. Shapes: weight (members, units, inputs), bias (members, units); (members, B, inputs) -> (members, B, units)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias: nn.Parameter | None = None
        if layers[0].bias is not None:
            self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 3 or len(x) != len(self.weight):
            raise ShapeError(f"a stack of {len(self.weight)} dense layers takes (members, B, inputs); got {tuple(x.shape)}")  # fmt: skip
        if self.bias is None:
            return torch.bmm(x, self.weight.mT)
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight.mT)

    def extra_repr(self) -> str:
        members, units, inputs = self.weight.shape
        return f"{inputs}, {units}, members={members}"


def stacked(networks: Sequence[nn.Module]) -> nn.Sequential:
    """Return networks of one architecture as one, with copies of their weights, buffers and rates of dropout.

    Raises: SettingError for a layer that has no such form, or networks that differ, naming the layer
    """
    first = networks[0]
    if type(first) is not nn.Sequential:
        raise SettingError(f"only chains of layers (nn.Sequential) are stacked, and this network is a {type(first).__name__}")  # fmt: skip
    layers: dict[str, nn.Module] = {}
    for name, layer in first.named_children():
        same = [network.get_submodule(name) for network in networks]
        make = _FORMS.get(type(layer))
        if make is None:
            raise SettingError(f"layer {name} ({type(layer).__name__}) has no form for a stack of networks")
        others = {id(other): other for other in same if other is not layer}.values()
        if not isinstance(layer, Dropout) and any(repr(other) != repr(layer) for other in others):
            raise SettingError(f"the networks of a stack differ at layer {name}: {layer}")
        layers[name] = make(same)
    made = nn.Sequential()
    for name, layer in layers.items():
        made.add_module(name, layer)
    return made.train(first.training)


def _dropout(layers: Sequence[Dropout]) -> Dropout:
    made = Dropout(torch.tensor([layer.rate for layer in layers], dtype=torch.float64))
    made.seeds = [layer.seeds[0] for layer in layers]
    return made


def _flatten(layers: Sequence[nn.Flatten]) -> nn.Flatten:
    if (layers[0].start_dim, layers[0].end_dim) != (1, -1):
        raise SettingError("a stack of networks flattens whole rows alone")
    return nn.Flatten(2)


def _filled(made: nn.Module, layers: Sequence[nn.Module]) -> nn.Module:
    """Give a stacked layer the state of the layers that it stands for; what counts batches is one for all."""
    states = [layer.state_dict() for layer in layers]
    together = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    made.load_state_dict({n: t if t.dim() > 1 else t[0] for n, t in together.items()})
    return made


def _batch(layers: Sequence[BatchNormalisation]) -> nn.Module:
    return _filled(BatchNormalisation(layers[0].channels, len(layers)), layers)


def _layer(layers: Sequence[LayerNormalisation]) -> nn.Module:
    return _filled(LayerNormalisation(layers[0].channels, len(layers)), layers)


def _group(layers: Sequence[GroupNormalisation]) -> nn.Module:
    return _filled(GroupNormalisation(layers[0].channels, layers[0].groups, len(layers)), layers)


_FORMS: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.Flatten: _flatten,
    Activate: lambda layers: Activate(layers[0].activation.name),
    Dropout: _dropout,
    BatchNormalisation: _batch,
    LayerNormalisation: _layer,
    GroupNormalisation: _group,
}
