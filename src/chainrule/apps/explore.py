"""The command `explore`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.flags import JSON, RUNS, option_of, to_file
from chainrule.train.declared import DATA

EXAMPLES = {
    "explore": (
        "chainrule explore iris",
        "chainrule explore houses.csv --target price --clusters 4",
        "chainrule explore photos/ --method gaussian-mixture",
        "chainrule explore answers.csv --method factor-analysis --components 3 --output answers.html",
    ),
}


def explore(
    data: Annotated[
        list[str], typer.Argument(help="Data as fit takes it, or pictures without class folders.")
    ],
    target: Annotated[
        str | None,
        typer.Option(
            help="Column to compare with the clusters; it has no part in them.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="Method to use, one of each tag; chainrule names method lists them.", metavar="NAME"
        ),
    ] = None,
    clusters: Annotated[
        int | None, typer.Option(help="Number of clusters; without it the data chooses.", metavar="K")
    ] = None,
    components: Annotated[
        int | None,
        typer.Option(help="Number of components; without it the data chooses.", metavar="N"),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Starts of the methods, and rows where there are many.", metavar="N")
    ] = 0,
    output_file: Annotated[
        Path | None,
        to_file("File to write: .html the page, .json the values; without it explore-NAME.html here."),
    ] = None,
    columns: Annotated[list[str] | None, option_of("columns")] = None,
    decimal: Annotated[str | None, option_of("decimal")] = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
) -> None:
    """Look at DATA without a target: projections, clusters, what sets them apart, unusual rows."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.core.files import output_ending
        from chainrule.jobs.explore import explore as explore_data
        from chainrule.report.exploration import ENDINGS

        if output_file is not None:
            output_ending(output_file, ENDINGS)
        found = explore_data(
            data[0] if len(data) == 1 else data, target=target, method=method or (), clusters=clusters,
            components=components, seed=seed, columns=columns or (), decimal=decimal, runs=runs, track=out.track,
        )  # fmt: skip
        stem = re.sub(r"[^\w.-]+", "-", Path(found.name).stem).strip("-.") or "data"
        output.say_and_save(out, "explored", found, output_file or Path(f"explore-{stem}.html"))
