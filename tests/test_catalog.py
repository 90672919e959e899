"""Every name of the catalogue means something, lives in the room of its kind, and a wrong one gets the nearest."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from torch import nn

from chainrule import catalog
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.models import build

ENTRIES = [(kind, name) for kind, found in catalog.KINDS.items() for name in found.entries]
OWN_MODEL = """
from torch import nn

class Net(nn.Linear):
    def __init__(self, *, inputs: int, units: int, scale: float = 1.0) -> None:
        super().__init__(inputs, units)
        self.scale = scale

class Outer:
    Net = Net

not_a_model = 3

def make_text(**settings):
    return "net"
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module with a model of the user's, on the path."""
    (tmp_path / "own_nets.py").write_text(OWN_MODEL)
    (tmp_path / "broken_nets.py").write_text("undefined")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("own_nets", None)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_entry_resolves_in_its_room(kind: str, name: str) -> None:
    found = catalog.KINDS[kind]
    module, _, attribute = found.entries[name].target.partition(":")
    assert module == found.room or module.startswith(found.room + ".")
    value = catalog.load(kind, name)
    assert callable(value)
    assert getattr(value, "name", name) == name
    assert attribute.lower().replace("-", "_") == name.replace("-", "_"), (
        "a name and its attribute are one word"
    )


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_summary_is_one_line(kind: str, name: str) -> None:
    summary = catalog.names(kind)[name]
    assert 0 < len(summary) <= 90
    assert summary.isprintable() and not summary.endswith(".")


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_unknown_name_gets_the_nearest(kind: str) -> None:
    first = next(iter(catalog.KINDS[kind].entries))
    with pytest.raises(UnknownNameError) as caught:
        catalog.load(kind, first + "x")
    assert f"no {kind} is called {first + 'x'!r}; did you mean" in str(caught.value)
    assert repr(first) in str(caught.value)


def test_unknown_name_unlike_any() -> None:
    with pytest.raises(UnknownNameError) as caught:
        catalog.load("schedule", "zzzzzz")
    assert "did you mean" not in str(caught.value)
    assert "6 schedules: constant, cosine, exponential, linear, plateau, step" in str(caught.value)


@pytest.fixture
def slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of names one of which takes a number."""
    entries = {
        "sloped": catalog.Entry("chainrule.nn.activations:LEAKY_RELU", "a kink", number="slope"),
        "relu": catalog.ACTIVATIONS["relu"],
    }
    monkeypatch.setitem(catalog.KINDS, "activation", catalog.Kind(entries, "chainrule.nn"))


@pytest.mark.usefixtures("slopes")
@pytest.mark.parametrize(
    ("text", "number"), [("sloped", None), ("sloped:0.2", 0.2), ("sloped : -1e-2", -0.01), ("sloped:3", 3.0)]
)
def test_name_with_a_number(text: str, number: float | None) -> None:
    assert catalog.parametrised("activation", text) == (catalog.load("activation", "sloped"), number)


@pytest.mark.usefixtures("slopes")
@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("sloped:", SettingError, "sloped:NUMBER takes a number, its slope; got 'sloped:'"),
        ("sloped:steep", SettingError, "sloped:NUMBER takes a number, its slope; got 'sloped:steep'"),
        ("sloped:nan", SettingError, "sloped:NUMBER takes a number, its slope; got 'sloped:nan'"),
        ("sloped:inf", SettingError, "sloped:NUMBER takes a number, its slope; got 'sloped:inf'"),
        ("sloped:1:2", SettingError, "sloped:NUMBER takes a number, its slope; got 'sloped:1:2'"),
        ("relu:0.2", SettingError, "the activation relu takes no number; got 'relu:0.2'"),
        ("slopped:0.2", UnknownNameError, "no activation is called 'slopped'; did you mean 'sloped'?"),
    ],
)
def test_what_is_no_name_with_a_number(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        catalog.parametrised("activation", text)


def test_model_of_an_own_module(own_package: Path) -> None:
    model = build("own_nets:Net", inputs=3, units=2, scale=0.5)
    assert isinstance(model, nn.Linear) and model.scale == 0.5
    assert isinstance(build("own_nets:Outer.Net", inputs=3, units=2), nn.Linear)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_nets:Nett", "the model 'own_nets:Nett' cannot be imported"),
        ("no_such_package:Net", "No module named 'no_such_package'"),
        ("own nets:Net", "a model of your own is written package.module:Name"),
        ("own_nets:Net()", "a model of your own is written package.module:Name"),
        (":Net", "a model of your own is written package.module:Name"),
        ("own_nets:", "a model of your own is written package.module:Name"),
        (".own_nets:Net", "a model of your own is written package.module:Name"),
        ("own_nets..x:Net", "a model of your own is written package.module:Name"),
        ("own_nets:not_a_model", "'own_nets:not_a_model' is of type int, not a class or a function"),
        ("own_nets:make_text", "own_nets:make_text gives a str, not a torch.nn.Module"),
        ("broken_nets:Net", "cannot be imported: NameError: name 'undefined' is not defined"),
    ],
)
def test_what_is_no_model_of_an_own_module(own_package: Path, name: str, said: str) -> None:
    with pytest.raises(SettingError, match=re.escape(said)):
        build(name, inputs=3, units=2)


def test_models_of_other_packages(own_package: Path) -> None:
    """Another package brings models by the entry-point group `chainrule.models`; it is imported only when asked for."""
    info = own_package / "own_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-nets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[chainrule.models]\nown-net = own_nets:Net\nmlp = own_nets:Net\n")
    names = catalog.names("model")
    assert names["own-net"] == "from own_nets:Net"
    assert names["mlp"] == catalog.MODELS["mlp"].summary, "a name of the catalogue cannot be taken over"
    assert "own_nets" not in sys.modules
    assert type(build("own-net", inputs=3, units=2)).__name__ == "Net"
    assert isinstance(build("mlp", inputs=3, units=2), nn.Sequential)
    with pytest.raises(UnknownNameError, match="did you mean 'own-net'"):
        build("own-nett", inputs=3, units=2)


def test_damaged_entry_point(own_package: Path) -> None:
    info = own_package / "own_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-nets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[chainrule.models]\nbroken = own_nets\n")
    with pytest.raises(SettingError, match=r"package\.module:Name; got 'own_nets'"):
        build("broken", inputs=3, units=2)
