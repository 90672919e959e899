"""What the command line prints: text for people, or one JSON object per line."""

from __future__ import annotations

import contextlib
import dataclasses
import json as json_module
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from chainrule.core.errors import ChainruleError
from chainrule.core.text import visible
from chainrule.core.units import show_number


class Printer(Protocol):
    """How results reach the user."""

    track: Callable[..., Any] | None
    width: int  # columns that text may take

    def show(self, events: Iterable[Any]) -> Iterator[Any]: ...
    def record(self, event: str, values: dict[str, Any], text: str | None = None) -> None: ...
    def runs(self, table: Any, *, is_comparison: bool) -> None: ...
    def names(self, table: Any) -> None: ...
    def wrote(self, text: str) -> None: ...
    def notes(self, texts: Iterable[str]) -> None: ...


@contextlib.contextmanager
def printer(*, json: bool, quiet: bool) -> Iterator[Printer]:
    """Give the printer that the flags ask for, and end the command with an error's exit code if there is one.

    Errors go to standard error; with --json they are also the last object. The command line's own framework must not
    see Interrupted, which it would take for a Ctrl-C of its own.
    """
    try:
        yield _Json() if json else _Quiet() if quiet else _Text()
    except ChainruleError as error:
        if json:
            say_error(str(error), error.exit_code)
        print_error(error)
        raise Ended(error.exit_code) from None


def say_and_save(out: Printer, event: str, found: Any, path: Path | None) -> None:
    """Print a result that has text, values and a way to save it, and write it to a file if one is named."""
    values, text = found.values(), found.text(out.width)
    if path is not None:
        found.save(path)
        values, text = {**values, "written": str(path)}, f"{text}\n\nwritten: {path}"
    out.record(event, values, text)


class Ended(SystemExit):
    """A command has ended with an error that is told already."""

    code: int


def say_error(message: str, exit_code: int) -> None:
    """Print an error as an object."""
    _line({"event": "error", "message": message, "exit_code": exit_code})


def print_error(error: ChainruleError) -> None:
    """Print an error on standard error in one paragraph, its notes below, with nothing in it obeyed."""
    notes = (line for note in getattr(error, "__notes__", ()) for line in note.split("\n"))
    text = "\n".join([f"chainrule: {visible(error, 2000)}", *(visible(line) for line in notes)]) + "\n"
    if sys.stderr.isatty():
        text = f"\x1b[31m{text.rstrip()}\x1b[0m\n"
    sys.stderr.write(text)


def command_line() -> str:
    """Return the command as it was typed."""
    return shlex.join(["chainrule", *sys.argv[1:]])


class _Text:
    def __init__(self) -> None:
        from chainrule.jobs.show import Terminal

        self._terminal = Terminal()
        self.track: Callable[..., Any] | None = self._terminal.track
        self.width = self._terminal.console.width

    def show(self, events: Iterable[Any]) -> Iterator[Any]:
        return self._terminal.show(events)

    def record(self, event: str, values: dict[str, Any], text: str | None = None) -> None:
        self._terminal.line(text or " · ".join(f"{k} {show_number(v)}" for k, v in values.items()))

    def runs(self, table: Any, *, is_comparison: bool) -> None:
        from chainrule.apps.tables import print_comparison, print_runs

        console = self._terminal.console
        if not console.is_terminal:  # a file or a pipe has no width to keep to
            console.width = 240
        (print_comparison if is_comparison else print_runs)(console, table)

    def names(self, table: Any) -> None:
        from chainrule.apps.tables import print_names

        print_names(self._terminal.console, table)

    def wrote(self, text: str) -> None:
        sys.stdout.write(text)

    def notes(self, texts: Iterable[str]) -> None:
        for text in texts:  # beside the result, which may be redirected into a file
            sys.stderr.write(f"note: {visible(text, 500)}\n")


class _Quiet(_Text):
    def __init__(self) -> None:
        self.track = None
        self.width = 100

    def record(self, event: str, values: dict[str, Any], text: str | None = None) -> None:
        return None

    def notes(self, texts: Iterable[str]) -> None:
        return None

    def show(self, events: Iterable[Any]) -> Iterator[Any]:
        yield from events


class _Json:
    track: Callable[..., Any] | None = None
    width = 100

    def show(self, events: Iterable[Any]) -> Iterator[Any]:
        from chainrule.jobs.events import (
            EpochEnded,
            Finished,
            HeldOut,
            MemberTrained,
            Opened,
            Said,
            SearchFinished,
            SearchOpened,
            TrialEnded,
            Warned,
        )

        for event in events:
            match event:
                case Said():
                    _line({"event": "note", "text": event.text})
                case Warned():
                    _line({"event": "warning", "text": event.text})
                case Opened() | SearchOpened():
                    _line({"event": "start", **dataclasses.asdict(event)})
                case EpochEnded():
                    _line({"event": "epoch", **event.row, "is_best": event.is_best})
                case MemberTrained():
                    error = {} if event.error is None else {"weighted_error": event.error}
                    _line(
                        {
                            "event": "member",
                            "member": event.member,
                            "members": event.members,
                            **event.row,
                            **error,
                        }
                    )
                case HeldOut(is_trained=True):
                    _line({"event": "held-out", "network": event.network, "networks": event.networks})
                case TrialEnded():
                    _line({"event": "trial", **dataclasses.asdict(event)})
                case Finished() | SearchFinished():
                    _line({"event": "done", **dataclasses.asdict(event)})
            yield event

    def record(self, event: str, values: dict[str, Any], text: str | None = None) -> None:
        _line({"event": event, **values})

    def runs(self, table: Any, *, is_comparison: bool) -> None:
        for row in table if isinstance(table, list) else [table]:
            _line(
                {"event": "run", **row}
                if isinstance(row, dict)
                else {"event": "comparison", **dataclasses.asdict(row)}
            )

    def names(self, table: Any) -> None:
        _line({"event": "names", **dataclasses.asdict(table)})

    def wrote(self, text: str) -> None:
        sys.stdout.write(text)

    def notes(self, texts: Iterable[str]) -> None:
        for text in texts:
            _line({"event": "note", "text": text})


def _line(value: dict[str, Any]) -> None:
    sys.stdout.write(json_module.dumps(value, default=str) + "\n")
    sys.stdout.flush()
