"""Ctrl-C and SIGTERM: the command line leaves at once where that is harmless; work is held until a safe point."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from chainrule.core.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a signal has asked for a stop; `number` is the signal, 0 while none came."""

    def __init__(self) -> None:
        self.number = 0

    def __bool__(self) -> bool:
        return self.number != 0


def leave_on_signals() -> None:
    """From here on a signal ends the process with one line and 128 + its number. For the command line, at its start.

    Raising instead would surface inside half-done imports of compiled packages, as whatever they make of it. Leaving
    is safe since files are written beside and renamed, and worker processes end when their pipe closes.
    """
    for number in SIGNALS:
        signal.signal(number, _leave)


@contextlib.contextmanager
def held_back() -> Iterator[Stop]:
    """Within the block a first signal only sets the Stop that is given; a second one does what it did before.

    Outside the main thread, where Python allows no handlers, the Stop never sets.
    """
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        if stop:
            earlier = before[number]
            if callable(earlier):
                earlier(number, frame)
            raise Interrupted(f"stopped by {said(number)}", number)
        stop.number = number

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {int(number): signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for held, handler in before.items():
            signal.signal(held, handler)


def said(number: int) -> str:
    """Name a signal the way people do."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def _leave(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(Exception):
        os.write(sys.stderr.fileno(), f"chainrule: stopped by {said(number)}\n".encode())
    os._exit(128 + number)
