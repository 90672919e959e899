"""The command line. Reading `--help` imports neither torch nor polars nor scikit-learn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.core.errors import ChainruleError, Interrupted, SettingError
from chainrule.train.settings import Settings, help_text, parse_settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Point it at your data; get a trained network, how good it is, and where it fails.",
    epilog="First steps: [bold]chainrule fit digits[/bold] · [bold]chainrule fit your.csv --target COLUMN[/bold]",
)
TRAINING, DATA, RUN = "Training", "Data and question", "Run"
JSON = Annotated[bool, typer.Option("--json", help="One JSON object per line instead of text.")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
ENCODING = Annotated[
    str | None, typer.Option(help="Encoding of the table, if not that of training.", metavar="NAME")
]
SHEET = Annotated[
    str | None, typer.Option(help="Sheet of the workbook, if not called as in training.", metavar="NAME")
]
RUNS = Annotated[Path, typer.Option("--runs", help="Folder of the run folders.", rich_help_panel=RUN)]


def _training(name: str, metavar: str) -> typer.models.OptionInfo:
    return _setting(name, metavar, TRAINING)


def _setting(name: str, metavar: str, panel: str) -> typer.models.OptionInfo:
    text = help_text(name)
    option: typer.models.OptionInfo = typer.Option(
        "--" + name.replace("_", "-"),
        help=text[0].upper() + text[1:] + ".",
        metavar=metavar,
        rich_help_panel=panel,
    )
    return option


@app.command(
    epilog="""[bold]Examples[/bold]

chainrule fit digits

chainrule fit houses.csv --target price --epochs 50

chainrule fit 'sales/*.csv' --test-data sales-2026.csv

chainrule fit houses.csv --target price,rent --model linear-regression

chainrule fit pictures/ --model lenet   (one folder per class)

chainrule fit iris --set hidden=128,64 --set activation=tanh --dropout 0.1

chainrule fit --resume runs/digits-mlp-1"""
)
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
    task: Annotated[
        str | None,
        typer.Option(
            help="regression or classification; without it, by the target.",
            metavar="KIND",
            rich_help_panel=DATA,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="What a column is: number, category, boolean, date or ignore; repeat it.",
            metavar="NAME=KIND",
            rich_help_panel=DATA,
        ),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option(
            help="Decimal sign of numbers in text tables, . or ,; without it, found.",
            metavar="SIGN",
            rich_help_panel=DATA,
        ),
    ] = None,
    merge_classes: Annotated[
        bool | None,
        typer.Option(
            "--merge-classes/--no-merge-classes",
            help="Whether classes that differ in case and outer spaces alone are one.",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            help="Part of all rows that validates (0.1); 0: none, no early stopping.",
            metavar="FRACTION",
            rich_help_panel=DATA,
        ),
    ] = None,
    test: Annotated[
        float | None,
        typer.Option(
            help="Part of all rows that is kept for the test (0.2).", metavar="FRACTION", rich_help_panel=DATA
        ),
    ] = None,
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
    encoding: Annotated[str | None, _setting("encoding", "NAME", DATA)] = None,
    sheet: Annotated[str | None, _setting("sheet", "NAME", DATA)] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="How rows are divided: random (the default), time:COLUMN (the latest rows test), group:COLUMN (rows of "
            "a group stay together), predefined (as the data says) or predefined:COLUMN (words train, validation, test).",
            metavar="KIND",
            rich_help_panel=DATA,
        ),
    ] = None,
    model: Annotated[str | None, _training("model", "NAME")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any setting, of the training or of the model (chainrule models NAME lists them).",
            metavar="KEY=VALUE",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[int | None, _training("epochs", "N")] = None,
    batch_size: Annotated[int | None, _training("batch_size", "N")] = None,
    optimizer: Annotated[str | None, _training("optimizer", "NAME")] = None,
    learning_rate: Annotated[float | None, _training("learning_rate", "X")] = None,
    schedule: Annotated[str | None, _training("schedule", "NAME")] = None,
    weight_decay: Annotated[float | None, _training("weight_decay", "X")] = None,
    dropout: Annotated[float | None, _training("dropout", "X")] = None,
    patience: Annotated[int | None, _training("patience", "N")] = None,
    metric: Annotated[str | None, _training("metric", "NAME")] = None,
    class_weight: Annotated[str | None, _training("class_weight", "balanced")] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Column whose groups are judged apart in the report.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = None,
    seed: Annotated[int | None, _training("seed", "N")] = None,
    device: Annotated[
        str | None, typer.Option(help="auto (the default), cpu, cuda or mps.", rich_help_panel=RUN)
    ] = None,
    plan: Annotated[
        str | None, typer.Option(help="How to run: auto (the default) or plain.", rich_help_panel=RUN)
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Most memory for the data, such as 1GB; what does not fit stays on disk. Without it, by what is free.",
            metavar="AMOUNT",
            rich_help_panel=DATA,
        ),
    ] = None,
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
) -> None:
    """Train a network on DATA, judge it on rows that it never saw, and keep it."""
    flags = {
        "model": model, "task": task, "epochs": epochs, "batch_size": batch_size, "optimizer": optimizer,
        "learning_rate": learning_rate, "schedule": schedule, "weight_decay": weight_decay, "dropout": dropout,
        "patience": patience, "validation": validation, "test": test, "split": split, "seed": seed, "device": device, "plan": plan,
        "encoding": encoding, "sheet": sheet, "metric": metric, "class_weight": class_weight, "by": by,
        "memory": memory, "columns": tuple(column) if column else None, "decimal": decimal,
        "merge_classes": merge_classes,
    }  # fmt: skip
    with output.printer(json=json, quiet=quiet) as out:
        if resume is not None:
            _nothing_beside_resume(data, {**flags, "target": target, "name": name, "set": set_,
                "validation_data": validation_data, "test_data": test_data})  # fmt: skip
        model_hints = _hints_of(model, set_ or [])
        training, of_model = parse_settings(set_ or [], model_hints)
        settings = Settings(**{**training, **{k: v for k, v in flags.items() if v is not None}})
        from chainrule.jobs.fit import run_fit
        from chainrule.jobs.request import Request, divided

        named = data[0] if data and len(data) == 1 else data or None
        request = Request(
            data=divided(named, settings, validation_data, test_data), target=target, settings=settings, model_settings=of_model, runs=runs, name=name, resume=resume,
            checkpoint_seconds=checkpoint_seconds, track=out.track, command=output.command_line(),
        )  # fmt: skip
        for _ in out.show(run_fit(request)):
            pass


@app.command(
    epilog="""[bold]Examples[/bold]

chainrule predict runs/houses-mlp-1 new.csv

chainrule predict runs/houses-mlp-1 new.csv --output predictions.parquet

chainrule predict runs/mnist-5k-lenet-1 scan.png"""
)
def predict(
    run: Annotated[str, typer.Argument(help="A run folder, or the name of one under --runs.")],
    input: Annotated[
        Path, typer.Argument(help="Rows to predict for: a table, a picture or a folder of pictures.")
    ],
    output_file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write: CSV, or what its ending says (.parquet, .json). Without it: CSV on standard output.",
            metavar="FILE",
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

        text, notes = predict_file(run, input, output_file, runs, encoding=encoding, sheet=sheet)
        out.notes(notes)
        if output_file is None or not quiet:
            out.wrote(text)


@app.command(
    epilog="""[bold]Examples[/bold]

chainrule evaluate runs/houses-mlp-1

chainrule evaluate runs/houses-mlp-1 sold-this-year.csv --json"""
)
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


@app.command(
    epilog="""[bold]Examples[/bold]

chainrule verify runs/digits-mlp-1"""
)
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


@app.command(
    epilog="""[bold]Examples[/bold]

chainrule code runs/houses-mlp-1

chainrule code runs/houses-mlp-1 --output houses.py"""
)
def code(
    run: Annotated[str, typer.Argument(help="A run folder, or the name of one under --runs.")],
    output_file: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write. Without it: on standard output.", metavar="FILE.py"
        ),
    ] = None,
    runs: RUNS = Path("runs"),
) -> None:
    """Write a run as one script of plain PyTorch that needs no chainrule and ends with the same weights."""
    with output.printer(json=False, quiet=False) as out:
        from chainrule.jobs.code import code_file

        out.wrote(code_file(run, output_file, runs))


@app.command(
    name="runs",
    epilog="""[bold]Examples[/bold]

chainrule runs

chainrule runs --compare digits-mlp-1 --compare digits-mlp-2

chainrule runs experiments/ --json""",
)
def runs_command(
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


@app.command(
    epilog="""[bold]Examples[/bold]

chainrule models

chainrule models mlp"""
)
def models(
    name: Annotated[str | None, typer.Argument(help="A model to describe with its settings.")] = None,
    json: JSON = False,
) -> None:
    """List the models that `fit --model` takes, or describe one."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.describe import describe_model, list_names

        out.names(list_names("model") if name is None else describe_model(name))


@app.command(
    epilog="""[bold]Examples[/bold]

chainrule datasets

chainrule datasets iris

chainrule datasets iris --draw

chainrule datasets houses.csv --draw --target price --output houses.svg"""
)
def datasets(
    name: Annotated[
        str | None,
        typer.Argument(help="A data set to describe with its columns; with --draw any data that fit takes."),
    ] = None,
    draw: Annotated[
        bool,
        typer.Option("--draw", help="Draw the data: columns and their distributions, or examples per class."),
    ] = False,
    target: Annotated[
        str | None, typer.Option(help="Column that gives the colours (--draw).", metavar="COLUMN")
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to draw into, .png or .svg; without it NAME.png here (--draw).",
            metavar="FILE",
        ),
    ] = None,
    json: JSON = False,
) -> None:
    """List the built-in data, describe one, or draw any data."""
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.describe import describe_dataset, list_names

        if draw:
            if name is None:
                raise SettingError("--draw needs data: a built-in name, a file or a folder")
            from chainrule.jobs.draw import draw as draw_data

            drawn = draw_data(name, target=target, output=output_file, track=out.track)
            out.record("drawn", {"text": drawn}, drawn)
            return
        if target is not None or output_file is not None:
            raise SettingError("--target and --output go with --draw")
        out.names(list_names("dataset") if name is None else describe_dataset(name))


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from chainrule import __version__

        sys.stdout.write(f"chainrule {__version__}\n")
        raise typer.Exit


def run() -> int:
    """Run the command line and return its exit code."""
    try:
        app(standalone_mode=True)
    except output.Ended as end:
        return int(end.code)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code == 2 and "--json" in sys.argv:
            output.say_error("the command line was not understood; standard error says why", code)
        return code
    except ChainruleError as error:
        output.print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        output.print_error(Interrupted("stopped by Ctrl-C"))
        return 130
    except BrokenPipeError:  # the reader of our output has left: nobody is there to tell
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return 141
    return 0


def _hints_of(model: str | None, pairs: list[str]) -> Callable[[], dict[str, object]]:
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
