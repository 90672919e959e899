"""Flags that several commands share, and those that come from the table of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.core.kinds import is_of, options_of
from chainrule.train.declared import DATA, JUDGING, RUN, TRAINING
from chainrule.train.settings import DECLARED, FLAGS, flag_of, kinds
from chainrule.train.settings_text import parse_value

SEARCH, FOLDING, OUTPUT = "Search", "Folds", "Output"

_AS_FIT = typer.Argument(help="Data as fit takes it; several tables are read as one.")
DATA_OR_NONE = Annotated[list[str] | None, _AS_FIT]
DATA_NEEDED = Annotated[list[str], _AS_FIT]
TARGET = Annotated[
    str | None,
    typer.Option(help="Column to predict, or several: a,b.", metavar="COLUMN", rich_help_panel=DATA),
]
SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any other setting, of the training or of the model (chainrule models NAME lists them).",
        metavar="KEY=VALUE",
        rich_help_panel=TRAINING,
    ),
]
VALIDATION_DATA = Annotated[
    str | None,
    typer.Option(
        help="Data that validates, of the same kind; instead of --validation.",
        metavar="DATA",
        rich_help_panel=JUDGING,
    ),
]
TEST_DATA = Annotated[
    str | None,
    typer.Option(
        help="Data to test on, of the same kind; instead of --test.", metavar="DATA", rich_help_panel=JUDGING
    ),
]
FOLDS = Annotated[
    int,
    typer.Option(
        help="Parts that the rows are divided into; each is held out once.",
        metavar="N",
        rich_help_panel=FOLDING,
    ),
]
REPEATS = Annotated[
    int, typer.Option(help="How often the rows are divided anew.", metavar="N", rich_help_panel=FOLDING)
]
ENCODING = Annotated[
    str | None,
    typer.Option(
        help="Encoding of the table, if not that of training.", metavar="NAME", rich_help_panel=DATA
    ),
]
SHEET = Annotated[
    str | None,
    typer.Option(
        help="Sheet of the workbook, if not called as in training.", metavar="NAME", rich_help_panel=DATA
    ),
]
RUNS = Annotated[Path, typer.Option(help="Folder of the run folders.", metavar="FOLDER", rich_help_panel=RUN)]
NAME = Annotated[
    str | None, typer.Option(help="Name of the run folder.", metavar="NAME", rich_help_panel=RUN)
]
JSON = Annotated[
    bool, typer.Option("--json", help="One JSON object per line instead of text.", rich_help_panel=OUTPUT)
]
QUIET = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=OUTPUT)
]
VERBOSE = Annotated[
    bool,
    typer.Option(
        "--verbose",
        help="Say which ways to run were tried, what each took and what was saved.",
        rich_help_panel=OUTPUT,
    ),
]


def to_file(text: str, metavar: str = "FILE") -> typer.models.OptionInfo:
    """Return the flag for the file that a command writes."""
    option: typer.models.OptionInfo = typer.Option(
        "--output", "-o", help=text, metavar=metavar, rich_help_panel=OUTPUT
    )
    return option


def option_of(name: str, text: str | None = None) -> Any:
    """Return the option of a setting, with the setting's own help or another text."""
    flag = FLAGS[name]
    text = text or DECLARED[name].help + ("; repeat it" if flag.name else "")
    said = flag_of(name)
    return typer.Option(
        said if flag.value is not None else f"{said}/--no-{said[2:]}",
        help=f"{text[0].upper()}{text[1:].removesuffix('…')}{'…' if text.endswith('…') else '.'}",
        metavar=flag.value,
        rich_help_panel=flag.panel,
    )


def type_of(name: str) -> Any:
    """Return what the command line reads for a setting: text, of which `value_of` makes the value as --set does."""
    flag = FLAGS[name]
    if flag.name is not None:
        return list[str]
    return bool if flag.value is None else str


def value_of(name: str, given: Any) -> Any:
    """Return what a flag was given as the value of its setting. Raises: SettingError"""
    if isinstance(given, list):
        return tuple(given)
    kind = kinds()[name]
    return given if is_of(given, options_of(kind)[0]) else parse_value(flag_of(name), given, kind)
