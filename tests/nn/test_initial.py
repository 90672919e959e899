"""Starting weights: a pure function of the seed and the layer's place, evenly spread by the layer's fan-in."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from chainrule.models import build
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
    assert layer.weight[0].tolist() == pytest.approx([-0.489163, -0.538199, 0.101659], abs=1e-6)
    assert layer.bias.item() == pytest.approx(0.455754, abs=1e-6)


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


def assert_even(values: torch.Tensor, bound: float) -> None:
    """Within ±bound, near both ends, with the mean and the deviation of an even spread."""
    assert values.abs().max() <= bound and values.min() < -0.95 * bound and values.max() > 0.95 * bound
    deviation = bound / math.sqrt(3)
    assert abs(values.mean().item()) < 5 * deviation / math.sqrt(values.numel())
    assert values.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(values.numel()))


def test_spread_is_one_over_the_root_of_fan_in() -> None:
    model = build("mlp", inputs=400, units=300, hidden=(500,))
    initialise_(model, 0)
    for layer, fan_in in ((model[0], 400), (model[2], 500)):
        assert_even(layer.weight.flatten(), 1 / math.sqrt(fan_in))
        assert_even(layer.bias, 1 / math.sqrt(fan_in))


def test_fan_in_of_a_convolution_is_channels_times_window() -> None:
    model = nn.Sequential(nn.Conv2d(16, 64, 5))
    initialise_(model, 0)
    assert_even(model[0].weight.flatten(), 1 / math.sqrt(16 * 25))


def test_layers_without_bias() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False))
    initialise_(model, 0)
    assert model[0].bias is None


@pytest.mark.parametrize("start", ["standard", "he", "orthogonal"])
def test_weights_are_the_same_however_they_lie_in_memory(start: str) -> None:
    plain, turned = nn.Linear(4, 3), nn.Linear(4, 3)
    turned.weight.data = torch.empty(4, 3).t()
    for layer in (plain, turned):
        initialise_(layer, 5, start)
    assert torch.equal(plain.weight, turned.weight)
    assert turned.weight.stride() == (1, 3)
