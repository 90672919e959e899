"""The command `compare`: every model on data, or runs side by side."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.cross_validate import page_of
from chainrule.apps.flags import DATA, JSON, QUIET, RUNS, of_setting, to_file
from chainrule.core.files import output_ending
from chainrule.train.settings import Settings

EXAMPLES = {
    "compare": (
        "chainrule compare iris",
        "chainrule compare houses.csv --target price --repeats 10",
        "chainrule compare wine --models mlp,random-forest,kernel-svm --folds 10",
        "chainrule compare runs/digits-mlp-1 runs/digits-mlp-2   (runs: settings that differ, metrics, curves)",
    ),
}


def compare(
    data: Annotated[
        list[str],
        typer.Argument(
            help="Data as fit takes it; or runs, which are set side by side.", metavar="DATA | RUN…"
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(help="Column to predict, or several: a,b.", metavar="COLUMN", rich_help_panel=DATA),
    ] = None,
    task: Annotated[str | None, of_setting("task", "KIND", DATA)] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="What a column is: number, category, boolean, date or ignore; repeat it.",
            metavar="NAME=KIND",
            rich_help_panel=DATA,
        ),
    ] = None,
    decimal: Annotated[str | None, of_setting("decimal", "SIGN", DATA)] = None,
    merge_classes: Annotated[bool | None, of_setting("merge_classes", panel=DATA)] = None,
    test: Annotated[
        float | None,
        typer.Option(
            help="Part of all rows that is in no fold; without it, none is.",
            metavar="FRACTION",
            rich_help_panel=DATA,
        ),
    ] = None,
    encoding: Annotated[str | None, of_setting("encoding", "NAME", DATA)] = None,
    sheet: Annotated[str | None, of_setting("sheet", "NAME", DATA)] = None,
    split: Annotated[str | None, of_setting("split", "KIND", DATA)] = None,
    models: Annotated[
        str | None,
        typer.Option(help="Models to judge; without it all that fit (chainrule models).", metavar="A,B,…"),
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Parts that the rows are divided into; each is held out once.", metavar="N")
    ] = 5,
    repeats: Annotated[int, typer.Option(help="How often the rows are divided anew.", metavar="N")] = 1,
    metric: Annotated[
        str | None, typer.Option(help="Score that ranks; without it accuracy or r2.", metavar="NAME")
    ] = None,
    budget_seconds: Annotated[
        float,
        typer.Option(help="Time that a model may take for all folds; a slower one is left out.", metavar="X"),
    ] = 60.0,
    epochs: Annotated[int | None, of_setting("epochs", "N")] = None,
    class_weight: Annotated[str | None, of_setting("class_weight", "balanced")] = None,
    seed: Annotated[int | None, of_setting("seed", "N")] = None,
    output_file: Annotated[
        Path | None,
        to_file(
            "File to write: .html the page, .png or .svg the picture, .json the values; without it a page here."
        ),
    ] = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Judge every model that fits DATA by the same folds: a ranking, and which differences are more than chance."""
    flags = {
        "task": task, "epochs": epochs, "test": test, "split": split, "seed": seed, "encoding": encoding, "sheet": sheet,
        "class_weight": class_weight, "columns": tuple(column) if column else None, "decimal": decimal,
        "merge_classes": merge_classes,
    }  # fmt: skip
    with output.printer(json=json, quiet=quiet) as out:
        from chainrule.jobs.folder import is_run

        if len(data) > 1 or is_run(data[0], runs):
            from chainrule.jobs.compare import compare_runs

            out.runs(compare_runs(runs, data), is_comparison=True)
            return
        settings = Settings(**{k: v for k, v in flags.items() if v is not None})  # type: ignore[arg-type]
        from chainrule.jobs.compare_models import run_comparison
        from chainrule.jobs.request import Request
        from chainrule.jobs.show import returned
        from chainrule.report.model_comparison import ENDINGS

        if output_file is not None:
            output_ending(output_file, ENDINGS)
        request = Request(data=data[0], target=target, settings=settings, runs=runs, track=out.track)
        chosen = [] if models is None else [name.strip() for name in models.split(",") if name.strip()]
        job = run_comparison(
            request, models=chosen, metric=metric, folds=folds, repeats=repeats, budget_seconds=budget_seconds
        )
        found = dataclasses.replace(returned(job, out), command=output.command_line())
        output.say_and_save(out, "model-comparison", found, output_file or page_of("compare", found.data))
