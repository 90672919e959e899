"""The command `lr-range`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.fit import hints_of
from chainrule.apps.flags import DATA, JSON, RUNS, of_setting, to_file
from chainrule.core.files import output_ending
from chainrule.train.settings import Settings, parse_settings

EXAMPLES = {
    "lr_range": (
        "chainrule lr-range digits",
        "chainrule lr-range houses.csv --target price --output range.html",
        "chainrule lr-range iris --optimizer sgd --set hidden=64 --lowest 1e-5",
    ),
}


def lr_range(
    data: Annotated[list[str], typer.Argument(help="Data as fit takes it; several tables are read as one.")],
    target: Annotated[
        str | None,
        typer.Option(help="Column to predict, or several: a,b.", metavar="COLUMN", rich_help_panel=DATA),
    ] = None,
    model: Annotated[str | None, of_setting("model", "NAME")] = None,
    optimizer: Annotated[str | None, of_setting("optimizer", "NAME")] = None,
    batch_size: Annotated[int | None, of_setting("batch_size", "N")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, as fit takes it.", metavar="KEY=VALUE"),
    ] = None,
    lowest: Annotated[float, typer.Option(help="Rate to begin with.", metavar="X")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Rate to end with, at the latest.", metavar="X")] = 10.0,
    steps: Annotated[int, typer.Option(help="Updates from one to the other.", metavar="N")] = 300,
    output_file: Annotated[
        Path | None,
        to_file("File to write: .html a page, .png or .svg a picture, .json the values."),
    ] = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
) -> None:
    """Find a learning rate for DATA: raise it from far too low to far too high and see where the loss falls."""
    flags = {"model": model, "optimizer": optimizer, "batch_size": batch_size}
    given = {name: value for name, value in flags.items() if value is not None}
    with output.printer(json=json, quiet=False) as out:
        training, of_model = parse_settings(set_ or [], hints_of(model, set_ or []))
        settings = Settings(**{**training, **given})
        from chainrule.jobs.lr_range import ENDINGS, command_of, find_range
        from chainrule.jobs.request import Request

        if output_file is not None:
            output_ending(output_file, ENDINGS)
        request = Request(
            data=data[0] if len(data) == 1 else data, target=target, settings=settings, model_settings=of_model, runs=runs,
            track=out.track,
        )  # fmt: skip
        pairs = [("target", target), *given.items(), *(("set", pair) for pair in set_ or [])]
        words = [
            word
            for name, value in pairs
            if value is not None
            for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        found = find_range(
            request, lowest=lowest, highest=highest, steps=steps, command=command_of([*data, *words])
        )
        output.say_and_save(out, "rate-range", found, output_file)
