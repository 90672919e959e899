"""Many pictures, decoded here or in worker processes.

Worker processes are plain subprocesses that talk through pipes: a script needs no `if __name__ == "__main__"`,
nothing is unpickled, Ctrl-C reaches only the parent, and a worker ends by itself when its parent is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from chainrule.core.errors import DataError
from chainrule.core.processor import usable_cores
from chainrule.core.text import listed
from chainrule.data.decoding import Header, Shape, decode_picture, inspect_picture
from chainrule.data.store import StoredRows
from chainrule.data.untrusted import shown

FEW = 200  # below this many pictures, starting a worker (0.2 s) costs more than it saves
JOB = 16  # pictures that a worker decodes per request

T = TypeVar("T")
Job = tuple[list[str], Shape | None]  # paths; the shape (channels, height, width) wanted, or None for headers
Reply = tuple[list[Any], bytes]  # per path a header, None or a problem in words; the pixels in a row
Ask = Callable[[list[Job]], Iterator[Reply]]


class Track(Protocol):
    """Something that passes items on and shows how many there were, such as a progress bar."""

    def __call__(self, items: Iterable[T], total: int, label: str, /) -> Iterable[T]: ...


def read_headers(files: list[Path], ask: Ask) -> list[Header]:
    """Raises: DataError naming the pictures that cannot be used"""
    values = [value for value, _ in _answers(files, None, ask)]
    _refuse([value for value in values if isinstance(value, str)])
    return [Header(*value) for value in values]


def read_pixels(
    files: list[Path], pixels: np.ndarray | StoredRows, ask: Ask, track: Track | None = None
) -> None:
    """Decode pictures to the shape that `pixels` has, and put them there.

    Shapes: pixels (N, channels, height, width) uint8
    Raises: DataError naming the pictures that cannot be used
    """
    _, channels, height, width = pixels.shape
    shape = (channels, height, width)
    problems = []
    answers: Iterable[tuple[Any, bytes]] = _answers(files, shape, ask)
    if track is not None:
        answers = track(answers, len(files), "decoding pictures")
    for row, (problem, content) in enumerate(answers):
        if problem is not None:
            problems.append(problem)
        else:
            picture = np.frombuffer(content, np.uint8).reshape(1, *shape)
            if isinstance(pixels, StoredRows):
                pixels.write(row, picture)
            else:
                pixels[row] = picture
    _refuse(problems)


def _answers(files: list[Path], shape: Shape | None, ask: Ask) -> Iterator[tuple[Any, bytes]]:
    """Give for each picture, in order, its header or problem, and its pixels."""
    jobs: list[Job] = [
        ([str(f) for f in files[start : start + JOB]], shape) for start in range(0, len(files), JOB)
    ]
    length = 0 if shape is None else prod(shape)
    for values, content in ask(jobs):
        for place, value in enumerate(values):
            yield value, content[place * length : (place + 1) * length]


def _refuse(problems: list[str]) -> None:
    """Raise for pictures that cannot be used: the first in full, so that one run names what all must be mended."""
    if problems:
        others = [problem.partition(": ")[0] for problem in problems[1:]]
        more = f" ({len(others)} more pictures cannot be used: {listed(others, most=5)})" if others else ""
        raise DataError(f"{problems[0]}{more}")


@contextlib.contextmanager
def pool(workers: int | None, pictures: int) -> Iterator[Ask]:
    """Give a function that answers jobs in order: in `workers` processes, or here with 0; None chooses."""
    count = _worker_count(workers, pictures)
    if not count:
        yield partial(map, _do)
        return
    with contextlib.ExitStack() as stack:
        yield partial(_ask_workers, [stack.enter_context(_worker()) for _ in range(count)])


def _worker_count(workers: int | None, pictures: int) -> int:
    """Return how many processes decode: none where they cost more than they save."""
    if workers is not None:
        return max(0, min(workers, -(-pictures // JOB)))
    available = usable_cores()
    has_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    return min(available, 8) if pictures >= FEW and available > 1 and has_python else 0


def _ask_workers(workers: list[subprocess.Popen[bytes]], jobs: list[Job]) -> Iterator[Reply]:
    """Hand the jobs round; each worker holds one at a time, so neither end of a pipe ever waits for the other."""
    for worker, job in zip(workers, jobs, strict=False):
        _send(worker, job)
    for number, job in enumerate(jobs):
        worker = workers[number % len(workers)]
        reply = _receive(worker, job)
        if number + len(workers) < len(jobs):
            _send(worker, jobs[number + len(workers)])
        yield reply


@contextlib.contextmanager
def _worker() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that answers jobs; it is gone when the block is left, however it is left."""
    start = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import chainrule.data.picture_workers as w; w.serve()"
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-I", "-c", start, json.dumps([p for p in sys.path if isinstance(p, str)])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **one_thread},
        start_new_session=True,  # a terminal's Ctrl-C does not reach it
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()


def _send(worker: subprocess.Popen[bytes], job: Job) -> None:
    assert worker.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # a worker that is gone is noticed when its reply is awaited
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        worker.stdin.flush()


def _receive(worker: subprocess.Popen[bytes], job: Job) -> Reply:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    values, length = json.loads(line) if line.endswith(b"\n") else ([], 1)
    content = worker.stdout.read(length)
    if len(content) < length:
        first, last = Path(job[0][0]), Path(job[0][-1])
        raise DataError(
            f"the process that decoded the pictures from {shown(first)} to {shown(last)} ended "
            f"(exit status {worker.wait()}); one of them may crash the decoder, or memory ran out"
        )
    return values, content


def serve() -> None:
    """Answer jobs from standard input until it closes: what a worker process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for line in sys.stdin.buffer:
            paths, shape = json.loads(line)
            values, content = _do((paths, shape))
            sys.stdout.buffer.write(json.dumps([values, len(content)]).encode() + b"\n" + content)
            sys.stdout.buffer.flush()
    except BrokenPipeError:  # the parent is gone
        os._exit(1)


def _do(job: Job) -> Reply:
    """Read the headers or the pixels of a few pictures; a picture that fails gives its problem and leaves zeros."""
    paths, shape = job
    values: list[Any] = []
    parts: list[bytes] = []
    for path in map(Path, paths):
        try:
            if shape is None:
                values.append(astuple(inspect_picture(path)))
            else:
                parts.append(decode_picture(path, shape).tobytes())
                values.append(None)
        except DataError as error:
            values.append(str(error))
            parts.append(bytes(prod(shape or (0,))))
    return values, b"".join(parts)
