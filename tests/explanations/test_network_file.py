"""Network files: what is read, and what is refused with the file, the line, the layer and both shapes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chainrule.catalog import NETWORKS
from chainrule.core.errors import ChainruleError, DataError, SettingError, UnknownNameError
from chainrule.explanations.network_file import parse_network, read_network

GOOD = """\
input = [3, 2]
target = 7

[[layer]]
activation = "relu"
weights = [[2, 1],
           [0, 0]]

[[layer]]
weights = [[2, 2]]
"""


def without(text: str) -> str:
    assert text in GOOD
    return GOOD.replace(text, "")


def instead(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_file_is_read_as_it_stands() -> None:
    file = parse_network(GOOD, "mine.toml")
    assert file.inputs.tolist() == [[3, 2]] and file.targets is not None and file.targets.tolist() == [[7]]
    assert [layer.activation for layer in file.layers] == ["relu", "identity"]
    assert file.layers[0].weights.tolist() == [[2, 1], [0, 0]] and file.layers[0].biases.tolist() == [0, 0]
    assert file.loss.name == "half-squared-error" and file.learning_rate is None and file.nudge == 0.01
    assert file.model()(file.inputs).tolist() == [[16]]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_example_is_read_by_its_name_and_by_its_text(name: str) -> None:
    file = read_network(name)
    assert file.text.startswith("#") and torch.isfinite(file.model()(file.inputs)).all()
    assert parse_network(file.text, "copy.toml").inputs.tolist() == file.inputs.tolist()


REFUSED = [
    (instead("weights = [[2, 2]]", "weights = [[2, 2, 2]]"),
     "mine.toml, line 9: layer 2: its weights are 1 × 3 (one row per unit, one number per input), so it takes 3 numbers, "
     "but layer 1 has weights of 2 × 2 and gives 2 numbers"),
    (instead("input = [3, 2]", "input = [3, 2, 1]"),
     "mine.toml, line 4: layer 1: its weights are 2 × 2 (one row per unit, one number per input), so it takes 2 numbers, "
     "but the input has 3 numbers"),
    (instead("weights = [[2, 2]]", "weights = [[2, 2]]\nbiases = [1, 2]"),
     "mine.toml, line 9: layer 2: 2 biases for weights of 1 × 2, which are 1 unit"),
    (instead("[0, 0]]", "[0]]"), "row 2 of weights has length 1, row 1 has length 2"),
    (instead("weights = [[2, 2]]", "weights = [2, 2]"), "weights takes a list of rows, [[2, 2]] for a single one"),
    (without("weights = [[2, 2]]"), "mine.toml, line 9: layer 2 has no weights"),
    (without("input = [3, 2]"), "mine.toml has no input: write input = [1, -1]"),
    (GOOD[: GOOD.index("[[layer]]")], "mine.toml has no layers: each begins with a line [[layer]]"),
    (instead("target = 7", "target = [7, 8]"), "mine.toml, line 2: 2 numbers per target, but the last layer has 1 unit"),
    (instead("[[2, 2]]", '[[2, "two"]]'), "layer 2: numbers are needed; got 'two'"),
    (instead("[[2, 2]]", "[[2, true]]"), "numbers are needed; got True"),
    (instead("[[2, 2]]", "[[2, nan]]"), "numbers must be finite"),
    (instead("[[2, 2]]", "[[2, -inf]]"), "numbers must be finite"),
    (instead("[[2, 2]]", f"[[2, {10**400}]]"), "numbers must be finite"),
    (instead("[[2, 2]]", "[[]]"), "a row of weights takes a list of numbers"),
    (instead("[[layer]]", "[[layer]"), "mine.toml is no TOML"),
    ("learning_rate = 0\n" + GOOD, "mine.toml, line 1: a positive number is needed; got 0"),
    ("nudge = -0.01\n" + GOOD, "a positive number is needed; got -0.01"),
    ('loss = "perceptron"\n' + GOOD, "the loss perceptron does not go with a network file; those that do: "),
    ('loss = "cross-entropy"\n' + GOOD, 'the last layer\'s activation is identity; cross-entropy goes with activation = "softmax"'),
    (instead('"relu"', "7"), 'activation takes a name such as "sigmoid"; got 7'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_contradicts_itself_is_refused(text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_network(text, "mine.toml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (instead("weights = [[2, 2]]", "weigths = [[2, 2]]"),
         "mine.toml, line 9: layer 2: no key is called 'weigths'; did you mean 'weights'?"),
        ("inputs = [1]\n" + GOOD, "mine.toml: no key is called 'inputs'; did you mean 'input'?"),
        (instead('"relu"', '"rleu"'), "mine.toml, line 4: layer 1: no activation is called 'rleu'; did you mean 'relu'"),
        ('loss = "squared-eror"\n' + GOOD, "mine.toml, line 1: no loss is called 'squared-eror'; did you mean 'squared-error'"),
    ],
)  # fmt: skip
def test_unknown_names_get_the_nearest(text: str, said: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_network(text, "mine.toml")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (instead('"relu"', '"leaky-relu:7"'), "mine.toml, line 4: layer 1: the slope of leaky-relu must be from 0 to 1; got 7"),
        ('loss = "huber:0"\n' + GOOD, "mine.toml, line 1: the width of huber must be above 0; got 0"),
    ],
)  # fmt: skip
def test_numbers_after_names_are_refused_with_their_place(text: str, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_network(text, "mine.toml")
    assert str(caught.value) == said


CLASSES = 'input = [1]\ntarget = {}\n[[layer]]\nactivation = "softmax"\nweights = [[1], [2], [3]]\n'
TWO = 'input = [1]\ntarget = {}\nloss = "binary-cross-entropy"\n[[layer]]\nactivation = "sigmoid"\nweights = [[1]]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CLASSES.format(3), "mine.toml, line 2: the target 3 is outside the classes 0 to 2, one per unit of the last layer"),
        (CLASSES.format(-1), "the target -1 is outside the classes 0 to 2"),
        (CLASSES.format(0.5), "the target of cross-entropy is a class, counted from 0; got 0.5"),
        (CLASSES.format("[1, 1, 0]"), "a target as a list has 3 numbers, 1 for the true class and 0 for the others"),
        (TWO.format(2), "the loss binary-cross-entropy takes targets from 0 to 1 (the two classes); got 2"),
        (CLASSES.format("[0, 1]").replace("[1]\n", "[[1], [2], [3]]\n", 1), "2 targets for 3 inputs"),
    ],
)  # fmt: skip
def test_targets_outside_the_classes(text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_network(text, "mine.toml")
    assert said in str(caught.value)


def test_a_class_is_given_by_its_number_or_as_a_list() -> None:
    for target in ("2", "[0, 0, 1]"):
        file = parse_network(CLASSES.format(target), "mine.toml")
        assert file.loss.name == "cross-entropy" and file.targets is not None and file.targets.tolist() == [2]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"there is no file .*none.toml \(networks that come with chainrule: toy-network, "
    ):
        read_network(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is no text in UTF-8"):
        read_network(tmp_path / "bytes.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(DataError, match="is larger than a megabyte"):
        read_network(tmp_path / "large.toml")
    with pytest.raises(DataError, match="cannot be read"):
        read_network(tmp_path)


def test_sizes_are_bounded() -> None:
    layer = "[[layer]]\nweights = [[1]]\n"
    with pytest.raises(DataError, match="has 101 layers; at most 100"):
        parse_network("input = [1]\n" + 101 * layer, "deep.toml")
    wide = f"[[layer]]\nweights = {[[1] * 101] * 100}\n"
    with pytest.raises(DataError, match="has 10,100 weights; at most 10,000"):
        parse_network(f"input = {[1] * 101}\n{wide}", "wide.toml")


@given(st.text(max_size=300) | st.lists(st.sampled_from(GOOD.split()), max_size=30).map(" ".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_network(text, "any.toml")
    except ChainruleError:
        return
    assert "layer" in tomllib.loads(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(["input", "target", "loss", "learning_rate", "nudge", "weights", "biases", "activation"]),
    VALUES,
)
def test_any_value_of_a_key_is_read_or_refused(key: str, value: object) -> None:
    written = _toml(value)
    if written is None:
        return
    lines = [line for line in GOOD.splitlines() if not line.startswith((f"{key} =", "           "))]
    text = "\n".join([f"{key} = {written}", *lines])
    if key in ("weights", "biases", "activation"):
        text = "\n".join(
            [*[line for line in lines if line not in ("[[layer]]",)][:2], "[[layer]]", f"{key} = {written}"]
        )
    try:
        parse_network(text, "any.toml")
    except ChainruleError:
        return


def _toml(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        parts = [_toml(item) for item in value]
        return None if None in parts else "[" + ", ".join(str(p) for p in parts) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(c for c in value if c.isalnum()) + '"'
    return repr(value)
