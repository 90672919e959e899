"""Tables from CSV, TSV and Parquet files, and from any dataframe.

Text tables are read as text: what a cell means is decided once, by the schema, so that a file means the same at
prediction as in training.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import polars as pl

from chainrule.core.errors import DataError
from chainrule.core.text import listed, visible

TEXT_ENDINGS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET_ENDINGS = (".parquet", ".pq")
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "nil"})


def read_table(path: Path) -> pl.DataFrame:
    """Read a table; columns of a text table are text.

    Raises: DataError naming the file, and the line or column where something is wrong
    """
    if path.suffix.lower() in PARQUET_ENDINGS:
        return _checked(_read_parquet(path), path.name)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    return _checked(_parse(text, TEXT_ENDINGS.get(path.suffix.lower(), ","), path.name), path.name)


def from_dataframe(frame: Any, name: str) -> pl.DataFrame:
    """Take any eager dataframe that narwhals knows (pandas, polars, pyarrow, …)."""
    import narwhals as nw

    try:
        wrapped = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise DataError(f"{name}: {type(frame).__name__} is not a dataframe that narwhals knows") from error
    twice = _repeated([str(c) for c in wrapped.columns])
    if twice:
        raise DataError(f"{name}: two columns are called {listed(twice)}; rename one")
    table = wrapped.to_polars()
    return _checked(table.rename({c: str(c) for c in table.columns}), name)


def _parse(text: str, separator: str, name: str) -> pl.DataFrame:
    if not text.strip():
        raise DataError(f"{name} is empty; a table needs a header line and rows below it")
    header_line = text.split("\n", 1)[0]
    if separator == "," and header_line.count(";") > header_line.count(","):
        separator = ";"
    if "\0" in text:
        raise DataError(f"{name} holds binary data, not text; is it a table?")
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    names = [column.strip() for column in header]
    twice = _repeated(names)
    if twice:
        raise DataError(
            f"{name}: the header has {listed(twice)} more than once; every column needs a name of its own"
        )
    if "" in names:
        raise DataError(f"{name}: column {names.index('') + 1} of {len(names)} has no name in the header")
    try:
        frame = pl.read_csv(
            io.BytesIO(text.encode()),
            separator=separator,
            infer_schema=False,
            missing_utf8_is_empty_string=False,
        )
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise DataError(
            f"{name} cannot be read as a table: {_where(text, separator, len(names)) or error}"
        ) from error
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {visible(error)}") from error


def _checked(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    if not frame.width:
        raise DataError(f"{name} has no columns")
    if not frame.height:
        raise DataError(f"{name} has a header ({listed(frame.columns)}) but no rows below it")
    return frame


def _repeated(names: list[str]) -> list[str]:
    return sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []


def _where(text: str, separator: str, width: int) -> str:
    """Find the first line that does not have as many cells as the header."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        for row in rows:
            if row and len(row) > width:
                return f"line {rows.line_num} has {len(row)} cells, the header {width}"
    except csv.Error as error:
        return str(error)
    return ""
