"""How much a workbook would unpack to, and how far its cells reach, before a reader takes memory for them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import IO

from chainrule.core.errors import DataError
from chainrule.core.units import show_bytes
from chainrule.data.unpack import most_unpacked
from chainrule.data.untrusted import as_data_error

MOST_CELLS = 30_000_000  # of the rectangle around all cells of a sheet: 32 bytes each
_CHUNK, _OVERLAP = 1 << 20, 1 << 10
_CELL = re.compile(rb"""\br\s*=\s*["']\$?([A-Za-z]{1,3})\$?([0-9]{1,7})["']""")
_TAG = re.compile(rb"<(/?)(?:\w+:)?(table-row|table-cell|covered-table-cell|table)\b([^<>]*)>")
_REPEATED = re.compile(rb"""(?:rows|columns)-repeated\s*=\s*["']([0-9]{1,9})["']""")


def check_workbook(content: bytes, name: str) -> None:
    """Raises: DataError for a workbook that would take far more memory than a file of its size should"""
    if not content.startswith(b"PK"):
        return  # .xls, whose sheets end at 65,536 rows and 256 columns
    most = most_unpacked(len(content))
    with as_data_error(f"{name} is damaged"), zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > most:
            raise DataError(
                f"{name} unpacks to more than {show_bytes(most)}, far more than a workbook of its size"
            )
        for member in members:
            with archive.open(member) as file:  # to its end: a false length shows in the checksum
                rows, columns = _reach(member.filename, _chunks(file))
            if rows * columns > MOST_CELLS:
                raise DataError(
                    f"{name}: the cells of {member.filename.rpartition('/')[2]} reach over {rows:,} rows and "
                    f"{columns:,} columns; delete what stands far away from the table, or save it as CSV"
                )


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Give the content in pieces that overlap, so that a tag is whole in one of them."""
    before = b""
    while chunk := file.read(_CHUNK):
        yield before + chunk
        before = chunk[-_OVERLAP:]


def _reach(member: str, chunks: Iterator[bytes]) -> tuple[int, int]:
    """Return how many rows and columns the cells of a sheet reach over; 0 for what is no sheet."""
    if member == "content.xml":
        return _reach_of_repeats(
            b"".join(chunk if not i else chunk[_OVERLAP:] for i, chunk in enumerate(chunks))
        )
    rows = columns = 0
    for chunk in chunks:
        if member.endswith(".xml"):
            for letters, digits in set(_CELL.findall(chunk)):
                rows, columns = max(rows, int(digits)), max(columns, _number(letters))
    return rows, columns


def _number(letters: bytes) -> int:
    """Return the number of a column.

    >>> _number(b"A"), _number(b"AB")
    (1, 28)
    """
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _reach_of_repeats(content: bytes) -> tuple[int, int]:
    """Return the largest reach of a table in OpenDocument, where rows and cells say how often they are repeated."""
    most = (0, 0)
    rows = columns = row = column = repeats = 0
    for closes, tag, attributes in _TAG.findall(content):
        found = _REPEATED.search(attributes)
        times = int(found[1]) if found else 1
        if tag == b"table":
            rows = columns = row = 0
        elif tag == b"table-row" and not closes:
            column, repeats = 0, times
            row += repeats
        elif not closes and tag != b"table-row":
            column += times
            if not attributes.rstrip().endswith(b"/") or b"value" in attributes:
                rows, columns = row, max(columns, column)
        most = max(most, (rows, columns), key=lambda reach: reach[0] * reach[1])
    return most
