"""Lanes side by side, one a core, each in a process that hands back where its lane then stands.

Such a process is a copy of this one, so that nothing is read or made anew. Threads would wait for each other at every
operation, as Python runs one of them at a time: with small networks an update then took up to three times as long. Where a
process cannot be copied (systems other than Linux, a GPU in use, inside a worker that may have no children), lanes run in
threads all the same.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import signal
import sys
import traceback
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as any_of
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import NamedTuple

import safetensors.torch
import torch

from chainrule.core import errors
from chainrule.core.memory import ended_for_memory, is_out_of_memory
from chainrule.jobs.lanes import Lane
from chainrule.train.checkpoint import packed

END = (-1).to_bytes(4, signed=True)  # to a worker, in place of the number of a lane
MADE, DONE, SHORT, FAILED = b"m", b"d", b"s", b"f"  # what a worker's message begins with
ENDED = b"e"  # in place of a message, where the worker was ended by SIGKILL
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class Progress(NamedTuple):
    """Epochs that were made (of one network each), the lane that has come to the end, or one that memory is short for.

    What such a lane has made is taken back: `made` is then below 0. It may stand anywhere. `is_ended`: its process
    was ended from outside, and not for lack of memory.
    """

    made: int = 0
    ready: Lane | None = None
    short: Lane | None = None
    is_ended: bool = False


def train_lanes(lanes: Sequence[Lane], until: int | None, cores: int) -> Generator[Progress, None, None]:
    """Train lanes until each has made so many epochs, or to the end, so many at a time, each on one core.

    Closing the generator stops every lane; those that have not been reported as ready may then stand anywhere.
    """
    if cores == 1 or len(lanes) == 1:
        return _one_by_one(lanes, until)
    return _in_processes(lanes, until, cores) if can_copy() else _in_threads(lanes, until, cores)


def train_lanes_apart(
    lanes: Sequence[Lane], until: int | None, cores: int
) -> Generator[Progress, None, None]:
    """Train lanes as `train_lanes` does, outside of this process where that can be: the system ends what takes too much."""
    return _in_processes(lanes, until, cores) if can_copy() else train_lanes(lanes, until, cores)


def can_copy() -> bool:
    """Whether this process can have copies that compute."""
    uses_gpu: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return sys.platform == "linux" and not uses_gpu and not multiprocessing.current_process().daemon


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside the block: lanes stand side by side, not the parts of a product."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _one_by_one(lanes: Sequence[Lane], until: int | None) -> Generator[Progress, None, None]:
    for lane in lanes:
        reports, total, is_short = lane.train(until), 0, False
        while True:
            with one_thread():  # not around the yield: who listens may compute
                made, is_short = _next(reports)
            if made is None:
                break
            total += made
            yield Progress(made)
        del reports  # and what it was at work with
        yield Progress(-total, short=lane) if is_short else Progress(ready=lane)


def _next(reports: Iterator[int]) -> tuple[int | None, bool]:
    """Return what is reported next, None at the end, and whether that is because memory ran out."""
    try:
        return next(reports, None), False
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None, True


def _in_threads(lanes: Sequence[Lane], until: int | None, cores: int) -> Generator[Progress, None, None]:
    told: SimpleQueue[int] = SimpleQueue()
    asked_to_stop = False

    def run(lane: Lane) -> tuple[int, bool]:
        reports, total = lane.train(until), 0
        with one_thread():
            while True:
                made, is_short = _next(reports)
                if made is None or asked_to_stop:
                    return total, is_short
                total += made
                told.put(made)

    with ThreadPoolExecutor(cores) as pool:
        of_lane: dict[Future[tuple[int, bool]], Lane] = {pool.submit(run, lane): lane for lane in lanes}
        waiting = set(of_lane)
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.05, return_when=FIRST_COMPLETED)
                while not told.empty():
                    yield Progress(told.get())
                for future in done:
                    total, is_short = future.result()
                    lane = of_lane[future]
                    yield Progress(-total, short=lane) if is_short else Progress(ready=lane)
        finally:
            asked_to_stop = True
            for future in waiting:
                future.cancel()


# ---- processes


def _in_processes(lanes: Sequence[Lane], until: int | None, cores: int) -> Generator[Progress, None, None]:
    numbers = iter(range(len(lanes)))
    before = ended_for_memory()
    workers: dict[Connection, _Worker] = {}

    def begin(number: int) -> None:
        here, process = _start_worker(lanes, until)
        workers[here] = _Worker(process, number)
        here.send_bytes(number.to_bytes(4))

    try:
        for number in (next(numbers) for _ in range(min(cores, len(lanes)))):
            begin(number)
        while workers:
            for here in [one for one in any_of(list(workers)) if isinstance(one, Connection)]:
                worker = workers[here]
                lane = lanes[worker.number]
                kind, content = _heard(here, worker.process, lane)
                if kind == MADE:
                    worker.made += int.from_bytes(content)
                    yield Progress(int.from_bytes(content))
                    continue
                following = next(numbers, None)
                if kind in (SHORT, ENDED):
                    worker.process.join()  # its memory is free then
                    here.close()
                    del workers[here]
                    if following is not None:
                        begin(following)
                    is_ended = kind == ENDED and before is not None and ended_for_memory() == before
                    yield Progress(-worker.made, short=lane, is_ended=is_ended)
                    continue
                here.send_bytes(END if following is None else following.to_bytes(4))
                _restore(lane, content)  # while the worker is at the next one
                if following is None:
                    worker.process.join()
                    here.close()
                    del workers[here]
                else:
                    worker.number, worker.made = following, 0
                yield Progress(ready=lane)
    finally:
        for here, worker in workers.items():
            worker.process.kill()
            worker.process.join()
            here.close()


@dataclass(slots=True)
class _Worker:
    """A process, the lane that it has, and the epochs of it that are told."""

    process: BaseProcess
    number: int
    made: int = 0


def _start_worker(lanes: Sequence[Lane], until: int | None) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, lanes, until), daemon=True)
    process.start()
    there.close()
    return here, process


def _work(there: Connection, lanes: Sequence[Lane], until: int | None) -> None:
    """Be a worker: train the lanes that are named, until there are no more."""
    # It goes to the whole terminal; who started this one decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
    torch.set_num_threads(1)
    while (asked := there.recv_bytes()) != END:
        lane = lanes[int.from_bytes(asked)]
        try:
            for made in lane.train(until):
                there.send_bytes(MADE + made.to_bytes(4))
            state = json.dumps([lane.state(), list(lane.judgements.items())]).encode()
            there.send_bytes(DONE + len(state).to_bytes(8) + state + packed(lane.tensors()))
            lane.release(lane.numbers)
        except Exception as error:
            if is_out_of_memory(error):
                there.send_bytes(SHORT)
                return
            text = [type(error).__name__, str(error), traceback.format_exc()]
            there.send_bytes(FAILED + json.dumps(text).encode())
            return


def _restore(lane: Lane, content: bytes) -> None:
    start = 8 + int.from_bytes(content[:8])
    state, judgements = json.loads(content[8:start])
    lane.restore(safetensors.torch.load(content[start:]), state)
    lane.judgements = dict(judgements)


def _heard(here: Connection, process: BaseProcess, lane: Lane) -> tuple[bytes, bytes]:
    """Return the kind of a worker's next message, and the rest of it. Raises: what the worker failed by"""
    try:
        message = here.recv_bytes()
    except (EOFError, ConnectionResetError):
        process.join()
        if process.exitcode == -signal.SIGKILL:  # as the system ends processes where memory runs out
            return ENDED, b""
        raise RuntimeError(
            f"the process that trained {len(lane.numbers)} networks was ended (exit code {process.exitcode})"
        ) from None
    if message[:1] != FAILED:
        return message[:1], message[1:]
    kind, text, trace = json.loads(message[1:])
    own = getattr(errors, kind, None)
    raise own(text) if isinstance(own, type) else RuntimeError(f"{kind}: {text}\n{trace}")
