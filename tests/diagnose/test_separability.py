"""Distances to straight boundaries, and whether there is one: what is proven, and what is left open."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from chainrule.diagnose import separability
from chainrule.diagnose.separability import decide, distances

ROWS = np.array(list(itertools.product((0.0, 1.0), repeat=2)))
OR, XOR = np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])


def test_distances_of_one_unit() -> None:
    """The boundary 3x + 4y = 5 has the distance (3x + 4y − 5) / 5 from a row, counted on the side of its class."""
    weight, x = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0], [3.0, -1.0]])
    found = distances(x @ weight.T - 5, torch.tensor([0, 1, 0, 1]), weight)
    assert found.tolist() == pytest.approx([1, 4, -4, 0])


def test_distances_of_several_classes_are_to_the_nearest_boundary() -> None:
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-3.0, -4.0]])
    x, targets = torch.tensor([[2.0, 1.0], [0.5, 2.0], [1.0, 1.0]]), torch.tensor([0, 0, 2])
    outputs = x @ weight.T
    wanted = [
        min(
            ((outputs[i, t] - outputs[i, j]) / (weight[t] - weight[j]).norm()).item()
            for j in range(3)
            if j != t
        )
        for i, t in enumerate(targets.tolist())
    ]
    assert distances(outputs, targets, weight).tolist() == pytest.approx(wanted)
    assert wanted[0] == pytest.approx(1 / math.sqrt(2)) and wanted[1] < 0 and wanted[2] < 0


def test_without_weights_there_is_no_boundary() -> None:
    assert distances(-torch.ones(3, 1), torch.tensor([0, 1, 1]), torch.zeros(1, 2)).tolist() == [0, 0, 0]


@pytest.mark.curriculum("NEU-13")
def test_of_all_functions_of_two_inputs_two_are_not_separable() -> None:
    found = {bits: decide(ROWS, np.array(bits)).is_separable for bits in itertools.product((0, 1), repeat=4)}
    assert [bits for bits, is_separable in found.items() if not is_separable] == [(0, 1, 1, 0), (1, 0, 0, 1)]
    assert None not in found.values()


def test_the_boundary_that_proves_it_has_a_margin() -> None:
    assert decide(ROWS, OR).margin == pytest.approx(0.25 * math.sqrt(2))
    assert decide(1000 + 1e-3 * ROWS, OR).margin == pytest.approx(0.25e-3 * math.sqrt(2)), "in the units of x"
    assert decide(ROWS, XOR).margin is None


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 4), st.integers(1, 4), st.integers(4, 25), st.integers(0, 2**32 - 1))
def test_agrees_with_another_program(classes: int, inputs: int, rows: int, seed: int) -> None:
    """Rows on a coarse grid, so that many lie on top of each other: feasible with a lead of 1, or not."""
    random = np.random.default_rng(seed)
    x = random.integers(-3, 4, (rows, inputs)).astype(float)
    y = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    wide, conditions = np.hstack([x, np.ones((rows, 1))]), []
    for row, own in zip(wide, y, strict=True):
        for other in set(range(classes)) - {own}:
            condition = np.zeros((classes, inputs + 1))
            condition[own], condition[other] = -row, row
            conditions.append(condition.ravel())
    program = linprog(
        np.zeros(classes * (inputs + 1)), np.array(conditions), -np.ones(len(conditions)), bounds=(None, None)
    )
    assert decide(x, y).is_separable is (program.status == 0)


def test_what_is_too_large_or_too_slow_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.random.default_rng(0).normal(size=(3000, 40)), np.arange(3000) % 2
    assert "not solved in 0.001 s" in decide(x, y, seconds=0.001).why
    monkeypatch.setattr(separability, "MOST_NUMBERS", 100_000)
    found = decide(x, y)
    assert found.is_separable is None
    assert "would hold 246,000 numbers, more than 100,000" in found.why
