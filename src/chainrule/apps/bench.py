"""The command `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.fit import hints_of
from chainrule.apps.flags import DATA, JSON, RUNS, of_setting, to_file
from chainrule.core.files import output_ending
from chainrule.train.settings import Settings, parse_settings

EXAMPLES = {
    "bench": (
        "chainrule bench",
        "chainrule bench --model lenet --data mnist-5k --output lenet.html",
        "chainrule bench --data houses.csv --target price --batch-size 256",
        "chainrule bench --plan dense --set hidden=32,32",
    ),
}


def bench(
    data: Annotated[
        list[str] | None,
        typer.Option(help="Data as fit takes it; repeat it for several tables.", metavar="DATA", show_default="digits"),
    ] = None,
    model: Annotated[str | None, of_setting("model", "NAME")] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Column to predict, or several: a,b.", metavar="COLUMN", rich_help_panel=DATA),
    ] = None,
    plan: Annotated[
        list[str] | None,
        typer.Option(help="Compare this plan with plain; repeat it. Without it: all that apply.", metavar="PLAN"),
    ] = None,
    optimizer: Annotated[str | None, of_setting("optimizer", "NAME")] = None,
    batch_size: Annotated[int | None, of_setting("batch_size", "N")] = None,
    device: Annotated[str | None, of_setting("device", "NAME")] = None,
    seed: Annotated[int | None, of_setting("seed", "N")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, as fit takes it.", metavar="KEY=VALUE"),
    ] = None,
    output_file: Annotated[
        Path | None,
        to_file("File to write: .html a page, .png or .svg a picture, .json the values."),
    ] = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
) -> None:  # fmt: skip
    """Measure what this machine can do and what a training step reaches of it: see why a model is slow.

    The machine: products in GFLOP/s (a multiply-add is two), memory in GB/s.

    A step: the time of each kind of layer, and its share of those peaks.

    Long at a small share means waiting, for calls or for memory.

    The plans: the whole step under each that applies, and what bounds it.
    """
    flags = {
        "model": model,
        "optimizer": optimizer,
        "batch_size": batch_size,
        "device": device,
        "seed": seed,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    with output.printer(json=json, quiet=False) as out:
        training, of_model = parse_settings(set_ or [], hints_of(model, set_ or []))
        settings = Settings(**{**training, **given})
        from chainrule.jobs.bench import DATA as BUILT_IN
        from chainrule.jobs.bench import ENDINGS, run_bench
        from chainrule.jobs.request import Request

        if output_file is not None:
            output_ending(output_file, ENDINGS)
        named = data or [BUILT_IN]
        request = Request(
            data=named[0] if len(named) == 1 else named, target=target, settings=settings, model_settings=of_model,
            runs=runs, track=out.track,
        )  # fmt: skip
        output.say_and_save(out, "bench", run_bench(request, tuple(plan or ())), output_file)
