"""What the readers of files that may be damaged or hostile share: limits, and errors that name the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from chainrule.core.errors import DataError, Interrupted, StorageError
from chainrule.core.memory import memory_bytes
from chainrule.core.text import visible
from chainrule.core.units import show_bytes

MOST_BYTES = 16_000_000_000  # of all values of one source together, unpacked; less where memory is less
_CHUNK = 1 << 20


def shown(path: Path) -> str:
    """Return a path for a message: whole, but nothing that a terminal obeys."""
    return visible(path, most=1000)


@contextlib.contextmanager
def as_data_error(message: str) -> Iterator[None]:
    """Turn whatever hostile bytes make a parser raise into a DataError; what was raised on purpose passes."""
    try:
        yield
    except (DataError, StorageError, Interrupted):
        raise
    except Exception as error:
        raise DataError(f"{message} ({visible(error) or type(error).__name__})") from error


def check_bytes(wanted: int, name: str) -> None:
    """Raises: DataError if so many bytes are more than the limit, or than the machine has"""
    most = min(MOST_BYTES, memory_bytes() or MOST_BYTES)
    if wanted > most:
        raise DataError(
            f"{name} holds {show_bytes(wanted)} of numbers, more than the limit of {show_bytes(most)}"
        )


def read_bounded(file: IO[bytes], wanted: int, name: str) -> bytearray:
    """Read `wanted` bytes and make sure that the file ends there, whatever it would unpack to."""
    content = bytearray()
    while len(content) <= wanted and (chunk := file.read(min(_CHUNK, wanted + 1 - len(content)))):
        content += chunk
    if len(content) != wanted:
        found = "more" if len(content) > wanted else f"only {len(content)}"
        raise DataError(
            f"{name} should have {wanted} bytes of values after its header, but has {found}; fetch it again"
        )
    return content
