"""Initial values of weights, drawn from a generator that is a pure function of the seed.

Layers of chainrule and of torch.nn draw from torch's global generator when they are made. `initialise_` draws anew,
layer by layer, so that a network's start depends on nothing but the seed and the layer's place.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from chainrule.core.seeds import generator
from chainrule.nn.activations import Activate


def initialise_(model: nn.Module, seed: int) -> None:
    """Draw the weights of every dense and convolutional layer from a normal distribution, and set biases to 0.

    The standard deviation is gain/√fan_in with the gain of the activation that follows (1 where none does).
    Source: He et al. 2015, eq. 10, for the ReLU family; Glorot and Bengio 2010 for the others, with fan_in alone.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d | Activate)]
    for place, layer in enumerate(layers):
        if isinstance(layer, Activate):
            continue
        after = layers[place + 1] if place + 1 < len(layers) else None
        gain = after.activation.gain if isinstance(after, Activate) else 1.0
        fan_in = layer.weight[0].numel()
        with torch.no_grad():
            layer.weight.normal_(0, gain / math.sqrt(fan_in), generator=generator(seed, "initial", place))
            if layer.bias is not None:
                layer.bias.zero_()
