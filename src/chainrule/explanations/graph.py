"""The computational graph of an expression: values forward, gradients backward, and a nudge beside each gradient.

Every node has a name. A subexpression that occurs twice is one node, and what it is used for adds up in its gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from chainrule.core.errors import SettingError
from chainrule.core.text import listed, visible
from chainrule.explanations.expression import Call, Expression, Number, Tree, Variable, refuse
from chainrule.explanations.operations import OPERATIONS, NoValue, factor, show

_LETTERS = ("u", "v", "p", "q", "r", "s", "t", "z", "g", "h")
_RESULTS = ("J", "L", "y", "f")


@dataclass(frozen=True, slots=True)
class Local:
    """How fast a node's value grows with one of its inputs: in symbols, and here."""

    input: str
    formula: str
    value: float


@dataclass(frozen=True, slots=True)
class Node:
    """A variable, or an operation on numbers and on nodes before it.

    `arguments` are names of nodes or numbers, one per input; `locals_` has one entry per different node among them.
    `gradient` is dJ/d(node).
    """

    name: str
    operation: str
    arguments: tuple[str | float, ...]
    value: float
    locals_: tuple[Local, ...]
    kink: str
    start: int
    gradient: float = 0.0

    @property
    def is_variable(self) -> bool:
        """Whether its value was given."""
        return self.operation == "variable"

    @property
    def formula(self) -> str:
        """The operation on the names of its inputs, `b · c`."""
        return self._written({})

    def numbers(self, values: Mapping[str, float]) -> str:
        """Return the operation on the values of its inputs, `3 · 2`."""
        return self._written(values)

    def _written(self, values: Mapping[str, float]) -> str:
        if self.is_variable:
            return self.name
        shown = [
            show(values.get(a, math.nan)) if isinstance(a, str) and values else a for a in self.arguments
        ]
        return OPERATIONS[self.operation].written([a if isinstance(a, str) else show(a) for a in shown])


@dataclass(frozen=True, slots=True)
class Graph:
    """An expression at given values. The nodes stand in the order in which they are computed; the last is the result."""

    expression: Expression
    nodes: tuple[Node, ...]

    @property
    def result(self) -> Node:
        """The node of the whole expression."""
        return self.nodes[-1]

    @property
    def values(self) -> dict[str, float]:
        """The value of every node by its name."""
        return {node.name: node.value for node in self.nodes}

    @property
    def variables(self) -> list[Node]:
        """The nodes whose values were given."""
        return [node for node in self.nodes if node.is_variable]

    def users(self, name: str) -> list[tuple[Node, Local]]:
        """Return the nodes that a node goes into, each with how fast it grows with it."""
        return [(node, local) for node in self.nodes for local in node.locals_ if local.input == name]

    def chain_rule(self, node: Node, digits: int = 6) -> tuple[str, str]:
        """Return a gradient as the chain rule has it: in symbols and in numbers, a term for each use.

        `dJ/du · du/db` and `3 · 2`; both are empty for the result, whose gradient is 1.
        """
        top = self.result.name
        symbols, numbers = [], []
        for user, local in self.users(node.name):
            if user.name == top:
                symbols.append(local.formula)
                numbers.append(show(local.value, digits))
                continue
            symbols.append(f"d{top}/d{user.name} · d{user.name}/d{node.name}")
            numbers.append(f"{show(user.gradient, digits)} · {factor(show(local.value, digits))}")
        return " + ".join(symbols), " + ".join(factor(n) if i else n for i, n in enumerate(numbers))

    def at(self, moved: Mapping[str, float]) -> dict[str, float]:
        """Return the values of all nodes where some are moved to other values.

        Raises: NoValue where there is none
        """
        found: dict[str, float] = {}
        for node in self.nodes:
            if node.name in moved:
                found[node.name] = moved[node.name]
            elif node.is_variable:
                found[node.name] = node.value
            else:
                inputs = [found[a] if isinstance(a, str) else a for a in node.arguments]
                found[node.name] = _compute(node.operation, inputs)
        return found


def trace(expression: Expression, values: Mapping[str, float]) -> Graph:
    """Compute an expression forward and backward.

    Raises: SettingError where variables and values do not fit, or there is no such number
    >>> from chainrule.explanations.expression import parse
    >>> [(n.name, n.value, n.gradient) for n in trace(parse("a*b"), {"a": 2.0, "b": 3.0}).nodes]
    [('a', 2.0, 3.0), ('b', 3.0, 2.0), ('J', 6.0, 1.0)]
    """
    known = _check_values(expression, values)
    builder = _Builder(expression, known)
    builder.finish(builder.add(expression.tree))
    return Graph(expression, _with_gradients(expression, builder.nodes))


def variables_of(tree: Tree) -> dict[str, int]:
    """Return the variables of a tree in their order, each with where it stands first."""
    if isinstance(tree, Variable):
        return {tree.name: tree.start}
    found: dict[str, int] = {}
    for part in tree.inputs if isinstance(tree, Call) else ():
        for name, start in variables_of(part).items():
            found[name] = min(start, found.get(name, start))
    return found


def _check_values(expression: Expression, values: Mapping[str, float]) -> dict[str, float]:
    used = variables_of(expression.tree)
    missing = [name for name in used if name not in values]
    if missing:
        _refuse_missing(expression, used, missing, values)
    unused = [name for name in values if name not in used]
    if unused:
        has = f"it has {listed(list(used))}" if used else "it has no variables"
        raise SettingError(f"the expression does not use {listed(unused)}; {has}")
    known = {}
    for name in used:
        try:
            known[name] = float(values[name])
        except (TypeError, ValueError, OverflowError):
            raise SettingError(
                f"{visible(name)} must be a number; got {visible(repr(values[name]), 60)}"
            ) from None
        if not math.isfinite(known[name]):
            raise SettingError(f"{visible(name)} must be a finite number; got {known[name]}")
    return known


def _refuse_missing(
    expression: Expression, used: Mapping[str, int], missing: list[str], values: Mapping[str, float]
) -> None:
    first = missing[0]
    rest = [name for name in (*values, *used) if name != first]
    hint = f"add {' '.join(f'{visible(name, 40)}=1' for name in missing[:8])} behind the expression, with your numbers"
    if len(first) > 1 and all(letter in rest for letter in first):
        hint = f"for a product of single letters write {'*'.join(first)}"
    refuse(expression.text, used[first], f"no value was given for {listed(missing)}: {hint}")


def _compute(operation: str, inputs: list[float]) -> float:
    """Raises: NoValue where there is no such number, or none that a float holds."""
    try:
        value = OPERATIONS[operation].value(inputs)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        written = OPERATIONS[operation].written([show(v) for v in inputs])
        raise NoValue(f"too large for a number (about 1.8e308 is the largest): {written}")
    return value


class _Builder:
    """Makes nodes of a tree from the leaves to the root, the same subexpression once."""

    def __init__(self, expression: Expression, values: Mapping[str, float]) -> None:
        self.text = expression.text
        self.values = values
        self.nodes: list[Node] = []
        self.known: dict[tuple[str, tuple[str | float, ...]], str] = {}
        count = _count(expression.tree)
        letters = [letter for letter in _LETTERS if letter not in values]
        numbered = (f"u{i}" for i in range(1, 10**6) if f"u{i}" not in values)
        self.names = iter(letters) if count <= len(letters) + 1 else numbered
        self.result = next(
            name
            for name in (*_RESULTS, *(f"J{i}" for i in range(10**4)))
            if name not in values and name not in letters
        )

    def add(self, tree: Tree, *, is_result: bool = True) -> str | float:
        if isinstance(tree, Number):
            return tree.value
        if isinstance(tree, Variable):
            return self.node("variable", (tree.name,), tree.start, tree.name)
        arguments = tuple(self.add(part, is_result=False) for part in tree.inputs)
        return self.node(tree.operation, arguments, tree.start, self.result if is_result else None)

    def node(self, operation: str, arguments: tuple[str | float, ...], start: int, name: str | None) -> str:
        key = (operation, arguments)
        if key not in self.known:
            self.known[key] = name or next(self.names)
            self.nodes.append(self._made(self.known[key], operation, arguments, start))
        return self.known[key]

    def _made(self, name: str, operation: str, arguments: tuple[str | float, ...], start: int) -> Node:
        if operation == "variable":
            return Node(name, operation, (), self.values[name], (), "", start)
        found = {node.name: node.value for node in self.nodes}
        inputs = [found[a] if isinstance(a, str) else a for a in arguments]
        try:
            value = _compute(operation, inputs)
            locals_ = _locals(name, operation, arguments, inputs, value)
        except NoValue as problem:
            refuse(self.text, start, str(problem))
        return Node(name, operation, arguments, value, locals_, OPERATIONS[operation].kink(inputs), start)

    def finish(self, last: str | float) -> None:
        """Give an expression that is a number or a variable alone a result of its own."""
        if isinstance(last, float) or self.nodes[-1].is_variable:
            self.nodes.append(self._made(self.result, "identity", (last,), 0))


def _count(tree: Tree) -> int:
    return 1 + sum(map(_count, tree.inputs)) if isinstance(tree, Call) else 0


def _locals(
    name: str, operation: str, arguments: tuple[str | float, ...], inputs: list[float], value: float
) -> tuple[Local, ...]:
    """Return the derivatives by the nodes among the arguments; one that stands in several places adds up."""
    if not any(isinstance(argument, str) for argument in arguments):
        return ()
    how = OPERATIONS[operation]
    names = [a if isinstance(a, str) else show(a) for a in arguments]
    try:
        slopes = how.derivatives(inputs, value)
    except (OverflowError, NoValue):  # such as the slope of a**0.5 at zero
        slopes = [math.inf] * len(inputs)
    merged: dict[str, tuple[str, float]] = {}
    for argument, formula, slope in zip(arguments, how.formulas(names, name, inputs), slopes, strict=True):
        if isinstance(argument, str):
            before, total = merged.get(argument, ("", 0.0))
            merged[argument] = (f"{before} + {factor(formula)}" if before else formula, total + slope)
    for argument, (_, slope) in merged.items():
        if not math.isfinite(slope):
            raise NoValue(
                f"no derivative of {how.written([show(v) for v in inputs])} by {argument} at this place"
            )
    return tuple(Local(argument, formula, slope) for argument, (formula, slope) in merged.items())


def _with_gradients(expression: Expression, nodes: list[Node]) -> tuple[Node, ...]:
    """Go from the result back to the variables: each node hands its gradient times the local derivative on."""
    gradients = {node.name: 0.0 for node in nodes}
    gradients[nodes[-1].name] = 1.0
    for node in reversed(nodes):
        for local in node.locals_:
            gradients[local.input] += gradients[node.name] * local.value
            if not math.isfinite(gradients[local.input]):
                refuse(
                    expression.text, node.start, f"the gradient of {local.input} is too large for a number"
                )
    return tuple(replace(node, gradient=gradients[node.name]) for node in nodes)
