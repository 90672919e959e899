"""A table in a file, for one that is larger than the memory it may take: read a column or some rows at a time.

Text is read in blocks that end where a row ends; each block is a table of its own under the same header. Parquet is
taken column by column.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import polars as pl

from chainrule.core.errors import DataError
from chainrule.core.text import listed
from chainrule.core.units import show_bytes
from chainrule.data.delimited import read_cells, read_header, walk_rows
from chainrule.data.encodings import codec_of, is_utf8
from chainrule.data.store import Store

BLOCK_BYTES = 1 << 24
MOST_BLOCKS = 16  # that one row may reach over
MOST_NOTES = 12
ROWS_AT_ONCE = 1 << 17
TIMES_TEXT = 8  # memory of a text table and what becomes of it, in sizes of its file: 7.6 were measured
BYTES_OF_CELL = 40  # of a Parquet table: as it came, as float64, prepared, and copies on the way


class StoredTable:
    """Columns in a file, in parts of the same rows; `table["a"]` reads a whole column, `parts` some rows of all."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._file = store.file()
        self._end = 0
        self._heights: list[int] = []
        self._places: dict[str, list[tuple[int, int]]] = {}
        self.schema: dict[str, pl.DataType] = {}

    @property
    def columns(self) -> list[str]:
        return list(self._places)

    @property
    def width(self) -> int:
        return len(self._places)

    @property
    def height(self) -> int:
        return sum(self._heights)

    def append(self, frame: pl.DataFrame) -> None:
        """Add rows below the others. Raises: DataError if the columns are others; StorageError"""
        if self._heights and frame.columns != self.columns:
            raise DataError(f"the table has the columns {listed(self.columns)}; got {listed(frame.columns)}")
        for series in frame.get_columns():
            self._write(series)
        self._heights.append(frame.height)

    def add(self, column: pl.Series) -> None:
        """Add a column beside the others, cut into parts. Raises: StorageError"""
        starts = range(0, column.len(), ROWS_AT_ONCE)
        self._heights = [min(ROWS_AT_ONCE, column.len() - start) for start in starts]
        for start in starts:
            self._write(column.slice(start, ROWS_AT_ONCE))

    @overload
    def __getitem__(self, key: str) -> pl.Series: ...

    @overload
    def __getitem__(self, key: list[str]) -> StoredTable: ...

    def __getitem__(self, key: str | list[str]) -> pl.Series | StoredTable:
        if isinstance(key, str):
            return pl.concat([self._read(key, part) for part in range(len(self._heights))])
        chosen = StoredTable.__new__(StoredTable)
        chosen.__dict__.update(self.__dict__, _places={name: self._places[name] for name in key})
        return chosen

    def parts(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Give all rows, some at a time, with the number of the first."""
        start = 0
        for part, height in enumerate(self._heights):
            yield start, pl.DataFrame([self._read(name, part) for name in self._places])
            start += height

    def head(self, rows: int) -> pl.DataFrame:
        """Return the first rows."""
        parts, found = [], 0
        for _, part in self.parts():
            parts.append(part)
            found += part.height
            if found >= rows:
                break
        return pl.concat(parts).head(rows)

    def row(self, at: int, *, named: bool = True) -> dict[str, object]:
        """Return the cells of one row by column."""
        assert named
        for part, height in enumerate(self._heights):
            if at < height:
                return {name: self._read(name, part)[at] for name in self._places}
            at -= height
        raise IndexError(f"there are {self.height} rows")

    def rename(self, names: dict[str, str]) -> StoredTable:
        """Return the table with other names for its columns."""
        renamed = StoredTable.__new__(StoredTable)
        places = {names[name]: place for name, place in self._places.items()}
        schema = {names[name]: kind for name, kind in self.schema.items()}
        renamed.__dict__.update(self.__dict__, _places=places, schema=schema)
        return renamed

    def _write(self, series: pl.Series) -> None:
        buffer = io.BytesIO()
        series.alias("cells").to_frame().write_parquet(buffer, compression="uncompressed", statistics=False)
        content = buffer.getbuffer()
        with self.store.writing(len(content)):
            self._file.write(content, self._end)
        self._places.setdefault(series.name, []).append((self._end, len(content)))
        self.schema.setdefault(series.name, series.dtype)
        self._end += len(content)

    def _read(self, name: str, part: int) -> pl.Series:
        offset, length = self._places[name][part]
        content = np.empty(length, np.uint8)
        if self._file.read(content.data, offset) < length:
            raise DataError(
                f"the table kept in {self.store.folder} was cut short while it was in use; start again"
            )
        return pl.read_parquet(io.BytesIO(content.data)).to_series().alias(name)


def stacked_tables(
    tables: Sequence[pl.DataFrame | StoredTable], store: Store | None
) -> pl.DataFrame | StoredTable:
    """Return tables one below the other, on disk if one of them is there; types that differ become one that holds both."""
    kinds = {name: _common([table.schema[name] for table in tables]) for name in tables[0].columns}
    in_memory = [table for table in tables if not isinstance(table, StoredTable)]
    if store is None or len(in_memory) == len(tables):
        return pl.concat([_as_kinds(table, kinds) for table in in_memory])
    joined = StoredTable(store)
    for table in tables:
        for _, part in table.parts() if isinstance(table, StoredTable) else [(0, table)]:
            joined.append(_as_kinds(part, kinds))
    return joined


def _as_kinds(frame: pl.DataFrame, kinds: dict[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame([frame[name].cast(kind) for name, kind in kinds.items()])


def _common(kinds: Sequence[pl.DataType]) -> pl.DataType:
    """Return the type that holds all. Names are left out of it: polars would take some for patterns."""
    frames = [pl.DataFrame(schema={"cells": kind}) for kind in kinds]
    return pl.concat(frames, how="vertical_relaxed").schema["cells"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What every block of a text table shares. `lines` are those of the file above its first row."""

    separator: str
    names: list[str]
    header: bytes
    encoding: str
    lines: int


def store_text(
    path: Path, separator: str, name: str, encoding: str | None, store: Store
) -> tuple[StoredTable, list[str]]:
    """Read a text table block by block. Raises: DataError naming the line where something is wrong"""
    table, notes = StoredTable(store), [store.note(name, text_bytes(path))]
    layout, lines = None, 0
    for block in _blocks(path, name):
        if layout is None:
            layout, content, said = _find_layout(block, separator, name, encoding)
            notes += said
            lines = layout.lines
        else:
            content = layout.header + _decoded(block, layout.encoding, name, lines)
        frame, said = read_cells(
            content, layout.separator, layout.names, name, lines - layout.header.count(b"\n")
        )
        notes += [note for note in said if note not in notes][: MOST_NOTES - len(notes)]
        lines += content.count(b"\n") - layout.header.count(b"\n")
        if frame.height:
            table.append(frame)
    if layout is not None and not table.height:
        raise DataError(f"{name} has a header ({listed(layout.names)}) but no rows below it")
    return table, notes


def _find_layout(
    block: bytes, separator: str, name: str, encoding: str | None
) -> tuple[_Layout, bytes, list[str]]:
    """Find the layout in the first block, which comes back with the header alone above its rows."""
    if encoding is not None and "\n".encode(codec_of(encoding)) != b"\n":
        raise DataError(
            f"{name} does not fit in memory and can be read as UTF-8 only; save it so, or give more --memory"
        )
    content, found, names, notes = read_header(block, separator, name, encoding)
    if (encoding is None and not is_utf8(block)) or (separator == " " and found == "\t"):
        what = "is not UTF-8 text" if separator != " " else "has cells that spaces keep apart"
        raise DataError(
            f"{name} does not fit in memory and {what}, which is looked through in memory only: name its encoding with "
            "--encoding, save it as a UTF-8 file with commas, or give more --memory"
        )
    rows = walk_rows(content, found, name)
    next(row for _, row in rows if row)
    below = next((line for line, _ in rows), content.count(b"\n") + 1)
    lines = content.split(b"\n", below - 1)
    header = b"\n".join(lines[:-1]).lstrip(b"\r\n") + b"\n"
    layout = _Layout(
        separator=found, names=names, header=header, encoding=encoding or "utf-8", lines=below - 1
    )
    return layout, header + lines[-1], notes


def _decoded(block: bytes, encoding: str, name: str, lines: int) -> bytes:
    """Return a block as UTF-8. Raises: DataError naming the line that is no text, or not in the encoding"""
    if b"\0" in block:
        line = lines + block.count(b"\n", 0, block.index(b"\0")) + 1
        raise DataError(f"{name} holds binary data, not text (a null byte in line {line}); is it a table?")
    try:
        return block.decode(encoding).encode()
    except UnicodeDecodeError as error:
        line = lines + block.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line} is not {encoding} text (byte 0x{block[error.start]:02x}); --encoding names another encoding"
        ) from error


def store_parquet(path: Path, name: str, store: Store) -> tuple[StoredTable, list[str]]:
    """Read a Parquet table column by column."""
    table = StoredTable(store)
    for title in pl.read_parquet_schema(path):
        table.add(pl.read_parquet(path, columns=[title]).to_series())
    return table, [store.note(name, parquet_bytes(path))]


def text_bytes(path: Path) -> int:
    """Return about how much memory a text table takes until it is prepared."""
    return TIMES_TEXT * path.stat().st_size


def parquet_bytes(path: Path) -> int:
    """Return about how much memory a Parquet table takes until it is prepared; 0 for what is none."""
    try:
        scan = pl.scan_parquet(path)
        rows = int(scan.select(pl.len()).collect().item())
        return BYTES_OF_CELL * rows * len(scan.collect_schema())
    except Exception:  # what is wrong with it is said when it is read
        return 0


def _blocks(path: Path, name: str) -> Iterator[bytes]:
    """Give a text file in parts that end where a row ends, as far as quotation marks tell."""
    rest = b""
    with path.open("rb") as file:
        while content := file.read(BLOCK_BYTES):
            rest += content
            end = _last_row_end(rest)
            if not end and len(rest) > MOST_BLOCKS * BLOCK_BYTES:
                raise DataError(
                    f"{name}: no row ends within {show_bytes(len(rest))}; a quotation mark may be left open, or lines end "
                    "in another way than with a newline. Give more --memory to have the line named"
                )
            if end:
                yield rest[:end]
                rest = rest[end:]
    if rest := rest.rstrip(b"\r\n"):
        yield rest


def _last_row_end(content: bytes) -> int:
    """Return where the last whole row ends that is not blank; 0 if none does.

    >>> _last_row_end(b'a,b\\n1,"x\\ny'), _last_row_end(b'1,"x\\ny"\\n2'), _last_row_end(b"1\\n\\n\\n")
    (4, 8, 2)
    """
    end = content.rfind(b"\n")
    marks = content.count(b'"', 0, max(end, 0))
    while end >= 0:
        is_blank = content[max(0, end - 2) : end].rstrip(b"\r")[-1:] in (b"", b"\n")
        if marks % 2 == 0 and not is_blank:
            return end + 1
        before = content.rfind(b"\n", 0, end)
        marks -= content.count(b'"', max(before, 0), end)
        end = before
    return 0
