"""Tables from CSV, TSV and Parquet files, and from any dataframe.

Text tables are read as text: what a cell means is decided once, by the schema, so that a file means the same at
prediction as in training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path, PurePath
from typing import Any, TypeVar

import numpy as np
import polars as pl

from chainrule.core.errors import DataError, StorageError
from chainrule.core.files import digest
from chainrule.core.text import listed, visible
from chainrule.data.apart import PARQUET, WORKBOOK, read_apart
from chainrule.data.delimited import parse, repeated
from chainrule.data.encodings import to_utf8
from chainrule.data.excel import EXCEL_ENDINGS
from chainrule.data.reading import Reading
from chainrule.data.records import JSON_ENDINGS, read_records
from chainrule.data.source import Source
from chainrule.data.stored_table import StoredTable, parquet_bytes, store_parquet, store_text, text_bytes
from chainrule.data.unpack import inner_name, unpacked
from chainrule.data.untrusted import as_data_error

TEXT_ENDINGS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": " ", ".dat": " "}
FIRST_DAY, LAST_DAY = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))
UNITS_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
PARQUET_ENDINGS = (".parquet", ".pq")
ENDINGS = (*TEXT_ENDINGS, *PARQUET_ENDINGS, *JSON_ENDINGS, *EXCEL_ENDINGS)


def is_table(path: Path) -> bool:
    """Whether a file is a table by its ending, packed or not."""
    return path.suffix.lower() == ".zip" or PurePath(inner_name(path.name)).suffix.lower() in ENDINGS


def read_table(path: Path, reading: Reading | None = None) -> Source:
    """Read a table; columns of a text table are text.

    Raises: DataError naming the file, and the line or column where something is wrong
    """
    reading = reading or Reading()
    name = visible(path.name)
    try:
        if (stored := _stored(path, name, reading)) is not None:
            return stored
        content = path.read_bytes()
    except StorageError:
        raise
    except OSError as error:
        raise DataError(
            f"{visible(path)} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error
    inside, inner = unpacked(content, name, ENDINGS)
    ending = PurePath(inner).suffix.lower()
    notes: list[str] = []
    if ending in PARQUET_ENDINGS:
        frame, notes = read_apart(PARQUET, inside, name)
    elif ending in EXCEL_ENDINGS:
        frame, notes = read_apart(WORKBOOK, inside, name, reading.sheet)
    elif ending in JSON_ENDINGS:
        text, notes = to_utf8(inside, name, reading.encoding)
        columns, more = read_records(text, name, ending)
        notes += more
        frame = pl.DataFrame([_from_values(title, cells, notes) for title, cells in columns.items()])
    else:
        frame, notes = parse(inside, TEXT_ENDINGS.get(ending, ","), name, reading.encoding)
    return Source(
        name=name,
        origin={"kind": "file", "path": str(path.resolve())},
        digest=hashlib.sha256(content).hexdigest(),
        frame=_checked(frame, name),
        notes=tuple(notes),
    )


def _stored(path: Path, name: str, reading: Reading) -> Source | None:
    """Read a table that takes more memory than it may to disk; None if it does not, or is of no such kind."""
    store, ending = reading.store, path.suffix.lower()
    if store is None:
        return None
    if ending in TEXT_ENDINGS and not store.holds(text_bytes(path)):
        table, notes = store_text(path, TEXT_ENDINGS[ending], name, reading.encoding, store)
    elif ending in PARQUET_ENDINGS and not store.holds(parquet_bytes(path)):
        with as_data_error(f"{name} cannot be read as Parquet"):
            table, notes = store_parquet(path, name, store)
    else:
        return None
    return Source(
        name=name,
        origin={"kind": "file", "path": str(path.resolve())},
        digest=digest(path),
        frame=_checked(table, name),
        notes=tuple(notes),
    )


def from_dataframe(data: Any, name: str = "dataframe") -> Source:
    """Take any eager dataframe that narwhals knows (pandas, polars, pyarrow, …), or a mapping of columns.

    Raises: DataError naming what cannot be taken
    """
    import narwhals as nw

    notes: list[str] = []
    if isinstance(data, Mapping):
        columns = [_from_values(str(title), values, notes) for title, values in data.items()]
    else:
        try:
            wrapped = nw.from_native(data, eager_only=True)
        except TypeError as error:
            raise DataError(
                f"{name}: {type(data).__name__} is not data that is read; a path, arrays (x, y), an eager dataframe, "
                "a dict of columns or a map-style data set are"
            ) from error
        except nw.exceptions.DuplicateError as error:
            raise DataError(
                f"{name}: two columns are called {listed(repeated(list(map(str, data.columns))))}; rename one"
            ) from error
        columns = [_from_narwhals(wrapped[:, i], notes) for i in range(wrapped.shape[1])]
    if twice := repeated([c.name for c in columns]):
        raise DataError(f"{name}: two columns are called {listed(twice)}; rename one")
    if len({c.len() for c in columns}) > 1:
        lengths = ", ".join(f"'{visible(c.name)}' {c.len()}" for c in columns[:8])
        raise DataError(f"{name}: the columns differ in length ({lengths})")
    frame = _checked(pl.DataFrame(columns), name)
    return Source(name=name, origin={"kind": "memory"}, frame=frame, notes=tuple(notes))


def _from_narwhals(series: Any, notes: list[str]) -> pl.Series:
    """Take a column; through NumPy where Arrow is not installed, as text where it holds several types."""
    name = str(series.name)
    try:
        taken: pl.Series = series.to_polars().alias(name)
        if taken.dtype != pl.Object and not isinstance(taken.dtype, getattr(pl, "BaseExtension", ())):
            return taken
    except Exception:  # what a column of objects raises differs by library and type
        values = series.to_numpy()
        if values.dtype.kind in "biufM":
            return pl.Series(name, values, nan_to_null=values.dtype.kind == "f")
    return _as_text(name, series.to_list(), notes)


def _from_values(name: str, values: Any, notes: list[str]) -> pl.Series:
    if np.ndim(values) != 1:
        raise DataError(
            f"column '{visible(name)}' must be a list of values; got {np.ndim(values)} dimensions"
        )
    try:
        taken = pl.Series(name, values)
    except Exception:
        return _as_text(name, list(values), notes)
    return _as_text(name, list(values), notes) if taken.dtype == pl.Object else taken


def _as_text(name: str, values: list[Any], notes: list[str]) -> pl.Series:
    kinds = sorted({type(v).__name__ for v in values if not _is_missing(v)})
    if kinds != ["str"]:
        notes.append(f"column '{visible(name)}' holds {' and '.join(kinds)} and is read as text")
    return pl.Series(name, [None if _is_missing(v) else str(v) for v in values], dtype=pl.String)


def _is_missing(value: Any) -> bool:
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, float) and value != value)
    )


def _check_dates(series: pl.Series, name: str) -> None:
    """Refuse days that no calendar has: Python cannot show them, nor anything compute with them."""
    kind = series.dtype
    if not isinstance(kind, pl.Date | pl.Datetime):
        return
    a_day = 1 if isinstance(kind, pl.Date) else UNITS_A_DAY[kind.time_unit]
    days = series.to_physical().alias("cells") // a_day
    wrong = ~days.is_between(FIRST_DAY, LAST_DAY).fill_null(True)
    if wrong.any():
        raise DataError(
            f"{name}, row {int(wrong.arg_true()[0]) + 1}: column '{visible(series.name)}' holds a date outside the years "
            "1 to 9999; leave the cell empty if the value is missing"
        )


Table = TypeVar("Table", pl.DataFrame, StoredTable)


def _checked(frame: Table, name: str) -> Table:
    if not frame.width:
        raise DataError(f"{name} has no columns")
    if not frame.height:
        raise DataError(f"{name} has a header ({listed(frame.columns)}) but no rows below it")
    for title, kind in frame.schema.items():
        if isinstance(kind, pl.Date | pl.Datetime):
            _check_dates(frame[title], name)
    stripped = [title.strip() for title in frame.columns]
    if not repeated(stripped):
        frame = frame.rename(dict(zip(frame.columns, stripped, strict=True)))
    return frame
