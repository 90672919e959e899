"""Activations, each declared once: value, derivative, range, and what it is for.

Explicit backprop, explanations, the documentation and the tests read these declarations. Derivatives take the
pre-activation z and the value a = f(z), since most are cheapest in terms of a.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chainrule.catalog import load

INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class Activation:
    """An element-wise function with its derivative.

    `bounds` is the closed hull of the range.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor], Tensor]
    bounds: tuple[float, float]
    purpose: str
    is_trainable: bool = True

    def __call__(self, z: Tensor) -> Tensor:
        return self.value(z)


class Activate(nn.Module):
    """An activation as a layer of a network."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.activation: Activation = load("activation", name)

    def forward(self, z: Tensor) -> Tensor:
        return self.activation.value(z)

    def extra_repr(self) -> str:
        return self.activation.name


def _relu_derivative(z: Tensor, a: Tensor) -> Tensor:
    # At z = 0 the decks print 1 in one place and "off" in another; 0 is what autograd takes (E07).
    return (z > 0).to(z.dtype)


def _gelu_derivative(z: Tensor, a: Tensor) -> Tensor:
    cumulative = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    return cumulative + z * torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _silu_derivative(z: Tensor, a: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s + a * (1 - s)


IDENTITY = Activation(
    "identity",
    lambda z: z,
    lambda z, a: torch.ones_like(z),
    (-INFINITY, INFINITY),
    "values in an output layer",
)
STEP = Activation(
    "step",
    lambda z: (z >= 0).to(z.dtype),
    lambda z, a: torch.zeros_like(z),
    (0.0, 1.0),
    "threshold units; its derivative is 0, so gradient descent cannot train through it",
    is_trainable=False,
)
SIGMOID = Activation(
    "sigmoid", torch.sigmoid, lambda z, a: a * (1 - a), (0.0, 1.0), "probabilities of two classes"
)
TANH = Activation("tanh", torch.tanh, lambda z, a: 1 - a * a, (-1.0, 1.0), "hidden layers; zero-centred")
RELU = Activation("relu", F.relu, _relu_derivative, (0.0, INFINITY), "the usual hidden layer")
LEAKY_RELU = Activation(
    "leaky-relu",
    lambda z: F.leaky_relu(z, 0.01),
    lambda z, a: torch.where(z > 0, 1.0, torch.full_like(z, 0.01)),
    (-INFINITY, INFINITY),
    "hidden layers whose units must not die",
)
SOFTPLUS = Activation(
    "softplus",
    F.softplus,
    lambda z, a: torch.sigmoid(z),
    (0.0, INFINITY),
    "a smooth ReLU; positive values",
)
GELU = Activation("gelu", F.gelu, _gelu_derivative, (-0.17, INFINITY), "smooth hidden layers")
SILU = Activation("silu", F.silu, _silu_derivative, (-0.2785, INFINITY), "smooth hidden layers")
