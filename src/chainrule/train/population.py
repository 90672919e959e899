"""A population: networks of one architecture as one module, whose parameters have a first axis of members."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.nn.noise import Dropout
from chainrule.nn.stacks import stacked


class Population(nn.Module):
    """Networks stacked, each with its own weights, buffers and rates of dropout; `member` gives one back.

    Shapes: (members, B, …) -> (members, B, units); a batch that all share is `inputs.expand(members, *inputs.shape)`
    Raises: SettingError for networks that differ, or a layer that has no form for a stack
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        if not networks:
            raise SettingError("a population has at least one member")
        self.stack = stacked(networks)
        self._pattern = [copy.deepcopy(networks[0])]  # a list: no part of this module's own state

    def __len__(self) -> int:
        return len(next(self.stack.parameters()))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.stack(inputs)
        return outputs

    def member(self, number: int) -> nn.Module:
        """Return an ordinary network with the weights, buffers and rates of one member."""
        network = copy.deepcopy(self._pattern[0])
        network.load_state_dict(self.state_of(number))
        for name, layer in network.named_modules():
            if isinstance(layer, Dropout):
                whole = self.stack.get_submodule(name)
                assert isinstance(whole, Dropout)
                layer.rates, layer.seeds = [whole.rates[number]], [whole.seeds[number]]
        return network

    def state_of(self, number: int) -> dict[str, Tensor]:
        """Return copies of the weights and buffers of one member, by the names that its network has for them."""
        state = self.stack.state_dict()
        return {
            name: (t[number] if t.dim() else t).clone(memory_format=torch.contiguous_format)
            for name, t in state.items()
        }
