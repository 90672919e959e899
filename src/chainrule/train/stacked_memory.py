"""The weights of a stack of chains in memory that gives every member the same bits, wherever it stands in the stack.

Units and inputs are filled up to multiples of 16 with zeros: every member's matrix then begins where vectors are loaded
whole, and the products and functions of one member do not depend on its neighbours. The gradient by what is filled up
is 0, so that it stays 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.nn.noise import Dropout
from chainrule.nn.stacks import StackedLinear
from chainrule.train.dense_chain import dense_chain
from chainrule.train.population import Population

WIDTH = 16  # values of float32 in the vectors of the widest processors


def filled_up(count: int) -> int:
    """Return the next multiple of `WIDTH`."""
    return -(-count // WIDTH) * WIDTH


class StackedMemory:
    """W (members, units, inputs) and b (members, units) of every layer, filled up, with their gradients.

    The parameters of the population become views of them.
    Raises: SettingError for networks that are no chains of dense layers
    """

    def __init__(self, population: Population) -> None:
        self.population = population
        self.chain = dense_chain(population.member(0))
        self.members = len(population)
        layers = [layer for layer in population.stack if isinstance(layer, StackedLinear)]
        if any(layer.bias is None for layer in layers):
            raise SettingError("a layer has no bias")
        self.weights = [_fill_up(layer.weight) for layer in layers]
        self.biases = [_fill_up(layer.bias) for layer in layers if layer.bias is not None]
        self.dropouts = dropouts_of(population.stack)

    def parameters(self) -> list[nn.Parameter]:
        """Return what an update rule moves, by its gradient in `grad`."""
        return [p for pair in zip(self.weights, self.biases, strict=True) for p in pair]


def why_not_stacked(population: Population) -> str | None:
    """Say in words why backprop through a population cannot be written out, None if it can."""
    try:
        StackedMemory(population)
    except SettingError as error:
        return str(error)
    return None


def _fill_up(own: nn.Parameter) -> nn.Parameter:
    """Return a parameter filled up, and make the given one a view of it."""
    whole = torch.zeros(len(own), *(filled_up(n) for n in own.shape[1:]), dtype=own.dtype)
    view: Tensor = whole[tuple(slice(n) for n in own.shape)]
    view.copy_(own.detach())
    own.data = view
    made = nn.Parameter(whole)
    made.grad = torch.zeros_like(whole)
    return made


def dropouts_of(stack: nn.Sequential) -> list[Dropout | None]:
    """Return the dropout behind each dense layer, None where there is none."""
    found: list[Dropout | None] = []
    for layer in stack:
        if isinstance(layer, StackedLinear):
            found.append(None)
        elif isinstance(layer, Dropout):
            found[-1] = layer
    return found
