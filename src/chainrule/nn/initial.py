"""Initial values of weights, drawn from generators that are a pure function of the seed.

Layers of chainrule and of torch.nn draw from torch's global generator when they are made. `initialise_` draws anew,
layer by layer, so that a network's start depends on nothing but the seed and the layer's place.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from chainrule.core.seeds import generator


def initialise_(model: nn.Module, seed: int) -> None:
    """Draw weights and biases of every dense and convolutional layer evenly between ±1/√fan_in.

    The spread keeps sums of inputs near one third of their variance, so that no unit starts saturated.
    Source: LeCun et al. 1998, Efficient BackProp, section 4.6, as torch.nn has it.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for place, layer in enumerate(layers):
        bound = 1 / math.sqrt(layer.weight[0].numel())
        source = generator(seed, "initial", place)
        with torch.no_grad():
            layer.weight.uniform_(-bound, bound, generator=source)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=source)
