"""The command `cross-validate`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.fit import hints_of
from chainrule.apps.flags import DATA, JSON, QUIET, RUNS, of_setting, to_file
from chainrule.core.files import output_ending
from chainrule.train.settings import Settings, parse_settings, parse_training, parse_value

EXAMPLES = {
    "cross_validate": (
        "chainrule cross-validate iris",
        "chainrule cross-validate houses.csv --target price --folds 10 --repeats 3",
        "chainrule cross-validate wine --model random-forest",
        "chainrule cross-validate scans.csv --split group:patient --metric auc",
    ),
}


def cross_validate(
    data: Annotated[list[str], typer.Argument(help="Data as fit takes it; several tables are read as one.")],
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
    folds: Annotated[
        int, typer.Option(help="Parts that the rows are divided into; each is held out once.", metavar="N")
    ] = 5,
    repeats: Annotated[int, typer.Option(help="How often the rows are divided anew.", metavar="N")] = 1,
    model: Annotated[str | None, of_setting("model", "NAME")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, as fit takes it.", metavar="KEY=VALUE"),
    ] = None,
    members: Annotated[int | None, of_setting("members", "N")] = None,
    ensemble: Annotated[str | None, of_setting("ensemble", "KIND")] = None,
    epochs: Annotated[int | None, of_setting("epochs", "N")] = None,
    batch_size: Annotated[str | None, of_setting("batch_size", "N")] = None,
    optimizer: Annotated[str | None, of_setting("optimizer", "NAME")] = None,
    learning_rate: Annotated[float | None, of_setting("learning_rate", "X")] = None,
    schedule: Annotated[str | None, of_setting("schedule", "NAME")] = None,
    weight_decay: Annotated[float | None, of_setting("weight_decay", "X")] = None,
    dropout: Annotated[float | None, of_setting("dropout", "X")] = None,
    augment: Annotated[str | None, of_setting("augment", "NAME,…")] = None,
    patience: Annotated[int | None, of_setting("patience", "N")] = None,
    metric: Annotated[str | None, of_setting("metric", "NAME")] = None,
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
    """Judge a model by folds of DATA: each part is held out once, and the others train. Nothing that is trained is kept."""
    flags = {
        "model": model, "members": members, "ensemble": ensemble, "task": task, "epochs": epochs, "batch_size": parse_training("batch_size", batch_size), "optimizer": optimizer,
        "learning_rate": learning_rate, "schedule": schedule, "weight_decay": weight_decay, "dropout": dropout, "patience": patience,
        "test": test, "split": split, "seed": seed, "encoding": encoding, "sheet": sheet, "metric": metric,
        "class_weight": class_weight, "columns": tuple(column) if column else None, "decimal": decimal,
        "merge_classes": merge_classes,
        "augment": None if augment is None else parse_value("augment", augment, tuple[str, ...]),
    }  # fmt: skip
    with output.printer(json=json, quiet=quiet) as out:
        training, of_model = parse_settings(set_ or [], hints_of(model, set_ or []))
        settings = Settings(**{**training, **{k: v for k, v in flags.items() if v is not None}})
        from chainrule.jobs.cross_validate import run_cross_validation
        from chainrule.jobs.request import Request
        from chainrule.jobs.show import returned
        from chainrule.report.cross_validation import ENDINGS

        if output_file is not None:
            output_ending(output_file, ENDINGS)
        request = Request(
            data=data[0] if len(data) == 1 else data, target=target, settings=settings, model_settings=of_model, runs=runs,
            track=out.track,
        )  # fmt: skip
        found = returned(run_cross_validation(request, folds=folds, repeats=repeats), out)
        found = dataclasses.replace(found, command=output.command_line())
        output.say_and_save(
            out, "cross-validation", found, output_file or page_of("cross-validate", found.data, found.model)
        )


def page_of(*words: str) -> Path:
    """Return the file for a page that was given no name, such as compare-houses.html.

    >>> page_of("compare", "data/my houses.csv") == Path("compare-my-houses.html")
    True
    """
    stems = [re.sub(r"[^\w.-]+", "-", Path(word).stem).strip("-.") or "data" for word in words]
    return Path("-".join(stems) + ".html")
