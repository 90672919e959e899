"""Multi-layer perceptrons: dense hidden layers with any activation per layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from torch import nn

from chainrule.core.errors import SettingError
from chainrule.core.limits import Limits
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.nn.normalisation import find_normalisation


def mlp(
    *,
    inputs: int | tuple[int, ...],
    units: int,
    hidden: Annotated[Sequence[int], Limits(low=1)] = (128,),
    activation: str | Sequence[str] = "relu",
    normalisation: str | None = None,
    dropout: Annotated[float, Limits(low=0, below=1)] = 0.0,
) -> nn.Sequential:
    """Build dense layers: a = f(W a + b) for every hidden layer, then a linear output layer.

    `hidden` may be empty. `activation` is one name for all hidden layers or one per layer.
    `normalisation` (batch, layer, group or group:NUMBER) stands between W a + b and f; dropout follows f. Pictures are
    flattened.
    Shapes: (B, *inputs) -> (B, units)
    """
    names = [activation] * len(hidden) if isinstance(activation, str) else list(activation)
    if len(names) == 1:
        names *= len(hidden)
    if len(names) != len(hidden):
        raise SettingError(
            f"activation takes one name, or one per hidden layer: {len(hidden)} layers, {len(names)} names"
        )
    layers: list[nn.Module] = []
    width = inputs if isinstance(inputs, int) else math.prod(inputs)
    if not isinstance(inputs, int) and len(inputs) > 1:
        layers.append(nn.Flatten())
    for units_here, name in zip(hidden, names, strict=True):
        layers.append(nn.Linear(width, units_here))
        if normalisation is not None:
            layers.append(find_normalisation(normalisation, units_here, has_places=False))
        layers.append(Activate(name))
        if dropout:
            layers.append(Dropout(dropout))
        width = units_here
    layers.append(nn.Linear(width, units))
    return nn.Sequential(*layers)
