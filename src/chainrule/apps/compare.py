"""The command `compare`: every model on data, or runs side by side."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.asked import Asked, takes_settings
from chainrule.apps.cross_validate import IN_NO_FOLD, TO_PAGE, page_of
from chainrule.apps.flags import FOLDING, FOLDS, JSON, QUIET, REPEATS, RUNS
from chainrule.core.errors import SettingError
from chainrule.core.files import output_ending
from chainrule.train.declared import JUDGING, TRAINING

EXAMPLES = {
    "compare": (
        "chainrule compare iris",
        "chainrule compare houses.csv --target price --repeats 10",
        "chainrule compare wine --models mlp,random-forest,kernel-svm --folds 10",
        "chainrule compare runs/digits-mlp-1 runs/digits-mlp-2   (runs: settings that differ, metrics, curves)",
    ),
}


@takes_settings(test=IN_NO_FOLD)
def compare(
    data: Annotated[
        list[str],
        typer.Argument(
            help="Data as fit takes it; or runs, which are set side by side.", metavar="DATA | RUN…"
        ),
    ],
    models: Annotated[
        str | None,
        typer.Option(
            help="Models to judge; without it all that fit (chainrule models).",
            metavar="A,B,…",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    *,
    asked: Asked,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Score that ranks; without it accuracy or r2.", metavar="NAME", rich_help_panel=JUDGING
        ),
    ] = None,
    folds: FOLDS = 5,
    repeats: REPEATS = 1,
    budget_seconds: Annotated[
        float,
        typer.Option(
            help="Time that a model may take for all folds; a slower one is left out.",
            metavar="X",
            rich_help_panel=FOLDING,
        ),
    ] = 60.0,
    output_file: TO_PAGE = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Judge every model that fits DATA by the same folds: a ranking, and which differences are more than chance."""
    with output.printer(json=json, quiet=quiet) as out:
        from chainrule.jobs.folder import is_run

        if len(data) > 1 or is_run(data[0], runs):
            from chainrule.jobs.compare import compare_runs

            out.runs(compare_runs(runs, data), is_comparison=True)
            return
        request = asked.request(data, runs=runs, track=out.track)
        if request.model_settings or request.settings.model is not None:
            raise SettingError(
                f"--set {next(iter(request.model_settings), 'model')} is for one model, and compare judges several; "
                "--models names them, and chainrule cross-validate judges one"
            )
        from chainrule.jobs.compare_models import run_comparison
        from chainrule.jobs.show import returned
        from chainrule.report.model_comparison import ENDINGS

        if output_file is not None:
            output_ending(output_file, ENDINGS)
        chosen = [] if models is None else [name.strip() for name in models.split(",") if name.strip()]
        job = run_comparison(
            request, models=chosen, metric=metric, folds=folds, repeats=repeats, budget_seconds=budget_seconds
        )
        found = dataclasses.replace(returned(job, out), command=output.command_line())
        output.say_and_save(out, "model-comparison", found, output_file or page_of("compare", found.data))
