"""Compressed files: what is inside, and no more of it than a file of that size can honestly hold."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Collection
from pathlib import PurePath
from typing import IO, Any

from chainrule.core.errors import DataError, missing_extra
from chainrule.core.text import listed, visible
from chainrule.core.units import show_bytes
from chainrule.data.untrusted import as_data_error

PACKED_ENDINGS = (".gz", ".zst", ".zip")
ALWAYS_BYTES = 100_000_000  # that may come out of any file
MOST_TIMES = 50  # a compressed table is seldom a tenth of its size; bombs are a thousandth
_CHUNK = 1 << 20


def most_unpacked(packed: int) -> int:
    """Return how many bytes a compressed file of so many bytes may hold."""
    return max(ALWAYS_BYTES, MOST_TIMES * packed)


def inner_name(name: str) -> str:
    """Return the name without the ending of a compression.

    >>> inner_name("sales.csv.gz"), inner_name("sales.csv")
    ('sales.csv', 'sales.csv')
    """
    path = PurePath(name)
    return path.stem if path.suffix.lower() in PACKED_ENDINGS else name


def unpacked(content: bytes, name: str, endings: Collection[str]) -> tuple[bytes, str]:
    """Return what a compressed file holds, and the name of that; of a .zip, its one member with such an ending.

    Raises: DataError for damaged files, and for those that unpack to far more than they should
    """
    ending = PurePath(name).suffix.lower()
    if ending not in PACKED_ENDINGS:
        return content, name
    most = most_unpacked(len(content))
    opened: Callable[[Any], Any] = _zstd_open() if ending == ".zst" else gzip.open
    with as_data_error(f"{name} is damaged, or not a {ending} file"):
        if ending == ".zip":
            return _member(content, name, endings, most)
        with opened(io.BytesIO(content)) as file:
            return read_most(file, most, name), inner_name(name)


def _member(content: bytes, name: str, endings: Collection[str], most: int) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        tables = [m for m in archive.infolist() if _is_table(m.filename, endings)]
        if len(tables) != 1:
            inside = listed([m.filename for m in tables or archive.infolist()], most=5)
            held = f"holds {len(tables)} tables" if tables else "holds no table"
            raise DataError(f"{name} {held} ({inside or 'nothing'}); a .zip with one table is read")
        if tables[0].flag_bits & 1:
            raise DataError(f"{name} is protected by a password; unpack it first")
        inner = PurePath(tables[0].filename).name
        with archive.open(tables[0]) as file:
            return read_most(file, most, name), visible(inner)


def _is_table(member: str, endings: Collection[str]) -> bool:
    path = PurePath(member)
    return (
        path.suffix.lower() in endings
        and not path.name.startswith(".")
        and not member.startswith("__MACOSX/")
    )


def read_most(file: IO[bytes], most: int, name: str) -> bytes:
    """Read a file to its end. Raises: DataError if that is more than `most` bytes"""
    content = bytearray()
    while chunk := file.read(_CHUNK):
        content += chunk
        if len(content) > most:
            raise DataError(
                f"{name} unpacks to more than {show_bytes(most)}, far more than a table of its size; "
                "if that is right, unpack it first"
            )
    return bytes(content)


def _zstd_open() -> Callable[[Any], Any]:
    try:
        from compression import zstd  # from Python 3.14 on
    except ImportError:
        try:
            from backports import zstd
        except ImportError as error:
            raise missing_extra("backports.zstd", "zstd", "reading .zst files") from error
    opened: Callable[[Any], Any] = zstd.open
    return opened
