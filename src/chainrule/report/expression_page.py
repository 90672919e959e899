"""Page and slide of an explained expression: its graph with values forward and gradients backward."""

from __future__ import annotations

from chainrule.core.text import visible
from chainrule.explanations.explained_expression import (
    ExplainedExpression,
    agreement,
    backward_order,
    chain_line,
    forward_line,
    given,
    local_lines,
    nudge_row,
    on_the_way,
)
from chainrule.explanations.graph import Node as Computed
from chainrule.explanations.operations import show
from chainrule.report.graph_drawing import Edge, Graph, Node, draw_graph, too_large
from chainrule.report.html import Child, Column, Markup, Page, figure, note, paragraph, table
from chainrule.report.shapes import LIGHT, ON_PAGE, Drawing, Label, inline
from chainrule.report.slide import is_legible, standalone

_FORWARD, _BACKWARD = "ours", "wrong"
_MOST_LINES = 9  # of the chain rule on a slide
_DIGITS = 4  # on edges and slides
_WIDEST = 1100.0  # what a page shows smaller instead of letting it scroll


def page(content: ExplainedExpression) -> Page:
    """Return the page of an expression: the graph, the chain rule line by line, the nudges."""
    graph = content.graph
    found = Page(title=f"{graph.result.name} = {graph.expression.title}", kicker="computational graph")
    found.head = [paragraph(f"{_result(content)} at {given(graph)}", role="lead")] if graph.variables else []
    found.head += [note("Note", text) for text in content.notes()]
    found.section("Graph", _figure(content))
    found.section(
        "Forward",
        paragraph("Each value from those before it, and how fast it grows with them."),
        _forward(content),
    )
    if graph.variables:
        top = graph.result.name
        short = graph.variables[0].name
        found.section(
            "Backward",
            paragraph(
                f"How fast {top} grows with each value, from the result back to the variables: the gradient of what a "
                f"value goes into, times how fast that grows with it, added up over all uses. In code d{short} is "
                f"short for d{top}/d{short}."
            ),
            _backward(content),
        )
        said = agreement(content.nudges)
        found.section(
            "Nudge check",
            paragraph(f"Each value is moved by itself, and {top} follows{f': {said}' if said else ''}."),
            _nudges(content),
        )
    return found


def slide(content: ExplainedExpression) -> str:
    """Return the graph as a slide, with the chain rule below it where there is room."""
    graph = content.graph
    top = graph.result.name
    drawn = _drawing_graph(content)
    drawing = None if too_large(drawn) else draw_graph(drawn, LIGHT)
    lines = _slide_lines(content, drawing)
    legend = _legend(top)
    if drawing is None or not is_legible(drawing):
        drawing = None
        parts = f"{len(drawn.nodes) - 1} nodes and {len(drawn.edges) - 1} edges"
        legend = [Label(text=f"The graph has {parts}: too large for a slide; the page (.html) shows it.")]
        lines = [
            Label(text=f"d{top}/d{v.name} = {show(v.gradient)}", tone=_BACKWARD) for v in graph.variables[:36]
        ]
    return standalone(
        f"{top} = {graph.expression.title}",
        drawing,
        subtitle=f"{_result(content)} at {given(graph)}" if graph.variables else _result(content),
        legend=legend,
        lines=lines,
        description=_description(content),
    )


def _slide_lines(content: ExplainedExpression, drawing: Drawing | None) -> list[Label]:
    """Return the chain rule for all nodes, or for the variables, or nothing, as the drawing leaves room."""
    graph = content.graph
    below = backward_order(graph)
    for nodes in (below, [node for node in below if node.is_variable]):
        lines = [Label(text=chain_line(graph, node, _DIGITS)) for node in nodes]
        if drawing and len(lines) <= _MOST_LINES and is_legible(drawing, lines=lines):
            return lines
    return []


def _result(content: ExplainedExpression) -> str:
    return f"{content.graph.result.name} = {show(content.graph.result.value)}"


def _description(content: ExplainedExpression) -> str:
    graph = content.graph
    steps = "; ".join(forward_line(graph, node) for node in graph.nodes if not node.is_variable)
    backward = "; ".join(chain_line(graph, node) for node in backward_order(graph))
    return f"Computational graph. Forward: {steps}. Backward: {backward}."


def _legend(top: str) -> list[Label]:
    return [
        Label(text="above a line: its value, forward →", tone=_FORWARD),
        Label(text=f"below: ← backward, the gradient of {top} that comes back", tone=_BACKWARD),
    ]


def _figure(content: ExplainedExpression) -> Markup:
    drawn = _drawing_graph(content)
    if reason := too_large(drawn):
        return paragraph(f"The graph is {reason}; the tables below have all of it.")
    drawing = draw_graph(drawn, ON_PAGE)
    caption = "Above a line, blue: its value, forward. Below, orange: the part of the gradient that comes back along it."
    is_wide = drawing.width > _WIDEST
    caption += " The drawing goes on to the right." if is_wide else ""
    return figure("", inline(drawing, _description(content)), caption, is_wide=is_wide)


def _drawing_graph(content: ExplainedExpression) -> Graph:
    """Return the graph as it is drawn: variables as circles as far left as they are needed, an arrow out of the result."""
    graph = content.graph
    top = graph.result
    layers = _layers(content)
    nodes = [_drawn(content, node, layers[node.name]) for node in graph.nodes]
    end = Node(name="\0end", layer=layers[top.name] + 1, shape="plain")
    edges = [
        _edge(local.input, node.name, graph.values[local.input], node.gradient * local.value)
        for node in graph.nodes
        for local in node.locals_
    ]
    return Graph(nodes=[*nodes, end], edges=[*edges, _edge(top.name, end.name, top.value, 1.0)])


def _layers(content: ExplainedExpression) -> dict[str, int]:
    """Put operations as far left as they can be computed; variables at the left, in a large graph beside their use."""
    nodes = content.graph.nodes
    layers: dict[str, int] = {}
    for node in nodes:
        before = [layers[local.input] for local in node.locals_]
        layers[node.name] = 1 + max(before, default=0) if not node.is_variable else 0
    if len(nodes) > 12:
        for node in content.graph.variables:
            layers[node.name] = min(layers[user.name] for user, _ in content.graph.users(node.name)) - 1
    return layers


def _drawn(content: ExplainedExpression, node: Computed, layer: int) -> Node:
    name = visible(node.name, 24)
    if not node.is_variable:
        return Node(
            name=node.name, layer=layer, lines=[Label(text=f"{name} = {node.formula}", is_strong=True)]
        )
    below = Label(text=f"d{name} = {show(node.gradient, _DIGITS)}", tone=_BACKWARD, is_strong=True)
    is_shared = len(content.graph.users(node.name)) > 1
    return Node(
        name=node.name,
        layer=layer,
        lines=[Label(text=name, is_strong=True)],
        below=[below] if is_shared or len(content.graph.nodes) <= 12 else [],
        shape="circle",
    )


def _edge(start: str, end: str, value: float, gradient: float) -> Edge:
    return Edge(
        start=start,
        end=end,
        above=Label(text=show(value, _DIGITS), tone=_FORWARD),
        below=Label(text=show(gradient, _DIGITS), tone=_BACKWARD),
    )


def _forward(content: ExplainedExpression) -> Markup:
    graph = content.graph
    rows = [
        [forward_line(graph, node), ", ".join(local_lines(node))]
        for node in graph.nodes
        if not node.is_variable
    ]
    return table(["value", "how fast it grows"], rows)


def _backward(content: ExplainedExpression) -> Markup:
    graph = content.graph
    return table(["gradient"], [[chain_line(graph, node)] for node in backward_order(graph)])


def _nudges(content: ExplainedExpression) -> Markup:
    top = content.graph.result
    names: list[Column | str] = ["", "moved", top.name, Column("rise / nudge"), Column("central difference")]
    rows: list[list[Child]] = [
        [*map(_tied, nudge_row(nudge, (top.name, top.value))), on_the_way(nudge)] for nudge in content.nudges
    ]
    return table([*names, Column("gradient"), "on the way"], rows)


def _tied(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")
