"""Settings: what text means, what is refused, and that every field can be said."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chainrule.apps.fit import fit
from chainrule.core.errors import ChainruleError, SettingError, UnknownNameError
from chainrule.train.settings import FLAGS, Settings, help_text
from chainrule.train.settings_text import parse_settings, parse_value

MODEL = {"hidden": Sequence[int], "activation": str | Sequence[str], "bias": bool, "pooling": str}
KINDS = [
    int,
    float,
    str,
    bool,
    int | None,
    float | None,
    str | None,
    Sequence[int],
    str | Sequence[str],
    Sequence[float],
]


def parse(*pairs: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return parse_settings(pairs, lambda: MODEL)


# ---- values


@given(st.integers(-(2**53), 2**53))
def test_integers_round_trip(value: int) -> None:
    assert parse_value("n", f" {value} ", int) == value
    assert isinstance(parse_value("n", str(value), int | None), int)


@given(st.floats(allow_nan=False))
def test_numbers_round_trip(value: float) -> None:
    assert parse_value("x", repr(value), float | None) == value


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_lists_round_trip(values: list[int]) -> None:
    assert parse_value("hidden", ",".join(map(str, values)), Sequence[int]) == tuple(values)
    assert parse_value("hidden", " , ".join(map(str, values)) + ",", Sequence[int]) == tuple(values)


@given(st.text(), st.sampled_from(KINDS))
def test_any_text_is_read_or_refused(text: str, kind: Any) -> None:
    """Whatever is typed gives a value of the type, or a SettingError that names the key."""
    try:
        value = parse_value("key", text, kind)
    except SettingError as error:
        assert str(error).startswith("key takes ")
        assert str(error).isprintable()
        return
    options = typing.get_args(kind) if type(None) in typing.get_args(kind) else (kind,)
    if value is None:
        assert type(None) in options
    elif kind in (Sequence[int], Sequence[float]):
        assert isinstance(value, tuple) and all(isinstance(v, typing.get_args(kind)[0]) for v in value)
    elif kind in (int, float, str, bool):
        assert isinstance(value, kind)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1e3", int, 1000),
        ("1e-3", float, 0.001),
        ("none", int | None, None),
        ("Auto", float | None, None),
        ("", str | None, None),
        ("", Sequence[int], ()),
        ("64", Sequence[int], (64,)),
        ("relu", str | Sequence[str], "relu"),
        ("relu,tanh", str | Sequence[str], ("relu", "tanh")),
        ("tanh,", str | Sequence[str], ("tanh",)),
        ("Yes", bool, True),
        ("off", bool, False),
    ],
)
def test_values(text: str, kind: Any, value: object) -> None:
    assert parse_value("key", text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("ten", int, "a whole number"),
        ("1.5", int, "a whole number"),
        ("nan", int, "a whole number"),
        ("inf", int, "a whole number"),
        ("1e400", int, "a whole number"),
        ("maybe", bool, "true or false"),
        ("a,b", Sequence[int], "a list like 128,64"),
        ("", int, "a whole number"),
        ("64,,x", Sequence[int], "a list like 128,64"),
    ],
)
def test_values_that_cannot_be_read(text: str, kind: Any, wanted: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_value("key", text, kind)
    assert str(caught.value).startswith(f"key takes {wanted}") and str(caught.value).endswith(f"got {text!r}")


# ---- pairs


def test_pairs_go_where_they_belong() -> None:
    training, model = parse("epochs=5", "learning-rate = 0.1", "hidden=32,16", "activation=tanh")
    assert training == {"epochs": 5, "learning_rate": 0.1}
    assert model == {"hidden": (32, 16), "activation": "tanh"}


def test_model_is_asked_only_if_a_key_needs_it() -> None:
    def never() -> dict[str, Any]:
        raise AssertionError("the model was loaded without need")

    assert parse_settings(["epochs=5", "clip_norm=1"], never) == ({"epochs": 5, "clip_norm": 1.0}, {})


@pytest.mark.parametrize("pair", ["epochs", "=5", "", " = ", "\x1b[31m"])
def test_what_is_no_pair(pair: str) -> None:
    with pytest.raises(SettingError, match="--set takes KEY=VALUE; got") as caught:
        parse(pair)
    assert str(caught.value).isprintable()


def test_unknown_key_gets_the_nearest_of_both() -> None:
    with pytest.raises(UnknownNameError, match="no setting is called 'epoch'; did you mean 'epochs'"):
        parse("epoch=5")
    with pytest.raises(UnknownNameError, match="did you mean 'hidden'"):
        parse("hiden=5")


@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_pairs_are_read_or_refused(pairs: list[str]) -> None:
    try:
        training, model = parse(*pairs)
    except ChainruleError as error:
        assert str(error)
        return
    assert set(model) <= set(MODEL) and set(training) <= {f.name for f in fields(Settings)}


# ---- limits

LIMITS = [
    ("epochs", 0, "--epochs must be at least 1; got 0"),
    ("batch_size", -3, "--batch-size must be at least 1; got -3"),
    ("batch_size", "al", "--batch-size takes a whole number or all; got 'al'"),
    ("momentum", 1.0, "momentum must be below 1; got 1"),
    ("epsilon", 0.0, "epsilon must be above 0; got 0"),
    ("learning_rate", 0.0, "--learning-rate must be above 0; got 0"),
    ("learning_rate", math.nan, "--learning-rate takes a number; got nan"),
    ("learning_rate", math.inf, "--learning-rate takes a number; got inf"),
    ("weight_decay", -1e-9, "--weight-decay must be at least 0; got -1e-09"),
    ("dropout", 1.0, "--dropout must be below 1; got 1"),
    ("label_smoothing", 1.0, "label_smoothing must be below 1; got 1"),
    ("clip_norm", 0.0, "clip_norm must be above 0; got 0"),
    ("validation", -0.1, "--validation must be at least 0; got -0.1"),
    ("test", 1.0, "--test must be below 1; got 1"),
    ("patience", 0, "--patience must be at least 1; got 0"),
    ("seed", -1, "--seed must be at least 0; got -1"),
    ("epochs", True, "--epochs takes a whole number; got True"),
    ("epochs", [5], "--epochs takes a whole number; got [5]"),
]


def test_settings_with_a_flag_are_those_of_fit() -> None:
    assert {item.name for item in fields(Settings)} & set(inspect.signature(fit).parameters) == set(FLAGS)


@pytest.mark.parametrize(("name", "value", "said"), LIMITS, ids=[f"{n}={v}" for n, v, _ in LIMITS])
def test_limits(name: str, value: Any, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings(**{name: value})
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", "ten"), ("epochs", 2.5), ("seed", 0.5), ("batch_size", "32"), ("test", "a")],
)
def test_values_of_another_type(name: str, value: Any) -> None:
    """From Python, where nothing parses text: text for a number and fractions for a count are refused."""
    with pytest.raises(SettingError, match="--" + name.replace("_", "-")):
        Settings(**{name: value})


def test_filled_keeps_what_was_said() -> None:
    settings = Settings(epochs=3).filled({"epochs": 50, "batch_size": 32})
    assert (settings.epochs, settings.batch_size, settings.optimizer) == (3, 32, None)


def test_filled_checks_what_was_chosen() -> None:
    with pytest.raises(SettingError, match="--epochs must be at least 1"):
        Settings().filled({"epochs": 0})


@pytest.mark.parametrize("name", [f.name for f in fields(Settings)])
def test_every_setting_says_what_it_is(name: str) -> None:
    assert help_text(name) and not help_text(name).endswith(".")
