"""Units that fire or do not: what they take, what they refuse, and that both forms of the threshold are one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from chainrule.core.errors import DataError, SettingError, ShapeError
from chainrule.models import build
from chainrule.nn.threshold import McCullochPitts, ThresholdUnits, TruthValues

ROWS = torch.tensor(list(itertools.product((0.0, 1.0), repeat=2)))


@pytest.mark.curriculum("NEU-06")
@pytest.mark.parametrize(("threshold", "fires"), [(1, [0, 1, 1, 1]), (2, [0, 0, 0, 1])], ids=["OR", "AND"])
def test_mcculloch_pitts_counts_its_inputs(threshold: int, fires: list[int]) -> None:
    """The sum runs over all n inputs from the first on (E62)."""
    unit = build("mcculloch-pitts", inputs=2, threshold=threshold)
    assert unit(ROWS).flatten().tolist() == fires
    assert unit(ROWS.bool()).flatten().tolist() == [bool(fire) for fire in fires]
    rows = torch.tensor(list(itertools.product((0, 1), repeat=4)))
    for at_least in range(6):
        wanted = [sum(row) >= at_least for row in rows.tolist()]
        assert McCullochPitts(4, at_least)(rows).flatten().bool().tolist() == wanted


@pytest.mark.curriculum("NEU-07")
def test_mcculloch_pitts_has_nothing_to_learn_and_takes_boolean_inputs_only() -> None:
    unit = build("mcculloch-pitts", inputs=2, threshold=2)
    assert not list(unit.parameters()) and not unit.state_dict() and not hasattr(unit, "fit")
    for x in (ROWS / 2, -ROWS, ROWS * math.nan):
        with pytest.raises(DataError, match="takes boolean inputs, 0 and 1; row"):
            unit(x)
    swapped = ROWS.flip(1)
    assert torch.equal(unit(swapped), unit(ROWS)), "every input counts alike"
    unit.threshold = 1  # by hand
    assert unit(ROWS).sum() == 3


@pytest.mark.parametrize("coding", ["boolean", "bipolar"])
def test_what_is_no_truth_value_is_named(coding: str) -> None:
    check = TruthValues(3, coding)
    rows = torch.ones(4, 3)
    rows[2, 1] = 0.25
    with pytest.raises(DataError, match=f"takes {coding} inputs, .*; row 3, input 2 is 0.25"):
        check(rows)
    with pytest.raises(DataError, match="; input 1 is 7"):
        check(torch.tensor([7.0, 1.0, 1.0]))
    with pytest.raises(ShapeError, match=r"takes 3 truth values a row; got rows of the shape \(2,\)"):
        check(ROWS)


@pytest.mark.curriculum("NEU-08")
def test_a_sum_that_equals_the_threshold_fires() -> None:
    unit = ThresholdUnits([[1.0, 1.0]], [1.0])
    assert unit(ROWS).flatten().tolist() == [0, 1, 1, 1]
    assert ThresholdUnits([[1.0, 1.0], [1.0, 1.0]], [0.5, 1.5])(ROWS).tolist() == [
        [0, 0],
        [1, 0],
        [1, 0],
        [1, 1],
    ]


@pytest.mark.curriculum("NEU-09")
def test_threshold_form_and_homogeneous_form_agree() -> None:
    """w₀ = −θ with an input that is always 1, as a perceptron's bias is, on 1000 random units and rows."""
    random = torch.Generator().manual_seed(0)
    weights, x = torch.randn(1000, 5, generator=random), torch.randn(1000, 5, generator=random)
    thresholds = torch.randn(1000, generator=random)
    fires = ThresholdUnits(weights, thresholds)(x)
    homogeneous = ThresholdUnits(torch.cat([-thresholds[:, None], weights], 1), torch.zeros(1000))
    perceptron = build("perceptron", inputs=5, units=1000)
    perceptron.load_state_dict({"0.weight": weights, "0.bias": -thresholds})
    assert torch.equal(homogeneous(torch.cat([torch.ones(1000, 1), x], 1)), fires)
    assert torch.equal((perceptron(x) >= 0).float(), fires)
    assert 0.3 < fires.mean() < 0.7


@pytest.mark.curriculum("NEU-13")
def test_no_threshold_unit_is_xor() -> None:
    """w₁, w₂ and θ from −3 to 3 in steps of 0.1: of 61³ units none gives 0, 1, 1, 0."""
    steps = torch.linspace(-3, 3, 61)
    grid = torch.cartesian_prod(steps, steps, steps)
    fires = ThresholdUnits(grid[:, :2], grid[:, 2])(ROWS)
    codes = fires.T @ torch.tensor([8.0, 4.0, 2.0, 1.0])
    assert len(grid) == 61**3 and not (codes == 0b0110).any()
    assert (codes == 0b0111).sum() > 1000, "of OR there are many"


def test_weights_and_thresholds_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"a threshold per unit; got \(2, 2\) and \(1,\)"):
        ThresholdUnits([[1.0, 1.0], [1.0, 1.0]], [0.5])
    with pytest.raises(SettingError, match="a threshold is a number; got nan"):
        McCullochPitts(2, math.nan)
