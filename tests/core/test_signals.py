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
from chainrule.core.signals import SIGNALS, held_back, said


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


def test_second_signal_also_does_what_it_did_before() -> None:
    """On the command line that is: leave at once. Whatever the earlier handler does, the block ends."""
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    with pytest.raises(Interrupted, match="stopped by Ctrl-C") as caught, held_back():
        os.kill(os.getpid(), signal.SIGINT)
        assert heard == []
        os.kill(os.getpid(), signal.SIGINT)
    assert heard == [signal.SIGINT]
    assert caught.value.exit_code == 130 and isinstance(caught.value, KeyboardInterrupt)


def test_handlers_return_after_the_block() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with held_back():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_outside_the_main_thread_nothing_is_touched() -> None:
    found = []

    def work() -> None:
        with held_back() as stop:
            found.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_command_line_leaves_with_one_line(number: signal.Signals, code: int) -> None:
    program = f"""
import os, time
from chainrule.core.signals import leave_on_signals
leave_on_signals()
os.kill(os.getpid(), {int(number)})
time.sleep(10)
print("still here")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr == f"chainrule: stopped by {said(number)}\n"


def test_signals_by_the_names_that_people_use() -> None:
    assert [said(number) for number in SIGNALS] == ["Ctrl-C", "SIGTERM"]
