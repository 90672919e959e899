"""Forward and backward through a stack of chains for batches of one size, written out in memory made once.

As `dense_pass` for one network, with a product for all members in each line. In memory a, z and δ lie unit by unit,
(members, units, B); W is as the network has it, (members, units, inputs):

    z = W · a + b        ∂loss/∂W = δ · aᵀ        ∂loss/∂b = Σ δ over the rows        δ ← (Wᵀ · δ) ⊙ f′(z)
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from chainrule.nn.noise import Dropout
from chainrule.train.dense_activations import onward_, through_activation
from chainrule.train.dense_chain import DenseLayer, Operation
from chainrule.train.stacked_losses import Ending, make_ending
from chainrule.train.stacked_memory import StackedMemory
from chainrule.train.task import Task


class StackedPass:
    """The operations of a pass: `inputs.copy_`, `forward`, `end` with the targets, which gives the losses, `backward`.

    Without `trains` there is no way back, and no memory for one.
    Shapes: inputs (B, values filled up) where all members share a batch, else (members, B, values filled up); outputs
    (members, units, B)
    """

    def __init__(
        self, memory: StackedMemory, task: Task, rows: int, *, is_shared: bool, trains: bool = True
    ) -> None:
        first = memory.weights[0]
        new = partial(torch.zeros, dtype=first.dtype)
        self.inputs = new(rows, first.shape[2]) if is_shared else new(memory.members, rows, first.shape[2])
        x = self.inputs.expand(memory.members, rows, first.shape[2]).mT
        self.forward: list[Operation] = []
        self.backward: list[Operation] = []
        self.end: Ending
        z = self._both_ways(memory, task, x, is_shared) if trains else self._onward(memory, x)
        self.outputs = z[:, : memory.chain[-1].units]

    def _onward(self, memory: StackedMemory, x: Tensor) -> Tensor:
        """Write out prediction. Return where the outputs lie."""
        for place, layer in enumerate(memory.chain):
            weights, spread, z = _product(memory, place, x)
            self.forward.append(partial(torch.baddbmm, spread, weights.data, x, out=z))
            if layer is not memory.chain[-1]:
                self.forward += [*onward_(layer.activation, z), *_closed(layer, z)]
            x = z
        return x

    def _both_ways(self, memory: StackedMemory, task: Task, x: Tensor, is_shared: bool) -> Tensor:
        """Write out forward, the end and backward. Return where the outputs lie."""
        backward: list[list[Operation]] = []
        way_back: list[Operation] = []
        before: Tensor | None = None
        for place, layer in enumerate(memory.chain):
            weights, spread, z = _product(memory, place, x)
            delta = torch.zeros_like(z)
            back: list[Operation] = [
                partial(torch.bmm, delta, x.mT, out=weights.grad),
                partial(torch.sum, delta, -1, out=memory.biases[place].grad),
            ]
            if before is not None:
                back += [partial(torch.bmm, weights.data.mT, delta, out=before), *way_back]
            backward.append(back)
            if layer is memory.chain[-1]:
                self.forward.append(partial(torch.baddbmm, spread, weights.data, x, out=z))
                break
            into, following, onward, way_back = _hidden(layer, memory.dropouts[place], z, delta)
            self.forward += [partial(torch.baddbmm, spread, weights.data, x, out=into), *onward]
            x, before = following, delta
        self.end = make_ending(task, z, delta, is_shared=is_shared)
        self.backward = [operation for back in reversed(backward) for operation in back]
        return z


def _product(memory: StackedMemory, place: int, x: Tensor) -> tuple[nn.Parameter, Tensor, Tensor]:
    """Return the weights of a layer, its biases as large as what it answers to x, and memory for that."""
    weights = memory.weights[place]
    z = weights.new_zeros(memory.members, weights.shape[1], x.shape[2])
    return weights, memory.biases[place].data.unsqueeze(-1).expand_as(z), z


def _hidden(
    layer: DenseLayer, dropout: Dropout | None, a: Tensor, delta: Tensor
) -> tuple[Tensor, Tensor, list[Operation], list[Operation]]:
    """Return where z goes, what the next layer takes, and the operations of f and dropout forward and back."""
    found = through_activation(layer.activation, a, delta)
    onward = [*found.forward, *_closed(layer, a)]
    if dropout is None or not any(dropout.rates):
        return found.z, a, onward, found.backward
    dropped = torch.zeros_like(a)
    kept = torch.zeros_like(a)
    onward += [partial(_draw_, dropout, kept, layer.units), partial(torch.mul, a, kept, out=dropped)]
    return found.z, dropped, onward, [partial(delta.mul_, kept), *found.backward]


def _closed(layer: DenseLayer, a: Tensor) -> list[Operation]:
    """Return what sets filled up units to 0: f(0) need not be that."""
    filled = a[:, layer.units :]
    return [partial(filled.zero_)] if filled.numel() and layer.activation is not None else []


def _draw_(dropout: Dropout, kept: Tensor, units: int) -> None:
    """Draw every member's mask as its network would alone; members with equal seed and rate share one."""
    drawn: dict[tuple[int, float], Tensor] = {}
    for place, asked in enumerate(zip(dropout.seeds, dropout.rates, strict=True)):
        if asked not in drawn:
            drawn[asked] = dropout.draw_(torch.empty(kept.shape[2], units), *asked).t()
        kept[place, :units] = drawn[asked]
