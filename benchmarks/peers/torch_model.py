"""A network of the list as a PyTorch module."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .networks import Answer, Conv, Network, Pool, Scaled


def torch_model(network: Network) -> nn.Sequential:
    """Build the layers with PyTorch's own starting weights."""
    layers: list[nn.Module] = []
    shape = network.inputs
    for layer in network.layers:
        if isinstance(layer, Conv):
            layers += [nn.Conv2d(shape[0], layer.channels, layer.size, padding=layer.padding), nn.ReLU()]
            shape = (layer.channels, *(side + 2 * layer.padding - layer.size + 1 for side in shape[1:]))
        elif isinstance(layer, Pool):
            layers.append(nn.MaxPool2d(2))
            shape = (shape[0], *(side // 2 for side in shape[1:]))
        else:
            if len(shape) > 1:
                layers.append(nn.Flatten())
                shape = (int(np.prod(shape)),)
            layers += [nn.Linear(shape[0], layer.units), nn.ReLU()]
            shape = (layer.units,)
    return nn.Sequential(*layers[:-1])


def answers(model: nn.Module, scaled: Scaled) -> Answer:
    """Return what a trained network says about rows."""

    def answer(rows: np.ndarray) -> np.ndarray:
        model.eval()
        with torch.no_grad():
            return model(torch.from_numpy(scaled(rows))).argmax(1).numpy()

    return answer
