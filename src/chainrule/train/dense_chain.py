"""Chains of dense layers: which networks are one, and their weights and gradient in one piece of memory each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.nn.activations import Activate, Activation
from chainrule.nn.losses import Loss
from chainrule.nn.noise import Dropout
from chainrule.train.objective import Objective

Operation = Callable[[], object]
ALIGNED = 64  # bytes; vector instructions load whole lines of the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseLayer:
    """z = W x + b, then f and dropout where there are some."""

    linear: nn.Linear
    activation: Activation | None = None
    dropout: Dropout | None = None

    @property
    def inputs(self) -> int:
        """The number of values that the layer takes."""
        return self.linear.in_features

    @property
    def units(self) -> int:
        """The number of values that it gives."""
        return self.linear.out_features

    @property
    def rows(self) -> int:
        """The rows of W and b together: one for each input, and one for b."""
        return self.inputs + (self.linear.bias is not None)


def why_not_dense(objective: Objective) -> str | None:
    """Say in words why `DenseStep` cannot train a network, None if it can."""
    try:
        check_dense(objective)
    except SettingError as error:
        return str(error)
    return None


def check_dense(objective: Objective) -> tuple[DenseLayer, ...]:
    """Return the layers of a network that `DenseStep` can train, first to last. Raises: SettingError saying why not"""
    if not isinstance(objective.task.loss, Loss):
        raise SettingError("the loss was handed over as a function and declares no derivative")
    chain = dense_chain(objective.model)
    parameters = list(objective.model.parameters())
    if any(not p.requires_grad for p in parameters):
        raise SettingError("some of its weights are held fixed")
    if parameters[0].device.type != "cpu":
        raise SettingError(f"it is written for the processor, and this run is on {parameters[0].device.type}")
    if len({p.dtype for p in parameters}) > 1 or not parameters[0].is_floating_point():
        raise SettingError("its weights are not all of one type")
    return chain


def dense_chain(model: nn.Module) -> tuple[DenseLayer, ...]:
    """Return the layers of a chain. Raises: SettingError for a network that is none, naming the layer"""
    if type(model) is not nn.Sequential:
        raise SettingError(f"the network is no chain of layers (nn.Sequential) but a {type(model).__name__}")
    for name, layer in model.named_modules():
        if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
            raise SettingError(f"layer {name or 'of the whole network'} has hooks, which would not be called")
    layers = list(_layers(model))
    if len({layer.linear for layer in layers}) < len(layers):
        raise SettingError("a layer stands in the chain twice")
    return tuple(layers)


def _layers(model: nn.Sequential) -> Iterator[DenseLayer]:
    """Read dense layers with what follows each."""
    places = list(model._modules.items())[flattens(model) :]  # named_children leaves out what comes twice
    if not places or type(places[-1][1]) is not nn.Linear:
        raise SettingError("its last layer is not a dense one (Linear)")
    while places:
        name, linear = places.pop(0)
        if type(linear) is not nn.Linear:
            raise SettingError(
                f"layer {name} ({type(linear).__name__}) is none of Linear, then an activation, then dropout"
            )
        activation = places.pop(0) if places and type(places[0][1]) is Activate else (name, None)
        dropout = places.pop(0)[1] if places and type(places[0][1]) is Dropout else None
        assert dropout is None or isinstance(dropout, Dropout)
        if dropout is not None and dropout.members is not None:
            raise SettingError("its dropout has a rate per member of a stack")
        yield DenseLayer(linear=linear, activation=_trained_through(*activation), dropout=dropout)


def _trained_through(name: str, layer: nn.Module | None) -> Activation | None:
    """Return an activation, None for the identity. Raises: SettingError for one that backprop is not written for"""
    if layer is None:
        return None
    assert isinstance(layer, Activate)
    found = layer.activation
    if not found.is_element_wise:
        raise SettingError(
            f"the activation of layer {name} ({found.name}) is not one of each value by itself"
        )
    if not found.is_trainable:
        raise SettingError(f"the activation of layer {name} ({found.name}) passes no gradient back")
    return None if found.name == "identity" else found


def flattens(model: nn.Module) -> bool:
    """Whether a chain begins by laying the values of each row side by side."""
    first = next(model.children(), None)
    return type(first) is nn.Flatten and (first.start_dim, first.end_dim) == (1, -1)


class DenseMemory:
    """The weights of a chain in one tensor, and their gradient in another.

    W transposed and b, as a row below it, are one matrix, so that a product with inputs that end in ones is the whole
    layer. The model's own parameters, and their gradients, become views: whatever reads or loads them goes on as before.
    With a lower `precision` products take the weights rounded to it and give gradients in it: `before` a pass rounds the
    weights, `after` it widens the gradient. What is kept and updated stays as it is.
    Shapes: weights and gradients of a layer (inputs + 1, units)
    """

    def __init__(self, chain: tuple[DenseLayer, ...], precision: torch.dtype | None = None) -> None:
        first = chain[0].linear.weight
        step = ALIGNED // first.element_size()
        places = [0]
        for layer in chain:
            places.append(places[-1] + -(-layer.rows * layer.units // step) * step)
        self.chain = chain
        self.flat = torch.zeros(places[-1], dtype=first.dtype, device=first.device)
        self.flat_gradient = torch.zeros_like(self.flat)
        self._own = [_matrix(self.flat, *each) for each in zip(places, chain, strict=False)]
        self._own_gradients = [
            _matrix(self.flat_gradient, *each) for each in zip(places, chain, strict=False)
        ]
        for layer, weights in zip(chain, self._own, strict=True):
            for parameter, view in _parts(layer, weights):
                view.copy_(parameter.detach())
                parameter.data = view
        self.bind_gradients_()
        self.weights, self.gradients = self._own, self._own_gradients
        self.before: list[Operation] = []
        self.after: list[Operation] = []
        if precision not in (None, first.dtype):
            lower, lower_gradient = (torch.zeros_like(self.flat, dtype=precision) for _ in range(2))
            self.weights = [_matrix(lower, *each) for each in zip(places, chain, strict=False)]
            self.gradients = [_matrix(lower_gradient, *each) for each in zip(places, chain, strict=False)]
            self.before = [partial(lower.copy_, self.flat)]
            self.after = [partial(self.flat_gradient.copy_, lower_gradient)]

    def bind_gradients_(self) -> None:
        """Make the gradients of the model's parameters views of the gradient in one piece."""
        for layer, gradients in zip(self.chain, self._own_gradients, strict=True):
            for parameter, view in _parts(layer, gradients):
                parameter.grad = view
        self._bound, self._view = parameter, view

    def has_bound_gradients(self) -> bool:
        """Whether they still are: one is looked at, as whoever takes one away takes all."""
        return self._bound.grad is self._view

    def as_one(self) -> list[nn.Parameter]:
        """Return all weights and biases as one parameter, for a rule that treats all alike."""
        return [_with_gradient(self.flat, self.flat_gradient)]

    def as_parts(self) -> list[nn.Parameter]:
        """Return weights and biases apart, for a rule that decays the weights alone."""
        return [
            _with_gradient(part, gradient)
            for layer, weights, gradients in zip(self.chain, self._own, self._own_gradients, strict=True)
            for part, gradient in zip(
                _weights_and_bias(layer, weights), _weights_and_bias(layer, gradients), strict=True
            )
        ]


def _matrix(flat: Tensor, place: int, layer: DenseLayer) -> Tensor:
    return flat[place : place + layer.rows * layer.units].view(layer.rows, layer.units)


def _weights_and_bias(layer: DenseLayer, matrix: Tensor) -> list[Tensor]:
    weights = matrix[: layer.inputs]
    return [weights] if layer.linear.bias is None else [weights, matrix[-1]]


def _parts(layer: DenseLayer, matrix: Tensor) -> list[tuple[nn.Parameter, Tensor]]:
    """Return each parameter of a layer with its part of the matrix, in the parameter's own shape."""
    weights, *bias = _weights_and_bias(layer, matrix)
    return list(zip(layer.linear.parameters(), [weights.t(), *bias], strict=True))


def _with_gradient(values: Tensor, gradient: Tensor) -> nn.Parameter:
    parameter = nn.Parameter(values)
    parameter.grad = gradient
    return parameter
