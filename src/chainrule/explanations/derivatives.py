"""The way back through single layers as it is taught: the chain rule written out, from declared derivatives.

A rule takes a layer, what went in, what came out, and the gradient of the loss by what came out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from chainrule.nn import activations
from chainrule.nn.activations import Activate, Activation
from chainrule.nn.noise import Dropout


@dataclass(frozen=True, slots=True, kw_only=True)
class Backward:
    """What a layer hands back: the gradient of the loss by its inputs, and by each of its weights."""

    outgoing: Tensor | None
    gradients: dict[str, Tensor] = field(default_factory=dict)
    derivative: Tensor | None = None


Rule = Callable[[nn.Module, Tensor, Tensor, Tensor], Backward]

_TORCH: dict[type[nn.Module], Activation] = {  # torch's own layers of the same functions
    nn.Identity: activations.IDENTITY,
    nn.Sigmoid: activations.SIGMOID,
    nn.Tanh: activations.TANH,
    nn.ReLU: activations.RELU,
    nn.SiLU: activations.SILU,
}


def local_rule(layer: nn.Module) -> Rule | None:
    """Return how the chain rule goes through a layer, or None where its derivative is not declared."""
    if activation_of(layer) is not None:
        return _activation
    return {nn.Linear: _dense, nn.Flatten: _flatten, Dropout: _nothing, nn.Dropout: _nothing}.get(type(layer))


def activation_of(layer: nn.Module) -> Activation | None:
    """Return the activation that a layer is, if it is one that is declared."""
    return layer.activation if type(layer) is Activate else _TORCH.get(type(layer))


def _dense(layer: nn.Module, x: Tensor, z: Tensor, delta: Tensor) -> Backward:
    """z = x Wᵀ + b: ∂L/∂W = δᵀ x, ∂L/∂b = Σ δ over the rows, ∂L/∂x = δ W."""
    assert isinstance(layer, nn.Linear)
    rows, deltas = x.reshape(-1, x.shape[-1]), delta.reshape(-1, delta.shape[-1])
    gradients = {"weight": deltas.T @ rows, "bias": deltas.sum(0)}
    trained = {name for name, p in layer.named_parameters(recurse=False) if p.requires_grad}
    return Backward(
        outgoing=delta @ layer.weight.detach(), gradients={k: g for k, g in gradients.items() if k in trained}
    )


def _activation(layer: nn.Module, z: Tensor, a: Tensor, delta: Tensor) -> Backward:
    """a = f(z), each value alone: ∂L/∂z = ∂L/∂a f'(z); for a softmax, times its Jacobian."""
    found = activation_of(layer)
    assert found is not None
    derivative = found.derivative(z, a) if found.is_element_wise else None
    return Backward(outgoing=found.backward(z, a, delta), derivative=derivative)


def _flatten(layer: nn.Module, x: Tensor, y: Tensor, delta: Tensor) -> Backward:
    """The same values in another shape."""
    return Backward(outgoing=delta.reshape(x.shape))


def _nothing(layer: nn.Module, x: Tensor, y: Tensor, delta: Tensor) -> Backward:
    """Dropout as in prediction: nothing happens."""
    return Backward(outgoing=delta)
