"""Ctrl-C and SIGTERM: raised at once where stopping is harmless, held back where work must reach a safe point."""

from __future__ import annotations

import contextlib
import signal
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


def raise_on_signals() -> None:
    """Turn SIGINT and SIGTERM into Interrupted from here on. For the command line, once, at its start."""
    for number in SIGNALS:
        signal.signal(number, _raise)


@contextlib.contextmanager
def held_back() -> Iterator[Stop]:
    """Within the block a first signal only sets the Stop that is given; a second one raises.

    Outside the main thread, where Python allows no handlers, the Stop never sets.
    """
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        if stop:
            _raise(number, frame)
        stop.number = number

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    raise Interrupted(f"stopped by {'Ctrl-C' if number == signal.SIGINT else name}", number)
