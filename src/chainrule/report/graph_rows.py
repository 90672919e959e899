"""A long chain of layers drawn in rows, one below the other, as text is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from chainrule.report.graph_drawing import Edge, Graph, Node, draw_graph
from chainrule.report.html import join
from chainrule.report.shapes import Drawing, Palette, place

_ENTRY, _EXIT = "\0entry", "\0exit"
_INDENT = 40.0  # of rows after the first, so that the arrow into them is seen


def draw_rows(graph: Graph, rows: int, colours: Palette) -> Drawing:
    """Draw a graph in so many rows; one that is no chain, or too short for them, stays in one."""
    nodes = sorted(graph.nodes, key=lambda node: node.layer)
    is_chain = [node.layer for node in nodes] == list(range(len(nodes))) and not graph.headings
    if rows == 1 or not is_chain or len(nodes) < 2 * rows:
        return draw_graph(graph, colours)
    cuts = _cuts(nodes, rows)
    drawings = [draw_graph(part, colours) for part in _parts(graph, nodes, cuts)]
    shown, top = [], 0.0
    for row, drawing in enumerate(drawings):
        shown.append(place(drawing, _INDENT if row else 0.0, top))
        top += drawing.height
    width = max(drawing.width + (_INDENT if row else 0.0) for row, drawing in enumerate(drawings))
    return Drawing(width, top, join(*shown))


def _cuts(nodes: list[Node], rows: int) -> list[int]:
    """Return where rows begin and end, so that their widths are alike."""
    widths = [max((label.width for label in (*node.lines, *node.below)), default=0.0) + 110 for node in nodes]
    whole, cuts, passed = sum(widths), [0], 0.0
    for i, width in enumerate(widths):
        if len(cuts) < rows and i > cuts[-1] and passed + width / 2 > whole * len(cuts) / rows:
            cuts.append(i)
        passed += width
    return [*cuts, len(nodes)]


def _parts(graph: Graph, nodes: list[Node], cuts: list[int]) -> list[Graph]:
    """Cut the chain; the edge between two rows leaves the one with its texts, and enters the other without."""
    edges = {edge.start: edge for edge in graph.edges}
    found = []
    for row, (begin, end) in enumerate(pairwise(cuts)):
        kept = [replace(node, layer=i) for i, node in enumerate(nodes[begin:end], 1)]
        inner = [edges[node.name] for node in nodes[begin : end - 1]]
        if row:
            kept.append(Node(name=_ENTRY, layer=0, shape="plain"))
            inner.append(Edge(start=_ENTRY, end=nodes[begin].name))
        else:
            kept = [replace(node, layer=node.layer - 1) for node in kept]
        if end < len(nodes):
            kept.append(Node(name=_EXIT, layer=max(node.layer for node in kept) + 1, shape="plain"))
            inner.append(replace(edges[nodes[end - 1].name], end=_EXIT))
        found.append(Graph(nodes=kept, edges=inner))
    return found
