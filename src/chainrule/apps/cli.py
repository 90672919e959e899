"""The command line. Reading `--help` imports neither torch nor polars nor scikit-learn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
import typer.core

from chainrule.apps import (
    bench,
    compare,
    cross_validate,
    explain,
    explore,
    fit,
    lr_range,
    names,
    output,
    runs,
    tune,
)
from chainrule.apps.flags import FOLDING, OUTPUT, SEARCH
from chainrule.core.errors import ChainruleError, Interrupted
from chainrule.train.declared import DATA, ENSEMBLE, JUDGING, RUN, TRAINING

PANELS = (DATA, SEARCH, FOLDING, JUDGING, TRAINING, ENSEMBLE, RUN, OUTPUT)  # in --help, in this order


def _in_words(params: list[Any]) -> list[Any]:
    """Return arguments and flags without the types that Python has for them, which --help would show."""
    for param in params:
        is_argument = isinstance(param, typer.core.TyperArgument)
        if is_argument:
            param.metavar = param.metavar or str(param.name).upper()
        if is_argument or getattr(param, "is_flag", False):
            vars(param)["display_type_rich"] = lambda ctx: None
    return params


class _Command(typer.core.TyperCommand):
    """A command whose --help has the panels of all commands in one order."""

    def get_params(self, context: Any) -> list[Any]:
        params = _in_words(super().get_params(context))
        return sorted(params, key=lambda one: PANELS.index(getattr(one, "rich_help_panel", None) or DATA))

    def get_help_option(self, context: Any) -> Any:
        option = super().get_help_option(context)
        if isinstance(option, typer.core.TyperOption):
            option.rich_help_panel = OUTPUT
        return option

    def format_help(self, context: Any, formatter: Any) -> None:
        for param in self.params:
            if param.secondary_opts:  # which would have a column of their own, empty for all others
                param.opts, param.secondary_opts = [f"--[no-]{param.opts[0][2:]}"], []
        super().format_help(context, formatter)


class _Commands(typer.core.TyperGroup):
    def get_params(self, context: Any) -> list[Any]:
        return _in_words(super().get_params(context))


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Point it at your data; get a trained network, how good it is, and where it fails.",
    epilog="First steps: [bold]chainrule fit digits[/bold] · [bold]chainrule fit your.csv --target COLUMN[/bold]",
)


def _add(command: Callable[..., None], examples: Sequence[str], name: str | None = None) -> None:
    """Add a command with the examples below its help."""
    listed = "\n".join(examples)
    app.command(name, cls=_Command, epilog=f"[bold]Examples[/bold]\n\n{listed}")(command)


for _module in (fit, tune, cross_validate, compare, lr_range, bench, runs, explore, explain, names):
    for _name, _examples in _module.EXAMPLES.items():
        _add(getattr(_module, _name), _examples)


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
