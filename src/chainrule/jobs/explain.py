"""`explain`: an expression, a network written by hand, a row of a run, or a model, as text, page, slide and values."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import nn

from chainrule.catalog import NETWORKS, load, names
from chainrule.core.errors import SettingError, nearest, unknown_name
from chainrule.core.files import output_ending, write_atomic
from chainrule.core.text import visible
from chainrule.explanations.explained_expression import explain_expression
from chainrule.explanations.network_file import read_network
from chainrule.explanations.network_pass import explain_network
from chainrule.jobs.explain_run import explain_run
from chainrule.jobs.folder import find
from chainrule.jobs.run import Run
from chainrule.models import build

_NAME = re.compile(r"[^\W\d][\w-]*")
_ARITHMETIC = re.compile(r"[-+*/()^×÷−]|\*\*")


class Explained(Protocol):
    """What the functions of the room `explanations` return: plain values with two renderings."""

    def text(self, width: int) -> str:
        """Return it for a terminal of so many columns."""

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Something explained. `str` gives the text; `save` writes a page, a slide or the values."""

    content: Explained
    pages: Callable[[], ModuleType]  # the module of `report` with page(content) and slide(content)

    def __str__(self) -> str:
        return self.content.text(100)

    def text(self, width: int = 100) -> str:
        """Return it for a terminal of so many columns."""
        return self.content.text(width)

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""
        return self.content.values()

    def html(self) -> str:
        """Return it as one page that needs nothing beside itself."""
        page: str = self.pages().page(self.content).render()
        return page

    def svg(self) -> str:
        """Return its drawing as one SVG document, for a slide."""
        drawn: str = self.pages().slide(self.content)
        return drawn

    def _repr_svg_(self) -> str:
        """Show its drawing in a notebook."""
        return self.svg()

    def save(self, path: str | Path) -> Path:
        """Write it: .html a page, .svg a slide, .json the values, .txt the text; .toml a network's file, to change it.

        Raises: SettingError for another ending
        """
        path = Path(path)
        forms: dict[str, Callable[[], str]] = {
            ".html": self.html,
            ".svg": self.svg,
            ".json": lambda: json.dumps(self.values(), indent=1) + "\n",
            ".txt": lambda: self.text() + "\n",
        }
        if source := getattr(self.content, "source", ""):
            forms[".toml"] = lambda: source
        write_atomic(path, forms[output_ending(path, forms)]().encode())
        return path


def explain(
    subject: Any,
    values: Mapping[str, float] | None = None,
    *,
    row: int | None = None,
    input: tuple[int, ...] | None = None,
    units: int | None = None,
    model_settings: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    **variables: float,
) -> Explanation:
    """Explain an expression, a network file, a row of a run, or a model.

    `subject` is text such as "3*(a+b*c)" with its variables as keywords; a .toml file with a network (or the name of
    an example); a run, its folder or its name, with `row`, or without one for its network; a model's name or a module,
    with `input`, the shape of one row, and for a name `units` (outputs, 10 unless it takes fewer) and its settings.
    Variables that are called like one of these go into `values`.
    >>> explain("a*b", a=2, b=3).values()["gradients"]
    {'da': 3.0, 'db': 2.0, 'dJ': 1.0}
    >>> explain("row/2", {"row": 3}).values()["value"]
    1.5
    """
    kind = kind_of(subject, row=row, input=input, runs=Path(runs))
    for name, belongs in (("units", units is not None), ("set", bool(model_settings))):
        if belongs and kind != "model":
            raise goes_with(name, "model", subject, kind)
    given = {**(values or {}), **variables}
    if kind == "expression":
        return _explain_expression(str(subject), given)
    if given:
        raise SettingError(
            f"values of variables go with an expression; {visible(subject)!r} is {_article(kind)}"
        )
    if kind == "network":
        return Explanation(explain_network(read_network(subject)), _pass_page)
    if kind == "model":
        return _explain_model(subject, input, units, dict(model_settings or {}))
    run = _run(subject, Path(runs))
    return _explain_run_model(run) if row is None else Explanation(explain_run(run, row), _pass_page)


def _explain_model(
    subject: Any, input: tuple[int, ...] | None, units: int | None, settings: dict[str, Any]
) -> Explanation:
    if input is None:
        name = type(subject).__name__ if isinstance(subject, nn.Module) else subject
        raise SettingError(
            f"explaining a model takes the shape of one row: chainrule explain {name} --input 3x32x32"
        )
    if isinstance(subject, nn.Module):
        return _costs(subject, input, type(subject).__name__)
    given = inspect.signature(load("model", subject)).parameters
    shape = input[0] if len(input) == 1 else input
    if "inputs" in given:
        settings["inputs"] = shape
    if "units" in given and (units is not None or given["units"].default is inspect.Parameter.empty):
        settings["units"] = units if units is not None else 1 if subject == "logistic-regression" else 10
    elif units is not None:
        raise SettingError(f"the model {visible(subject)} takes no number of units")
    # without memory: the shapes of a model are known before its weights are
    with torch.device("meta"):
        model = build(subject, **settings)
    return _costs(model, input, subject)


def _explain_run_model(run: Run) -> Explanation:
    inputs = run.recipe.inputs
    return _costs(run.model, (inputs,) if isinstance(inputs, int) else tuple(inputs), run.path.name)


def _costs(model: nn.Module, input: tuple[int, ...], title: str) -> Explanation:
    from chainrule.explanations.costs import explain_costs

    def pages() -> ModuleType:
        from chainrule.report import model_page

        return model_page

    return Explanation(explain_costs(model, input, title), pages)


def _run(subject: Any, runs: Path) -> Run:
    if isinstance(subject, str | Path):
        return Run(find(subject, runs).path)
    if not isinstance(subject, Run):
        raise SettingError(
            f"explain takes text, a path, a run or a torch.nn.Module; got a {type(subject).__name__}"
        )
    return subject


def _pass_page() -> ModuleType:
    from chainrule.report import pass_page

    return pass_page


def _explain_expression(text: str, values: Mapping[str, float]) -> Explanation:
    if not values and _NAME.fullmatch(text):
        raise _no_such_subject(text)

    def pages() -> ModuleType:
        from chainrule.report import expression_page

        return expression_page

    return Explanation(explain_expression(text, values), pages)


def _no_such_subject(text: str) -> SettingError:
    close = nearest(text, [*names("model"), *NETWORKS])
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    return SettingError(
        f"'{visible(text, 60)}' is no run, no model and no network file{hint} "
        "(an expression needs the values of its variables, as a=5)"
    )


def kind_of(subject: Any, *, row: int | None, input: tuple[int, ...] | None, runs: Path) -> str:
    """Return what is to be explained: expression, network, run or model.

    Raises: SettingError where the subject is none of them, or a flag belongs to another kind
    """
    kind = _kind(subject, input, runs)
    if kind == "expression" and row is not None and not re.search(r"[+*()^×÷]", str(subject)):
        kind = "run"  # that is not there: looking for it says which are near
    for flag, value, owner in (("row", row, "run"), ("input", input, "model")):
        if value is not None and kind != owner:
            raise goes_with(flag, owner, subject, kind)
    return kind


def goes_with(flag: str, owner: str, subject: Any, kind: str) -> SettingError:
    """Return what is said of a flag that belongs to another kind."""
    return SettingError(f"--{flag} goes with a {owner}; {visible(subject)!r} is {_article(kind)}")


def _kind(subject: Any, input: tuple[int, ...] | None, runs: Path) -> str:
    if isinstance(subject, nn.Module):
        return "model"
    if not isinstance(subject, str | Path):
        return "run"
    text = str(subject)
    if not text.strip():
        return "expression"
    if text.endswith(".toml"):
        return "network"
    if _exists(Path(text, "recipe.json")) or _exists(runs / text / "recipe.json"):
        return "run"
    if text in NETWORKS:
        return "network"
    if input is not None or text in names("model") or re.fullmatch(r"[\w.]+:[\w.]+", text):
        return "model"
    if isinstance(subject, Path) or (_exists(Path(text)) and not _ARITHMETIC.search(text)):
        raise SettingError(f"{visible(text)} is no run folder and no .toml file of a network")
    if "-" in text and get_close_matches(text, NETWORKS, 1, 0.8):
        raise unknown_name("network", text, NETWORKS)
    return "expression"


def _exists(path: Path) -> bool:
    """Whether there is such a file; a long expression is no path at all, which some systems call an error."""
    try:
        return path.exists()
    except OSError:
        return False


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
