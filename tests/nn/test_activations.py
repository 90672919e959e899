"""The decks' numbers for activations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.nn.activations import (
    IDENTITY,
    LEAKY_RELU,
    RELU,
    SIGMOID,
    SOFTMAX,
    SOFTPLUS,
    STEP,
    TANH,
    Activate,
    Activation,
    activation,
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
    """G46."""
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    assert (TANH(x) - (2 * SIGMOID(2 * x) - 1)).abs().max() < 1e-15


@pytest.mark.curriculum("ACT-09")
def test_relu() -> None:
    assert RELU(numbers(-2, 0, 3)).tolist() == [0, 0, 3]
    z = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    assert (RELU(z) == 0).double().mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.curriculum("ACT-10")
def test_relu_derivative_and_the_kink() -> None:
    """G47. The decks print 1 at 0 in one place and "off" in another (E07): 1 is the slope to the right of the kink, 0 that
    to its left, which autograd takes and chainrule with it."""
    assert RELU.kinks == (0.0,)
    z = numbers(-1, 0, 2)
    right = torch.nextafter(z, numbers(9, 9, 9))
    assert RELU.derivative(right, RELU(right)).tolist() == [0, 1, 1], "as printed"
    assert ((RELU(z + 1e-6) - RELU(z)) / 1e-6).tolist() == pytest.approx([0, 1, 1], abs=EXACT)
    assert derivative(RELU, -1, 0, 2).tolist() == [0, 0, 1], "as declared"
    z.requires_grad_()
    assert torch.autograd.grad(RELU(z).sum(), z)[0].tolist() == [0, 0, 1]


@pytest.mark.curriculum("ACT-11")
def test_leaky_relu() -> None:
    z = numbers(-2, -1, 2)
    assert_values(LEAKY_RELU(z), -0.02, -0.01, 2, within=1e-12)
    assert_values(derivative(LEAKY_RELU, -2, 2), 0.01, 1, within=0)
    for slope in (0.01, 0.2, 1):
        assert torch.equal(activation(f"leaky-relu:{slope}")(z), torch.maximum(slope * z, z))


@pytest.mark.curriculum("ACT-11")
def test_leaky_relu_is_the_larger_of_both_only_up_to_slope_one() -> None:
    """max(a z, z) with a = 2 would bend the other half of the line (E40), so such a slope is refused."""
    z = numbers(-2, 2)
    assert torch.maximum(2 * z, z).tolist() == [-2, 4]
    with pytest.raises(SettingError, match=r"the slope of leaky-relu must be from 0 to 1; got 2"):
        activation("leaky-relu:2")


@pytest.mark.curriculum("ACT-13")
def test_linear() -> None:
    z = numbers(2, -1)
    tripled = activation("linear:3")
    assert tripled(z).tolist() == [6, -3] and tripled.derivative(z, tripled(z)).tolist() == [3, 3]
    assert IDENTITY(z).tolist() == activation("linear")(z).tolist() == [2, -1]
    assert derivative(IDENTITY, 2).tolist() == [1]


@pytest.mark.curriculum("ACT-14")
def test_softmax_is_a_probability_vector() -> None:
    z = torch.randn(5, 4, dtype=torch.float64)
    shares = SOFTMAX(z)
    torch.testing.assert_close(shares, z.exp() / z.exp().sum(-1, keepdim=True))
    torch.testing.assert_close(shares.sum(-1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(SOFTMAX(z + 1000), shares)  # no overflow, and no change
    assert (shares.argmax(-1) == z.argmax(-1)).all(), "the most probable class is the one of the largest z"
    assert not SOFTMAX.is_element_wise
    assert SOFTMAX(numbers(-1, 0.5)).min() > 0, "no threshold: every class keeps a share (E20)"


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
    ("name", "bounds", "drawbacks"),
    [
        ("sigmoid", (0, 1), ("vanish", "not zero-centred")),
        ("tanh", (-1, 1), ("vanish", "less soon")),
        ("relu", (0, math.inf), ("dead",)),
    ],
)
def test_comparison_table(name: str, bounds: tuple[float, float], drawbacks: tuple[str, ...]) -> None:
    """Ranges and drawbacks as declared, and as sampled (E68: tanh saturates too, less severely than sigmoid)."""
    f = activation(name)
    assert f.bounds == bounds and f.formula and f.advantages
    assert all(words in f.drawbacks for words in drawbacks)
    z = 3 * torch.randn(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, slopes = f(z), f.derivative(z, f(z))
    assert bounds[0] <= values.min() and values.max() <= bounds[1]
    assert (abs(values.mean()) < 0.05) == (name == "tanh"), "zero-centred"
    assert slopes.max() == pytest.approx({"sigmoid": 0.25, "tanh": 1, "relu": 1}[name], abs=1e-4)
    far = numbers(-30, 30)
    assert f.derivative(far, f(far)).round(decimals=9).tolist() == [0, 1 if name == "relu" else 0]


@pytest.mark.curriculum("GEN-13")
def test_saturation() -> None:
    assert_values(derivative(SIGMOID, 10, -10), 4.5e-5, 4.5e-5)
    assert derivative(TANH, 10).item() < 1e-8


def test_unknown_activation() -> None:
    with pytest.raises(UnknownNameError, match="no activation is called 'rellu'; did you mean 'relu'"):
        Activate("rellu")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("leaky-relu:-0.1", "the slope of leaky-relu must be from 0 to 1; got -0.1"),
        ("elu:-1", "the scale of elu must be from 0 to 100; got -1"),
        ("leaky-relu:steep", "leaky-relu:NUMBER takes a number, its slope below 0; got 'leaky-relu:steep'"),
        ("tanh:2", "the activation tanh takes no number; got 'tanh:2'"),
    ],
)
def test_number_that_does_not_fit(text: str, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        Activate(text)
    assert said in str(caught.value)


def test_number_is_part_of_the_name() -> None:
    assert [activation(text).name for text in ("leaky-relu:0.20", "linear: 3", "elu")] == [
        "leaky-relu:0.2",
        "linear:3",
        "elu",
    ]
    assert activation("leaky-relu:0.2").number == 0.2 and LEAKY_RELU.number == 0.01
