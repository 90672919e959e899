"""The command `tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.fit import hints_of
from chainrule.apps.flags import DATA, JSON, QUIET, RUN, RUNS, TRAINING, of_setting
from chainrule.core.errors import SettingError
from chainrule.train.settings import Settings, parse_settings, parse_training

SEARCH = "Search"
EXAMPLES = {
    "tune": (
        "chainrule tune digits",
        "chainrule tune houses.csv --target price --method bayes --trials 60",
        "chainrule tune digits --model mlp --space space.toml --method grid --folds 5",
        "chainrule tune pictures/ --model lenet --folds 1 --budget-seconds 600",
        "chainrule tune --resume runs/digits-mlp-search-1",
    ),
}


def tune(
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Data as fit takes it; several tables are read as one."),
    ] = None,
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
    test: Annotated[float | None, of_setting("test", "FRACTION", DATA)] = None,
    validation: Annotated[float | None, of_setting("validation", "FRACTION", DATA)] = None,
    test_data: Annotated[
        str | None,
        typer.Option(
            help="Data to test on, of the same kind; instead of --test.", metavar="DATA", rich_help_panel=DATA
        ),
    ] = None,
    validation_data: Annotated[
        str | None,
        typer.Option(
            help="Data that validates, of the same kind; judges the trials with --folds 1.",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    split: Annotated[str | None, of_setting("split", "KIND", DATA)] = None,
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
    model: Annotated[str | None, of_setting("model", "NAME")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any setting that is the same for all trials, of the training or of the model.",
            metavar="KEY=VALUE",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[int | None, of_setting("epochs", "N")] = None,
    batch_size: Annotated[str | None, of_setting("batch_size", "N")] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Score that trials are compared by: auc, f1, log-loss, mae, …; without it accuracy or R².",
            metavar="NAME",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    seed: Annotated[int | None, of_setting("seed", "N")] = None,
    runs: RUNS = Path("runs"),
    name: Annotated[str | None, typer.Option(help="Name of the run folder.", rich_help_panel=RUN)] = None,
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
    flags = {
        "model": model, "task": task, "epochs": epochs, "batch_size": parse_training("batch_size", batch_size), "metric": metric,
        "validation": validation, "test": test, "split": split, "seed": seed, "columns": tuple(column) if column else None,
    }  # fmt: skip
    with output.printer(json=json, quiet=quiet) as out:
        if resume is not None:
            _nothing_beside_resume(
                data, {**flags, "target": target, "name": name, "set": set_, "trials": trials, "folds": folds}
            )
        training, of_model = parse_settings(set_ or [], hints_of(model, set_ or []))
        settings = Settings(**{**training, **{k: v for k, v in flags.items() if v is not None}})
        from chainrule.jobs.request import Request, divided
        from chainrule.jobs.tune import SearchRequest, run_tune

        named = data[0] if data and len(data) == 1 else data or None
        request = Request(
            data=divided(named, settings, validation_data, test_data), target=target, settings=settings, model_settings=of_model,
            runs=runs, name=name, resume=resume, track=out.track, command=output.command_line(),
        )  # fmt: skip
        search = SearchRequest(
            fit=request, space=space, method=method, trials=trials, folds=folds, budget_seconds=budget_seconds,
            is_deterministic=deterministic,
        )  # fmt: skip
        for _ in out.show(run_tune(search)):
            pass


def _nothing_beside_resume(data: list[str] | None, given: dict[str, object]) -> None:
    extra = ["--" + k.replace("_", "-") for k, v in given.items() if v is not None and v != []]
    if data:
        extra.insert(0, f"DATA ({' '.join(data)})")
    if extra:
        raise SettingError(
            f"--resume takes everything from the search's own folder; leave out {', '.join(extra)} (--budget-seconds may stand "
            "beside it)"
        )
