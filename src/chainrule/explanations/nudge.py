"""The check that anyone can do by hand: move a value a little, and see how far the result moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule.explanations.graph import Graph, Node
from chainrule.explanations.operations import NoValue

NUDGE = 1e-3  # as in the course: 2 becomes 2.001
CENTRAL_SHARE = 1e-2  # the central difference moves by 1e-5 where the nudge is 1e-3


@dataclass(frozen=True, slots=True)
class Nudge:
    """One value moved up by `size`, and what follows.

    `passed` are the values after it on the way to the result, before and after. `slope` is rise over nudge; `below` is
    the same for a move down, `central` is by a hundredth of the nudge to both sides. None where there is no number.
    `is_at_corner` says that the slopes to the two sides stay apart, however small the nudge.
    """

    name: str
    before: float
    after: float
    size: float
    passed: tuple[tuple[str, float, float], ...]
    slope: float | None
    below: float | None
    central: float | None
    gradient: float
    is_at_corner: bool

    @property
    def distance(self) -> float | None:
        """How far the central difference is from the gradient, in units of the larger of 1 and the gradient."""
        if self.central is None:
            return None
        return abs(self.central - self.gradient) / max(1.0, abs(self.gradient))


def nudges(graph: Graph) -> list[Nudge]:
    """Move each node but the result by itself: the variables first, then what is computed from them."""
    inner = [node for node in graph.nodes[:-1] if not node.is_variable]
    return [_nudge(graph, node) for node in (*graph.variables, *inner)]


def nudge_size(value: float) -> float:
    """Return 0.001, or less for values that this would change by more than a tenth, or more for very large ones.

    >>> nudge_size(2.0), nudge_size(0.0), nudge_size(0.002), nudge_size(3e9)
    (0.001, 0.001, 0.0001, 1000.0)
    """
    if value == 0:
        return NUDGE
    power = math.floor(math.log10(abs(value)))
    return float(f"1e{max(-3, power - 6) if power >= -2 else power - 1}")


def _nudge(graph: Graph, node: Node) -> Nudge:
    size = nudge_size(node.value)
    up, down = (_moved(graph, node, step) for step in (size, -size))
    near = CENTRAL_SHARE * size
    above, below = (_moved(graph, node, step) for step in (near, -near))
    top, before = graph.result.name, graph.values
    slope, below_slope, near_up, near_down = (
        None if moved is None else (moved[top] - before[top]) / (moved[node.name] - before[node.name])
        for moved in (up, down, above, below)
    )
    central = None
    if above and below:
        central = (above[top] - below[top]) / (above[node.name] - below[node.name])
    return Nudge(
        name=node.name,
        before=node.value,
        after=node.value + size,
        size=size,
        passed=tuple((name, before[name], up[name]) for name in _after(graph, node.name)) if up else (),
        slope=slope,
        below=below_slope,
        central=central,
        gradient=node.gradient,
        is_at_corner=_is_corner(slope, below_slope, near_up, near_down),
    )


def _is_corner(up: float | None, down: float | None, near_up: float | None, near_down: float | None) -> bool:
    """Whether two slopes differ as much at the small nudge as at the large one; on a smooth curve they close up."""
    if up is None or down is None or near_up is None or near_down is None:
        return False
    apart = abs(near_up - near_down)
    return apart > 0.5 * abs(up - down) and apart > 1e-4 * max(abs(near_up), abs(near_down))


def _moved(graph: Graph, node: Node, step: float) -> dict[str, float] | None:
    try:
        return graph.at({node.name: node.value + step})
    except NoValue:
        return None


def _after(graph: Graph, name: str) -> list[str]:
    """Return the nodes that are computed from the named one, by however many steps."""
    reached = [name]
    for node in graph.nodes:
        if any(argument in reached for argument in node.arguments):
            reached.append(node.name)
    return reached[1:]
