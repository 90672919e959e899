"""Graphs drawn in layers from left to right: expressions, networks of neurons, layers of an architecture.

What a node or an edge says is given; here is only how it looks. Nothing overlaps, whatever is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from chainrule.report.graph_layout import Part, arrange, connect
from chainrule.report.html import Markup, join
from chainrule.report.shapes import (
    Drawing,
    Label,
    Palette,
    arrow_head,
    box,
    line,
    write,
    write_lines,
)

MOST_NODES, MOST_EDGES = 120, 1200
_BEND = 24.0  # room for the curve of an edge between two columns
_BESIDE, _ABOVE = 9.0, 7.0  # around the texts of a node
_APART = 18.0  # between nodes of a column
_LANE = 12.0  # for an edge that passes by


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node: lines of text inside its shape, lines below it.

    Nodes of layer 0 stand at the left. `rank` orders a layer, the smallest on top; without it the order with few
    crossings is found. A plain node has no line around it;
    the lines of a flat one stand side by side, and it stands closer to its neighbours.
    """

    name: str
    layer: int
    lines: Sequence[Label] = ()
    below: Sequence[Label] = ()
    shape: Literal["box", "circle", "plain"] = "box"
    rank: float | None = None
    tone: str = "muted"
    fill: str = "panel"
    is_flat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An edge to a later layer, with a text above and one below its line."""

    start: str
    end: str
    above: Label | None = None
    below: Label | None = None
    tone: str = "muted"
    weight: float = 1.5
    has_arrow: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes, edges, and headings above layers."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    headings: Mapping[int, Label] = field(default_factory=dict)


def too_large(graph: Graph) -> str | None:
    """Say why a graph is not drawn, where it has more parts than a person can follow."""
    if len(graph.nodes) <= MOST_NODES and len(graph.edges) <= MOST_EDGES:
        return None
    return (
        f"too large to draw: {len(graph.nodes):,} nodes and {len(graph.edges):,} edges "
        f"(at most {MOST_NODES} and {MOST_EDGES:,})"
    )


def draw_graph(graph: Graph, colours: Palette) -> Drawing:
    """Draw a graph; ask `too_large` before.

    Colours: `shapes.ON_PAGE` for a page, `shapes.LIGHT` for a slide.
    """
    assert too_large(graph) is None
    nodes = {node.name: _node_part(node) for node in graph.nodes}
    written = {nodes[edge.start].column + 1 for edge in graph.edges if edge.above or edge.below}
    chains = [_chain(edge, nodes, written) for edge in graph.edges]
    for chain in chains:
        connect(chain)
    inner = [part for chain in chains for part in chain[1:-1]]
    width, height = arrange([*nodes.values(), *inner], _gaps(graph))
    top = max((label.height + _APART for label in graph.headings.values()), default=0.0)
    for part in (*nodes.values(), *inner):
        part.middle += top
    lefts = {node.layer: nodes[node.name] for node in graph.nodes}
    shown = [
        write(label, lefts[layer].left + lefts[layer].width / 2, label.size, colours)
        for layer, label in graph.headings.items()
    ]
    ports = _ports(graph, chains)
    widths = {node.name: _shape_size(node)[0] for node in graph.nodes}
    for edge, chain, port in zip(graph.edges, chains, ports, strict=True):
        shown += _draw_edge(edge, chain, widths, port, colours)
    for node in graph.nodes:
        shown += _draw_node(node, nodes[node.name], colours)
    return Drawing(width, height + top, join(*shown))


def _shape_size(node: Node) -> tuple[float, float]:
    width = max((label.width for label in node.lines), default=0.0)
    height = sum(label.height for label in node.lines)
    if node.is_flat:
        width = sum(label.width for label in node.lines) + _BESIDE * (len(node.lines) - 1)
        height = max(label.height for label in node.lines)
    if node.shape == "plain":
        return width, height
    width, height = width + 2 * _BESIDE, height + 2 * _ABOVE
    if node.shape == "circle":
        side = max(width, height)
        return side, side
    return width, height


def _node_part(node: Node) -> Part:
    width, height = _shape_size(node)
    width = max(width, *(label.width for label in node.below), 0.0)
    below = sum(label.height for label in node.below)
    apart = _APART / 2 if node.is_flat else _APART
    return Part(2 * node.layer, width, height + 2 * below + apart, node.rank)


def _chain(edge: Edge, nodes: Mapping[str, Part], written: set[int]) -> list[Part]:
    """Return the parts of an edge: its start, its text in the first space between layers, lanes, its end.

    `written` are the columns of texts; the others stay empty, so that lines without texts go straight.
    """
    start, end = nodes[edge.start], nodes[edge.end]
    assert start.column < end.column, f"the edge from {edge.start} to {edge.end} goes to no later layer"
    texts = [label for label in (edge.above, edge.below) if label]
    passed = [Part(c, 0.0, _LANE) for c in range(start.column + 1, end.column) if c % 2 == 0 or c in written]
    if texts:
        passed[0].width = max(label.width for label in texts) + 8
        passed[0].height = 2 * max(label.height for label in texts) + 8
    return [start, *passed, end]


def _gaps(graph: Graph) -> list[float]:
    """Return the room after each column, nodes and texts of edges in turn; many straight lines need more."""
    last = 2 * max(node.layer for node in graph.nodes)
    gaps = [_BEND] * (last + 1)
    layers = {node.name: node.layer for node in graph.nodes}
    bare = [layers[e.start] for e in graph.edges if not e.above and not e.below]
    for layer in set(bare):
        gaps[2 * layer] = gaps[2 * layer + 1] = _BEND + min(70.0, 3.0 * bare.count(layer))
    return gaps


def _ports(graph: Graph, chains: Sequence[Sequence[Part]]) -> list[float]:
    """Return how far from the middle of its end each edge arrives, so that arrows into a box stand apart."""
    boxes = {node.name: _shape_size(node)[1] for node in graph.nodes if node.shape == "box"}
    arrivals: dict[str, list[int]] = {}
    for i, edge in enumerate(graph.edges):
        if edge.end in boxes:
            arrivals.setdefault(edge.end, []).append(i)
    ports = [0.0] * len(graph.edges)
    for end, found in arrivals.items():
        found.sort(key=lambda i: chains[i][-2].middle)
        step = min(16.0, 0.7 * boxes[end] / max(1, len(found) - 1))
        for place, i in enumerate(found):
            ports[i] = (place - (len(found) - 1) / 2) * step
    return ports


def _draw_edge(
    edge: Edge, chain: Sequence[Part], widths: Mapping[str, float], port: float, colours: Palette
) -> list[Markup]:
    colour = colours[edge.tone]
    start, *passed, end = chain
    begin = (start.left + (start.width + widths[edge.start]) / 2, start.middle)
    finish = (end.left + (end.width - widths[edge.end]) / 2, end.middle + port)
    if passed:
        lanes = [(start.sides[1], start.middle)]
        for part in passed:
            lanes += [(part.sides[0], part.middle), (part.sides[1], part.middle)]
        points = _path([begin, *lanes, (end.sides[0], finish[1]), finish])
    else:
        points = f"M{begin[0]:.1f} {begin[1]:.1f}L{finish[0]:.1f} {finish[1]:.1f}"
    shown = [line(points, colour, weight=edge.weight)]
    if edge.has_arrow:
        shown.append(arrow_head(*finish, colour, size=5 + edge.weight))
    if passed:
        middle = sum(passed[0].sides) / 2
        if edge.above:
            shown.append(write(edge.above, middle, passed[0].middle - 6, colours))
        if edge.below:
            shown.append(write(edge.below, middle, passed[0].middle + edge.below.size + 3, colours))
    return shown


def _path(ends: Sequence[tuple[float, float]]) -> str:
    """Return a line through points: straight within columns, bent between them."""
    x, y = ends[0]
    points = f"M{x:.1f} {y:.1f}"
    for (x, y), (to_x, to_y) in pairwise(ends):
        half = (x + to_x) / 2
        bend = "L" if abs(y - to_y) < 0.05 else f"C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} "
        points += f"{bend}{to_x:.1f} {to_y:.1f}"
    return points


def _draw_node(node: Node, part: Part, colours: Palette) -> list[Markup]:
    width, height = _shape_size(node)
    left, top = part.left + (part.width - width) / 2, part.middle - height / 2
    shown: list[Markup] = []
    if node.shape != "plain":
        radius = width / 2 if node.shape == "circle" else 6.0
        shown.append(
            box(left, top, width, height, radius=radius, fill=colours[node.fill], line=colours[node.tone])
        )
    middle = part.left + part.width / 2
    if node.is_flat:
        x = left + _BESIDE
        for label in node.lines:
            shown.append(write(label, x, part.middle + 0.35 * label.size, colours, anchor="start"))
            x += label.width + _BESIDE
        return shown
    shown += write_lines(node.lines, middle, part.middle, colours)
    below = sum(label.height for label in node.below)
    return shown + write_lines(node.below, middle, top + height + below / 2 + 2, colours)
