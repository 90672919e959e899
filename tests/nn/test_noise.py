"""Dropout: a mask is a pure function of seed, member, layer and step, and statistically a fair one."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from sklearn.datasets import load_digits
from torch import Tensor, nn

from chainrule import AutogradStep, Batches, MultiClass, Objective, Regression, optimizer, schedule, updates
from chainrule.core.errors import SettingError, ShapeError
from chainrule.core.seeds import mix
from chainrule.models import build
from chainrule.nn.initial import initialise_
from chainrule.nn.noise import Dropout, Noise, keep_
from chainrule.train.native_step import NativeStep

RATE, ROWS, WIDTH = 0.3, 64, 128
GOLDEN = [
    "1110111011111010110101111010111111011111",
    "1111101101111011100111011011111001110110",
    "1111111110011110110111101010111100110111",
]


def mask(layer: Dropout, seed: int, step: int, rows: int = ROWS) -> Tensor:
    layer.seeds, layer.step = [seed], step
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


@pytest.mark.curriculum("REG-07")
def test_drops_at_its_rate_and_keeps_the_mean() -> None:
    kept = masks()
    deviation = math.sqrt(RATE * (1 - RATE) / kept.numel())
    assert abs(kept.mean().item() - (1 - RATE)) < 5 * deviation
    out = mask(Dropout(RATE), 0, 0)
    assert set(out.unique().tolist()) == {0, torch.tensor(1 / (1 - RATE)).item()}
    every_unit = kept.mean(1)  # no unit and no row is favoured over the steps
    assert (every_unit - (1 - RATE)).abs().max() < 6 * math.sqrt(RATE * (1 - RATE) / kept.shape[1])


@pytest.mark.curriculum("REG-08")
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


@pytest.mark.parametrize("are_kept", [True, False])
def test_runs_are_as_long_as_those_of_independent_draws(are_kept: bool) -> None:
    """A chi-square over how many values in a row are kept, or dropped: k of them with probability (1 − p) p^(k − 1)."""
    longest, share = 12, (1 - RATE) if are_kept else RATE
    lengths = np.concatenate([runs(each, are_kept) for each in masks().flatten(0, 1)])
    found = np.bincount(np.minimum(lengths, longest), minlength=longest + 1)[1:]
    expected = share ** np.arange(longest)  # of at least k + 1
    expected[:-1] *= 1 - share
    assert chisquare(found, expected * len(lengths)).pvalue > 0.01


def runs(kept: Tensor, are_kept: bool) -> np.ndarray:
    """Return the lengths of the runs of kept or of dropped values, but for those at both ends, which are cut."""
    changes = np.flatnonzero(np.diff(kept.numpy()))
    return np.diff(changes)[kept.numpy()[changes[:-1] + 1] == are_kept]


def test_golden_mask() -> None:
    """Recorded when written, and the same on every machine: 1 where a value is kept."""
    layer = Dropout(RATE).train()
    layer.seeds, layer.step = [3], 7
    found = ["".join("01"[int(value > 0)] for value in row) for row in layer(torch.ones(3, 40))]
    assert found == GOLDEN


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("units", [1, 3, 4, 5, 16, 37, 130])
def test_masks_of_compiled_code_are_the_same_bits(units: int) -> None:
    """Hidden units of 1 that a second layer hands on as they are: the outputs are what they were multiplied with."""
    for rate, rows, number in (
        (0.001, 1, 0),
        (0.3, 17, 5),
        (0.5, 64, 2**31),
        (0.9, 33, 12345),
        (0.999, 40, 1),
    ):
        network = nn.Sequential(nn.Linear(1, units), Dropout(rate), nn.Linear(units, units))
        for layer in (network[0], network[2]):
            nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
        nn.init.ones_(network[0].bias), nn.init.eye_(network[2].weight)
        task = Regression([f"unit {k}" for k in range(units)])
        rule = functools.partial(optimizer, "sgd", learning_rate=0.1)
        step = NativeStep(Objective(network, task), rule, "sgd", seed=11)
        step.prepare(number, 1.0)
        found = step.differentiate(torch.zeros(rows, 1), torch.zeros(rows, units)).outputs
        wanted = keep_(torch.empty(rows, units), mix(step.noise.layers[0].seeds[0], number), rate)
        assert found.numpy().tobytes() == wanted.numpy().tobytes()


def test_golden_seeds() -> None:
    """Recorded when written: other seeds mean other masks."""
    layers = Noise(nn.Sequential(Dropout(0.5), Dropout(0.5)), seed=0).layers
    assert [layer.seeds for layer in layers] == [[915238413816962292], [5711808691932617248]]


def test_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    mask(Dropout(RATE), 0, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_members_differ() -> None:
    model = build("mlp", inputs=4, units=2, hidden=(8, 8), dropout=0.5)
    seeds = []
    for member in range(3):
        seeds += [layer.seeds[0] for layer in Noise(model, seed=0, member=member).layers]
    assert len(set(seeds)) == 6


RATES = (0.0, 0.2, 0.5, 0.8)


def test_every_member_has_its_rate_and_the_mask_of_its_network_alone() -> None:
    together = nn.Sequential(Dropout(torch.tensor(RATES)), Dropout(torch.tensor(RATES))).train()
    noise, x = Noise(together, seed=4), torch.ones(len(RATES), ROWS, WIDTH)
    for step in (0, 5):
        noise.at(step)
        out = together(x)
        for member, rate in enumerate(RATES):
            alone = nn.Sequential(
                Dropout(together[0].rates[member]), Dropout(together[1].rates[member])
            ).train()
            Noise(alone, seed=4, member=member).at(step)
            assert torch.equal(alone(x[member]), out[member])
            kept = (1 - rate) ** 2
            spread = math.sqrt(kept * (1 - kept) / (ROWS * WIDTH))
            assert abs((out[member] != 0).float().mean().item() - kept) <= 5 * spread
    masks = (together[0](x[:, :1].expand_as(x)) > 0)[1:].flatten(1).float()
    assert (torch.corrcoef(masks) - torch.eye(3)).abs().max() < 5 / math.sqrt(ROWS * WIDTH)


def test_members_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"dropout has 4 members; got inputs of shape \(3, 8\)"):
        Dropout(torch.tensor(RATES)).train()(torch.ones(3, 8))
    with pytest.raises(SettingError, match=r"below 1; got 1\.5"):
        Dropout(torch.tensor([0.1, 1.5]))


def trained_with_dropout() -> tuple[nn.Module, Tensor]:
    """Train a small network with dropout on the digits, and return it with rows that it was not trained on."""
    data = load_digits()
    x = torch.tensor(data.data / 16, dtype=torch.float32)
    y = torch.tensor(data.target)
    model = build("mlp", inputs=64, units=10, hidden=(64,), dropout=0.5)
    initialise_(model, 0)
    task = MultiClass([str(k) for k in range(10)])
    rule = optimizer("adam", model.parameters(), learning_rate=3e-3)
    step = AutogradStep(Objective(model, task), rule, seed=0)
    for _ in updates(step, Batches(x[:1000], y[:1000], 50), schedule("constant", steps=100)):
        pass
    return model, x[1000:1100]


@pytest.mark.curriculum("REG-08", "ENS-06")
def test_prediction_is_about_the_average_of_many_masked_passes() -> None:
    """Every mask is a network of its own; the plain pass stands for their average."""
    model, x = trained_with_dropout()
    noise, count, passes = Noise(model, seed=9), 200, []
    with torch.no_grad():
        plain = model.eval()(x)
        model.train()
        for step in range(count):
            noise.at(step)
            passes.append(model(x))
    outputs = torch.stack(passes)
    assert (outputs[0] - outputs[1]).abs().mean() > 0.3, "two masks are two networks"
    off_alone, off_together = (outputs - plain).abs().mean(), (outputs.mean(0) - plain).abs().mean()
    # Averages of independent draws come nearer with the root of their number.
    assert off_together < 1.5 * off_alone / math.sqrt(count)
    answers = outputs.softmax(-1).mean(0).argmax(1)
    assert (answers == plain.argmax(1)).float().mean() > 0.95


@pytest.mark.curriculum("REG-07")
def test_half_are_zero_the_mean_stays_and_prediction_is_untouched() -> None:
    """`rate` is the part that is dropped, keep_prob = 1 − rate (E13)."""
    for rate in (0.2, 0.5):
        out = mask(Dropout(rate), 0, 0, rows=1000)
        assert (out == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
        assert out.mean().item() == pytest.approx(1, abs=0.02)
        x = torch.randn(5, 3)
        assert torch.equal(Dropout(rate).eval()(x), x)


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
