"""Flags that several commands share, and flags made from settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.train.settings import help_text

TRAINING, DATA, RUN = "Training", "Data and question", "Run"
JSON = Annotated[bool, typer.Option("--json", help="One JSON object per line instead of text.")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
VERBOSE = Annotated[
    bool,
    typer.Option(
        "--verbose",
        help="Say which ways to run were tried, what each took and what was saved.",
        rich_help_panel=RUN,
    ),
]
ENCODING = Annotated[
    str | None, typer.Option(help="Encoding of the table, if not that of training.", metavar="NAME")
]
SHEET = Annotated[
    str | None, typer.Option(help="Sheet of the workbook, if not called as in training.", metavar="NAME")
]
RUNS = Annotated[Path, typer.Option("--runs", help="Folder of the run folders.", rich_help_panel=RUN)]


def of_setting(name: str, metavar: str | None = None, panel: str = TRAINING) -> typer.models.OptionInfo:
    """Return the flag of a setting, with the setting's own help; one without a metavar is switched on and off."""
    flag, text = name.replace("_", "-"), help_text(name)
    option: typer.models.OptionInfo = typer.Option(
        f"--{flag}/--no-{flag}" if metavar is None else f"--{flag}",
        help=text[0].upper() + text[1:] + ".",
        metavar=metavar,
        show_default=metavar is not None,
        rich_help_panel=panel,
    )
    return option


def to_file(text: str, metavar: str = "FILE") -> typer.models.OptionInfo:
    """Return the flag for the file that a command writes."""
    option: typer.models.OptionInfo = typer.Option("--output", "-o", help=text, metavar=metavar)
    return option
