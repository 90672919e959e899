"""Readers that a damaged file can bring down, in a process of their own.

The readers of Parquet and of workbooks are written in Rust: some damage makes them ask for memory that no machine has,
and the whole process ends. Here a small one ends instead, and the file is named.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from chainrule.core import errors
from chainrule.core.errors import ChainruleError, DataError
from chainrule.core.text import visible
from chainrule.core.units import show_bytes

if TYPE_CHECKING:
    import polars as pl

PARQUET, WORKBOOK = "Parquet", "a workbook"
LEAST_SECONDS, SECONDS_PER_MB = 60, 5  # after which a reader that hangs is ended
# Of memory that a reader may ask for, and more by the file's length
LEAST_BYTES, BYTES_PER_BYTE = 3_000_000_000, 60
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import chainrule.data.apart as a; a.answer()"
)


def read_apart(
    kind: str, content: bytes, name: str, sheet: str | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """Return the table in a Parquet file or a workbook, and what the user should hear.

    Raises: DataError naming what is wrong, also where the reader itself broke; MissingExtraError
    """
    import polars as pl

    if not sys.executable or getattr(sys, "frozen", False):
        return _read(kind, content, name, sheet)
    paths = json.dumps([p for p in sys.path if isinstance(p, str)])
    seconds = LEAST_SECONDS + SECONDS_PER_MB * len(content) // 1_000_000
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
        given.write(content)
        given.seek(0)
        try:
            status = subprocess.run(
                [sys.executable, "-I", "-c", _START, paths, json.dumps([kind, name, sheet])],
                stdin=given,
                stdout=taken,
                stderr=subprocess.DEVNULL,
                env={"POLARS_MAX_THREADS": "4", **os.environ},  # the stacks of more would count as memory
                start_new_session=True,  # a terminal's Ctrl-C does not reach it
                timeout=seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise DataError(
                f"{name} cannot be read as {kind}: its reader found no end in {seconds} s"
            ) from error
        taken.seek(0)
        line = taken.readline()
        if status or not line:
            raise DataError(
                f"{name} cannot be read as {kind}: its reader broke (exit status {status}); the file is damaged, or "
                f"holds more than the memory (it has {show_bytes(len(content))})"
            )
        reply = json.loads(line)
        if "error" in reply:
            raise getattr(errors, reply["error"])(reply["message"])
        return pl.read_ipc(io.BytesIO(taken.read())), reply["notes"]


def answer() -> None:
    """Read what stands on standard input and write the table to standard output: what the process does."""
    kind, name, sheet = json.loads(sys.argv[2])
    content = sys.stdin.buffer.read()
    _limit_memory(LEAST_BYTES + BYTES_PER_BYTE * len(content))
    try:
        frame, notes = _read(kind, content, name, sheet)
    except ChainruleError as error:
        sys.stdout.write(json.dumps({"error": type(error).__name__, "message": str(error)}) + "\n")
        return
    sys.stdout.write(json.dumps({"notes": notes}) + "\n")
    sys.stdout.flush()
    frame.write_ipc(sys.stdout.buffer)


def _limit_memory(most: int) -> None:
    """Let this process ask for no more memory than that, where the system knows such limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(OSError, ValueError):
        _, highest = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most if highest < 0 else min(most, highest), highest))


def _read(kind: str, content: bytes, name: str, sheet: str | None) -> tuple[pl.DataFrame, list[str]]:
    if kind == PARQUET:
        return read_parquet(content, name), []
    from chainrule.data.excel import read_workbook

    return read_workbook(content, name, sheet)


def read_parquet(content: bytes, name: str) -> pl.DataFrame:
    """Read a Parquet file in this process. Raises: DataError"""
    import polars as pl

    if not content:
        raise DataError(f"{name} is empty")
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (Exception, pl.exceptions.PanicException) as error:
        raise DataError(f"{name} cannot be read as Parquet: {visible(error)}") from error
