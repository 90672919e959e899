"""Derivatives and the computational graph of the decks, as `explain` shows them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import chainrule as cr
from chainrule.apps import cli

COURSE = "3*(a+b*c)"
HERE = {"a": 5.0, "b": 3.0, "c": 2.0}


def nudge(text: str, name: str = "a", **values: float) -> dict[str, Any]:
    """Return what the nudge check says about one value of an expression."""
    return next(n for n in cr.explain(text, **values).values()["nudges"] if n["name"] == name)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.775+0.126+0.039+0.070", 1.01), ("-ln(0.775)", 0.254892), ("-ln(0.775)/ln(2)", 0.367732)],
)
def test_cross_entropy_as_printed(text: str, value: float) -> None:
    """Golden example G18: its shares do not sum to 1, and its 0.3677 is in bits (E15)."""
    assert cr.explain(text).values()["value"] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("text", "value"), [("20+25+25", 70), ("20+25+25 + 30", 100), ("(3+2)*15", 75)])
def test_sums_of_marks(text: str, value: float) -> None:
    """Golden example G49: three tests and the theory, and hours in fifteen weeks."""
    assert cr.explain(text).values()["value"] == value


@pytest.mark.curriculum("BPG-08")
@pytest.mark.parametrize(("a", "before", "after"), [(2.0, 6.0, 6.003), (5.0, 15.0, 15.003)])
def test_a_line_has_the_same_slope_everywhere(a: float, before: float, after: float) -> None:
    """Golden example G32."""
    found = nudge("3*a", a=a)
    assert found["after"] == pytest.approx(a + 0.001, abs=1e-12)
    assert found["on_the_way"]["J"] == pytest.approx([before, after], abs=1e-9)
    assert (found["rise_over_nudge"], found["gradient"]) == (pytest.approx(3.0, abs=1e-6), 3.0)


@pytest.mark.parametrize(
    ("text", "before", "after", "forward", "slope"),
    [
        pytest.param("a**2", 4.0, 4.004001, 4.001, 4.0, marks=pytest.mark.curriculum("BPG-09")),  # G33
        pytest.param("a**3", 8.0, 8.012006, 12.006001, 12.0, marks=pytest.mark.curriculum("BPG-10")),  # G34
        pytest.param(
            "ln(a)", 0.693147, 0.693647, 0.499875, 0.5, marks=pytest.mark.curriculum("BPG-11")
        ),  # G35
    ],
)
def test_slopes_of_curves_at_two(
    text: str, before: float, after: float, forward: float, slope: float
) -> None:
    found = nudge(text, a=2.0)
    assert found["on_the_way"]["J"] == pytest.approx([before, after], abs=1e-6)
    assert found["rise_over_nudge"] == pytest.approx(forward, abs=1e-6)
    assert found["gradient"] == pytest.approx(slope, abs=1e-12)


@pytest.mark.curriculum("BPG-12")
@pytest.mark.parametrize(
    ("text", "a", "slope"), [("3*a", 2, 3), ("3*a", 5, 3), ("a**2", 2, 4), ("a**3", 2, 12), ("ln(a)", 2, 0.5)]
)
def test_differences_to_both_sides_come_close_to_the_derivative(text: str, a: float, slope: float) -> None:
    """The rise over a nudge of 0.001 is near; a hundredth of the nudge, to both sides, gives it to 1e-8."""
    found = nudge(text, a=a)
    assert found["after"] - found["before"] == pytest.approx(0.001, abs=1e-12)
    rise = found["on_the_way"]["J"][1] - found["on_the_way"]["J"][0]
    assert found["rise_over_nudge"] == pytest.approx(rise / 0.001, rel=1e-9)
    assert found["central_difference"] == pytest.approx(slope, abs=1e-8)


@pytest.mark.curriculum("BPG-13")
def test_graph_of_the_decks() -> None:
    """Golden example G36, on the command line's own text."""
    found = cr.explain(COURSE, **HERE)
    nodes = {node["name"]: node for node in found.values()["nodes"]}
    assert {name: node["value"] for name, node in nodes.items()} == {**HERE, "u": 6.0, "v": 11.0, "J": 33.0}
    assert nodes["J"]["local_derivatives"] == {"v": 3.0}
    assert nodes["v"]["local_derivatives"] == {"a": 1.0, "u": 1.0}
    assert nodes["u"]["local_derivatives"] == {"b": 2.0, "c": 3.0}
    lines = str(found).splitlines()
    for line in (
        "  dJ/du = dJ/dv · dv/du = 3 · 1 = 3",
        "  dJ/da = dJ/dv · dv/da = 3 · 1 = 3",
        "  dJ/db = dJ/du · du/db = 3 · 2 = 6",
        "  dJ/dc = dJ/du · du/dc = 3 · 3 = 9",
    ):
        assert line in lines


@pytest.mark.curriculum("BPG-14")
@pytest.mark.parametrize(
    ("name", "after", "passed"),
    [
        ("u", 6.001, {"v": 11.001, "J": 33.003}),
        ("b", 3.001, {"u": 6.002, "v": 11.002, "J": 33.006}),
        ("c", 2.001, {"u": 6.003, "v": 11.003, "J": 33.009}),
        ("a", 5.001, {"v": 11.001, "J": 33.003}),
    ],
)
def test_nudges_in_the_graph(name: str, after: float, passed: dict[str, float]) -> None:
    """Golden example G37. The stray 1.006 beside c (E57) belongs to none of them."""
    found = nudge(COURSE, name, **HERE)
    assert found["after"] == pytest.approx(after, abs=1e-9)
    assert found["rise_over_nudge"] == pytest.approx((passed["J"] - 33) / 0.001, abs=1e-6)
    assert {node: new for node, (_, new) in found["on_the_way"].items()} == pytest.approx(passed, abs=1e-9)
    assert "1.006" not in re.findall(r"[\d.]+", str(cr.explain(COURSE, **HERE)))


@pytest.mark.curriculum("BPG-16")
def test_gradients_have_the_short_names_of_code(monkeypatch, capsys) -> None:
    """dw and db of one unit, as numbers like w and b; said in words, drawn on the slide."""
    values = {"w": 2.0, "x": 8.0, "b": 0.5, "t": 7.0}
    found = cr.explain("(w*x + b - t)**2/2", **values)
    gradients = found.values()["gradients"]
    assert gradients["dw"] == pytest.approx((16.5 - 7) * 8) and gradients["db"] == pytest.approx(16.5 - 7)
    assert {f"d{name}" for name in values} <= set(gradients)
    assert "in code dw is short for dJ/dw" in " ".join(str(found).split()) and "dw = 76" in found.svg()
    arguments = [f"{name}={value}" for name, value in values.items()]
    monkeypatch.setattr("sys.argv", ["chainrule", "explain", "(w*x + b - t)**2/2", *arguments, "--json"])
    assert cli.run() == 0
    assert json.loads(capsys.readouterr().out)["gradients"] == gradients
