"""Graphs of expressions: gradients are autograd's, shared parts add up, corners say what is taken."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.errors import SettingError
from chainrule.explanations.explained_expression import ExplainedExpression, explain_expression
from chainrule.explanations.expression import Call, Number, Tree, Variable, parse
from chainrule.explanations.graph import trace
from chainrule.nn.activations import activation

DOUBLE = torch.float64
ACTIVATIONS = ("sigmoid", "tanh", "relu", "softplus", "leaky_relu", "gelu", "silu", "mish", "softsign", "elu")


def by_torch(tree: Tree, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """Compute a tree with torch's own functions."""
    if isinstance(tree, Number):
        return torch.tensor(tree.value, dtype=DOUBLE)
    if isinstance(tree, Variable):
        return values[tree.name]
    inputs = [by_torch(part, values) for part in tree.inputs]
    known = {
        "add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": torch.div, "power": torch.pow,
        "negate": torch.neg, "exp": torch.exp, "log": torch.log,
        "max": lambda *v: torch.stack(v).amax(), "min": lambda *v: torch.stack(v).amin(),
    }  # fmt: skip
    if tree.operation in known:
        return known[tree.operation](*inputs)
    return activation(tree.operation.replace("_", "-")).value(inputs[0])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sign = st.sampled_from([" + ", " - ", "*"])
    function = st.sampled_from(ACTIVATIONS)
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, sign, inner).map(lambda p: f"({''.join(p)})"),
        st.tuples(function, inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner, inner).map(
            lambda p: f"{p[0]}({', '.join(p[1:])})"
        ),
        pair.map(lambda p: f"{p[0]}/(2 + tanh({p[1]}))"),
        pair.map(lambda p: f"(1.5 + tanh({p[0]}))**tanh({p[1]})"),
        inner.map(lambda x: f"({x})**3"),
        inner.map(lambda x: f"log(1 + softplus({x}))"),
        inner.map(lambda x: f"exp(-sigmoid({x}))"),
        inner.map(lambda x: f"-{x}"),
    )


expressions = st.recursive(st.sampled_from(["a", "b", "c", "2", "0.5"]), _larger, max_leaves=10)
values = st.floats(-2, 2).map(lambda v: round(v, 3))


@given(expressions, values, values, values)
def test_gradients_are_autograds(text: str, a: float, b: float, c: float) -> None:
    """Equal arguments of max and values at zero included: the conventions are the same."""
    expression = parse(f"{text} + 0*(a + b + c)")
    leaves = {n: torch.tensor(v, dtype=DOUBLE, requires_grad=True) for n, v in (("a", a), ("b", b), ("c", c))}
    try:
        graph = trace(expression, {"a": a, "b": b, "c": c})
    except SettingError:
        assert (
            not torch.isfinite(by_torch(expression.tree, leaves))
            or abs(by_torch(expression.tree, leaves)) > 1e6
        )
        return
    result = by_torch(expression.tree, leaves)
    result.backward()
    assert graph.result.value == pytest.approx(result.item(), rel=1e-12, abs=1e-12)
    for node in graph.variables:
        assert node.gradient == pytest.approx(leaves[node.name].grad.item(), rel=1e-12, abs=1e-12)


def gradients(text: str, **given_: float) -> dict[str, float]:
    return explain_expression(text, given_).values()["gradients"]


def test_what_occurs_twice_is_one_node_and_its_uses_add_up() -> None:
    found = explain_expression("(a*b + 1)*(a*b + 2)", {"a": 2.0, "b": 3.0})
    assert [node.formula for node in found.graph.nodes] == ["a", "b", "a · b", "u + 1", "u + 2", "v · p"]
    assert "dJ/du = dJ/dv · dv/du + dJ/dp · dp/du = 8 · 1 + 7 · 1 = 15" in found.text(100)
    assert gradients("a*a", a=3.0)["da"] == 6.0
    assert "dJ/da = a + a = 6" in explain_expression("a*a", {"a": 3.0}).text(100)


def test_names_of_nodes_leave_those_of_variables_alone() -> None:
    names = [node.name for node in explain_expression("3*(u + v*J)", {"u": 1, "v": 2, "J": 3}).graph.nodes]
    assert len(set(names)) == 6 and names[-1] == "L"
    long = explain_expression("+".join(["u1"] * 30), {"u1": 1.0})
    assert len({node.name for node in long.graph.nodes}) == 30 and long.values()["gradients"]["du1"] == 30.0


@pytest.mark.parametrize(("text", "value"), [("a", 2.0), ("3", 3.0), ("2*3", 6.0), ("-a", -2.0)])
def test_small_expressions(text: str, value: float) -> None:
    found = explain_expression(text, {"a": 2.0} if "a" in text else {})
    assert found.graph.result.value == value and found.text(80) and found.values()["value"] == value


@pytest.mark.parametrize(
    ("text", "here", "gradient", "up", "down", "said"),
    [
        (
            "relu(a)",
            0.0,
            0.0,
            1.0,
            0.0,
            "relu has a corner at 0: its slope is 0 to the left and 1 to the right, and 0 is",
        ),
        (
            "max(a, 2)",
            2.0,
            0.5,
            1.0,
            0.0,
            "max has a corner where values are equal: 2 of them are 2, and each gets 1/2",
        ),
        ("min(a, 2, 2)", 2.0, 1 / 3, 0.0, 1.0, "3 of them are 2, and each gets 1/3"),
        (
            "max(a, -a)",
            0.0,
            0.0,
            1.0,
            -1.0,
            "at a = 0 the nudge differs by its direction: up it gives 1, down −1",
        ),
    ],
)
def test_at_a_corner_the_convention_is_said_and_the_nudge_differs(
    text: str, here: float, gradient: float, up: float, down: float, said: str
) -> None:
    found = explain_expression(text, {"a": here})
    nudge = found.nudges[0]
    assert nudge.is_at_corner and nudge.gradient == pytest.approx(gradient)
    assert (nudge.slope, nudge.below) == (pytest.approx(up), pytest.approx(down))
    assert said in " ".join(found.text(100).replace("\n", " ").split())


@pytest.mark.parametrize("text", ["a**2", "a**4", "exp(300*a)", "relu(a - 0.5)", "sigmoid(50*a)", "0*a"])
def test_a_smooth_curve_is_no_corner(text: str) -> None:
    assert not any(nudge.is_at_corner for nudge in explain_expression(text, {"a": 0.0}).nudges)


def test_where_a_nudge_leaves_the_domain_it_is_said() -> None:
    found = explain_expression("(1 - a)**0.5 + 0*ln(a)", {"a": 1 - 1e-6})
    assert found.nudges[0].slope is None
    assert "a cannot be moved from 0.999999 to both sides" in " ".join(found.text(100).split())


@pytest.mark.parametrize("width", [40, 80, 100, 120])
def test_text_keeps_to_its_width(width: int) -> None:
    given_ = {"w1": 1.0, "w2": -2.0, "x1": 0.5, "x2": 0.25, "b": 0.1}
    text = explain_expression("sigmoid(w1*x1+w2*x2+b)", given_).text(width)
    assert max(map(len, text.splitlines())) <= max(width, 80)


def test_largest_expression_is_explained_in_bounded_time() -> None:
    found: ExplainedExpression = explain_expression("sigmoid(a)*" * 99 + "a", {"a": 3.0})
    assert len(found.values()["nodes"]) == 101
    assert isinstance(found.graph.expression.tree, Call)
