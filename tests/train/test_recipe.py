"""The recipe survives its file, and a file that is none is named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chainrule.core.errors import RunError
from chainrule.data.read import read
from chainrule.data.schema import find_schema
from chainrule.train.plan import Plan
from chainrule.train.recipe import RECORDED, Recipe, versions_here
from chainrule.train.settings import Settings

SCHEMA, _ = find_schema(
    read(
        {
            "a": [1.0, 2, 3, None],
            "b": ["x", "y", "x", "y"],
            "day": ["2024-01-01", "2024-02-01", "2024-03-01", "2024-03-02"],
            "y": [1, 2, 1, 2],
        }
    )
)
RECIPE = Recipe(
    data={"kind": "memory", "name": "table", "target": None, "fingerprint": "0"},
    schema=SCHEMA,
    settings=Settings(
        model="mlp",
        epochs=3,
        learning_rate=0.1,
        batch_size=8,
        optimizer="adam",
        schedule="constant",
        test=0.2,
        validation=0.1,
    ),
    model_settings={"hidden": (8, 4), "activation": "tanh"},
    inputs=7,
    plan=Plan(device="cpu", threads=2, reason="said"),
    versions=versions_here(),
)


def through_json(recipe: Recipe) -> Recipe:
    return Recipe.from_json(json.loads(json.dumps(recipe.to_json())), "recipe.json")


def test_survives_json() -> None:
    assert through_json(RECIPE) == RECIPE
    assert len(RECIPE.schema.columns) == 3


@given(
    st.integers(1, 100) | st.tuples(st.integers(1, 3), st.integers(1, 99), st.integers(1, 99)),
    st.sampled_from([(), ("model",), ("model", "loss")]),
    st.floats(1e-9, 1e9),
    st.integers(0, 2**63),
)
def test_survives_json_with_any_inputs(
    inputs: Any, given_objects: tuple[str, ...], rate: float, seed: int
) -> None:
    recipe = replace(
        RECIPE,
        inputs=inputs,
        given=given_objects,
        settings=replace(RECIPE.settings, learning_rate=rate, seed=seed, clip_norm=rate),
    )
    assert through_json(recipe) == recipe


def test_versions_of_what_bits_depend_on() -> None:
    import torch

    found = versions_here()
    assert found["torch"] == torch.__version__.split("+")[0] or found["torch"] == torch.__version__
    assert set(found) == {"python", *RECORDED}


def test_predicting_needs_no_device() -> None:
    assert replace(RECIPE, plan=Plan(device="cuda", threads=2)).plan_here().device == "cpu"


DAMAGES: list[tuple[str, Any]] = [
    ("schema is missing", lambda v: v.pop("schema")),
    ("settings.telepathy is not known", lambda v: v["settings"].update(telepathy=1)),
    ("--epochs must be at least 1", lambda v: v["settings"].update(epochs=0)),
    ("settings.epochs is left open", lambda v: v["settings"].update(epochs=None)),
    ("plan.warp is not known", lambda v: v["plan"].update(warp=9)),
    ("plan.threads should be 1 to 4096; got 5000", lambda v: v["plan"].update(threads=5000)),
    ("schema.target is missing", lambda v: v["schema"].pop("target")),
    ("schema.columns[0].colour is not known", lambda v: v["schema"]["columns"][0].update(colour="red")),
    (
        "schema.columns[1].values[0] should be text; got 3",
        lambda v: v["schema"]["columns"][1].update(values=[3]),
    ),
    ("settings should be an object; got [1]", lambda v: v.update(settings=[1])),
    ("inputs should be a whole number or a list; got None", lambda v: v.update(inputs=None)),
    ("data.fingerprint is missing", lambda v: v["data"].pop("fingerprint")),
    ("data.path should be text; got 7", lambda v: v["data"].update(path=7)),
    ("data.test_data.kind is missing", lambda v: v["data"].update(test_data={})),
]


@pytest.mark.parametrize(("said", "damage"), DAMAGES, ids=[said for said, _ in DAMAGES])
def test_damage_is_named(said: str, damage: Any) -> None:
    value = json.loads(json.dumps(RECIPE.to_json()))
    damage(value)
    with pytest.raises(RunError, match=re.escape(f"a/recipe.json is damaged or of another version: {said}")):
        Recipe.from_json(value, "runs/a/recipe.json")


@pytest.mark.parametrize("value", [[], None, 3, "text", {}])
def test_what_is_no_recipe_at_all(value: Any) -> None:
    with pytest.raises(RunError, match=r"runs/a/recipe\.json is damaged or of another version"):
        Recipe.from_json(value, "runs/a/recipe.json")


def test_later_format_is_said() -> None:
    value = {**RECIPE.to_json(), "format": 99}
    with pytest.raises(RunError, match=r"recipe\.json has format 99; this version of chainrule reads \d"):
        Recipe.from_json(value, "recipe.json")
