"""Forward and backward through a chain of dense layers for batches of one size, written out in memory made once.

The course's derivation, for the mean loss of the B rows of a batch x; W is transposed here, as one row is one line of x:

    z = (x 1) · (W; b)       a = f(z)          layer by layer; a is the next layer's x
    δ = ∂loss/∂z of the outputs                as the loss declares it
    ∂loss/∂(W; b) = (x 1)ᵀ · δ                 for every layer, from the last to the first
    δ ← (δ · Wᵀ) ⊙ f′(z)                       one layer back

Every line is an operation with its tensors bound to it: a pass calls one after the other. In memory a, z and δ lie unit by
unit: a softmax then goes over all rows at once, and the products of the narrow last layer take half the time.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from chainrule.nn.noise import Dropout
from chainrule.train.dense_activations import Hidden, through_activation
from chainrule.train.dense_chain import DenseLayer, DenseMemory, Operation
from chainrule.train.dense_losses import make_ending
from chainrule.train.task import Task


class DensePass:
    """The operations of a pass: `inputs.copy_`, `forward`, `end` with targets and weights, which gives the loss, `backward`.

    Shapes: inputs (B, inputs), outputs (B, units); both are overwritten by the next pass
    """

    def __init__(self, memory: DenseMemory, task: Task, rows: int) -> None:
        new = partial(torch.zeros, dtype=memory.weights[0].dtype)
        x = new(rows, memory.chain[0].inputs + 1)  # row by row, as inputs come: copied in 1 µs, not 3
        x[:, -1] = 1
        last = memory.chain[-1]
        outputs, delta = new(last.units, rows), new(last.units, rows)
        self.inputs = x[:, :-1]
        # Where the loss is taken
        wide, wide_delta = outputs.to(memory.flat.dtype), delta.to(memory.flat.dtype)
        self.outputs = wide.t()
        self.end = make_ending(task, wide, wide_delta)
        self.forward: list[Operation] = [*memory.before]
        backward: list[list[Operation]] = []  # layer by layer, each up to the δ of the layer before
        way_back: list[Operation] = []
        before: Tensor | None = None  # δ of the layer before
        for layer, weights, gradients in zip(memory.chain, memory.weights, memory.gradients, strict=True):
            x = x[:, : layer.rows]
            here = delta.t() if layer is last else new(layer.units, rows).t()
            back: list[Operation] = [partial(torch.mm, x.t(), here, out=gradients)]
            if before is not None:
                back += [partial(torch.mm, here, weights[: layer.inputs].t(), out=before), *way_back]
            backward.append(back)
            if layer is last:
                self.forward.append(partial(torch.mm, weights.t(), x.t(), out=outputs))
                break
            following = new(layer.units + 1, rows).t()
            following[:, -1] = 1
            hidden = through_layer(layer, following[:, :-1], here)
            self.forward += [partial(torch.mm, x, weights, out=hidden.z), *hidden.forward]
            way_back, x, before = hidden.backward, following, here
        self.backward = [*(operation for back in reversed(backward) for operation in back), *memory.after]
        if wide is not outputs:
            self.forward.append(partial(wide.copy_, outputs))
            self.backward.insert(0, partial(delta.copy_, wide_delta))


def through_layer(layer: DenseLayer, a: Tensor, delta: Tensor) -> Hidden:
    """Return the operations of a hidden layer after its product: f and dropout. Shapes: a, delta (B, units)."""
    dropout = layer.dropout
    if dropout is None or not dropout.rate:
        return through_activation(layer.activation, a, delta)
    whole = torch.zeros_like(delta)
    kept = delta.new_zeros(delta.shape)  # row by row, as nn/noise.py draws
    found = through_activation(layer.activation, whole, delta)
    drop: list[Operation] = [partial(_draw_, dropout, kept), partial(torch.mul, whole, kept, out=a)]
    return Hidden(found.z, [*found.forward, *drop], [partial(delta.mul_, kept), *found.backward])


def _draw_(dropout: Dropout, kept: Tensor) -> None:
    dropout.draw_(kept, dropout.seeds[0], dropout.rate)
