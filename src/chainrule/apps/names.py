"""Commands on names that a user can type: models, datasets, and names of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.flags import JSON, to_file
from chainrule.core.errors import SettingError

EXAMPLES = {
    "names": (
        "chainrule names",
        "chainrule names activation",
        "chainrule names loss huber",
    ),
    "models": (
        "chainrule models",
        "chainrule models mlp",
    ),
    "datasets": (
        "chainrule datasets",
        "chainrule datasets iris",
        "chainrule datasets iris --draw",
        "chainrule datasets houses.csv --draw --target price --output houses.svg",
    ),
}


def names(
    kind: Annotated[
        str | None, typer.Argument(help="A kind, such as activation, loss, optimizer, schedule or metric.")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="A name of that kind to describe.")] = None,
    json: JSON = False,
) -> None:
    """List the names of a kind that `fit` takes, describe one, or list the kinds."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.describe import describe_name, list_kind, list_kinds

        if kind is None:
            out.names(list_kinds())
        else:
            out.names(list_kind(kind) if name is None else describe_name(kind, name))


def models(
    name: Annotated[str | None, typer.Argument(help="A model to describe with its settings.")] = None,
    json: JSON = False,
) -> None:
    """List the models that `fit --model` takes, or describe one."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.describe import describe_model, list_models

        out.names(list_models() if name is None else describe_model(name))


def datasets(
    name: Annotated[
        str | None,
        typer.Argument(help="A data set to describe with its columns; with --draw any data that fit takes."),
    ] = None,
    draw: Annotated[
        bool,
        typer.Option("--draw", help="Draw the data: columns and their distributions, or examples per class."),
    ] = False,
    target: Annotated[
        str | None, typer.Option(help="Column that gives the colours (--draw).", metavar="COLUMN")
    ] = None,
    output_file: Annotated[
        Path | None,
        to_file("File to draw into, .png or .svg; without it NAME.png here (--draw)."),
    ] = None,
    json: JSON = False,
) -> None:
    """List the built-in data, describe one, or draw any data."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.describe import describe_dataset, list_kind

        if draw:
            if name is None:
                raise SettingError("--draw needs data: a built-in name, a file or a folder")
            from chainrule.jobs.draw import draw as draw_data

            drawn = draw_data(name, target=target, output=output_file, track=out.track)
            out.record("drawn", {"text": drawn}, drawn)
            return
        if target is not None or output_file is not None:
            raise SettingError("--target and --output go with --draw")
        out.names(list_kind("dataset") if name is None else describe_dataset(name))
