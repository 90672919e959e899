"""The command `explain`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.flags import JSON, RUNS, to_file
from chainrule.catalog import NETWORKS
from chainrule.core.errors import SettingError
from chainrule.core.text import visible
from chainrule.train.settings_text import parse_settings

EXAMPLES = {
    "explain": (
        'chainrule explain "3*(a+b*c)" a=5 b=3 c=2',
        "chainrule explain toy-network",
        "chainrule explain toy-network --output mine.toml",
        "chainrule explain mine.toml --output mine.html",
        "chainrule explain runs/iris-mlp-1 --row 17",
        "chainrule explain lenet --input 1x28x28",
    ),
}


def explain(
    subject: Annotated[
        str,
        typer.Argument(
            help=f"An expression (behind -- if it begins with a minus), a .toml file with a network or one that comes along ({', '.join(NETWORKS)}), a run folder, "
            "or a model's name.",
            metavar="EXPRESSION|NETWORK.toml|RUN|MODEL",
        ),
    ],
    variables: Annotated[
        list[str] | None,
        typer.Argument(help="Values of an expression's variables.", metavar="[NAME=VALUE]..."),
    ] = None,
    row: Annotated[
        int | None, typer.Option(help="Row of the run's data, counted from 0.", metavar="N")
    ] = None,
    input: Annotated[
        str | None, typer.Option(help="Shape of one row for a model, such as 3x32x32 or 30.", metavar="SHAPE")
    ] = None,
    units: Annotated[int | None, typer.Option(help="Outputs of a model (10).", metavar="N", min=1)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of the model (chainrule models NAME lists them).", metavar="KEY=VALUE"
        ),
    ] = None,
    output_file: Annotated[
        Path | None,
        to_file(
            "File to write: .html a page, .svg a slide, .json the values, .txt the text; .toml a copy of a network."
        ),
    ] = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
) -> None:
    """Show the mathematics: values forward, gradients backward, the chain rule at every step; shapes and costs."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.explain import explain as explained
        from chainrule.jobs.explain import goes_with, kind_of

        shape = _shape(input)
        if set_ and (kind := kind_of(subject, row=row, input=shape, runs=runs)) != "model":
            raise goes_with("set", "model", subject, kind)
        found = explained(
            subject,
            _values(variables or []),
            row=row,
            input=shape,
            units=units,
            model_settings=_model_settings(subject, set_ or []),
            runs=runs,
        )
        output.say_and_save(out, "explained", found, output_file)


def _model_settings(subject: str, pairs: list[str]) -> dict[str, object]:
    if not pairs:
        return {}
    from chainrule.jobs.preparation import load_model_settings

    accepted = load_model_settings(subject)
    training, of_model = parse_settings(pairs, lambda: accepted)
    for key in training.keys() - accepted.keys():
        raise SettingError(f"--set takes settings of the model here; {key} is one of the training")
    return {**of_model, **training}


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,8}([x×][1-9]\d{0,8})*", text):
        raise SettingError(f"--input takes a shape such as 3x32x32 or 30; got '{visible(text, 40)}'")
    return tuple(int(part) for part in re.split("[x×]", text))


def _values(pairs: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for pair in pairs:
        name, _, value = (part.strip() for part in pair.partition("="))
        try:
            number = float(value.replace("−", "-"))
        except ValueError:
            raise SettingError(f"a variable is given as NAME=NUMBER; got '{visible(pair, 60)}'") from None
        if name in found:
            raise SettingError(f"'{visible(name, 60)}' is given twice, as {found[name]:g} and as {number:g}")
        found[name] = number
    return found
