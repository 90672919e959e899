"""Sums and products written out with their numbers, as they stand on a board."""

from __future__ import annotations

from torch import nn

from chainrule.core.units import signed
from chainrule.explanations.passes import Layer, Weight

MOST_TERMS = 4  # inputs of a unit whose sum is written out


def weighted_sums(layer: Layer) -> list[str] | None:
    """Return z = w·x + b of every row and unit of a dense layer, written out; None where that would be long."""
    dense, x = layer.call.layer, layer.call.inputs
    if not isinstance(dense, nn.Linear) or x.dim() != 2 or x.shape[-1] > MOST_TERMS:
        return None
    weights = dense.weight.tolist()
    biases = [0.0] * len(weights) if dense.bias is None else dense.bias.tolist()
    return [
        " + ".join([*(f"{factor(w)}·{factor(v)}" for w, v in zip(row, values, strict=True)), factor(b)])
        for values in x.tolist()
        for row, b in zip(weights, biases, strict=True)
    ]


def gradient_products(layer: Layer, weight: Weight) -> list[str] | None:
    """Return δ·x for every weight of a dense layer, written out; None for other layers, and for several rows."""
    delta, x = layer.call.incoming, layer.call.inputs
    if not layer.is_dense or weight.name != "weight" or delta.dim() != 2 or len(delta) != 1:
        return None
    return [f"{factor(d)}·{factor(v)}" for d in delta[0].tolist() for v in x[0].tolist()]


def factor(value: float) -> str:
    """Return a number as it stands within a product: a negative one in brackets."""
    shown = signed(f"{value + 0:.4g}")
    return f"({shown})" if value < 0 else shown
