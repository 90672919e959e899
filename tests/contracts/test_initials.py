"""What every start of the catalogue promises."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn

from chainrule.catalog import INITIALS
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.nn.initial import find_initial, initialise_

# The deviation of the weights, from the inputs of a unit and the units that an input reaches.
DEVIATIONS = {
    "standard": lambda n_in, n_out: math.sqrt(1 / (3 * n_in)),
    "xavier": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "xavier-normal": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "he": lambda n_in, n_out: math.sqrt(2 / n_in),
    "he-uniform": lambda n_in, n_out: math.sqrt(2 / n_in),
    "lecun": lambda n_in, n_out: math.sqrt(1 / n_in),
    "lecun-uniform": lambda n_in, n_out: math.sqrt(1 / n_in),
    "orthogonal": lambda n_in, n_out: math.sqrt(1 / max(n_in, n_out)),
    "normal": lambda n_in, n_out: 0.01,
    "constant": lambda n_in, n_out: 0.0,
    "zeros": lambda n_in, n_out: 0.0,
}
EVEN = ("standard", "xavier", "he-uniform", "lecun-uniform")
NUMBERED = [name for name, entry in INITIALS.items() if entry.number]
DRAWN = [name for name, deviation in DEVIATIONS.items() if deviation(1, 1)]

each_initial = pytest.mark.parametrize("name", INITIALS)


def dense(name: str, n_in: int = 300, n_out: int = 200, seed: int = 0) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    initialise_(layer, seed, name)
    return layer


def test_the_battery_covers_the_catalogue() -> None:
    assert DEVIATIONS.keys() == INITIALS.keys()


@each_initial
def test_weights_have_the_deviation_that_is_said(name: str) -> None:
    for n_in, n_out in ((300, 200), (100, 400)):
        weight = dense(name, n_in, n_out).weight
        expected = DEVIATIONS[name](n_in, n_out)
        assert weight.std().item() == pytest.approx(expected, rel=4 / math.sqrt(weight.numel()), abs=1e-9)
        if name in EVEN:
            assert weight.abs().max().item() == pytest.approx(expected * math.sqrt(3), rel=1e-3)
        elif name in DRAWN:
            assert weight.abs().max() > 3 * expected, "a normal distribution has no bound"


@each_initial
def test_a_convolution_counts_the_places_of_its_window(name: str) -> None:
    layer = nn.Conv2d(16, 32, 5)
    initialise_(layer, 0, name)
    n_in, n_out = (16 * 25, 32) if name == "orthogonal" else (16 * 25, 32 * 25)
    expected = DEVIATIONS[name](n_in, n_out)
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.05, abs=1e-9)


@each_initial
def test_biases_start_at_zero_unless_it_says_otherwise(name: str) -> None:
    assert bool(dense(name).bias.any()) == (name == "standard")


@each_initial
def test_is_a_function_of_seed_and_place(name: str) -> None:
    torch.manual_seed(1)
    chain = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    before = torch.get_rng_state()
    initialise_(chain, 3, name)
    assert torch.equal(torch.get_rng_state(), before), "the global generator is left alone"
    torch.manual_seed(2)
    again = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 5))
    initialise_(again, 3, name)
    assert torch.equal(again[0].weight, chain[0].weight) and torch.equal(again[1].weight, chain[2].weight)
    differ = name in DRAWN
    assert torch.equal(chain[0].weight, chain[2].weight) != differ, "every layer has weights of its own"
    assert torch.equal(dense(name, seed=0).weight, dense(name, seed=1).weight) != differ


@each_initial
def test_keeps_dtype(name: str) -> None:
    layer = nn.Linear(4, 3, dtype=torch.float64)
    initialise_(layer, 0, name)
    assert layer.weight.dtype == layer.bias.dtype == torch.float64
    bare = nn.Linear(4, 3, bias=False)
    initialise_(bare, 0, name)
    assert bare.bias is None


@pytest.mark.parametrize("name", NUMBERED)
def test_number_scales_the_weights(name: str) -> None:
    one, three = dense(f"{name}:1").weight, dense(f"{name}:3").weight
    torch.testing.assert_close(three, 3 * one)
    assert not dense(f"{name}:0").weight.any()


@pytest.mark.parametrize("name", [name for name in INITIALS if name not in NUMBERED])
def test_number_where_none_is_taken(name: str) -> None:
    with pytest.raises(SettingError, match=f"the initial {name} takes no number; got '{name}:2'"):
        find_initial(f"{name}:2")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("normal:-1", SettingError, "the number of the start normal cannot be negative; got 'normal:-1'"),
        ("orthogonal:-1", SettingError, "the number of the start orthogonal cannot be negative"),
        ("normal:x", SettingError, "normal:NUMBER takes a number, its std; got 'normal:x'"),
        ("xavir", UnknownNameError, "no initial is called 'xavir'; did you mean 'xavier'"),
    ],
)
def test_what_is_no_start(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        find_initial(text)


def test_orthogonal_units_keep_lengths() -> None:
    weight = dense("orthogonal", 200, 200).weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(200), atol=1e-5, rtol=0)
    x = torch.randn(5, 200)
    torch.testing.assert_close((x @ weight.T).norm(dim=1), x.norm(dim=1))
