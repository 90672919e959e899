"""What every activation of the catalogue promises, also with another number after its name."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from chainrule.catalog import ACTIVATIONS
from chainrule.nn.activations import Activate, activation

NUMBERED = ("linear:3", "linear:-0.5", "leaky-relu:0.2", "leaky-relu:1", "leaky-relu:0", "elu:0.5", "elu:2")
NAMES = (*ACTIVATIONS, *NUMBERED)
ELEMENT_WISE = [name for name in NAMES if activation(name).is_element_wise]
OF_VECTORS = [name for name in NAMES if not activation(name).is_element_wise]

every = pytest.mark.parametrize("name", NAMES)
element_wise = pytest.mark.parametrize("name", ELEMENT_WISE)
of_vectors = pytest.mark.parametrize("name", OF_VECTORS)


def samples(name: str) -> Tensor:
    """Return points near and far, none at a kink or at 0, where some second derivatives jump."""
    z = torch.cat([torch.linspace(-6, 6, 601), torch.linspace(-40, 40, 801)]).double()
    for kink in {0.0, *activation(name).kinks}:
        z = z[(z - kink).abs() > 1e-3]
    return z


def vectors() -> Tensor:
    return 3 * torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_battery_covers_every_number() -> None:
    assert {name.partition(":")[0] for name in NUMBERED} == {
        name for name, entry in ACTIVATIONS.items() if entry.number
    }


@element_wise
def test_derivative_equals_the_numerical_one(name: str) -> None:
    f, z, h = activation(name), samples(name), 1e-5
    numerical = (f(z + h) - f(z - h)) / (2 * h)
    torch.testing.assert_close(f.derivative(z, f(z)), numerical, atol=1e-9, rtol=1e-7)


@element_wise
def test_derivative_equals_autograd(name: str) -> None:
    f, z = activation(name), samples(name).requires_grad_()
    value = f(z)
    if not f.is_trainable:
        assert not value.requires_grad and not f.derivative(z, value).any()
        return
    (gradient,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(f.derivative(z, value).detach(), gradient, atol=1e-12, rtol=1e-12)


@element_wise
def test_derivative_at_zero_and_at_kinks_is_what_autograd_takes(name: str) -> None:
    f = activation(name)
    z = torch.tensor([0.0, *f.kinks], dtype=torch.float64, requires_grad=True)
    if f.is_trainable:
        (gradient,) = torch.autograd.grad(f(z).sum(), z)
        torch.testing.assert_close(f.derivative(z, f(z)).detach(), gradient)


@element_wise
def test_kinks_are_where_the_derivative_jumps(name: str) -> None:
    """On both sides of a kink the slopes differ, or the value jumps; between neighbouring points elsewhere neither."""
    f, h = activation(name), 1e-6
    at = torch.tensor(f.kinks, dtype=torch.float64)
    slopes = [f.derivative(at + side, f(at + side)) for side in (-h, h)]
    jumps = (f(at + h) - f(at - h)).abs()
    straight = name in ("leaky-relu:1",)  # the one slope that is on both sides alike
    assert straight or ((slopes[0] - slopes[1]).abs() + jumps > 0.01).all()
    z = samples(name)
    change = f.derivative(z + h, f(z + h)) - f.derivative(z - h, f(z - h))
    assert (change.abs() < 1e-4).all()


@every
def test_backward_is_what_autograd_gives(name: str) -> None:
    f, z = activation(name), vectors().requires_grad_()
    gradient = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    a = f(z)
    found = f.backward(z.detach(), a.detach(), gradient)
    if f.is_trainable:
        (expected,) = torch.autograd.grad(a, z, gradient)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    else:
        assert not found.any()


@of_vectors
def test_jacobian_of_a_vector(name: str) -> None:
    f, z = activation(name), vectors()
    jacobians = f.derivative(z, f(z))
    assert jacobians.shape == (7, 5, 5)
    for row in range(len(z)):
        expected = torch.autograd.functional.jacobian(f, z[row])
        torch.testing.assert_close(jacobians[row], expected, atol=1e-12, rtol=1e-12)
    gradient = torch.randn(7, 5, dtype=torch.float64)
    by_jacobian = (gradient.unsqueeze(-2) @ jacobians).squeeze(-2)
    torch.testing.assert_close(f.backward(z, f(z), gradient), by_jacobian, atol=1e-12, rtol=1e-12)


@every
def test_values_stay_within_the_bounds_and_reach_for_them(name: str) -> None:
    f = activation(name)
    low, high = f.bounds
    z = torch.cat([torch.linspace(-50, 50, 200_001), torch.tensor([-1e6, 1e6])]).double()
    values = f(z) if f.is_element_wise else f(torch.stack([z, -z], -1))
    assert low <= values.min() and values.max() <= high
    for bound, extreme in ((low, values.min()), (high, values.max())):
        # A bound that nothing comes near says nothing.
        assert abs(extreme) >= 1000 if math.isinf(bound) else abs(extreme - bound) < 1e-5


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_keeps_dtype_and_shape(name: str, dtype: torch.dtype) -> None:
    f, z = activation(name), torch.randn(2, 3, 4).to(dtype)
    found = [f(z), f.derivative(z, f(z)), f.backward(z, f(z), torch.ones_like(z))]
    assert all(part.dtype == dtype for part in found)
    assert found[0].shape == found[2].shape == z.shape
    assert found[1].shape == (z.shape if f.is_element_wise else (2, 3, 4, 4))


@every
@pytest.mark.parametrize("size", [100.0, 1000.0, 1e30])
def test_is_finite_far_out(name: str, size: float) -> None:
    f = activation(name)
    z = torch.tensor([-size, size, 0.0], requires_grad=True)
    assert torch.isfinite(f(z)).all() and torch.isfinite(f.derivative(z, f(z))).all()
    if f.is_trainable:
        (gradient,) = torch.autograd.grad(f(z).sum(), z)
        assert torch.isfinite(gradient).all()


@element_wise
def test_is_element_wise(name: str) -> None:
    f, z = activation(name), torch.randn(5, 7)
    torch.testing.assert_close(f(z)[3], f(z[3]))
    torch.testing.assert_close(f(z.flatten()), f(z).flatten())


@every
def test_is_a_layer_under_its_name(name: str) -> None:
    layer, z = Activate(name), torch.randn(4, 3)
    assert isinstance(layer, nn.Module) and not list(layer.parameters())
    assert torch.equal(layer(z), activation(name)(z))
    assert repr(layer) == f"Activate({name})"
    assert layer.activation.name == name


@every
def test_says_what_it_is_for(name: str) -> None:
    f = activation(name)
    for said in (f.formula, f.derivative_formula, f.purpose, f.advantages, f.drawbacks):
        assert said and said.isprintable() and not said.endswith(".")


def test_the_compiler_takes_all_as_one_graph() -> None:
    """Without its code generation, which takes minutes: capture and differentiation of the graph."""

    def values_and_gradients(z: Tensor) -> list[Tensor]:
        found = []
        for f in activations:
            a = f.value(z)
            found += [a, f.derivative(z, a), f.backward(z, a, torch.ones_like(z))]
        return found

    activations = [activation(name) for name in NAMES]
    z = torch.linspace(-5, 5, 24).reshape(4, 6)
    compiled = torch.compile(values_and_gradients, backend="aot_eager", fullgraph=True)(z)
    for mine, eager in zip(compiled, values_and_gradients(z), strict=True):
        torch.testing.assert_close(mine, eager, atol=1e-6, rtol=1e-5)
