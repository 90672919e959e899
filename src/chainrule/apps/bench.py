"""The command `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.apps import output
from chainrule.apps.asked import Asked, takes_settings
from chainrule.apps.flags import JSON, RUNS, to_file
from chainrule.core.files import output_ending
from chainrule.train.declared import DATA, RUN

EXAMPLES = {
    "bench": (
        "chainrule bench",
        "chainrule bench --model lenet --data mnist-5k --output lenet.html",
        "chainrule bench --data houses.csv --target price --batch-size 256",
        "chainrule bench --plan dense --set hidden=32,32",
    ),
}


@takes_settings()
def bench(
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Data as fit takes it, without it digits; repeat it for several tables.",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    *,
    asked: Asked,
    plan: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare this plan with plain; repeat it. Without it: all that apply.",
            metavar="PLAN",
            rich_help_panel=RUN,
        ),
    ] = None,
    output_file: Annotated[
        Path | None,
        to_file("File to write: .html a page, .png or .svg a picture, .json the values."),
    ] = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
) -> None:
    """Measure what this machine can do and what a training step reaches of it: see why a model is slow.

    The machine: products in GFLOP/s (a multiply-add is two), memory in GB/s.

    A step: the time of each kind of layer, and its share of those peaks.

    Long at a small share means waiting, for calls or for memory.

    The plans: the whole step under each that applies, and what bounds it.
    """
    with output.printer(json=json, quiet=False) as out:
        from chainrule.jobs.bench import DATA as BUILT_IN
        from chainrule.jobs.bench import ENDINGS, run_bench

        request = asked.request(data or [BUILT_IN], runs=runs, track=out.track)
        if output_file is not None:
            output_ending(output_file, ENDINGS)
        output.say_and_save(out, "bench", run_bench(request, tuple(plan or ())), output_file)
