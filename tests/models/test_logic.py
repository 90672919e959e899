"""Networks by hand: gates by name, and any truth table."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from chainrule import explain
from chainrule.core.errors import DataError, SettingError, ShapeError
from chainrule.models import build
from chainrule.nn.activations import STEP
from chainrule.nn.threshold import ThresholdUnits


def rows(inputs: int) -> Tensor:
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=inputs)))


GATES = {
    "and": all,
    "or": any,
    "nand": lambda x: not all(x),
    "nor": lambda x: not any(x),
    "xor": lambda x: sum(x) % 2,
}


@pytest.mark.curriculum("NEU-11", "NEU-12", "NEU-14")
@pytest.mark.parametrize(
    ("gate", "fires"),
    [
        ("or", [0, 1, 1, 1]),
        ("and", [0, 0, 0, 1]),
        ("xor", [0, 1, 1, 0]),
        ("nand", [1, 1, 1, 0]),
        ("nor", [1, 0, 0, 0]),
    ],
)
def test_gates(gate: str, fires: list[int]) -> None:
    assert build("logic-gate", gate=gate)(rows(2)).flatten().tolist() == fires


@pytest.mark.curriculum("NEU-11", "NEU-12")
@pytest.mark.parametrize(("gate", "threshold"), [("or", 0.5), ("and", 1.5)])
def test_or_and_and_are_one_unit_of_the_decks(gate: str, threshold: float) -> None:
    _, unit = build("logic-gate", gate=gate)
    assert unit.weights.tolist() == [[1, 1]] and unit.thresholds.tolist() == [threshold]


@pytest.mark.curriculum("NEU-14")
def test_xor_is_or_without_and() -> None:
    _, hidden, output = build("logic-gate", gate="xor")
    assert hidden(rows(2)).T.tolist() == [[0, 1, 1, 1], [0, 0, 0, 1]], "h₁ = OR, h₂ = AND"
    assert hidden.thresholds.tolist() == [0.5, 1.5]
    assert output.weights.tolist() == [[1, -1]] and output.thresholds.tolist() == [0.5]


@pytest.mark.parametrize("inputs", [2, 3, 4])
@pytest.mark.parametrize("gate", GATES)
def test_gates_of_more_inputs(gate: str, inputs: int) -> None:
    wanted = [float(GATES[gate](row)) for row in rows(inputs).bool().tolist()]
    assert build("logic-gate", gate=gate, inputs=inputs)(rows(inputs)).flatten().tolist() == wanted


def test_not_takes_one_input() -> None:
    assert build("logic-gate", gate="not")(rows(1)).flatten().tolist() == [1, 0]


@pytest.mark.curriculum("NEU-16", "FFN-19")
@pytest.mark.parametrize("coding", ["boolean", "bipolar"])
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_every_boolean_function_is_a_network(inputs: int, coding: str) -> None:
    """G50. All 4, 16 and 256 functions, each by 2ⁿ hidden units and one that gives the answer."""
    x = rows(inputs) if coding == "boolean" else 2 * rows(inputs) - 1
    tables = ["".join(bits) for bits in itertools.product("01", repeat=2**inputs)]
    assert len(tables) == {1: 4, 2: 16, 3: 256}[inputs]
    for table in tables:
        model = build("truth-table", table=table, coding=coding)
        assert "".join(f"{fires:g}" for fires in model(x).flatten().tolist()) == table
        _, hidden, output = model
        assert hidden.weights.shape == (2**inputs, inputs) and output.weights.shape == (1, 2**inputs)


@pytest.mark.curriculum("NEU-15")
def test_bipolar_hidden_units_fire_for_one_row_each() -> None:
    """Weights are a unit's own ±1 pattern, its threshold 2; the output weighs with the truth table, threshold 1."""
    x = 2 * rows(2) - 1
    _, hidden, output = build("truth-table", table="0110", coding="bipolar")
    assert torch.equal(hidden.weights, x) and hidden.thresholds.tolist() == [2, 2, 2, 2]
    assert torch.equal(hidden(x), torch.eye(4))
    assert output.weights.tolist() == [[0, 1, 1, 0]] and output.thresholds.tolist() == [1]


def test_a_network_by_hand_is_made_of_perceptrons() -> None:
    assert [type(layer) for layer in build("truth-table")][1:] == [ThresholdUnits, ThresholdUnits]
    _, hidden, _ = build("truth-table")
    z = rows(2) @ hidden.weights.T - hidden.thresholds
    assert torch.equal(hidden(rows(2)), STEP(z))


def test_a_network_by_hand_is_explained_as_others_are() -> None:
    assert "12 multiply-adds" in str(explain("truth-table", input=(2,)))


@pytest.mark.parametrize(
    ("name", "settings", "error", "said"),
    [
        ("truth-table", {"table": "01101"}, SettingError, "got 5 answers (nearest: 4 and 8)"),
        ("truth-table", {"table": "011"}, SettingError, "got 3 answers (nearest: 2 and 4)"),
        ("truth-table", {"table": "0" * 31}, SettingError, "got 31 answers (nearest: 16 and 32)"),
        ("truth-table", {"table": "1"}, SettingError, "got 1 answer (nearest: 2)"),
        ("truth-table", {"table": ""}, SettingError, "got 0 answers (nearest: 2)"),
        ("truth-table", {"table": "01x0"}, SettingError, "written with 0 and 1, such as 0110; character 3 is 'x'"),
        ("truth-table", {"inputs": 4}, ShapeError, "truth-table 0110 takes 2 inputs; got inputs=4"),
        ("truth-table", {"units": 3}, ShapeError, "truth-table 0110 has one output; got units=3"),
        ("truth-table", {"inputs": (1, 8, 8)}, ShapeError, "takes 2 inputs; got inputs=(1, 8, 8)"),
        ("truth-table", {"coding": "signs"}, SettingError, "boolean (0 and 1) or bipolar (-1 and 1); got 'signs'"),
        ("logic-gate", {"gate": "xorr"}, SettingError, "one of and, or, not, nand, nor, xor; got 'xorr'"),
        ("logic-gate", {"gate": "not", "inputs": 2}, ShapeError, "logic-gate takes 1 input; got inputs=2"),
        ("logic-gate", {"inputs": 1}, ShapeError, "the gate and takes at least 2 inputs; got 1"),
        ("mcculloch-pitts", {"inputs": 0}, ShapeError, "takes so many truth values a row; got inputs=0"),
    ],
)  # fmt: skip
def test_what_cannot_be_built(name: str, settings: dict[str, Any], error: type, said: str) -> None:
    with pytest.raises(error) as caught:
        build(name, **settings)
    assert said in str(caught.value)


def test_codings_are_not_mixed_up() -> None:
    with pytest.raises(DataError, match="takes bipolar inputs, -1 and 1; row 1, input 1 is 0"):
        build("truth-table", coding="bipolar")(rows(2))
