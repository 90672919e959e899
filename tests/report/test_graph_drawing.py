"""Graphs in layers: nothing overlaps, nothing crosses without need, and what is too large says so."""

from __future__ import annotations

import random
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.report.graph_drawing import Edge, Graph, Node, draw_graph, too_large
from chainrule.report.shapes import LIGHT, ON_PAGE, Label, inline
from chainrule.report.slide import standalone


def label(text: str) -> Label:
    return Label(text=text)


def random_graph(seed: int) -> Graph:
    """Nodes in a few layers, each fed by some of the layers before, every edge with two texts."""
    draw = random.Random(seed)
    nodes = [
        Node(name=f"n{layer}.{i}", layer=layer, lines=[label("x" * draw.randint(1, 12))], shape=shape)
        for layer in range(draw.randint(2, 5))
        for i in range(draw.randint(1, 4))
        for shape in [draw.choice(["box", "circle"])]
    ]
    edges = [
        Edge(start=a.name, end=b.name, above=label(f"{draw.random():.3g}"), below=label("-1.25e-07"))
        for a in nodes
        for b in nodes
        if a.layer < b.layer and draw.random() < 0.3
    ]
    return Graph(nodes=nodes, edges=edges)


def boxes(graph: Graph) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of every shape and text of edges."""
    root = ElementTree.fromstring(f"<svg>{draw_graph(graph, LIGHT).content.html}</svg>")
    found = []
    for rect in root.iter("rect"):
        x, y, width, height = (float(rect.get(k, "0")) for k in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    inside = {line.text for node in graph.nodes for line in node.lines}
    for text in root.iter("text"):
        if text.text not in inside:
            x, y, width = float(text.get("x", "0")), float(text.get("y", "0")), label(text.text or "").width
            found.append((x - width / 2, y - 11, x + width / 2, y + 3))
    return found


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_nothing_overlaps_and_all_is_inside(seed: int) -> None:
    graph = random_graph(seed)
    drawing = draw_graph(graph, LIGHT)
    found = boxes(graph)
    assert not [pair for pair in combinations(found, 2) if overlap(*pair)]
    for left, top, right, bottom in found:
        assert left >= -1 and top >= -1 and right <= drawing.width + 1 and bottom <= drawing.height + 1


def test_a_tree_is_drawn_without_crossings() -> None:
    """Four leaves in the wrong order: each pair ends beside the other."""
    leaves = [Node(name=name, layer=0, lines=[label(name)]) for name in "acbd"]
    nodes = [*leaves, Node(name="u", layer=1), Node(name="v", layer=1), Node(name="J", layer=2)]
    pairs = [("a", "u"), ("b", "u"), ("c", "v"), ("d", "v"), ("u", "J"), ("v", "J")]
    drawn = draw_graph(Graph(nodes=nodes, edges=[Edge(start=s, end=e) for s, e in pairs]), LIGHT)
    root = ElementTree.fromstring(f"<svg>{drawn.content.html}</svg>")
    height = {text.text: float(text.get("y", "0")) for text in root.iter("text")}
    assert sorted(height, key=lambda name: height[name]) in (
        list("abcd"),
        list("cdab"),
        list("badc"),
        list("abdc"),
    )


def test_ranks_are_kept() -> None:
    nodes = [Node(name=str(i), layer=0, lines=[label(str(i))], rank=-i) for i in range(4)]
    nodes.append(Node(name="end", layer=1))
    drawn = draw_graph(Graph(nodes=nodes, edges=[Edge(start=str(i), end="end") for i in range(4)]), LIGHT)
    root = ElementTree.fromstring(f"<svg>{drawn.content.html}</svg>")
    height = {text.text: float(text.get("y", "0")) for text in root.iter("text")}
    assert sorted(height, key=lambda name: height[name]) == list("3210")


def test_on_a_page_colours_follow_the_theme_and_on_a_slide_they_are_plain() -> None:
    graph = random_graph(3)
    page = inline(draw_graph(graph, ON_PAGE), "a graph").html
    slide = standalone("A title", draw_graph(graph, LIGHT))
    assert "var(--muted)" in page and "#59636e" not in page
    assert "var(" not in slide and "style" not in slide and "#59636e" in slide


def test_a_slide_is_xml_and_text_stays_text() -> None:
    node = Node(name="n", layer=0, lines=[label("<script>alert(1)</script> & \x1b[31m")])
    slide = standalone(
        "<b>&</b>", draw_graph(Graph(nodes=[node], edges=[]), LIGHT), lines=[label("a < b")] * 4
    )
    root = ElementTree.fromstring(slide.encode())
    assert root.get("viewBox") == "0 0 1600 900"
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"<b>&</b>", "<script>alert(1)</script> & \\x1b[31m", "a < b"} <= texts


@pytest.mark.parametrize(("nodes", "said"), [(120, None), (121, "too large to draw: 121 nodes and 0 edges")])
def test_what_is_too_large_says_so(nodes: int, said: str | None) -> None:
    found = too_large(Graph(nodes=[Node(name=str(i), layer=0) for i in range(nodes)], edges=[]))
    assert (found or "").startswith(said or "") and (found is None) == (said is None)
