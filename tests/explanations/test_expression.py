"""Arithmetic as it is typed: what is understood agrees with Python's own, what is not says where and what to write."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chainrule.core.errors import ChainruleError, SettingError, UnknownNameError
from chainrule.explanations.expression import Call, Number, Tree, Variable, parse
from chainrule.explanations.graph import trace, variables_of
from chainrule.explanations.operations import NoValue

SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


def value(text: str, **variables: float) -> float:
    return trace(parse(text), variables).result.value


def spelled(tree: Tree) -> str:
    """Write a tree with all its brackets, as Python reads it."""
    match tree:
        case Number():
            return f"({tree.value!r})"
        case Variable():
            return tree.name
        case Call(operation="negate"):
            return f"(-{spelled(tree.inputs[0])})"
        case Call() if tree.operation in SIGNS:
            return f"({spelled(tree.inputs[0])}{SIGNS[tree.operation]}{spelled(tree.inputs[1])})"
    return f"{tree.operation}({','.join(map(spelled, tree.inputs))})"


numbers = st.one_of(st.integers(0, 99).map(str), st.floats(0.01, 99).map(lambda v: f"{v:.3g}"))
atoms = st.one_of(numbers, st.sampled_from(["a", "b", "rate"]))


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sign = st.sampled_from(["+", "-", "*", "/", "**", " + ", " - ", " * "])
    return st.one_of(
        st.tuples(inner, sign, inner).map("".join),
        inner.map(lambda x: f"({x})"),
        inner.map(lambda x: f"-{x}"),
        st.tuples(st.sampled_from(["exp", "log", "tanh"]), inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
    )


expressions = st.recursive(atoms, _larger, max_leaves=12)
KNOWN = {name: getattr(math, name) for name in ("exp", "log", "tanh")} | {"max": max, "min": min}
HERE = {"a": 1.5, "b": -0.75, "rate": 0.1}


@given(expressions)
@example("-2**2")
@example("2**-1**2")
@example("2**3**2")
@example("7-3-2/4/2*3")
def test_values_are_pythons(text: str) -> None:
    """Python reads the same text; a number is the same, and where Python has none there is none here."""
    tree = parse(text)
    try:
        expected = eval(text, {"__builtins__": {}}, {**KNOWN, **HERE})  # noqa: S307 - text of this test's own making
        is_number = isinstance(expected, int | float) and math.isfinite(expected)
    except (ArithmeticError, ValueError):
        is_number = False
    try:
        found = trace(tree, {name: HERE[name] for name in variables_of(tree.tree)}).result.value
    except SettingError as error:
        assert not is_number or "no derivative" in str(error) or "gradient" in str(error)
        return
    assert is_number
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-300)


@given(expressions)
def test_writing_a_tree_with_all_brackets_reads_as_the_same_tree(text: str) -> None:
    tree = parse(text).tree
    again = parse(spelled(tree)).tree
    assert spelled(again) == spelled(tree)


@given(st.text(alphabet="ab12().,+-*/^ =<>[]'\"_%×÷−²λ\n\x00", max_size=40))
def test_whatever_is_typed_gives_a_tree_or_an_error_with_its_place(text: str) -> None:
    try:
        parse(text)
    except ChainruleError as error:
        assert error.exit_code == 2
        if text.strip():
            assert error.__notes__[0].endswith("^")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 × a ÷ 2 − 1", 5.0),
        ("2·a", 8.0),
        ("a²+a^2", 32.0),
        ("a¹⁰", 4.0**10),
        (".5*a", 2.0),
        ("1.5e−1*a", 0.6),
        ("+a", 4.0),
        ("--a", 4.0),
        ("max(a, 3, 9, -2)", 9.0),
        ("min(a, 3, 9, -2)", -2.0),
        ("ln(a) - log(a)", 0.0),
        ("relu(-a)", 0.0),
        ("leaky_relu(-a)", -0.04),
        ("sigmoid(0*a)", 0.5),
        ("softplus(0*a)", math.log(2)),
        ("0**(a-3)", 0.0),
    ],
)
def test_what_is_understood(text: str, expected: float) -> None:
    assert value(text, a=4.0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "said", "column"),
    [
        ("3a", "a product is written 3*a", 1),
        ("a b", "a product is written a*b", 2),
        ("2(a+b)", "a product is written 2*(…)", 1),
        ("(a)(b)", "a product is written (…)*(…)", 3),
        ("(a+b", "this bracket is not closed", 0),
        ("a+b)", "this bracket closes nothing", 3),
        ("a+", "a number or a name is missing at the end after '+'", 1),
        ("*a", "a number or a name is missing before '*'", 0),
        ("()", "a number or a name is missing before ')'", 1),
        ("exp", "exp is a function: write exp(…)", 0),
        ("max(a)", "max compares two values or more; got 1", 0),
        ("log(a, 2)", "log takes one value; got 2; it is the natural logarithm", 0),
        ("1,5*a", "decimals are written with a point, as 1.5", 1),
        ("(1,5)", "a comma stands only between the values of max and min", 2),
        ("J=a", "write only what is right of the equals sign", 1),
        ("a%b", "write a/100 for per cent", 1),
        ("a.b", "'.' is not arithmetic", 1),
        ("__import__('os')", "'''", 11),
        ("a if b else c", "an operation is missing here", 2),
        ("1e999", "this number is too large", 0),
        ("a/(b-b)", "a division by zero: 1 / 0", 1),
        ("log(b-b-a)", "no logarithm: ln(−1)", 0),
        ("exp(1000*a)", "too large for a number", 0),
        ("9**9**9**9*a*b", "too large for a number", 4),
        ("(-a)**0.5", "no real number: −1 to the power 0.5", 4),
        ("(b-b)**-1", "a division by zero: 0 to the power −1", 5),
        ("(a-a)**0.5", "no derivative of 0^0.5 by u", 5),
        ("a*b*c", "no value was given for 'c': add c=1 behind the expression", 4),
        ("ab+a+b", "no value was given for 'ab': for a product of single letters write a*b", 0),
    ],
)
def test_errors_point_at_the_place(text: str, said: str, column: int) -> None:
    with pytest.raises(ChainruleError) as caught:
        trace(parse(text), {name: v for name, v in {"a": 1.0, "b": 2.0}.items() if name in text})
    assert said in str(caught.value)
    line, caret = caught.value.__notes__[0].split("\n")
    assert line == f"  {text}" and caret == " " * (2 + column) + "^"


def test_an_unknown_function_gets_the_nearest_and_its_place() -> None:
    with pytest.raises(
        UnknownNameError, match=r"did you mean 'sigmoid'.*for a product write sigmod\*\(…\)"
    ) as caught:
        parse("2*sigmod(a)")
    assert caught.value.__notes__ == ["  2*sigmod(a)\n    ^"]


@pytest.mark.parametrize(
    "text",
    ["(" * 10_000, "(" * 900 + "a" + ")" * 900, "-" * 1900 + "a", "1" * 1_000_000, "2**" * 600 + "2", "a+" * 900 + "a",
     "9**9**9**9", "exp(" * 400 + "a" + ")" * 400, "a" * 1999 + "(", "max(" + "a," * 900 + "a)"],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_hostile_input_ends_soon_with_an_error(text: str) -> None:
    started = time.process_time()
    try:
        trace(parse(text), {"a": 1.0} if "a" in text else {})
    except ChainruleError as error:
        assert len(str(error)) < 600
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, "the expression does not use 'c', 'd'; it has 'a', 'b'"),
        ({"a": math.nan, "b": 1.0}, "a must be a finite number; got nan"),
        ({"a": math.inf, "b": 1.0}, "a must be a finite number; got inf"),
        ({"a": "x", "b": 1.0}, "a must be a number; got 'x'"),
        ({"a": None, "b": 1.0}, "a must be a number; got None"),
        ({"a": 10**400, "b": 1.0}, "a must be a number; got 1000"),
    ],
)
def test_values_that_do_not_fit(values: dict[str, float], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        trace(parse("a*b"), values)
    assert str(caught.value).startswith(said)


def test_no_value_is_no_error_of_the_tree() -> None:
    """A nudge may leave the domain: the graph says so by its own exception, which the check takes."""
    graph = trace(parse("ln(a)"), {"a": 1.0})
    with pytest.raises(NoValue):
        graph.at({"a": -1.0})
