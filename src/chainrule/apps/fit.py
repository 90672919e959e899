"""The command `fit`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.asked import Asked, nothing_beside_resume, takes_settings
from chainrule.apps.flags import JSON, NAME, QUIET, RUNS, TEST_DATA, VALIDATION_DATA, VERBOSE
from chainrule.train.declared import RUN

EXAMPLES = {
    "fit": (
        "chainrule fit digits",
        "chainrule fit houses.csv --target price --epochs 50",
        "chainrule fit 'sales/*.csv' --test-data sales-2026.csv",
        "chainrule fit houses.csv --target price,rent --model linear-regression",
        "chainrule fit pictures/ --model lenet --augment flip,shift   (one folder per class)",
        "chainrule fit iris --set hidden=128,64 --set activation=tanh --dropout 0.1",
        "chainrule fit digits --members 10 --ensemble bagging",
        "chainrule fit --resume runs/digits-mlp-1",
    ),
}


@takes_settings()
def fit(
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="A built-in name, a CSV, Excel, Parquet, JSON, .npz or IDX file, or a folder of class folders. Several tables "
            "with the same columns are read as one, also by a quoted pattern: 'sales/*.csv'."
        ),
    ] = None,
    *,
    asked: Asked,
    validation_data: VALIDATION_DATA = None,
    test_data: TEST_DATA = None,
    runs: RUNS = Path("runs"),
    name: NAME = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Continue this run, bit for bit on the CPU.", metavar="RUN", rich_help_panel=RUN),
    ] = None,
    checkpoint_seconds: Annotated[
        float,
        typer.Option(
            help="Least seconds between two checkpoints; 0: after every step.", metavar="X", hidden=True
        ),
    ] = 1.0,
    json: JSON = False,
    quiet: QUIET = False,
    verbose: VERBOSE = False,
) -> None:
    """Train a network on DATA, judge it on rows that it never saw, and keep it."""
    with output.printer(json=json, quiet=quiet) as out:
        if resume is not None:
            beside = {"name": name, "validation_data": validation_data, "test_data": test_data}
            nothing_beside_resume("the run's recipe", data, asked, beside)
        request = asked.request(
            data, runs=runs, track=out.track, validation_data=validation_data, test_data=test_data
        )
        from chainrule.jobs.fit import run_fit

        request = dataclasses.replace(
            request, name=name, resume=resume, checkpoint_seconds=checkpoint_seconds, command=output.command_line(), verbose=verbose,
        )  # fmt: skip
        for _ in out.show(run_fit(request)):
            pass
