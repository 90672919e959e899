"""A long chain is drawn in rows without losing a box or a text; anything else stays as it is."""

from __future__ import annotations

import pytest

from chainrule.report.graph_drawing import Edge, Graph, Node, draw_graph
from chainrule.report.graph_rows import draw_rows
from chainrule.report.shapes import LIGHT, Label


def chain(count: int) -> Graph:
    nodes = [Node(name=str(i), layer=i, lines=[Label(text=f"box {i}")]) for i in range(count)]
    edges = [
        Edge(start=str(i), end=str(i + 1), above=Label(text=f"on {i}"), below=Label(text=f"back {i}"))
        for i in range(count - 1)
    ]
    return Graph(nodes=nodes, edges=edges)


@pytest.mark.parametrize("rows", [2, 3])
def test_chain_in_rows(rows: int) -> None:
    graph = chain(9)
    whole, folded = draw_graph(graph, LIGHT), draw_rows(graph, rows, LIGHT)
    assert folded.width < whole.width / rows * 1.6 and folded.height > whole.height * (rows - 0.5)
    for text in (label.text for node in graph.nodes for label in node.lines):
        assert folded.content.html.count(f">{text}<") == 1
    for edge in graph.edges:
        assert edge.above and edge.below
        assert folded.content.html.count(f">{edge.above.text}<") == 1, "also on the line between two rows"
        assert folded.content.html.count(f">{edge.below.text}<") == 1


def test_no_chain_stays_in_one_row() -> None:
    nodes = [Node(name=name, layer=int(name[0]), lines=[Label(text=name)]) for name in ("0a", "0b", "1", "2")]
    edges = [Edge(start="0a", end="1"), Edge(start="0b", end="1"), Edge(start="1", end="2")]
    graph = Graph(nodes=nodes, edges=edges)
    assert draw_rows(graph, 2, LIGHT) == draw_graph(graph, LIGHT)
    assert draw_rows(chain(3), 2, LIGHT) == draw_graph(chain(3), LIGHT), "three boxes need no second row"
