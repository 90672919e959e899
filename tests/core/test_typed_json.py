"""JSON read as declared types: what fits comes through, what does not is named."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chainrule.core.typed_json import typed


@dataclass(frozen=True, kw_only=True)
class Leg:
    length: float
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Animal:
    age: int
    legs: tuple[Leg, ...] = ()
    is_wild: bool | None = None
    notes: dict[str, Any] | None = None


LEGS = st.builds(Leg, length=st.floats(allow_nan=False) | st.integers(), name=st.text())
ANIMALS = st.builds(
    Animal,
    age=st.integers(),
    legs=st.lists(LEGS).map(tuple),
    is_wild=st.none() | st.booleans(),
    notes=st.none() | st.dictionaries(st.text(), st.integers()),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["age", "legs", "length", "x"]), inner)
    ),
    max_leaves=12,
)


@given(ANIMALS)
def test_what_was_written_comes_back(animal: Animal) -> None:
    assert typed(Animal, json.loads(json.dumps(asdict(animal)))) == animal


def test_a_pair_is_of_two() -> None:
    assert typed(tuple[float, float], [1, 2.5]) == (1, 2.5)
    with pytest.raises(ValueError, match=r"range should hold 2 values; got 3"):
        typed(tuple[float, float], [1, 2, 3], "range")


@given(JSON)
def test_anything_else_is_a_value_error(value: Any) -> None:
    try:
        assert isinstance(typed(Animal, value), Animal)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "it should be an object; got 3"),
        ({}, "age is missing"),
        ({"age": 1, "wings": 2}, "wings is not known to this version of chainrule"),
        ({"age": True}, "age should be a whole number; got True"),
        ({"age": 1.0}, "age should be a whole number; got 1.0"),
        ({"age": 1, "legs": [{"length": "long"}]}, "legs[0].length should be a number; got 'long'"),
        ({"age": 1, "legs": [{"length": 1}, {}]}, "legs[1].length is missing"),
        ({"age": 1, "is_wild": 0}, "is_wild should be true or false or null; got 0"),
        ({"age": 1, "notes": []}, "notes should be an object or null; got []"),
        ({"age": "\x1b[31m" * 50}, "age should be a whole number; got '\\x1b[31m"),
    ],
)
def test_the_message_names_the_value(value: Any, said: str) -> None:
    with pytest.raises(ValueError) as raised:
        typed(Animal, value)
    assert str(raised.value).startswith(said) and len(str(raised.value)) < 150
