"""`chainrule explain` on networks and rows, as users type it: text, files, and one message with exit code 2."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

import chainrule
from chainrule.apps import cli
from chainrule.catalog import NETWORKS

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Typed:
    """Run the command line in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, arguments)])
        capsys.readouterr()
        code = cli.run()
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_that_comes_along_is_explained_by_name(typed: Typed, name: str) -> None:
    code, out, error = typed("explain", name)
    assert (code, error) == (0, "") and out.startswith(f"{name}\n") and "FORWARD" in out
    assert name in typed("explain", "--help")[1].replace("\n", "")


def test_a_copy_is_changed_and_explained(typed: Typed, tmp_path: Path) -> None:
    assert typed("explain", "weight-nudge", "--output", "mine.toml")[0] == 0
    mine = tmp_path / "mine.toml"
    mine.write_text(mine.read_text("utf-8").replace("[[2, 2]]", "[[2.01, 2]]"), encoding="utf-8")
    code, out, _ = typed("explain", "mine.toml")
    assert code == 0 and "output 16.08, target 7, error (output − target) 9.08" in out


def test_files_of_every_form(typed: Typed, tmp_path: Path) -> None:
    for ending in ("html", "svg", "json", "txt"):
        assert typed("explain", "toy-network", "-o", f"toy.{ending}")[0] == 0
    values = json.loads((tmp_path / "toy.json").read_text("utf-8"))
    assert values["outputs"] == [pytest.approx([0.617705, 0.829124], abs=1e-6)]
    slide = ElementTree.parse(tmp_path / "toy.svg").getroot()
    assert slide.attrib["viewBox"] == "0 0 1600 900"
    texts = ["".join(t.itertext()) for t in slide.iter("{http://www.w3.org/2000/svg}text")]
    assert {"0.982", "0.864", "0.618", "0.829", "0.417"} <= set(texts)
    page = (tmp_path / "toy.html").read_text("utf-8")
    for shown in (
        "Layer 3: dense 2 → 2, sigmoid",
        "half-squared-error",
        "2·0.982 + (−1)·0.1192 + 0 = 1.84482",
        "0.392373",
    ):
        assert shown in page
    assert "<script" not in page and 'src="http' not in page


def test_json_on_standard_output(typed: Typed) -> None:
    code, out, _ = typed("explain", "relu-error", "--json")
    event = json.loads(out)
    assert code == 0 and event["event"] == "explained"
    assert event["loss"]["value"] == 60.5 and event["layers"][1]["weights"]["weight"]["gradient"] == [
        [88.0, 0.0]
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.toml",), "there is no file none.toml (networks that come with chainrule: toy-network, "),
        (("toy-netwrk",), "no network is called 'toy-netwrk'; did you mean 'toy-network'"),
        (("wrong.toml",), "wrong.toml, line 2: layer 1: its weights are 1 × 2"),
        (("toy-network", "--row", "3"), "--row goes with a run; 'toy-network' is a network"),
        (("toy-network", "--input", "2"), "--input goes with a model; 'toy-network' is a network"),
        (("toy-network", "--units", "2"), "--units goes with a model; 'toy-network' is a network"),
        (("toy-network", "--set", "hidden=3"), "--set goes with a model; 'toy-network' is a network"),
        (("a*b", "a=3", "b=2", "--units", "2"), "--units goes with a model; 'a*b' is an expression"),
        (("toy-network", "a=3"), "values of variables go with an expression"),
        (("toy-network", "-o", "toy.png"), "--output takes a file ending in .html, .svg, .json, .txt, .toml; got toy.png"),
        (("runs/none", "--row", "3"), "there is no run at runs/none"),
    ],
)  # fmt: skip
def test_what_is_refused(typed: Typed, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "wrong.toml").write_text("input = [1]\n[[layer]]\nweights = [[1, 2]]\n")
    code, out, error = typed("explain", *arguments)
    assert code == 2 and error.startswith("chainrule: ") and said in error and "Traceback" not in error + out


def test_a_row_of_pictures_as_a_page(typed: Typed, tmp_path: Path) -> None:
    chainrule.fit("digits", model="mlp", model_settings={"hidden": (32,)}, epochs=1, quiet=True, name="small")
    code, out, error = typed("explain", "small", "--row", "1796", "-o", "row.html")
    assert (code, error) == (0, "") and "the 10 largest gradients" in out
    assert out.endswith("\nwritten: row.html\n")
    page = (tmp_path / "row.html").read_text("utf-8")
    assert page.count("data:image/png") == 1 and page.count("<details>") >= 4
    code, _, error = typed("explain", "small", "--row", "1797")
    assert (
        code == 2 and "row 1797 is outside the data: digits has 1,797 rows, counted from 0 to 1796" in error
    )


def test_feature_maps_are_shown_as_pictures(typed: Typed, tmp_path: Path) -> None:
    import numpy as np

    pictures = np.random.default_rng(0).integers(0, 255, (40, 1, 12, 12)).astype(np.uint8)
    run = chainrule.fit((pictures, np.arange(40) % 2), model="lenet", epochs=1, quiet=True, name="maps")
    chainrule.explain(run, row=3).save(tmp_path / "maps.html")
    page = (tmp_path / "maps.html").read_text("utf-8")
    # the row; 6 maps after each of convolution and pooling, 16 of the second; their gradients and those of kernels
    assert page.count("data:image/png") > 1 + 6 + 6 + 16
    assert "convolution 1 → 6, 5 × 5, relu: its 6 maps" in page


def test_a_notebook_shows_the_drawing() -> None:
    explained = chainrule.explain("a*b", a=2, b=3)
    assert explained._repr_svg_() == explained.svg() and "<svg" in explained.svg()
