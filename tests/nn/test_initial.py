"""Starting weights: a pure function of the seed and the layer's place, with the deviation that the activation asks for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from chainrule.models import build
from chainrule.nn.activations import RELU, TANH
from chainrule.nn.initial import initialise_


def weights(seed: int, **settings: object) -> dict[str, torch.Tensor]:
    model = build("mlp", inputs=20, units=3, **settings)
    initialise_(model, seed)
    return model.state_dict()


def test_is_a_function_of_the_seed() -> None:
    torch.manual_seed(1)
    first = weights(0)
    torch.manual_seed(2)
    again, other = weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_golden_weights() -> None:
    """Recorded when written: other numbers mean that recipes of earlier versions start elsewhere."""
    layer = nn.Linear(3, 1)
    initialise_(layer, 0)
    assert layer.weight[0].tolist() == pytest.approx([-0.690902, -0.578761, -0.281994], abs=1e-6)


def test_leaves_the_global_generator_alone() -> None:
    model = build("mlp", inputs=20, units=3)
    before = torch.get_rng_state()
    initialise_(model, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_layer_depends_on_its_place_alone() -> None:
    """A wider layer further on, or dropout in between, does not move the start of the layers before it."""
    plain, wider, noisy = (
        weights(0, hidden=(8, 8)),
        weights(0, hidden=(8, 16)),
        weights(0, hidden=(8, 8), dropout=0.5),
    )
    assert torch.equal(plain["0.weight"], wider["0.weight"])
    assert torch.equal(plain["2.weight"], noisy["3.weight"])


@pytest.mark.parametrize(("activation", "gain"), [("relu", RELU.gain), ("tanh", TANH.gain)])
def test_deviation_is_gain_over_the_root_of_fan_in(activation: str, gain: float) -> None:
    model = build("mlp", inputs=400, units=300, hidden=(500,), activation=activation)
    initialise_(model, 0)
    hidden, output = model[0].weight, model[2].weight
    assert hidden.std().item() == pytest.approx(gain / math.sqrt(400), rel=0.01)
    assert output.std().item() == pytest.approx(1 / math.sqrt(500), rel=0.01), "nothing follows: gain 1"
    assert abs(hidden.mean().item()) < 5 * gain / math.sqrt(400) / math.sqrt(hidden.numel())
    assert not model[0].bias.any() and not model[2].bias.any()


def test_fan_in_of_a_convolution_is_channels_times_window() -> None:
    model = nn.Sequential(nn.Conv2d(16, 64, 5))
    initialise_(model, 0)
    assert model[0].weight.std().item() == pytest.approx(1 / math.sqrt(16 * 25), rel=0.02)


def test_layers_without_bias() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False))
    initialise_(model, 0)
    assert model[0].bias is None
