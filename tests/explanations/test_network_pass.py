"""Networks written by hand, explained: every printed number of the lectures, and every gradient against autograd."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.catalog import NETWORKS
from chainrule.core.errors import DataError
from chainrule.explanations.network_file import parse_network, read_network
from chainrule.explanations.network_pass import explain_network
from chainrule.explanations.passes import PassExplanation
from chainrule.nn.activations import activation


def explained(name: str) -> PassExplanation:
    return explain_network(read_network(name))


def changed(name: str, old: str, new: str) -> PassExplanation:
    text = read_network(name).text
    assert text.count(old) == 1
    return explain_network(parse_network(text.replace(old, new), "changed.toml"))


def layer_values(content: PassExplanation) -> list[list[float]]:
    return [layer.a[0].tolist() for layer in content.layers]


@pytest.mark.curriculum("FFN-10")
def test_toy_network() -> None:
    """G03, with the minus signs where they belong (E58)."""
    first, second, output = layer_values(explained("toy-network"))
    assert first == pytest.approx([0.982014, 0.119203], abs=1e-6)
    assert second == pytest.approx([0.863518, 0.110737], abs=1e-6)
    assert output == pytest.approx([0.617705, 0.829124], abs=1e-6)
    for values, printed in ((first, (0.98, 0.12)), (second, (0.86, 0.11)), (output, (0.62, 0.83))):
        assert values == pytest.approx(printed, abs=0.005)
    weights = [layer.weights[0].value.tolist() for layer in explained("toy-network").layers]
    assert weights == [[[1, -2], [-1, 1]], [[2, -1], [-2, -1]], [[3, -1], [-1, 4]]]


@pytest.mark.curriculum("FFN-11")
def test_toy_network_at_zero() -> None:
    """G04."""
    first, second, output = layer_values(explained("toy-network-zero"))
    assert first == pytest.approx([0.731059, 0.5], abs=1e-6)
    assert second == pytest.approx([0.723545, 0.123238], abs=1e-6)
    assert output == pytest.approx([0.511847, 0.854384], abs=1e-6)


@pytest.mark.curriculum("FFN-13", "ACT-19")
@pytest.mark.parametrize("name", NETWORKS)
def test_data_flows_one_way_and_every_layer_keeps_z_and_a(name: str) -> None:
    """Each layer takes what the one before gives, and a = f(z): no cycle, and nothing is computed twice."""
    content = explained(name)
    came = content.walk.inputs
    for layer in content.layers:
        dense = layer.call.layer
        assert isinstance(dense, torch.nn.Linear)
        assert torch.equal(layer.call.inputs, came)
        torch.testing.assert_close(layer.z, came @ dense.weight.detach().T + dense.bias.detach())
        torch.testing.assert_close(layer.a, activation(layer.activation_name)(layer.z))
        came = layer.a
    assert torch.equal(content.walk.outputs, came)
    shown = content.values()["layers"]
    assert [len(s["z"]) for s in shown] == [len(came)] * len(shown)
    assert [s["a"] for s in shown] == [layer.a.tolist() for layer in content.layers]


@pytest.mark.curriculum("FFN-14", "WRK-02")
def test_two_hidden_layers() -> None:
    """G14; with ReLU the answer is 6."""
    assert layer_values(explained("two-hidden-layers")) == [[6, -1], [-1, 5], [0]]
    text = read_network("two-hidden-layers").text
    relu = text.replace("[[layer]]", '[[layer]]\nactivation = "relu"', 2)
    assert layer_values(explain_network(parse_network(relu, "relu.toml"))) == [[6, 0], [0, 6], [6]]


@pytest.mark.curriculum("FFN-15", "WRK-02")
def test_relu_network_and_its_signed_error() -> None:
    """G15: the error is predicted minus actual."""
    content = explained("relu-error")
    assert layer_values(content) == [[8, 0], [16]]
    assert content.answer == "output 16, target 5, error (output − target) 11"
    assert content.end is not None and (content.end.read - content.end.targets).tolist() == [[11]]


@pytest.mark.curriculum("FFN-16", "BPG-15", "WRK-02")
def test_a_weight_is_nudged() -> None:
    """G16: 2 → 2.01 gives 16 → 16.08, and an error of 9.08, not 9.06 (E17); so the weight has to go down."""
    content = explained("weight-nudge")
    assert content.nudges is not None and content.nudges.amount == 0.01
    nudged = content.nudges.outputs["2.weight"][0, 0].item()
    assert content.walk.outputs.item() == 16 and nudged == pytest.approx(16.08, abs=1e-9)
    assert nudged - 7 == pytest.approx(9.08, abs=1e-9)
    by_hand = changed("weight-nudge", "weights = [[2, 2]]", "weights = [[2.01, 2]]")
    assert "output 16.08, target 7, error (output − target) 9.08" in by_hand.text(100)
    weight = content.layers[1].weights[0]
    assert weight.gradient[0, 0] == (16 - 7) * 8 == 72
    assert weight.update is not None and weight.update[0, 0] == pytest.approx(-0.01 * 72)
    assert (
        content.cost_after is not None and content.end is not None and content.cost_after < content.end.cost
    )
    (line,) = [
        line for line in content.text(120).splitlines() if line.split()[:2] == ["w1,1", "2"] and "9·8" in line
    ]
    assert line.split()[2:] == ["9·8", "72", "−0.72", "1.28", "16.08", "41.223200", "72.320000"]


@pytest.mark.curriculum("FFN-12")
@pytest.mark.parametrize("place", range(18))
def test_parameters_pick_the_function(place: int) -> None:
    """Another weight, another map: the outputs at (1, −1) and (0, 0) change with every weight that they can see."""
    moved = []
    for name in ("toy-network", "toy-network-zero"):
        content = explained(name)
        assert content.nudges is not None
        every = torch.cat([outputs.reshape(-1, 2) for outputs in content.nudges.outputs.values()])
        assert every.shape == (18, 2)
        moved.append((every[place] - content.walk.outputs[0]).abs().max().item())
    sees_zero = place < 4  # the first layer's weights at the input (0, 0)
    assert moved[0] > 1e-6 and (moved[1] == 0 if sees_zero else moved[1] > 1e-6)


@pytest.mark.curriculum("BPG-05")
def test_single_neuron() -> None:
    """D10: the factors of the chain rule, and their product against the difference."""
    content = explained("single-neuron")
    (layer,) = content.layers
    assert content.end is not None and content.nudges is not None
    assert content.walk.outputs.item() == pytest.approx(0.622459, abs=1e-6)
    assert content.end.cost == pytest.approx(0.071268, abs=1e-6)
    assert layer.weights[0].gradient.item() == pytest.approx(-0.088723, abs=1e-6)
    after = layer.activation
    assert after is not None and after.derivative is not None
    chain = after.incoming.item() * after.derivative.item() * layer.call.inputs.item()
    assert layer.weights[0].gradient.item() == pytest.approx(chain, abs=1e-15)
    finer = changed("single-neuron", "learning_rate = 1", "learning_rate = 1\nnudge = 1e-7")
    assert finer.nudges is not None and finer.end is not None
    slope = (finer.nudges.costs["0.weight"].item() - finer.end.cost) / 1e-7
    assert slope == pytest.approx(-0.088723, abs=1e-6)


@pytest.mark.curriculum("BPG-06")
def test_logistic_unit_backwards() -> None:
    """G38: da · a (1 − a) is a − y; then dw = dz x, db = dz, and the update."""
    one = 'input = [1]\ntarget = 1\nloss = "binary-cross-entropy"\nlearning_rate = 0.1\n'
    content = explain_network(
        parse_network(one + '[[layer]]\nactivation = "sigmoid"\nweights = [[0.5]]\n', "unit.toml")
    )
    end, (layer,) = content.end, content.layers
    assert end is not None and end.by_read is not None
    assert end.read.item() == pytest.approx(0.622459, abs=1e-6)
    assert end.by_read.item() == pytest.approx(-1 / end.read.item(), abs=1e-12)
    assert layer.call.incoming.item() == pytest.approx(-0.377541, abs=1e-6)
    by_steps = end.by_read * end.read * (1 - end.read)
    torch.testing.assert_close(by_steps, end.read - end.targets, atol=1e-12, rtol=0)
    torch.testing.assert_close(layer.call.incoming, by_steps, atol=1e-12, rtol=0)
    weight, bias = layer.weights
    assert weight.gradient.item() == bias.gradient.item() == layer.call.incoming.item()
    assert weight.update is not None and weight.update.item() == pytest.approx(0.0377541, abs=1e-6)
    assert "∂L/∂p" in content.text(120) and "p (1 − p)" in content.text(120)


@pytest.mark.curriculum("BPG-07", "INI-05", "WRK-03")
def test_logistic_regression_over_all_rows() -> None:
    """D09 as a student sees it: gradients are summed over the rows from 0, divided by m, and then comes the update."""
    content = explained("logistic-or")
    assert content.end is not None
    assert content.end.cost == pytest.approx(0.693147, abs=1e-6)
    weight, bias = content.layers[0].weights
    assert weight.gradient.tolist() == [[-0.25, -0.25]] and bias.gradient.tolist() == [-0.25]
    assert weight.update is not None and bias.update is not None
    assert (weight.value + weight.update).tolist() == [[0.25, 0.25]]
    assert (bias.value + bias.update).tolist() == [0.25]
    assert content.cost_after == pytest.approx(0.540241, abs=1e-6)
    assert "loss after it: 0.540241 (before: 0.693147)" in content.text(80)


NUMBERS = st.floats(-2, 2, allow_nan=False).map(lambda v: round(v, 3))


@st.composite
def networks(draw: Any) -> str:
    widths = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    lines = [f"input = {draw(st.lists(NUMBERS, min_size=widths[0], max_size=widths[0]))}"]
    lines += [
        'loss = "half-squared-error"',
        f"target = {draw(st.lists(NUMBERS, min_size=widths[-1], max_size=widths[-1]))}",
        "nudge = 1e-6",
    ]
    for inputs, units in pairwise(widths):
        rows = [draw(st.lists(NUMBERS, min_size=inputs, max_size=inputs)) for _ in range(units)]
        name = draw(st.sampled_from(["identity", "sigmoid", "tanh", "softplus", "gelu", "mish", "softmax"]))
        lines += ["[[layer]]", f'activation = "{name}"', f"weights = {rows}"]
    return "\n".join(lines)


@given(networks())
@settings(max_examples=30)
def test_gradients_of_any_network_are_what_nudges_show(text: str) -> None:
    content = explain_network(parse_network(text, "any.toml"))
    assert content.nudges is not None and content.end is not None
    for layer in content.layers:
        for weight in layer.weights:
            slopes = (content.nudges.costs[weight.full_name] - content.end.cost) / 1e-6
            torch.testing.assert_close(weight.gradient, slopes, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [80, 120])
def test_text_fits_the_terminal(name: str, width: int) -> None:
    text = explained(name).text(width)
    assert max(map(len, text.splitlines())) <= width
    assert "FORWARD" in text and "nan" not in text
    json.dumps(explained(name).values(), allow_nan=False)


def test_a_file_without_a_target_only_goes_forward() -> None:
    text = " ".join(explained("two-hidden-layers").text(100).split())
    assert "BACKWARD" not in text and "LOSS" not in text
    assert "a line such as target = [7] adds the way back" in text


def test_the_kink_is_told() -> None:
    """A unit at z = 0: its gradient says 0, the nudge something else, and a sentence says why."""
    assert "stands exactly where the slope of relu jumps" in " ".join(explained("weight-nudge").about)
    moved = changed("weight-nudge", "[0, 0]]", "[0, 0]]\nbiases = [0, -1]")
    assert len(moved.about) == 1


def test_numbers_that_grow_beyond_all_bounds() -> None:
    layer = "[[layer]]\nweights = [[1e15]]\n"
    with pytest.raises(DataError, match="grow beyond all bounds"):
        explain_network(parse_network("input = [1e15]\ntarget = 1\n" + 30 * layer, "far.toml"))
