"""Ctrl-C and SIGTERM: held back until a safe point, and never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from chainrule.core.errors import Interrupted
from chainrule.core.signals import SIGNALS, held_back, raise_on_signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_first_signal_only_sets_the_stop(number: signal.Signals) -> None:
    with held_back() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        assert stop and stop.number == number


def test_second_signal_raises_and_handlers_return() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(Interrupted, match="stopped by SIGTERM") as caught, held_back():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.exit_code == 143
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_handlers_return_after_the_block() -> None:
    raise_on_signals()
    with held_back():
        pass
    with pytest.raises(Interrupted, match="stopped by Ctrl-C") as caught:
        os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.exit_code == 130
    assert isinstance(caught.value, KeyboardInterrupt)


def test_outside_the_main_thread_nothing_is_touched() -> None:
    found = []

    def work() -> None:
        with held_back() as stop:
            found.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_sigterm_ends_a_process_through_its_finally_blocks() -> None:
    code = """
import os, signal
from chainrule.core.signals import raise_on_signals
raise_on_signals()
try:
    os.kill(os.getpid(), signal.SIGTERM)
finally:
    print("cleaned up", flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout == "cleaned up\n"
    assert ended.returncode != 0 and "Interrupted" in ended.stderr
