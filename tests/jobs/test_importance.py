"""Permutation importance: what matters is found, what does not matter is nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from chainrule import MultiClass, Objective, Regression
from chainrule.data.prepare import Prepare
from chainrule.data.read import read
from chainrule.data.schema import find_schema
from chainrule.jobs.importance import MOST_ROWS, REPEATS, column_places, drawn_rows, measure_importance


def weighted(weights: list[float]) -> Objective:
    """Return a linear network with these weights."""
    model = nn.Linear(len(weights), 1, bias=False)
    model.weight.data = torch.tensor([weights])
    return Objective(model, Regression(["y"]))


def places(count: int) -> dict[str, list[int]]:
    return {name: [i] for i, name in enumerate("abcdef"[:count])}


def test_what_matters_comes_first_and_what_does_not_is_nothing() -> None:
    """With y = 3a + b and columns of variance 1, shuffling a column of weight w costs 2w² of the squared error."""
    inputs = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    objective = weighted([3.0, 1.0, 0.0])
    found = measure_importance(objective, places(3), inputs, objective.model(inputs).detach(), "r2", 60.0)
    assert [one.column for one in found] == ["a", "b", "c"]
    variance = 10
    for one, weight in zip(found, (3, 1, 0), strict=True):
        assert one.mean == pytest.approx(2 * weight**2 / variance, rel=0.05, abs=1e-12)
        assert one.repeats == REPEATS and one.spread < 0.05


def test_smaller_is_better_counts_as_worse() -> None:
    inputs = torch.randn(500, 2)
    objective = weighted([2.0, 0.0])
    found = measure_importance(objective, places(2), inputs, objective.model(inputs).detach(), "mae", 60.0)
    assert [one.column for one in found] == ["a", "b"]
    assert found[0].mean > 1 and found[1].mean == 0


def test_columns_that_became_several_inputs_are_shuffled_together() -> None:
    """Of a category one unit is 1 in every row; shuffled one by one that would not stay so."""
    seen: list[torch.Tensor] = []

    class Looks(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return super().forward(x)

    hot = torch.eye(3)[torch.randint(0, 3, (50,))]
    objective = Objective(Looks(3, 3), MultiClass(["p", "q", "r"]))
    measure_importance(objective, {"kind": [0, 1, 2]}, hot, hot.argmax(1), "accuracy", 60.0)
    assert all(torch.equal(x.sum(1), torch.ones(50)) for x in seen) and len(seen) == 1 + REPEATS


def test_no_time_leaves_columns_out() -> None:
    inputs = torch.randn(50, 2)
    objective = weighted([2.0, 1.0])
    assert (
        measure_importance(objective, places(2), inputs, objective.model(inputs).detach(), "r2", -1.0) == []
    )


def test_inputs_of_each_column() -> None:
    source = read({
        "age": [1.0, None, 3.0, 4.0], "town": ["Ulm", "Bonn", None, "Ulm"], "when": ["2024-01-02", "2024-05-01", "2023-01-05", "2024-09-09"],
        "size": [1.0, 2.0, 3.0, 9.0], "y": [0.5, 1.5, 2.5, 3.5],
    })  # fmt: skip
    schema, _ = find_schema(source, target="y")
    examples = schema.encode(source)
    prepare = Prepare(schema).fit(examples, np.arange(4))
    found = column_places(schema, prepare)
    assert list(found) == ["age", "town", "when", "size"]
    assert found == {"age": [0, 7], "town": [8, 9, 10], "when": [1, 2, 3, 4, 5], "size": [6]}
    assert sorted(i for units in found.values() for i in units) == list(range(prepare.features))
    changed = prepare.tensors(examples)
    examples.codes[:] = 0
    moved = (prepare.tensors(examples) != changed).any(0)
    assert set(np.flatnonzero(moved.numpy()).tolist()) <= set(found["town"])


def test_arrays_have_features_and_pictures_have_none() -> None:
    for data, expected in (
        ((np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 2), {"1": [0], "2": [1]}),
        ("digits", {}),
    ):
        source = read(data)
        schema, _ = find_schema(source)
        examples = schema.encode(source)
        assert column_places(schema, Prepare(schema).fit(examples, np.arange(9))) == expected


def test_many_rows_are_drawn_the_same_each_time() -> None:
    few, many = np.arange(7), np.arange(5000)
    assert drawn_rows(few) is few
    assert len(drawn_rows(many)) == MOST_ROWS and np.array_equal(drawn_rows(many), drawn_rows(many))
