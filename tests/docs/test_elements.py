"""The pages of activations and losses say what the declarations say."""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chainrule.catalog import ACTIVATIONS, LOSSES
from chainrule.nn.activations import activation

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def pages() -> dict[str, object]:
    return runpy.run_path(str(DOCS / "pages" / "elements.py"))


@pytest.mark.curriculum("ACT-16")
def test_table_of_activations(pages) -> None:
    text = (DOCS / "activations.md").read_text("utf-8")
    assert text == pages["activations_page"](), "run docs/pages/elements.py"
    lines = text.splitlines()
    assert all(sum(line.startswith(f"| {name}") for line in lines) >= 2 for name in ACTIVATIONS)
    traits = {line.split(" | ")[0][2:]: line.split(" | ")[1:4] for line in lines if line.count(" | ") == 4}
    assert traits["sigmoid"] == ["0.25", "both sides", "no"]
    assert traits["tanh"] == ["1", "both sides", "yes"]
    assert traits["relu"] == ["1", "below", "no"]


def test_table_of_losses(pages) -> None:
    text = (DOCS / "losses.md").read_text("utf-8")
    assert text == pages["losses_page"](), "run docs/pages/elements.py"
    assert all(text.count(f"| {name} |") == 2 for name in LOSSES)


def test_drawing_has_every_activation(pages, tmp_path: Path) -> None:
    pages["draw_activations"](tmp_path / "drawn.svg")
    for path in (tmp_path / "drawn.svg", DOCS / "pictures" / "activations.svg"):
        titles = {node.text for node in ElementTree.parse(path).iter() if node.tag.endswith("text")}
        assert {name for name in ACTIVATIONS if activation(name).is_element_wise} <= titles
