"""Page and slide of an expression: the graph is there, in both colours, and says where it is too large."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from chainrule.explanations.explained_expression import explain_expression
from chainrule.report.expression_page import page, slide

SVG = "{http://www.w3.org/2000/svg}"
COURSE = explain_expression("3*(a+b*c)", {"a": 5, "b": 3, "c": 2})


def texts(document: str) -> list[tuple[str, str]]:
    """Return every text of a slide with its colour."""
    return [
        (t.text or "", t.get("fill", ""))
        for t in ElementTree.fromstring(document.encode()).iter(f"{SVG}text")
    ]


def test_slide_has_values_in_one_colour_and_gradients_in_another() -> None:
    found = texts(slide(COURSE))
    forward = sorted(text for text, colour in found if colour == "#0072b2" and text[0].isdigit())
    backward = sorted(text for text, colour in found if colour == "#d55e00" and text[0].isdigit())
    assert forward == sorted(["5", "3", "2", "6", "11", "33"])
    assert backward == sorted(["3", "6", "9", "3", "3", "1"])
    shown = [text for text, _ in found]
    assert {"J = 3·(a + b·c)", "u = b · c", "v = a + u", "J = 3 · v", "da = 3", "db = 6", "dc = 9"} <= set(
        shown
    )
    assert "dJ/db = dJ/du · du/db = 3 · 2 = 6" in shown


def test_letters_of_a_slide_are_large() -> None:
    """The smallest letter of 900 units of height, wherever the drawing is scaled."""
    root = ElementTree.fromstring(slide(COURSE).encode())
    scale = float(next(g for g in root.iter(f"{SVG}g")).get("transform", "").split("scale(")[1].rstrip(")"))
    inside = [
        float(t.get("font-size", "0")) * scale for g in root.iter(f"{SVG}g") for t in g.iter(f"{SVG}text")
    ]
    outside = [float(t.get("font-size", "0")) for t in root.findall(f"{SVG}text")]
    assert min(inside + outside) >= 17


def test_page_has_the_graph_the_chain_rule_and_the_nudges() -> None:
    document = page(COURSE).render().replace("\N{NO-BREAK SPACE}", " ")
    for part in (
        "dJ/dc = dJ/du · du/dc = 3 · 3 = 9",
        "3 → 3.001",
        "33 → 33.006",
        "u 6 → 6.002, v 11 → 11.002",
    ):
        assert part in document
    assert "<svg" in document and "var(--ours)" in document and "<script" not in document


@pytest.mark.parametrize("count", [20, 100])
def test_a_large_graph_is_refused_on_a_slide_and_says_so(count: int) -> None:
    found = explain_expression("+".join(f"sigmoid(w{i}*x{i})" for i in range(count // 2)), {
        f"{letter}{i}": 0.5 for i in range(count // 2) for letter in "wx"
    })  # fmt: skip
    shown = [text for text, _ in texts(slide(found))]
    assert any("too large for a slide" in text for text in shown)
    document = page(found).render()
    assert ("too large to draw" in document) == (count == 100) and ("<svg" in document) == (count < 100)


def test_names_are_text_wherever_they_stand() -> None:
    found = explain_expression("naïve*λ", {"naïve": 1.0, "λ": 2.0})
    assert "dλ = 1" in [text for text, _ in texts(slide(found))]
    assert page(found).render()


def test_corners_are_told_on_the_page() -> None:
    assert "relu has a corner at 0" in page(explain_expression("relu(a)", {"a": 0.0})).render()
