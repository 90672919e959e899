"""`chainrule explain` on an expression: what it prints and writes, and what it says to wrong input."""

from __future__ import annotations

import json
import sys

import pytest

import chainrule as cr
from chainrule.apps import cli

COURSE = ("3*(a+b*c)", "a=5", "b=3", "c=2")


@pytest.fixture
def explain(monkeypatch, capsys, tmp_path):
    """Run `chainrule explain` in an empty folder and return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chainrule", "explain", *arguments])
        monkeypatch.setenv("COLUMNS", "100")
        capsys.readouterr()
        code = cli.run()
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_text_is_that_of_python(explain) -> None:
    code, out, _ = explain(*COURSE)
    assert code == 0 and out.rstrip("\n") == str(cr.explain("3*(a+b*c)", a=5, b=3, c=2))


@pytest.mark.parametrize(
    ("ending", "start"), [(".html", "<!doctype html>"), (".svg", "<?xml"), (".json", "{"), (".txt", "J = ")]
)
def test_files(explain, tmp_path, ending: str, start: str) -> None:
    code, _, _ = explain(*COURSE, "--output", f"graph{ending}")
    assert code == 0 and (tmp_path / f"graph{ending}").read_text("utf-8").startswith(start)


def test_variables_may_be_called_like_settings(explain) -> None:
    code, out, _ = explain(
        "row*input + runs*units + output", "row=2", "input=3", "runs=4", "units=5", "output=6", "--json"
    )
    assert code == 0 and json.loads(out)["value"] == 32.0
    assert cr.explain("row*input", {"row": 2, "input": 3}).values()["gradients"]["drow"] == 3.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("3*(a+b*c)", "a=5", "b=3"), ["no value was given for 'c': add c=1", "\n  3*(a+b*c)\n", "\n         ^\n"]),
        (("a*b", "a=1", "b=2", "x=3"), ["the expression does not use 'x'; it has 'a', 'b'"]),
        (("a*b", "a=1", "b=two"), ["a variable is given as NAME=NUMBER; got 'b=two'"]),
        (("a*b", "a=1", "b"), ["a variable is given as NAME=NUMBER; got 'b'"]),
        (("a*b", "a=1", "b=nan"), ["b must be a finite number; got nan"]),
        (("a*b", "a=1", "a=2"), ["'a' is given twice, as 1 and as 2"]),
        (("a+*b", "a=1", "b=2"), ["a number or a name is missing before '*' after '+'", "\n    ^\n"]),
        (("sigmod(a)", "a=1"), ["did you mean 'sigmoid'"]),
        (("1/a", "a=0"), ["a division by zero: 1 / 0"]),
        (("9**9**9**9",), ["too large for a number"]),
        (("lennet",), ["'lennet' is no run, no model and no network file; did you mean 'lenet'?"]),
        (("",), ["an expression is needed"]),
        (("a*b", "a=1", "b=2", "--row", "3"), ["--row goes with a run"]),
        (("a*b", "a=1", "b=2", "--output", "graph.png"), ["--output takes a file ending in"]),
        (("\x1b[31m*a", "a=1"), ["'\\x1b' is not arithmetic"]),
        (("(" * 5000, "a=1"), ["an expression may have 2,000 characters; this one has 5,000"]),
    ],
)  # fmt: skip
def test_wrong_input_ends_with_two_and_says_what_to_write(
    explain, tmp_path, arguments, said: list[str]
) -> None:
    code, out, error = explain(*arguments)
    assert code == 2 and error.startswith("chainrule: ")
    assert "Traceback" not in error + out and "\x1b" not in error
    for part in said:
        assert part in error
    assert not list(tmp_path.iterdir())


def test_errors_are_objects_with_json(explain) -> None:
    code, out, _ = explain("a+", "a=1", "--json")
    last = json.loads(out.splitlines()[-1])
    assert code == 2 and last["event"] == "error" and "(character 2 of the expression)" in last["message"]
