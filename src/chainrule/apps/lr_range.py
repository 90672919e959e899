"""The command `lr-range`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.asked import Asked, takes_settings
from chainrule.apps.flags import DATA_NEEDED, JSON, RUNS, SEARCH, to_file
from chainrule.core.files import output_ending

EXAMPLES = {
    "lr_range": (
        "chainrule lr-range digits",
        "chainrule lr-range houses.csv --target price --output range.html",
        "chainrule lr-range iris --optimizer sgd --set hidden=64 --lowest 1e-5",
    ),
}


@takes_settings()
def lr_range(
    data: DATA_NEEDED,
    *,
    asked: Asked,
    lowest: Annotated[
        float, typer.Option(help="Rate to begin with.", metavar="X", rich_help_panel=SEARCH)
    ] = 1e-6,
    highest: Annotated[
        float, typer.Option(help="Rate to end with, at the latest.", metavar="X", rich_help_panel=SEARCH)
    ] = 10.0,
    steps: Annotated[
        int, typer.Option(help="Updates from one to the other.", metavar="N", rich_help_panel=SEARCH)
    ] = 300,
    output_file: Annotated[
        Path | None,
        to_file("File to write: .html a page, .png or .svg a picture, .json the values."),
    ] = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
) -> None:
    """Find a learning rate for DATA: raise it from far too low to far too high and see where the loss falls."""
    with output.printer(json=json, quiet=False) as out:
        request = asked.request(data, runs=runs, track=out.track)
        from chainrule.jobs.lr_range import ENDINGS, command_of, find_range

        if output_file is not None:
            output_ending(output_file, ENDINGS)
        command = command_of([*data, *asked.words()])
        found = find_range(request, lowest=lowest, highest=highest, steps=steps, command=command)
        output.say_and_save(out, "rate-range", found, output_file)
