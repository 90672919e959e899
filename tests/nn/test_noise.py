"""Dropout: a mask is a pure function of seed, member, layer and step, and statistically a fair one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.models import build
from chainrule.nn.noise import Dropout, Noise

RATE, ROWS, WIDTH = 0.3, 64, 128


def mask(layer: Dropout, seed: int, step: int, rows: int = ROWS) -> Tensor:
    layer.seed, layer.step = seed, step
    return layer.train()(torch.ones(rows, WIDTH))


def masks(count: int = 50) -> Tensor:
    """Return the kept values of two layers over steps, as 0 and 1. Shapes: (layers, steps, ROWS × WIDTH)."""
    model = nn.Sequential(Dropout(RATE), Dropout(RATE))
    noise, ones = Noise(model, seed=5), torch.ones(ROWS, WIDTH)
    found: list[list[Tensor]] = [[], []]
    for step in range(count):
        noise.at(step)
        for place, layer in enumerate(noise.layers):
            found[place].append((layer(ones) > 0).float().flatten())
    return torch.stack([torch.stack(layer) for layer in found])


def test_drops_at_its_rate_and_keeps_the_mean() -> None:
    kept = masks()
    deviation = math.sqrt(RATE * (1 - RATE) / kept.numel())
    assert abs(kept.mean().item() - (1 - RATE)) < 5 * deviation
    out = mask(Dropout(RATE), 0, 0)
    assert set(out.unique().tolist()) == {0, torch.tensor(1 / (1 - RATE)).item()}
    every_unit = kept.mean(1)  # no unit and no row is favoured over the steps
    assert (every_unit - (1 - RATE)).abs().max() < 6 * math.sqrt(RATE * (1 - RATE) / kept.shape[1])


def test_steps_and_layers_are_independent() -> None:
    kept = masks().flatten(0, 1)  # 100 masks: two layers × 50 steps
    correlations = torch.corrcoef(kept) - torch.eye(len(kept))
    assert correlations.abs().max() < 5.5 / math.sqrt(ROWS * WIDTH)
    neighbours = torch.corrcoef(torch.stack([kept[:, :-1].flatten(), kept[:, 1:].flatten()]))[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(kept.numel())


def test_mask_is_a_function_of_seed_and_step() -> None:
    first = mask(Dropout(RATE), seed=3, step=7)
    torch.manual_seed(123)
    torch.rand(10)
    assert torch.equal(mask(Dropout(RATE), seed=3, step=7), first)
    assert not torch.equal(mask(Dropout(RATE), seed=3, step=8), first)
    assert not torch.equal(mask(Dropout(RATE), seed=4, step=7), first)


def test_golden_seeds() -> None:
    """Recorded when written: other seeds mean other masks. What torch draws from them may differ between machines."""
    layers = Noise(nn.Sequential(Dropout(0.5), Dropout(0.5)), seed=0).layers
    assert [layer.seed for layer in layers] == [915238413816962292, 5711808691932617248]


def test_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    mask(Dropout(RATE), 0, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_members_differ() -> None:
    model = build("mlp", inputs=4, units=2, hidden=(8, 8), dropout=0.5)
    seeds = []
    for member in range(3):
        seeds += [layer.seed for layer in Noise(model, seed=0, member=member).layers]
    assert len(set(seeds)) == 6


def test_prediction_is_without_noise() -> None:
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0).train()(x) is x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_keeps_dtype(dtype: torch.dtype) -> None:
    assert Dropout(0.5).train()(torch.ones(3, dtype=dtype)).dtype == dtype


def test_gradient_passes_where_values_passed() -> None:
    x = torch.ones(100, requires_grad=True)
    y = Dropout(RATE).train()(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, math.nan])
def test_rate_out_of_range(rate: float) -> None:
    with pytest.raises(SettingError, match="dropout must be at least 0 and below 1"):
        Dropout(rate)
