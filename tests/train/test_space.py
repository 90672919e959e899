"""A search space says which values there are, and names key and file of what it does not understand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.catalog import MODELS
from chainrule.core.errors import ChainruleError, DataError, SettingError, UnknownNameError
from chainrule.jobs.preparation import load_model_settings, searched_of
from chainrule.train.search_defaults import default_space
from chainrule.train.searched import Searched
from chainrule.train.space import Choices, Range, parse_space, read_space


def hints() -> dict[str, Searched]:
    return searched_of("mlp")


def space_of(said: Any) -> Any:
    return parse_space(said, hints, "space.json: ")


@pytest.mark.curriculum("HPO-01")
def test_the_five_main_settings_are_searched_within_their_bounds() -> None:
    """Number of layers and of neurons, initial rate, decay schedule, type of optimizer; bad values raise."""
    space = space_of(
        {
            "layers": {"low": 1, "high": 3},
            "units": {"low": 16, "high": 256, "log": True, "steps": 5},
            "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
            "schedule": ["constant", "step", "exponential", "cosine"],
            "optimizer": ["sgd", "adam"],
        }
    )
    assert space.settings["units"].values == (16, 32, 64, 128, 256)
    for share in (0.0, 0.3, 0.999999):
        values = space.at([share] * 5)
        assert values["layers"] in (1, 2, 3) and 1e-4 <= values["learning_rate"] <= 1e-1
    assert space.at([0.999999] * 5)["layers"] == 3
    for key, value in (
        ("layers", [0]), ("units", [-3]), ("learning_rate", [0.0]), ("schedule", ["cosinus"]), ("optimizer", ["adams"]),
    ):  # fmt: skip
        with pytest.raises(ChainruleError, match=rf"space\.json: {key}"):
            space_of({key: value})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"learning_rates": [0.1]}, "no setting is called 'learning_rates'; did you mean 'learning_rate'"),
        ({"l2": [0.1]}, "no setting is called 'l2'; it is weight_decay here"),
        ({"test": [0.1]}, "test is the same for the whole search"),
        ({"learning_rate": []}, "learning_rate: the list is empty"),
        ({"learning_rate": 0.1}, r"takes a list of values, or .*; got 0.1 \(one value: \[0.1\]\)"),
        ({"learning_rate": ["fast"]}, "learning_rate: takes a number or none; got 'fast'"),
        ({"learning_rate": [0.1, 0.1]}, "0.1 stands there twice"),
        ({"learning_rate": {"low": 0.1, "high": 0.01}}, "the range is empty: low must be below high"),
        ({"learning_rate": {"low": 0.1, "high": 0.1}}, r"empty.*\(one value: \[0.1\]\)"),
        ({"learning_rate": {"low": 0.1}}, "a range needs low and high; high is missing"),
        ({"learning_rate": {"low": 0.1, "high": 1, "stepp": 3}}, "got 'stepp'; did you mean 'steps'"),
        ({"learning_rate": {"low": 0.1, "high": 1, "steps": 1}}, "steps is how many values"),
        ({"weight_decay": {"low": 0, "high": 1, "log": True}}, "a logarithmic range begins above 0"),
        ({"learning_rate": {"low": -1, "high": 1}}, "learning_rate: low: --learning-rate must be above 0; got -1"),
        ({"dropout": [1.5]}, "dropout: --dropout must be below 1; got 1.5"),
        ({"optimizer": {"low": 1, "high": 2}}, "takes a name or none, which has no range"),
        ({"batch_size": {"low": 1.5, "high": 2}}, "batch_size: low: takes a whole number"),
        ({"activation": ["rellu"]}, "no activation is called 'rellu'; did you mean 'relu'"),
        ({"hidden": [[64], [0.5]]}, "hidden: takes a list of whole numbers"),
        ({"hidden": [[64]], "layers": [1]}, "hidden says what layers say"),
        ({}, "a space maps settings to values"),
        ([1], "a space maps settings to values"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(said: Any, message: str) -> None:
    with pytest.raises((SettingError, UnknownNameError), match=message) as caught:
        space_of(said)
    assert str(caught.value).startswith("space.json: ")


def test_both_kinds_of_file_say_the_same(tmp_path: Path) -> None:
    said = {"learning_rate": {"low": 1e-4, "high": 3e-2, "log": True, "steps": 8}, "hidden": [[64], [64, 32]]}
    (tmp_path / "s.json").write_text(json.dumps(said))
    (tmp_path / "s.toml").write_text(
        "learning_rate = {low = 1e-4, high = 3e-2, log = true, steps = 8}\nhidden = [[64], [64, 32]]\n"
    )
    one, other = (read_space(tmp_path / name, hints) for name in ("s.json", "s.toml"))
    assert one == other and one.size == 16
    assert one.settings["hidden"] == Choices(((64,), (64, 32)))
    assert parse_space(one.to_json(), hints) == one


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.json", "{", "s.json is no JSON"),
        ("s.json", '{"dropout": [0], "dropout": [1]}', "the key 'dropout' stands there twice"),
        ("s.toml", "dropout = ", "s.toml is no TOML"),
        ("s.yaml", "", "takes a .json or .toml file"),
        ("absent.json", None, "there is no file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises((SettingError, DataError), match=message):
        read_space(tmp_path / name, hints)


@given(
    st.floats(1e-6, 1.0),
    st.floats(1.001, 1e4),
    st.booleans(),
    st.integers(2, 40),
    st.floats(0, 1, exclude_max=True),
)
def test_values_lie_within_their_range(
    low: float, factor: float, is_log: bool, steps: int, share: float
) -> None:
    high = low * factor
    stepped = Range(low=low, high=high, is_log=is_log, steps=steps)
    assert stepped.values is not None and len(stepped.values) <= steps
    assert stepped.values[0] == low and stepped.values[-1] == high
    assert list(stepped.values) == sorted(stepped.values)
    assert stepped.at(share) in stepped.values
    assert low <= Range(low=low, high=high, is_log=is_log).at(share) <= high


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.sampled_from(["low", "high", "log", "steps", "x"]), c)), st.sampled_from(["learning_rate", "hidden", "optimizer", "batch_size", "shuffle", "augment", "nothing"]))  # fmt: skip
def test_anything_is_understood_or_refused(said: Any, key: str) -> None:
    try:
        space = space_of({key: said})
    except ChainruleError as error:
        assert error.exit_code == 2
    else:
        assert space.at([0.5])


@pytest.mark.parametrize("model", sorted(name for name, entry in MODELS.items() if entry.is_trainable))
def test_defaults_are_spaces(model: str) -> None:
    said = default_space(model, (), load_model_settings(model))
    space = parse_space(said, lambda: searched_of(model))
    assert space.size is not None and space.size > 5
    assert "learning_rate" not in default_space(model, ["learning_rate"], load_model_settings(model))
