"""The command `fit`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.flags import DATA, JSON, QUIET, RUN, RUNS, TRAINING, VERBOSE, of_setting
from chainrule.core.errors import SettingError
from chainrule.train.settings import Settings, parse_settings, parse_training, parse_value

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


def fit(
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="A built-in name, a CSV, Excel, Parquet, JSON, .npz or IDX file, or a folder of class folders. Several tables "
            "with the same columns are read as one, also by a quoted pattern: 'sales/*.csv'."
        ),
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
    decimal: Annotated[str | None, of_setting("decimal", "SIGN", DATA)] = None,
    merge_classes: Annotated[bool | None, of_setting("merge_classes", panel=DATA)] = None,
    validation: Annotated[float | None, of_setting("validation", "FRACTION", DATA)] = None,
    test: Annotated[float | None, of_setting("test", "FRACTION", DATA)] = None,
    validation_data: Annotated[
        str | None,
        typer.Option(
            help="Data that validates, of the same kind; instead of --validation.",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    test_data: Annotated[
        str | None,
        typer.Option(
            help="Data to test on, of the same kind; instead of --test.", metavar="DATA", rich_help_panel=DATA
        ),
    ] = None,
    encoding: Annotated[str | None, of_setting("encoding", "NAME", DATA)] = None,
    sheet: Annotated[str | None, of_setting("sheet", "NAME", DATA)] = None,
    split: Annotated[str | None, of_setting("split", "KIND", DATA)] = None,
    model: Annotated[str | None, of_setting("model", "NAME")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any setting, of the training or of the model (chainrule models NAME lists them).",
            metavar="KEY=VALUE",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[int | None, of_setting("epochs", "N")] = None,
    batch_size: Annotated[str | None, of_setting("batch_size", "N")] = None,
    optimizer: Annotated[str | None, of_setting("optimizer", "NAME")] = None,
    learning_rate: Annotated[float | None, of_setting("learning_rate", "X")] = None,
    schedule: Annotated[str | None, of_setting("schedule", "NAME")] = None,
    weight_decay: Annotated[float | None, of_setting("weight_decay", "X")] = None,
    dropout: Annotated[float | None, of_setting("dropout", "X")] = None,
    members: Annotated[int | None, of_setting("members", "N")] = None,
    ensemble: Annotated[str | None, of_setting("ensemble", "KIND")] = None,
    vote: Annotated[str | None, of_setting("vote", "KIND")] = None,
    augment: Annotated[str | None, of_setting("augment", "NAME,…")] = None,
    patience: Annotated[int | None, of_setting("patience", "N")] = None,
    metric: Annotated[str | None, of_setting("metric", "NAME")] = None,
    class_weight: Annotated[str | None, of_setting("class_weight", "balanced")] = None,
    by: Annotated[str | None, of_setting("by", "COLUMN", DATA)] = None,
    seed: Annotated[int | None, of_setting("seed", "N")] = None,
    device: Annotated[str | None, of_setting("device", "NAME", RUN)] = None,
    plan: Annotated[str | None, of_setting("plan", "WAY,…", RUN)] = None,
    memory: Annotated[str | None, of_setting("memory", "AMOUNT", DATA)] = None,
    runs: RUNS = Path("runs"),
    name: Annotated[str | None, typer.Option(help="Name of the run folder.", rich_help_panel=RUN)] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Continue this run, bit for bit on the CPU.", metavar="RUN", rich_help_panel=RUN),
    ] = None,
    checkpoint_seconds: Annotated[
        float,
        typer.Option(
            help="Least seconds between two checkpoints; 0: after every step.",
            metavar="X",
            rich_help_panel=RUN,
            hidden=True,
        ),
    ] = 1.0,
    json: JSON = False,
    quiet: QUIET = False,
    verbose: VERBOSE = False,
) -> None:
    """Train a network on DATA, judge it on rows that it never saw, and keep it."""
    flags = {
        "model": model, "task": task, "epochs": epochs, "batch_size": parse_training("batch_size", batch_size), "optimizer": optimizer,
        "learning_rate": learning_rate, "schedule": schedule, "weight_decay": weight_decay, "dropout": dropout,
        "members": members, "ensemble": ensemble, "vote": vote, "patience": patience, "validation": validation, "test": test, "split": split, "seed": seed, "device": device, "plan": plan,
        "encoding": encoding, "sheet": sheet, "metric": metric, "class_weight": class_weight, "by": by,
        "memory": memory, "columns": tuple(column) if column else None, "decimal": decimal,
        "merge_classes": merge_classes,
        "augment": None if augment is None else parse_value("augment", augment, tuple[str, ...]),
    }  # fmt: skip
    with output.printer(json=json, quiet=quiet) as out:
        if resume is not None:
            _nothing_beside_resume(data, {**flags, "target": target, "name": name, "set": set_,
                "validation_data": validation_data, "test_data": test_data})  # fmt: skip
        model_hints = hints_of(model, set_ or [])
        training, of_model = parse_settings(set_ or [], model_hints)
        settings = Settings(**{**training, **{k: v for k, v in flags.items() if v is not None}})
        from chainrule.jobs.fit import run_fit
        from chainrule.jobs.request import Request, divided

        named = data[0] if data and len(data) == 1 else data or None
        request = Request(
            data=divided(named, settings, validation_data, test_data), target=target, settings=settings, model_settings=of_model, runs=runs, name=name, resume=resume,
            checkpoint_seconds=checkpoint_seconds, track=out.track, command=output.command_line(), verbose=verbose,
        )  # fmt: skip
        for _ in out.show(run_fit(request)):
            pass


def hints_of(model: str | None, pairs: list[str]) -> Callable[[], dict[str, object]]:
    """Return what gives the types of the settings of the model that flags and pairs name."""

    def hints() -> dict[str, object]:
        from chainrule.jobs.preparation import load_model_settings

        named = [p.partition("=")[2] for p in pairs if p.startswith("model=")]
        return load_model_settings(model or (named[0] if named else "mlp"))

    return hints


def _nothing_beside_resume(data: list[str] | None, given: dict[str, object]) -> None:
    extra = [("--" + k.replace("_", "-")) for k, v in given.items() if v is not None and v != []]
    if data:
        extra.insert(0, f"DATA ({' '.join(data)})")
    if extra:
        raise SettingError(f"--resume takes everything from the run's recipe; leave out {', '.join(extra)}")
