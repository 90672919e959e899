"""The decks' numbers for activations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chainrule.core.errors import UnknownNameError
from chainrule.nn.activations import (
    IDENTITY,
    LEAKY_RELU,
    RELU,
    SIGMOID,
    SOFTPLUS,
    STEP,
    TANH,
    Activate,
    Activation,
)

EXACT = 1e-6  # the curriculum's verified values are rounded to six digits


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def assert_values(found: Tensor, *expected: float, within: float = EXACT) -> None:
    assert found.tolist() == pytest.approx(expected, abs=within)


@pytest.mark.curriculum("ACT-02")
def test_sigmoid() -> None:
    assert_values(SIGMOID(numbers(3, 1, -3, 4, -2, 0)), 0.95, 0.73, 0.05, 0.98, 0.12, 0.5, within=0.005)
    assert SIGMOID.bounds == (0, 1)


def derivative(activation: Activation, *values: float) -> Tensor:
    z = numbers(*values)
    return activation.derivative(z, activation(z))


@pytest.mark.curriculum("ACT-03")
def test_sigmoid_derivative() -> None:
    assert_values(derivative(SIGMOID, 0, 1, -1, 2, -2), 0.25, 0.196612, 0.196612, 0.104994, 0.104994)
    assert derivative(SIGMOID, *torch.linspace(-5, 5, 101).tolist()).max().item() <= 0.25


@pytest.mark.curriculum("ACT-04", "NEU-01")
def test_sigmoid_limits() -> None:
    assert_values(SIGMOID(numbers(10, -10)), 0.999955, 0.000045)
    assert_values(SIGMOID(numbers(1000, -1000)), 1, 0, within=0)
    assert SIGMOID(numbers(-40)) < 1e-9 and SIGMOID(numbers(40)) > 1 - 1e-9


@pytest.mark.curriculum("ACT-06")
def test_tanh() -> None:
    z = numbers(1, 2, 0)
    assert_values(TANH(z), 0.761594, 0.964028, 0)
    assert_values(TANH(z), *((z.exp() - (-z).exp()) / (z.exp() + (-z).exp())).tolist(), within=1e-12)
    assert torch.equal(TANH(-z), -TANH(z)), "zero-centred: it keeps the sign of the input"


@pytest.mark.curriculum("ACT-07")
def test_tanh_derivative() -> None:
    assert_values(derivative(TANH, 0, 1, 2), 1, 0.419974, 0.070651)


@pytest.mark.curriculum("ACT-08")
def test_tanh_is_a_stretched_sigmoid() -> None:
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    assert (TANH(x) - (2 * SIGMOID(2 * x) - 1)).abs().max() < 1e-15


@pytest.mark.curriculum("ACT-09")
def test_relu() -> None:
    assert RELU(numbers(-2, 0, 3)).tolist() == [0, 0, 3]
    z = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    assert (RELU(z) == 0).double().mean().item() == pytest.approx(0.5, abs=0.01)


def test_relu_derivative_at_the_kink_is_zero() -> None:
    """The decks print 1 at 0 in one place and "off" in another (E07); chainrule takes autograd's 0."""
    assert derivative(RELU, -1, 0, 2).tolist() == [0, 0, 1]


@pytest.mark.curriculum("ACT-11")
def test_leaky_relu() -> None:
    z = numbers(-2, -1, 2)
    assert_values(LEAKY_RELU(z), -0.02, -0.01, 2, within=1e-12)
    assert torch.equal(LEAKY_RELU(z), torch.maximum(0.01 * z, z))
    assert_values(derivative(LEAKY_RELU, -2, 2), 0.01, 1, within=0)


@pytest.mark.curriculum("ACT-12")
def test_softplus() -> None:
    assert_values(SOFTPLUS(numbers(0, 1, -2)), 0.693147, 1.313262, 0.126928)
    assert torch.equal(derivative(SOFTPLUS, 0, 1, -2), SIGMOID(numbers(0, 1, -2)))


@pytest.mark.curriculum("ACT-15")
def test_step_fires_at_the_threshold() -> None:
    assert STEP(numbers(-0.1, 0, 0.1)).tolist() == [0, 1, 1]
    assert not STEP.is_trainable


@pytest.mark.curriculum("NEU-20")
def test_sigmoid_is_smooth_where_the_step_jumps() -> None:
    z = torch.linspace(-4, 4, 801, dtype=torch.float64)
    h = 1e-6
    slope = (SIGMOID(z + h) - SIGMOID(z - h)) / (2 * h)
    torch.testing.assert_close(slope, SIGMOID(z) * (1 - SIGMOID(z)), atol=1e-9, rtol=0)
    jumps = STEP(z + h) - STEP(z - h)
    assert jumps[400] == 1 and jumps.sum() == 1


@pytest.mark.curriculum("ACT-16")
@pytest.mark.parametrize(
    ("activation", "bounds"),
    [(SIGMOID, (0, 1)), (TANH, (-1, 1)), (RELU, (0, math.inf))],
    ids=["sigmoid", "tanh", "relu"],
)
def test_ranges_of_the_comparison_table(activation: Activation, bounds: tuple[float, float]) -> None:
    assert activation.bounds == bounds
    values = activation(
        torch.randn(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    )
    assert bounds[0] <= values.min() and values.max() <= bounds[1]
    assert activation.purpose


@pytest.mark.curriculum("GEN-13")
def test_saturation() -> None:
    assert_values(derivative(SIGMOID, 10, -10), 4.5e-5, 4.5e-5)
    assert derivative(TANH, 10).item() < 1e-8


def test_identity() -> None:
    assert IDENTITY(numbers(2)).tolist() == [2] and derivative(IDENTITY, 2).tolist() == [1]


def test_unknown_activation() -> None:
    with pytest.raises(UnknownNameError, match="no activation is called 'rellu'; did you mean 'relu'"):
        Activate("rellu")
