"""What every activation of the catalogue promises."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from chainrule.catalog import ACTIVATIONS, load
from chainrule.nn.activations import Activate, Activation

pytestmark = pytest.mark.parametrize("name", ACTIVATIONS)

KINKS = ("relu", "leaky-relu", "step")  # their derivative jumps at 0; they are compared off it


def samples(name: str, dtype: torch.dtype = torch.float64) -> Tensor:
    z = torch.linspace(-6, 6, 601, dtype=dtype)
    return z[z.abs() > 1e-3] if name in KINKS else z


def activation(name: str) -> Activation:
    found: Activation = load("activation", name)
    return found


def test_derivative_equals_the_numerical_one(name: str) -> None:
    f, z, h = activation(name), samples(name), 1e-5
    numerical = (f(z + h) - f(z - h)) / (2 * h)
    torch.testing.assert_close(f.derivative(z, f(z)), numerical, atol=1e-9, rtol=1e-7)


def test_derivative_equals_autograd(name: str) -> None:
    f, z = activation(name), samples(name).requires_grad_()
    value = f(z)
    if not f.is_trainable:
        assert not value.requires_grad and not f.derivative(z, value).any()
        return
    (gradient,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(f.derivative(z, value).detach(), gradient, atol=1e-12, rtol=1e-12)


def test_derivative_at_zero_is_what_autograd_takes(name: str) -> None:
    f, z = activation(name), torch.zeros(1, dtype=torch.float64, requires_grad=True)
    if f.is_trainable:
        (gradient,) = torch.autograd.grad(f(z).sum(), z)
        torch.testing.assert_close(f.derivative(z, f(z)).detach(), gradient)


def test_values_stay_within_the_bounds_and_reach_for_them(name: str) -> None:
    f = activation(name)
    low, high = f.bounds
    values = f(torch.linspace(-50, 50, 200_001, dtype=torch.float64))
    assert low <= values.min() and values.max() <= high
    for bound, extreme in (
        (low, values.min()),
        (high, values.max()),
    ):  # a bound that nothing comes near says nothing
        assert abs(extreme) >= 0.49 if math.isinf(bound) else abs(extreme - bound) < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_keeps_dtype_and_shape(name: str, dtype: torch.dtype) -> None:
    f, z = activation(name), torch.randn(2, 3, 4).to(dtype)
    assert f(z).dtype == f.derivative(z, f(z)).dtype == dtype
    assert f(z).shape == f.derivative(z, f(z)).shape == z.shape


def test_is_finite_far_out(name: str) -> None:
    f, z = activation(name), torch.tensor([-1000.0, -100, 100, 1000])
    assert torch.isfinite(f(z)).all() and torch.isfinite(f.derivative(z, f(z))).all()


def test_is_element_wise(name: str) -> None:
    f, z = activation(name), torch.randn(5, 7)
    torch.testing.assert_close(f(z)[3], f(z[3]))
    torch.testing.assert_close(f(z.flatten()), f(z).flatten())


def test_is_a_layer_under_its_name(name: str) -> None:
    layer, z = Activate(name), torch.randn(4, 3)
    assert isinstance(layer, nn.Module) and not list(layer.parameters())
    assert torch.equal(layer(z), activation(name)(z))
    assert repr(layer) == f"Activate({name})"
    assert layer.activation.name == name and layer.activation.purpose
