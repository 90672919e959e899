"""Explanations promise autograd's numbers, for every model of the catalogue and for modules of any make.

In float64 to 1e-12; in float32 no further from the float64 reference than twice autograd's own distance, or 1e-6.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chainrule.catalog import ACTIVATIONS, load
from chainrule.explanations.backprop import Pass, backpropagate
from chainrule.explanations.derivatives import activation_of, local_rule
from chainrule.nn.activations import Activate
from tests.contracts.test_models import each_case, rows, started


class Residual(nn.Module):
    """A layer called twice, a sum of branches, a weight of its own between layers, a layer that works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.clip, self.norm = nn.Linear(6, 6), nn.ReLU(inplace=True), nn.LayerNorm(6)
        self.scale, self.end = nn.Parameter(torch.full((6,), 0.5)), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.clip(self.dense(x))
        y = self.norm(self.clip(self.dense(y)) + self.scale * x)
        return self.end(y)


class Recurrent(nn.Module):
    """A layer that gives several tensors, after one that takes whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.cell, self.end = (
            nn.Embedding(9, 6),
            nn.LSTM(6, 5, batch_first=True),
            nn.Linear(10, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        states, (last, _) = self.cell(self.words(x))
        return self.end(torch.cat([states.mean(1), last[0]], -1))


class Tied(nn.Module):
    """One weight in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


def attention() -> nn.Module:
    return nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)


def normalised() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3)
    )


OTHERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (5, 6)),
    "tied": (Tied, (5, 6)),
    "attention": (attention, (2, 5, 6)),
    "normalised": (normalised, (3, 2, 6, 6)),
}


def squares(outputs: Tensor) -> Tensor:
    return (outputs - 0.3).square().sum()


def by_autograd(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    x = x.detach().clone().requires_grad_(x.is_floating_point())
    model = copy.deepcopy(model).eval()
    cost = squares(model(x))
    if cost.requires_grad:  # networks of threshold units have no slope anywhere
        cost.backward()
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()}
    if not x.is_floating_point():
        return found
    return {**found, "the input": torch.zeros_like(x) if x.grad is None else x.grad}


def explained(model: nn.Module, x: Tensor) -> tuple[Pass, dict[str, Tensor]]:
    walk = backpropagate(model, x, squares)
    found = dict(walk.gradients)
    return walk, found if walk.input_gradient is None else {**found, "the input": walk.input_gradient}


def check(model: nn.Module, x: Tensor) -> None:
    double = x.double() if x.is_floating_point() else x
    reference = by_autograd(copy.deepcopy(model).double(), double)
    walk, found = explained(copy.deepcopy(model).double(), double)
    assert found.keys() == reference.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, reference[name], atol=1e-12, rtol=1e-12, msg=name)
    torch.testing.assert_close(
        walk.outputs, copy.deepcopy(model).double().eval()(double), atol=1e-12, rtol=1e-12
    )
    theirs, (_, ours) = by_autograd(model, x), explained(model, x)
    for name, exact in reference.items():
        distance = (ours[name].double() - exact).abs().max()
        assert distance <= max(2 * (theirs[name].double() - exact).abs().max(), 1e-6), name


@each_case
def test_every_model_of_the_catalogue(name: str, inputs: Any, units: int) -> None:
    check(started(name, inputs, units), rows(name, inputs, 3))


@pytest.mark.parametrize("name", OTHERS)
def test_modules_of_any_make(name: str) -> None:
    torch.manual_seed(0)
    build, shape = OTHERS[name]
    check(build(), torch.randn(shape))


def test_inputs_that_are_whole_numbers() -> None:
    torch.manual_seed(0)
    check(Recurrent(), torch.randint(9, (4, 7)))


@pytest.mark.parametrize(
    "activation", [name for name in ACTIVATIONS if load("activation", name).is_trainable]
)
def test_every_activation_by_its_declared_derivative(activation: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), Activate(activation), nn.Linear(5, 2))
    check(model, torch.randn(6, 4))
    walk, _ = explained(model, torch.randn(6, 4))
    assert all(call.is_by_rule for call in walk.calls)
    after = walk.calls[1]
    if after.derivative is not None:
        torch.testing.assert_close(after.outgoing, after.incoming * after.derivative)
    else:
        assert activation == "softmax"


@pytest.mark.parametrize(
    "layer", [nn.Identity(), nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.SiLU(), nn.Flatten(), nn.Dropout(0.5)]
)
def test_layers_of_torch_whose_derivative_is_declared(layer: nn.Module) -> None:
    torch.manual_seed(0)
    assert local_rule(layer) is not None
    check(nn.Sequential(nn.Conv2d(1, 2, 2), layer, nn.Flatten(), nn.Linear(8, 2)), torch.randn(3, 1, 3, 3))


def test_what_a_pass_goes_through_hangs_together() -> None:
    """z = W x + b, a = f(z), δ = ∂L/∂a f'(z), ∂L/∂W = δᵀ x: for every layer of a network."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), Activate("tanh"), nn.Linear(5, 3), Activate("sigmoid")).double()
    walk = backpropagate(model, torch.randn(1, 4, dtype=torch.float64), squares)
    first, tanh, second, sigmoid = walk.calls
    for dense, after in ((first, tanh), (second, sigmoid)):
        found = activation_of(after.layer)
        assert found is not None and isinstance(dense.layer, nn.Linear)
        torch.testing.assert_close(
            dense.outputs, dense.inputs @ dense.layer.weight.detach().T + dense.layer.bias.detach()
        )
        torch.testing.assert_close(after.outputs, found(after.inputs))
        torch.testing.assert_close(
            dense.incoming, after.incoming * found.derivative(after.inputs, after.outputs)
        )
        torch.testing.assert_close(dense.gradients["weight"], dense.incoming.T @ dense.inputs)
        torch.testing.assert_close(dense.gradients["bias"], dense.incoming[0])
    torch.testing.assert_close(tanh.incoming, second.outgoing)
    torch.testing.assert_close(sigmoid.incoming, walk.delta)


def test_the_model_stays_as_it_was() -> None:
    model = normalised().train()
    before = copy.deepcopy(model.state_dict())
    backpropagate(model, torch.randn(3, 2, 6, 6), squares)
    assert model.training and all(layer.training for layer in model)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())


def test_frozen_weights_and_calls_are_told() -> None:
    model = Residual()
    model.dense.weight.requires_grad_(False)
    walk = backpropagate(model, torch.randn(2, 6), squares)
    assert "dense.weight" not in walk.gradients and "scale" in walk.gradients
    assert [(c.name, c.number) for c in walk.calls] == [
        ("dense", 0), ("clip", 0), ("dense", 1), ("clip", 1), ("norm", 0), ("end", 0),
    ]  # fmt: skip
