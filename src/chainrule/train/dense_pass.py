"""Forward and backward through a chain of dense layers for batches of one size, written out in memory made once.

The course's derivation, for the mean loss of the B rows of a batch. A row is a column here: so memory lies unit by unit,
and an element-wise operation or a softmax goes through it from end to end.

    z = (W b) · (x; 1)       a = f(z)          layer by layer; a is the next layer's x
    δ = ∂loss/∂z of the outputs                as the loss declares it
    ∂loss/∂(W b) = δ · (x; 1)ᵀ                 for every layer, from the last to the first
    δ ← (Wᵀ · δ) ⊙ f′(z)                       one layer back

Every line is an operation with its tensors bound to it: a pass calls one after the other.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from chainrule.nn.noise import Dropout
from chainrule.train.dense_activations import Hidden, Operation, through_activation
from chainrule.train.dense_chain import DenseLayer, DenseMemory
from chainrule.train.dense_losses import make_ending
from chainrule.train.task import Task


class DensePass:
    """The operations of a pass: `inputs.copy_`, `forward`, `end` with the targets, which gives the loss, `backward`.

    Shapes: inputs (B, inputs), outputs (B, units); both are overwritten by the next pass
    """

    def __init__(self, memory: DenseMemory, task: Task, rows: int) -> None:
        new = partial(torch.zeros, dtype=memory.flat.dtype)
        arriving = new(rows, memory.chain[0].inputs + 1)  # row by row as inputs come: 1 µs to copy, not 3
        arriving[:, -1] = 1
        x = arriving.t()
        last = memory.chain[-1]
        outputs, delta = new(last.units, rows), new(last.units, rows)
        self.inputs = arriving[:, :-1]
        self.outputs = outputs.t()
        self.end = make_ending(task, outputs, delta)
        self.forward: list[Operation] = []
        backward: list[list[Operation]] = []  # layer by layer, each up to the δ of the layer before
        way_back: list[Operation] = []
        before: Tensor | None = None  # δ of the layer before
        for layer, weights, gradients in zip(memory.chain, memory.weights, memory.gradients, strict=True):
            x = x[: layer.rows]
            if layer is last:
                here, z, following = delta, outputs, x
            else:
                here, following = new(layer.units, rows), new(layer.units + 1, rows)
                following[-1] = 1
                hidden = through_layer(layer, following[:-1], here)
                z = hidden.z
            self.forward.append(partial(torch.mm, weights.t(), x, out=z))
            back: list[Operation] = [partial(torch.mm, x, here.t(), out=gradients)]
            if before is not None:
                back += [partial(torch.mm, weights[: layer.inputs], here, out=before), *way_back]
            backward.append(back)
            if layer is not last:
                self.forward += hidden.forward
                way_back = hidden.backward
            x, before = following, here
        self.backward = [operation for back in reversed(backward) for operation in back]


def through_layer(layer: DenseLayer, a: Tensor, delta: Tensor) -> Hidden:
    """Return the operations of a hidden layer after its product: f and dropout. Shapes: a, delta (units, B)."""
    dropout = layer.dropout
    if dropout is None or not dropout.rate:
        return through_activation(layer.activation, a, delta)
    before = torch.zeros_like(a)
    kept = a.new_zeros(a.t().shape)  # drawn row by row, as nn/noise.py draws it
    found = through_activation(layer.activation, before, delta)
    draw = partial(_draw_, dropout, kept)
    return Hidden(
        found.z,
        [*found.forward, draw, partial(torch.mul, before, kept.t(), out=a)],
        [partial(delta.mul_, kept.t()), *found.backward],
    )


def _draw_(dropout: Dropout, kept: Tensor) -> None:
    dropout.draw_(kept, dropout.seeds[0], dropout.rate)
