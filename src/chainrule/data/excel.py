"""Workbooks of Excel and LibreOffice: one sheet, the header wherever it stands, cells as they were typed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule.core.errors import DataError, Interrupted, missing_extra, nearest
from chainrule.core.text import listed, visible
from chainrule.data.workbook_limits import check_workbook

if TYPE_CHECKING:
    import polars as pl

EXCEL_ENDINGS = (".xlsx", ".xlsm", ".xls", ".ods")
LOOKED_AT = 50  # rows in which the header is looked for
NEARLY_ALL = 0.8  # share of the columns that a header names


def read_workbook(content: bytes, name: str, sheet: str | None) -> tuple[pl.DataFrame, list[str]]:
    """Return the table in a sheet of a workbook, the first with data if none is named, and what the user should hear.

    Raises: DataError naming what is wrong; MissingExtraError if fastexcel is not installed
    """
    try:
        import fastexcel
    except ImportError as error:
        raise missing_extra("fastexcel", "excel", "reading workbooks") from error
    check_workbook(content, name)
    with _refusing(f"{name} cannot be read as a workbook"):
        workbook = fastexcel.read_excel(content)
        chosen, top, notes = _choose_sheet(workbook, name, sheet)
        header = _header_row(top)
        loaded = workbook.load_sheet(
            chosen, header_row=None, skip_rows=header + 1, schema_sample_rows=None, whitespace_as_null=True
        )
        frame = loaded.to_polars() if header + 1 < loaded.total_height else top.clear()
    named, more = _named(frame, _titles(top.row(header), frame.width), f"{name}, sheet '{visible(chosen)}'")
    if header:
        more.insert(0, f"{name}: the header was found in row {header + 1}; what stands above it is left out")
    return named, notes + more


@contextlib.contextmanager
def _refusing(message: str) -> Iterator[None]:
    """Turn what a damaged workbook makes the reader raise into a DataError, its panics too; its log goes nowhere."""
    log, nowhere = logging.getLogger("fastexcel"), logging.NullHandler()
    before, log.propagate = log.propagate, False
    log.addHandler(nowhere)
    try:
        yield
    except (DataError, Interrupted):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{message} ({visible(first)})") from error
    finally:
        log.propagate = before
        log.removeHandler(nowhere)


def _choose_sheet(workbook: Any, name: str, sheet: str | None) -> tuple[str, pl.DataFrame, list[str]]:
    """Return the name of the sheet, its first rows, and what is to be said about the others."""
    names = [str(title) for title in workbook.sheet_names]
    if sheet is not None and sheet not in names:
        close = "".join(f"; did you mean '{visible(c)}'?" for c in nearest(sheet, names, most=1))
        raise DataError(f"{name} has no sheet '{visible(sheet)}'; it has {listed(names)}{close}")
    for title in names if sheet is None else [sheet]:
        top = _top(workbook, title)
        if top.height > 1 or sheet is not None:
            if not top.height:
                raise DataError(f"{name}: the sheet '{visible(title)}' is empty")
            others = [other for other in names if other != title]
            said = (
                f"{name}: the sheet '{visible(title)}' is read, not {listed(others)}; --sheet names another"
            )
            return title, top, [said] if others and sheet is None else []
    raise DataError(f"{name} has no sheet with a header and rows below it (sheets: {listed(names)})")


def _top(workbook: Any, sheet: str) -> pl.DataFrame:
    rows: pl.DataFrame = workbook.load_sheet(
        sheet, header_row=None, skip_rows=0, n_rows=LOOKED_AT, dtypes="string", whitespace_as_null=True
    ).to_polars()
    return rows


def _header_row(top: pl.DataFrame) -> int:
    """Return the first row that names nearly as many columns as any row has cells; titles above it name one or two."""
    filled = [sum(cell is not None for cell in row) for row in top.iter_rows()]
    return next(place for place, count in enumerate(filled) if count >= NEARLY_ALL * max(filled))


def _titles(cells: tuple[str | None, ...], width: int) -> list[str]:
    titles = [" ".join((cell or "").split()) for cell in cells]
    return titles + [""] * (width - len(titles))


def _named(frame: pl.DataFrame, titles: list[str], where: str) -> tuple[pl.DataFrame, list[str]]:
    """Name the columns; leave out those without a name and rows without a cell, and say so."""
    import polars as pl

    from chainrule.data.delimited import repeated

    if twice := repeated([title for title in titles if title]):
        raise DataError(
            f"{where}: the header has {listed(twice)} more than once; every column needs a name of its own"
        )
    notes = []
    columns = []
    for place, title in enumerate(titles):
        cells = frame.to_series(place)
        if title:
            columns.append(_plain(cells).alias(title))
        elif filled := cells.len() - cells.null_count():
            first = visible(cells.drop_nulls()[0], 40)
            notes.append(
                f"{where}: a column without a name in the header is left out ({filled} cell{'s' * (filled > 1)}: "
                f"'{first}'{' …' * (filled > 1)})"
            )
    table = pl.DataFrame(columns)
    is_blank = table.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if blank := int(is_blank.sum()):
        notes.append(f"{where}: {blank} blank row{'s are' if blank > 1 else ' is'} left out")
        table = table.filter(~is_blank)
    return table, notes


def _plain(cells: pl.Series) -> pl.Series:
    """Return whole numbers as such: a workbook keeps every number as a float."""
    import polars as pl

    if cells.dtype != pl.Float64:
        return cells
    is_whole = (cells.is_null() | ((cells == cells.round()) & (cells.abs() < 2**53))).all()
    return cells.cast(pl.Int64) if is_whole else cells
