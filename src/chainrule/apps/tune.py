"""The command `tune`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.asked import Asked, nothing_beside_resume, takes_settings
from chainrule.apps.flags import DATA_OR_NONE, JSON, NAME, QUIET, RUNS, SEARCH, TEST_DATA, VALIDATION_DATA
from chainrule.train.declared import RUN

EXAMPLES = {
    "tune": (
        "chainrule tune digits",
        "chainrule tune houses.csv --target price --method bayes --trials 60",
        "chainrule tune digits --model mlp --space space.toml --method grid --folds 5",
        "chainrule tune pictures/ --model lenet --folds 1 --budget-seconds 600",
        "chainrule tune --resume runs/digits-mlp-search-1",
    ),
}


@takes_settings(
    metric="score that trials are compared by: auc, f1, log-loss, mae, …; without it accuracy or R²"
)
def tune(
    data: DATA_OR_NONE = None,
    *,
    asked: Asked,
    validation_data: VALIDATION_DATA = None,
    test_data: TEST_DATA = None,
    space: Annotated[
        str,
        typer.Option(
            help="What is searched: a .json or .toml file that maps settings to lists of values or to {low, high, log, "
            "steps}; defaults is a space that suits the model.",
            metavar="FILE",
            rich_help_panel=SEARCH,
        ),
    ] = "defaults",
    method: Annotated[
        str,
        typer.Option(
            help="grid (every combination), random, bayes (a Gaussian process; needs Optuna) or halving (all a little, "
            "the best quarter longer, and so on).",
            metavar="NAME",
            rich_help_panel=SEARCH,
        ),
    ] = "random",
    trials: Annotated[
        int | None,
        typer.Option(
            help="Combinations to try; without it 32, or all of them for a grid and for halving over lists.",
            metavar="N",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Parts of the rows that are held out in turn (5, fewer where a class is rare); 1: one part alone, for "
            "much data.",
            metavar="K",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    budget_seconds: Annotated[
        float | None,
        typer.Option(
            help="Seconds that the search may take; what is left to try then is left out.",
            metavar="X",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="The same bits however networks are grouped and on however many cores.",
            rich_help_panel=SEARCH,
        ),
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Train on the workers of a Ray cluster: HOST:PORT as ray start prints it, or local to start workers here; "
            "the result is that of --deterministic on one machine.",
            metavar="ADDRESS",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    runs: RUNS = Path("runs"),
    name: NAME = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with this search; trials that are made stay.", metavar="RUN", rich_help_panel=RUN
        ),
    ] = None,
    json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Search settings for DATA by cross-validation, all networks trained together, and keep the best one as a run."""
    with output.printer(json=json, quiet=quiet) as out:
        if resume is not None:
            beside = {
                "name": name, "validation_data": validation_data, "test_data": test_data, "trials": trials, "folds": folds,
            }  # fmt: skip
            nothing_beside_resume(
                "the search's own folder, but for --budget-seconds and --cluster", data, asked, beside
            )
        request = asked.request(
            data, runs=runs, track=out.track, validation_data=validation_data, test_data=test_data
        )
        from chainrule.jobs.search_request import SearchRequest
        from chainrule.jobs.tune import run_tune

        search = SearchRequest(
            fit=dataclasses.replace(request, name=name, resume=resume, command=output.command_line()), space=space,
            method=method, trials=trials, folds=folds, budget_seconds=budget_seconds, is_deterministic=deterministic,
            cluster=cluster,
        )  # fmt: skip
        for _ in out.show(run_tune(search)):
            pass
