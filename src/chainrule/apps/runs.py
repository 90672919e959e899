"""Commands on runs that there are: predict, evaluate, verify, code, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.flags import ENCODING, JSON, QUIET, RUNS, SHEET, to_file

EXAMPLES = {
    "predict": (
        "chainrule predict runs/houses-mlp-1 new.csv",
        "chainrule predict runs/houses-mlp-1 new.csv --output predictions.parquet",
        "chainrule predict runs/houses-mlp-1 new.csv --samples 100",
        "chainrule predict runs/mnist-5k-lenet-1 scan.png",
    ),
    "evaluate": (
        "chainrule evaluate runs/houses-mlp-1",
        "chainrule evaluate runs/houses-mlp-1 sold-this-year.csv --json",
    ),
    "verify": ("chainrule verify runs/digits-mlp-1",),
    "code": (
        "chainrule code runs/houses-mlp-1",
        "chainrule code runs/houses-mlp-1 --output houses.py",
    ),
    "runs": (
        "chainrule runs",
        "chainrule runs --compare digits-mlp-1 --compare digits-mlp-2",
        "chainrule runs experiments/ --json",
    ),
}


def predict(
    run: Annotated[str, typer.Argument(help="A run folder, or the name of one under --runs.")],
    input: Annotated[
        Path, typer.Argument(help="Rows to predict for: a table, a picture or a folder of pictures.")
    ],
    output_file: Annotated[
        Path | None,
        to_file(
            "File to write: CSV, or what its ending says (.parquet, .json). Without it: CSV on standard output."
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            help="Leave dropout on, average as many answers, and say how far they spread: how sure the network is.",
            metavar="N",
        ),
    ] = None,
    encoding: ENCODING = None,
    sheet: SHEET = None,
    runs: RUNS = Path("runs"),
    quiet: QUIET = False,
) -> None:
    """Predict for new rows: labels with probabilities, or values.

    In CSV, text that begins with = + - @ and is no number gets an apostrophe in front, so that no spreadsheet runs it.
    """
    with output.printer(json=False, quiet=quiet) as out:
        from chainrule.jobs.predict import predict_file

        text, notes = predict_file(
            run, input, output_file, runs, encoding=encoding, sheet=sheet, samples=samples
        )
        out.notes(notes)
        if output_file is None or not quiet:
            out.wrote(text)


def evaluate(
    run: Annotated[str, typer.Argument(help="A run folder, or the name of one under --runs.")],
    data: Annotated[
        str | None, typer.Argument(help="Rows with the target. Without it: the run's own test rows.")
    ] = None,
    encoding: ENCODING = None,
    sheet: SHEET = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
) -> None:
    """Measure a trained network on labelled rows."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.predict import evaluate_on

        judged, text, notes = evaluate_on(run, data, runs, encoding=encoding, sheet=sheet)
        out.notes(notes)
        out.record("evaluate", judged, text)


def verify(
    run: Annotated[str, typer.Argument(help="A run folder, or the name of one under --runs.")],
    runs: RUNS = Path("runs"),
    json: JSON = False,
) -> None:
    """Repeat a run from its recipe: equal bits, equal within tolerance, or the first step that differs."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.folder import find
        from chainrule.jobs.verify import verify as repeat

        verdict = repeat(find(run, runs).path)
        out.record("verify", {"outcome": verdict.outcome, "first_step": verdict.first_step}, str(verdict))
        if verdict.outcome == "different":
            raise typer.Exit(1)


def code(
    run: Annotated[str, typer.Argument(help="A run folder, or the name of one under --runs.")],
    output_file: Annotated[
        Path | None,
        to_file("File to write. Without it: on standard output.", metavar="FILE.py"),
    ] = None,
    runs: RUNS = Path("runs"),
) -> None:
    """Write a run as one script of plain PyTorch that needs no chainrule and ends with the same weights."""
    with output.printer(json=False, quiet=False) as out:
        from chainrule.jobs.code import code_file

        out.wrote(code_file(run, output_file, runs))


def runs(
    folder: Annotated[Path, typer.Argument(help="Folder of run folders.")] = Path("runs"),
    names: Annotated[
        list[str] | None, typer.Argument(help="Runs to compare: settings that differ, metrics, curves.")
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option("--compare", help="A run to compare; repeat it.", metavar="RUN")
    ] = None,
    json: JSON = False,
) -> None:
    """List runs; compare the named ones: settings that differ, metrics, curves."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.compare import compare_runs, list_runs

        chosen = [*(names or []), *(compare or [])]
        if not folder.is_dir() and (Path("runs") / folder).is_dir():  # names alone: those of ./runs
            chosen, folder = [str(folder), *chosen], Path("runs")
        out.runs(compare_runs(folder, chosen) if chosen else list_runs(folder), is_comparison=bool(chosen))
