"""Text tables: CSV, TSV and their like, as people and programs write them. Every cell stays text.

A regular file is read by polars. A file that breaks the rules of quoting, or that polars refuses, is walked line by
line with Python's csv module: ten times slower, but it knows which line is wrong.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from chainrule.core.errors import DataError
from chainrule.core.text import listed, visible
from chainrule.data.encodings import to_utf8
from chainrule.data.plain_text import (
    BYTE_ORDER_MARK,
    HEAD_BYTES,
    apart_by_tabs,
    head_of,
    lines_apart_by_spaces,
    without_comments,
)

SEPARATORS = (",", ";", "\t", "|")
HEAD_ROWS = 20  # looked at to find the separator
SCANNED_AT_ONCE = 1 << 24
FOREIGN = {
    b"PK\x03\x04": "is a ZIP archive, perhaps an Excel workbook",
    b"\x1f\x8b": "is compressed with gzip",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd",
    b"PAR1": "is a Parquet file; give its name the ending .parquet",
}


def parse(
    content: bytes, separator: str, name: str, encoding: str | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """Return the table in a text file, all cells text and missing ones null, and what the user should hear.

    `separator` is the one that the file's ending promises; a space: cells that stand in columns, apart by spaces.
    Raises: DataError naming the line or column where something is wrong
    """
    content, found, names, notes = read_header(content, separator, name, encoding)
    frame, more = read_cells(content, found, names, name)
    if not frame.height:
        raise DataError(f"{name} has a header ({listed(names)}) but no rows below it")
    return frame, notes + more


def read_header(
    content: bytes, separator: str, name: str, encoding: str | None = None
) -> tuple[bytes, str, list[str], list[str]]:
    """Return the table as UTF-8, its separator, its column names, and what the user should hear."""
    for magic, what in FOREIGN.items():
        if content.startswith(magic):
            raise DataError(f"{name} {what}; a text table is needed")
    content, notes = to_utf8(content, name, encoding)
    content, more = without_comments(_lines(content, name), name)
    notes += more
    content, found = _find_separator(content, separator)
    if found != separator and separator != " ":
        notes.append(f"{name}: cells are separated by {found!r}, not by {separator!r}")
    names = _names(content, found, name)
    return content, found, names, notes


def read_cells(
    content: bytes, separator: str, names: list[str], name: str, lines_before: int = 0
) -> tuple[pl.DataFrame, list[str]]:
    """Cut a header and the rows below it into cells; `lines_before` are in the file but not in the content."""
    notes: list[str] = []
    frame = _read_regular(content, separator, len(names)) if _is_regular(content, separator) else None
    if frame is None:
        frame, notes = _read_irregular(content, separator, len(names), name, lines_before)
    elif _lacks_cells(frame, content, separator, names):
        notes = _read_irregular(content, separator, len(names), name, lines_before)[1]
    return _named(frame, names, name, notes), notes


def _lines(content: bytes, name: str) -> bytes:
    """Refuse what is not text; bring line ends to one kind and drop blank lines at the end."""
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise DataError(f"{name} holds binary data, not text (a null byte in line {line}); is it a table?")
    if b"\r" in content and b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    end = content[-3:]
    if end[len(end.rstrip(b"\r\n")) :] not in (b"", b"\n", b"\r\n"):
        content = content.rstrip(b"\r\n")
    if not content[:HEAD_BYTES].removeprefix(BYTE_ORDER_MARK).strip() and not content[HEAD_BYTES:].strip():
        raise DataError(f"{name} is empty; a table needs a header line and rows below it")
    return content


def _find_separator(content: bytes, usual: str) -> tuple[bytes, str]:
    """Return the separator that cuts the most of the first lines as it cuts the header; the usual one if it ties.

    Cells apart by spaces come back apart by tabs.
    """
    text = head_of(content)
    separators = dict.fromkeys((usual, *SEPARATORS))
    separators.pop(" ", None)
    cut = {separator: _lines_cut_alike(text, separator) for separator in separators}
    found = max(cut, key=cut.__getitem__)
    if usual == " " and lines_apart_by_spaces(text) > cut[found]:
        return apart_by_tabs(content), "\t"
    return content, found


def _lines_cut_alike(text: str, separator: str) -> int:
    """Count the first lines that have as many cells as the header; none if that has one cell only."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        widths = [len(row) for _, row in zip(range(HEAD_ROWS), rows, strict=False) if row]
    except csv.Error:
        return 0
    return widths.count(widths[0]) if widths and widths[0] > 1 else 0


def _names(content: bytes, separator: str, name: str) -> list[str]:
    """Return the header. Raises: DataError for names that stand twice."""
    names = next(
        ([cell.strip() for cell in row] for _, row in walk_rows(content, separator, name) if row), []
    )
    if twice := repeated([n for n in names if n]):
        raise DataError(
            f"{name}: the header has {listed(twice)} more than once; every column needs a name of its own"
        )
    if not any(names):
        raise DataError(f"{name}: the header line is blank; a table needs column names in its first line")
    return names


def _named(frame: pl.DataFrame, names: list[str], name: str, notes: list[str]) -> pl.DataFrame:
    """Give the columns their names; drop unnamed ones that say nothing: row numbers in front, separators behind."""
    kept = {}
    for place, (title, column) in enumerate(zip(names, frame.columns, strict=True)):
        if title:
            kept[column] = title
        elif place == 0:
            notes.append(f"{name}: the first column has no name (row numbers, usually) and is left out")
        elif frame[column].str.strip_chars().fill_null("").ne("").any():
            raise DataError(f"{name}: column {place + 1} of {len(names)} has no name in the header")
    if any(re.fullmatch(r"[+-]?\d*\.\d+", title) for title in names):
        first = listed(names, 3)
        notes.append(f"{name}: the first line is taken for the header, though it looks like a row ({first})")
    frame = frame.select(list(kept))
    frame.columns = list(kept.values())
    return frame


def _is_regular(content: bytes, separator: str) -> bool:
    """Whether the file keeps the rules of CSV, as polars expects without looking.

    Quotation marks come in pairs; one that opens follows a separator, a line end or the mark before it, one that
    closes stands before a separator, a line end or the next mark. No carriage return stands alone.
    """
    if content.count(b"\r") != content.count(b"\r\n"):
        return False
    if b'"' not in content:
        return True
    whole = np.frombuffer(content, np.uint8)[3 if content.startswith(BYTE_ORDER_MARK) else 0 :]
    edge = np.zeros(256, bool)
    edge[[ord(separator), 10, 13, 34]] = True
    seen, last = 0, len(whole) - 1
    for start in range(0, len(whole), SCANNED_AT_ONCE):
        at = np.flatnonzero(whole[start : start + SCANNED_AT_ONCE] == 34) + start
        opening, closing = at[seen % 2 :: 2], at[1 - seen % 2 :: 2]
        follows = (opening == 0) | edge[whole[opening - 1]]
        stands_before = (closing == last) | edge[whole[np.minimum(closing + 1, last)]]
        if not (follows.all() and stands_before.all()):
            return False
        seen += len(at)
    return seen % 2 == 0


def _read_regular(content: bytes, separator: str, width: int) -> pl.DataFrame | None:
    """Read with polars; None if it refuses or sees another number of columns."""
    try:
        frame = pl.read_csv(content, separator=separator, infer_schema=False)
    except (pl.exceptions.PolarsError, ValueError):
        return None
    if frame.width != width:
        return None
    # Polars would take names such as * and ^a$ for patterns
    frame.columns = [f"column {i}" for i in range(width)]
    return frame


def _lacks_cells(frame: pl.DataFrame, content: bytes, separator: str, names: list[str]) -> bool:
    """Whether some line has fewer cells than the header, which polars passes over."""
    if frame.width == 1 or not frame.to_series(-1).null_count():
        return False
    within = sum(title.count(separator) for title in names)
    if b'"' in content:
        counts = frame.select(pl.all().str.count_matches(separator, literal=True).sum())
        within += sum(int(count) for count in counts.row(0))
    return content.count(separator.encode()) - within < (frame.width - 1) * (frame.height + 1)


def _read_irregular(
    content: bytes, separator: str, width: int, name: str, lines_before: int
) -> tuple[pl.DataFrame, list[str]]:
    """Read line by line. Lines that are too short are filled with missing cells, and said."""
    rows: list[list[str | None]] = []
    short: list[int] = []
    blank: list[int] = []
    walk = walk_rows(content, separator, name, lines_before)
    for _, row in walk:
        if row:
            break
    for line, row in walk:
        if len(row) > width:
            raise DataError(f"{name}, line {line}: {len(row)} cells, but the header has {width}")
        if len(row) < width:
            (short if row else blank).append(line)
        rows.append([*(cell or None for cell in row), *[None] * (width - len(row))])
    notes = []
    for lines, what in ((short, "fewer cells than the header"), (blank, "no cells at all")):
        if lines:
            those = "1 line has" if len(lines) == 1 else f"{len(lines)} lines have"
            notes.append(f"{name}: {those} {what} (line {lines[0]}); what lacks counts as missing")
    schema = {f"column {i}": pl.String for i in range(width)}
    return pl.DataFrame(rows, schema=schema, orient="row"), notes


def walk_rows(
    content: bytes, separator: str, name: str, lines_before: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Give the cells of each row, the header's too, with the line of the file where it begins."""
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=separator, strict=True, skipinitialspace=separator != "\t")
    before = lines_before
    try:
        for row in reader:
            yield before + 1, row
            before = lines_before + reader.line_num
    except csv.Error as error:
        raise DataError(f"{name}, line {before + 1}: {_explained(error)}") from error
    except UnicodeDecodeError as error:
        raise _not_utf8(content, name) from error


def _explained(error: csv.Error) -> str:
    reason = str(error)
    if "end of data" in reason:
        return "a quotation mark opens here and is never closed"
    if "expected after" in reason:
        return 'text stands behind a closing quotation mark (a quotation mark within a cell is written "")'
    if "field larger" in reason:
        return f"a cell is longer than {csv.field_size_limit():,} characters; is a quotation mark left open?"
    return visible(reason)


def _not_utf8(content: bytes, name: str) -> DataError:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        return DataError(f"{name}, line {line} is not UTF-8 text (byte 0x{byte:02x}); save the file as UTF-8")
    raise AssertionError("called for text that is UTF-8")


def repeated(names: list[str]) -> list[str]:
    """Return the names that stand more than once.

    >>> repeated(["a", "b", "a"])
    ['a']
    """
    seen: set[str] = set()
    return sorted({n for n in names if n in seen or seen.add(n)})  # type: ignore[func-returns-value]
