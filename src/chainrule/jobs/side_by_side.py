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
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as any_of
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import NamedTuple

import safetensors.torch
import torch

from chainrule.core import errors
from chainrule.jobs.lanes import Lane
from chainrule.train.checkpoint import packed

END = (-1).to_bytes(4, signed=True)  # to a worker, in place of the number of a lane
MADE, DONE, FAILED = b"m", b"d", b"f"  # what a worker's message begins with
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class Progress(NamedTuple):
    """Epochs that were made (of one network each), or the lane that has come to the end."""

    made: int = 0
    ready: Lane | None = None


def train_lanes(lanes: Sequence[Lane], epochs: int | None, cores: int) -> Generator[Progress, None, None]:
    """Train lanes for so many epochs each, or to the end, so many at a time, each on one core.

    Closing the generator stops every lane; those that have not been reported as ready may then stand anywhere.
    """
    if cores == 1 or len(lanes) == 1:
        return _one_by_one(lanes, epochs)
    return _in_processes(lanes, epochs, cores) if can_copy() else _in_threads(lanes, epochs, cores)


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


def _one_by_one(lanes: Sequence[Lane], epochs: int | None) -> Generator[Progress, None, None]:
    for lane in lanes:
        reports = lane.train(epochs)
        while True:
            with one_thread():  # not around the yield: who listens may compute
                made = next(reports, None)
            if made is None:
                break
            yield Progress(made)
        yield Progress(ready=lane)


def _in_threads(lanes: Sequence[Lane], epochs: int | None, cores: int) -> Generator[Progress, None, None]:
    told: SimpleQueue[int] = SimpleQueue()
    asked_to_stop = False

    def run(lane: Lane) -> None:
        with one_thread():
            for made in lane.train(epochs):
                told.put(made)
                if asked_to_stop:
                    return

    with ThreadPoolExecutor(cores) as pool:
        of_lane: dict[Future[None], Lane] = {pool.submit(run, lane): lane for lane in lanes}
        waiting = set(of_lane)
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.05, return_when=FIRST_COMPLETED)
                while not told.empty():
                    yield Progress(told.get())
                for future in done:
                    future.result()
                    yield Progress(ready=of_lane[future])
        finally:
            asked_to_stop = True
            for future in waiting:
                future.cancel()


# ---- processes


def _in_processes(lanes: Sequence[Lane], epochs: int | None, cores: int) -> Generator[Progress, None, None]:
    numbers = iter(range(len(lanes)))
    workers: dict[Connection, tuple[BaseProcess, int]] = {}
    try:
        for number in (next(numbers) for _ in range(min(cores, len(lanes)))):
            here, process = _start_worker(lanes, epochs)
            workers[here] = process, number
            here.send_bytes(number.to_bytes(4))
        while workers:
            for here in [one for one in any_of(list(workers)) if isinstance(one, Connection)]:
                process, number = workers[here]
                kind, content = _heard(here, process, lanes[number])
                if kind == MADE:
                    yield Progress(int.from_bytes(content))
                    continue
                _restore(lanes[number], content)
                following = next(numbers, None)
                if following is None:
                    here.send_bytes(END)
                    process.join()
                    del workers[here]
                else:
                    workers[here] = process, following
                    here.send_bytes(following.to_bytes(4))
                yield Progress(ready=lanes[number])
    finally:
        for here, (process, _) in workers.items():
            process.kill()
            process.join()
            here.close()


def _start_worker(lanes: Sequence[Lane], epochs: int | None) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, lanes, epochs), daemon=True)
    process.start()
    there.close()
    return here, process


def _work(there: Connection, lanes: Sequence[Lane], epochs: int | None) -> None:
    """Be a worker: train the lanes that are named, until there are no more."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # it goes to the whole terminal; who started this one decides
    ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
    torch.set_num_threads(1)
    while (asked := there.recv_bytes()) != END:
        lane = lanes[int.from_bytes(asked)]
        try:
            for made in lane.train(epochs):
                there.send_bytes(MADE + made.to_bytes(4))
            state = json.dumps(lane.state()).encode()
            there.send_bytes(DONE + len(state).to_bytes(8) + state + packed(lane.tensors()))
        except Exception as error:
            text = [type(error).__name__, str(error), traceback.format_exc()]
            there.send_bytes(FAILED + json.dumps(text).encode())
            return


def _restore(lane: Lane, content: bytes) -> None:
    start = 8 + int.from_bytes(content[:8])
    lane.restore(safetensors.torch.load(content[start:]), json.loads(content[8:start]))


def _heard(here: Connection, process: BaseProcess, lane: Lane) -> tuple[bytes, bytes]:
    """Return the kind of a worker's next message, and the rest of it. Raises: what the worker failed by"""
    try:
        message = here.recv_bytes()
    except (EOFError, ConnectionResetError):
        process.join()
        raise MemoryError(
            f"the process that trained {len(lane.numbers)} networks was ended from outside (signal {-(process.exitcode or 0)}), "
            "as the system does where memory runs out"
        ) from None
    if message[:1] != FAILED:
        return message[:1], message[1:]
    kind, text, trace = json.loads(message[1:])
    if kind == MemoryError.__name__:
        raise MemoryError(text)
    own = getattr(errors, kind, None)
    raise own(text) if isinstance(own, type) else RuntimeError(f"{kind}: {text}\n{trace}")
