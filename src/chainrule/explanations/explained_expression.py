"""An expression explained: what is computed forward, what comes back, and the nudge beside it, as text and values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.core.text import visible
from chainrule.explanations.columns import Column, lines_of
from chainrule.explanations.expression import parse
from chainrule.explanations.graph import Graph, Node, trace
from chainrule.explanations.nudge import Nudge, nudges
from chainrule.explanations.operations import show

_TIED = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"
_DIGITS = 8  # of nudged values: 2 squared is 4, and 2.001 squared 4.004001


@dataclass(frozen=True, slots=True)
class ExplainedExpression:
    """The graph of an expression at given values, and each of its gradients checked by a nudge."""

    graph: Graph
    nudges: tuple[Nudge, ...]

    def text(self, width: int) -> str:
        """Return it for a terminal of so many columns."""
        return "\n".join(_text(self, max(40, width)))

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON; gradients by the short names of code, `da` for dJ/da."""
        graph = self.graph
        return {
            "expression": graph.expression.text,
            "result": graph.result.name,
            "value": graph.result.value,
            "variables": {node.name: node.value for node in graph.variables},
            "gradients": {f"d{node.name}": node.gradient for node in graph.nodes},
            "nodes": [_node_values(graph, node) for node in graph.nodes],
            "nudges": [_nudge_values(nudge) for nudge in self.nudges],
            "notes": self.notes(),
        }

    def notes(self) -> list[str]:
        """Say what a reader has to know beside the numbers: corners, what could not be moved."""
        found = [f"{node.name} = {node.formula}: {node.kink}" for node in self.graph.nodes if node.kink]
        found += [_corner(nudge) for nudge in self.nudges if nudge.is_at_corner]
        found += [
            f"{n.name} cannot be moved from {show(n.before)} to {'both sides' if n.slope is None else 'below'}: "
            "the expression has no value there"
            for n in self.nudges
            if n.central is None
        ]
        if not self.graph.variables:
            found.append("there is no variable, so there is nothing to derive by")
        return found


def explain_expression(text: str, values: Mapping[str, float]) -> ExplainedExpression:
    """Read an expression, compute it forward and backward, and check each gradient.

    Raises: SettingError, with the place in the expression
    >>> print(explain_expression("3*a", {"a": 2.0}).text(100))  # doctest: +ELLIPSIS
    J = 3·a   at a = 2
    <BLANKLINE>
    forward: values, and how fast each grows with its inputs
      J = 3 · a = 3 · 2 = 6    dJ/da = 3
    <BLANKLINE>
    backward: how fast J grows with each, by the chain rule; in code da is short for dJ/da
      dJ/da = 3
    <BLANKLINE>
    nudge check: each value is moved by itself, and J follows
         moved      J          rise / nudge  central  gradient
      a  2 → 2.001  6 → 6.003             3        3         3
      central differences and gradients agree to ...e−1...
    """
    graph = trace(parse(text), values)
    return ExplainedExpression(graph, tuple(nudges(graph)))


def chain_line(graph: Graph, node: Node, digits: int = 6) -> str:
    """Return a gradient written out: `dJ/db = dJ/du · du/db = 3 · 2 = 6`."""
    symbols, numbers = graph.chain_rule(node, digits)
    parts = [f"d{graph.result.name}/d{node.name}", symbols, numbers, show(node.gradient, digits)]
    return " = ".join(part for i, part in enumerate(parts) if part and part != parts[i - 1])


def forward_line(graph: Graph, node: Node) -> str:
    """Return a value written out: `u = b · c = 3 · 2 = 6`."""
    parts = [node.name, node.formula, node.numbers(graph.values), show(node.value)]
    return " = ".join(part for i, part in enumerate(parts) if part != parts[i - 1])


def local_lines(node: Node) -> list[str]:
    """Return the local derivatives of a node: `du/db = c = 2`."""
    found = []
    for local in node.locals_:
        value = show(local.value)
        shown = local.formula if local.formula == value else f"{local.formula} = {value}"
        found.append(f"d{node.name}/d{local.input} = {shown}")
    return found


def backward_order(graph: Graph) -> list[Node]:
    """Return the nodes below the result in the order in which their gradients are found."""
    return [node for node in reversed(graph.nodes[:-1]) if graph.users(node.name)]


def agreement(found: Sequence[Nudge]) -> str:
    """Say how far central differences and gradients are apart, corners left out; nothing where there are none."""
    far = [n.distance for n in found if n.distance is not None and not n.is_at_corner]
    return f"central differences and gradients agree to {show(max(*far, 1e-12), 1)}" if far else ""


def nudge_row(nudge: Nudge, top: tuple[str, float]) -> list[str]:
    """Return a line of the table of nudges, as texts."""
    result, before = top
    after = next((new for name, _, new in nudge.passed if name == result), None)
    return [
        nudge.name,
        f"{show(nudge.before)} → {show(nudge.after, _DIGITS)}",
        "–" if after is None else f"{show(before)} → {show(after, _DIGITS)}",
        *("–" if v is None else show(v) for v in (nudge.slope, nudge.central, nudge.gradient)),
    ]


def on_the_way(nudge: Nudge) -> str:
    """Return what a nudge changes before the result: `u 6 → 6.002, v 11 → 11.002`."""
    return ", ".join(f"{name} {show(old)} → {show(new, _DIGITS)}" for name, old, new in nudge.passed[:-1][:4])


def given(graph: Graph) -> str:
    """Return the values of the variables in a line."""
    return ", ".join(f"{visible(node.name, 40)} = {show(node.value)}" for node in graph.variables)


def _corner(nudge: Nudge) -> str:
    assert nudge.slope is not None and nudge.below is not None
    return (
        f"at {nudge.name} = {show(nudge.before)} the nudge differs by its direction: up it gives {show(nudge.slope)}, "
        f"down {show(nudge.below)}; the gradient by convention is {show(nudge.gradient)}"
    )


def _text(explained: ExplainedExpression, width: int) -> Iterator[str]:
    graph = explained.graph
    top = graph.result.name
    at = f"   at {given(graph)}" if graph.variables else ""
    yield from _wrapped(f"{top} = {graph.expression.title}{at.replace(' = ', _TIED)}", width, "")
    yield from ("", "forward: values, and how fast each grows with its inputs")
    yield from _forward(graph, width)
    if explained.nudges:
        short = graph.variables[0].name if graph.variables else graph.nodes[0].name
        yield ""
        yield from _wrapped(
            f"backward: how fast {top} grows with each, by the chain rule; in code d{short} is short for d{top}/d{short}",
            width,
            "",
        )
        for node in backward_order(graph):
            yield from _wrapped(chain_line(graph, node), width)
        yield from ("", f"nudge check: each value is moved by itself, and {top} follows")
        yield from _nudge_table(explained, width)
    for note in explained.notes():
        yield from _wrapped(f"note: {note}", width, "")


def _forward(graph: Graph, width: int) -> Iterator[str]:
    computed = [node for node in graph.nodes if not node.is_variable]
    lines = [forward_line(graph, node) for node in computed]
    column = max(map(len, lines))
    for node, line in zip(computed, lines, strict=True):
        slopes = "    ".join(local_lines(node))
        if 2 + column + 4 + len(slopes) <= width:
            yield f"  {line.ljust(column)}    {slopes}".rstrip()
        else:
            yield from _wrapped(line, width)
            yield from _wrapped(slopes, width, "      ")


def _nudge_table(explained: ExplainedExpression, width: int) -> Iterator[str]:
    graph = explained.graph
    top = (graph.result.name, graph.result.value)
    titles = ["", "moved", top[0], "rise / nudge", "central", "gradient"]
    cells = zip(*(nudge_row(nudge, top) for nudge in explained.nudges), strict=True)
    columns = [
        Column(title=title, cells=column, is_text=i < 3)
        for i, (title, column) in enumerate(zip(titles, cells, strict=True))
    ]
    heading, *lines = lines_of(columns, width)
    ways = [on_the_way(nudge) for nudge in explained.nudges]
    is_beside = len(heading) + 4 + max(map(len, ways)) <= width
    yield heading + ("    on the way" if is_beside and any(ways) else "")
    for line, way in zip(lines, ways, strict=True):
        yield line + (f"    {way}" if is_beside and way else "")
        if way and not is_beside:
            yield from _wrapped(f"on the way {way}", width, "      ")
    if summary := agreement(explained.nudges):
        yield f"  {summary}"


def _wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    lines = textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=f"{indent}    ", break_on_hyphens=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _node_values(graph: Graph, node: Node) -> dict[str, Any]:
    symbols, _ = graph.chain_rule(node)
    return {
        "name": node.name,
        "operation": node.operation,
        "inputs": list(node.arguments),
        "formula": node.formula,
        "value": node.value,
        "local_derivatives": {local.input: local.value for local in node.locals_},
        "gradient": node.gradient,
        "chain_rule": chain_line(graph, node) if symbols else "",
    }


def _nudge_values(nudge: Nudge) -> dict[str, Any]:
    return {
        "name": nudge.name,
        "before": nudge.before,
        "after": nudge.after,
        "on_the_way": {name: [old, new] for name, old, new in nudge.passed},
        "rise_over_nudge": nudge.slope,
        "fall_over_nudge": nudge.below,
        "central_difference": nudge.central,
        "gradient": nudge.gradient,
        "is_at_corner": nudge.is_at_corner,
    }
