"""What `chainrule names` lists and describes."""

from __future__ import annotations

import json

import pytest

from chainrule.apps import cli
from chainrule.catalog import KINDS, names
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.jobs.describe import describe_name, list_kind, list_kinds

ENTRIES = [(kind, name) for kind, found in KINDS.items() for name in found.entries if kind != "dataset"]


def test_every_kind_is_listed_with_its_names() -> None:
    rows = {row[0]: row[2] for row in list_kinds().rows}
    assert rows == {kind: ", ".join(names(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_lists_its_names(kind: str) -> None:
    assert dict(list_kind(kind).rows) == names(kind)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_name_is_described(kind: str, name: str) -> None:
    found = describe_name(kind, name)
    assert found.title == name and found.text


def test_a_name_says_what_it_declares() -> None:
    rows = dict(describe_name("activation", "leaky-relu:0.2").rows)
    assert rows["c"] == "0.2" and rows["range"] == "−∞ to ∞" and "units must not die" in rows["what for"]
    assert dict(describe_name("loss", "huber").rows)["tasks"] == "regression"
    adam = dict(describe_name("optimizer", "adam").rows)
    assert adam["--set beta2"] == "0.999" and "V̂ / (√Û + ε)" in adam["update"]
    assert dict(describe_name("schedule", "plateau").rows)["--set schedule_patience"] == "10"
    assert not describe_name("loss", "per-class-cross-entropy").example, "fit has no task for it"


@pytest.mark.parametrize(
    ("kind", "name", "error", "said"),
    [
        ("activations", None, UnknownNameError, "no kind of names is called 'activations'; did you mean 'activation'"),
        ("activation", "rellu", UnknownNameError, "did you mean 'relu'"),
        ("activation", "tanh:2", SettingError, "the activation tanh takes no number; got 'tanh:2'"),
        ("loss", "huber:0", SettingError, "the width of huber must be above 0; got 0"),
    ],
)  # fmt: skip
def test_what_is_no_name(kind: str, name: str | None, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        list_kind(kind) if name is None else describe_name(kind, name)
    assert said in str(caught.value)


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["chainrule", "names", "activation", "relu", "--json"])
    assert cli.run() == 0
    said = json.loads(capsys.readouterr().out)
    assert said["title"] == "relu" and ["f(z)", "max(0, z)"] in said["rows"]
