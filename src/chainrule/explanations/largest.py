"""Which single weights of a large network got the largest gradients."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple

import torch

from chainrule.explanations.passes import Layer


class SingleWeight(NamedTuple):
    """One number of a weight tensor of a layer; its name in the model says which: 0.weight[12, 3], counted from 0."""

    layer: int
    name: str
    value: float
    gradient: float
    update: float | None


def largest_weights(layers: Iterable[Layer], most: int) -> list[SingleWeight]:
    """Return the weights with the largest gradients of all layers, the largest first."""
    found: list[SingleWeight] = []
    for layer in layers:
        for weight in layer.weights:
            flat = weight.gradient.reshape(-1)
            for place in flat.abs().topk(min(most, len(flat))).indices.tolist():
                at = torch.unravel_index(torch.tensor(place), weight.gradient.shape)
                index = ", ".join(str(int(i)) for i in at)
                found.append(
                    SingleWeight(
                        layer=layer.number,
                        name=f"{weight.full_name}[{index}]",
                        value=weight.value.reshape(-1)[place].item(),
                        gradient=flat[place].item(),
                        update=None if weight.update is None else weight.update.reshape(-1)[place].item(),
                    )
                )
    return heapq.nlargest(most, found, key=lambda single: abs(single.gradient))
