"""All columns of a table: what each is, what the user said of them, and the decimal sign of the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from chainrule.core.errors import DataError, SettingError, unknown_name
from chainrule.core.text import listed, visible
from chainrule.data.cells import clean_cells
from chainrule.data.columns import Column
from chainrule.data.encode import each_column
from chainrule.data.findings import Remark, gathered, override
from chainrule.data.inference import Found, find_column
from chainrule.data.number_formats import NumberFormat, read_numbers, read_texts
from chainrule.data.source import Source

KINDS = ("number", "category", "boolean", "date", "ignore")  # that a user can say a column is
DECIMALS = (".", ",")
LOOKED_AT = 1000  # rows in which the decimal sign of a file is looked for
COMMA = r"^[^\d]{0,4}\d[\d.'\s]*,\d+[^\d]{0,5}$"
POINT = r"^[-+]?(0\.\d+|\d+\.(\d{1,2}|\d{4,}))$"  # 0.125, 1.5 and 1.2345 have no thousands


def find_columns(
    source: Source, targets: Collection[str], *, kinds: Mapping[str, str], decimal: str | None
) -> tuple[list[Column], list[str], tuple[str, ...]]:
    """Find what the columns beside the targets are; also returns those left out, and what the user should hear.

    Raises: DataError for columns that cannot be used, and where none is left
    """
    assert source.frame is not None
    frame = source.frame
    inputs = [title for title in frame.columns if title not in targets]
    found = each_column(
        lambda title: find_column(frame[title], source.at, kind=kinds.get(title), decimal=decimal),
        inputs,
        len(source),
    )
    if not any(
        one.column for one in found
    ):  # numbers that count the rows are then all that there is to learn from
        found = [
            _kept(frame[title], source, decimal) if one.is_identifier else one
            for title, one in zip(inputs, found, strict=True)
        ]
    columns = [one.column for one in found if one.column]
    left_out = [title for title, one in zip(inputs, found, strict=True) if one.column is None]
    if not columns:
        beside = f" beside the target {listed(list(targets))}" if targets else ""
        raise DataError(
            f"{source.name} has no column to learn from{beside}"
            + (f" (left out: {listed(left_out)})" if left_out else "")
        )
    return columns, left_out, gathered(remark for one in found for remark in one.remarks)


def told_kinds(source: Source, said: Sequence[str], targets: Collection[str]) -> dict[str, str]:
    """Read what the user said of columns, as NAME=KIND. Raises: SettingError, UnknownNameError with the nearest."""
    kinds = {}
    for pair in said:
        name, equals, kind = pair.rpartition("=")
        if not equals or not name:
            raise SettingError(f"--column takes NAME=KIND, such as age=number; got '{visible(pair)}'")
        if source.frame is None:
            raise SettingError(f"--column names a column of a table, which {source.name} is not")
        if name not in source.frame.columns:
            raise unknown_name(f"column of {source.name}", name, source.frame.columns)
        if kind not in KINDS:
            raise unknown_name("kind of column", kind, KINDS)
        if name in targets:
            raise SettingError(
                f"--column {visible(pair)}: '{visible(name)}' is the target; --task says what it is"
            )
        kinds[name] = kind
    return kinds


def decimal_of(source: Source, said: str | None) -> str | None:
    """Return the decimal sign that open cases of a table are read with; None where nothing tells.

    A column such as "12,5" tells it for one such as "1,234". Raises: SettingError for a sign that is none
    """
    if said is not None:
        if said not in DECIMALS:
            raise SettingError(f"--decimal takes . or ,; got '{visible(said)}'")
        return said
    if source.frame is None:
        return None
    texts = [s.alias("cells") for s in source.frame.head(LOOKED_AT).get_columns() if s.dtype == pl.String]
    commas = [s for s in texts if s.str.contains(COMMA).any()]
    if not commas or any(s.str.contains(POINT).any() for s in texts):
        return None
    signs = {_sign_of(series) for series in commas}
    return "," if "," in signs and "." not in signs else None


def unfit_decimal(source: Source, said: str | None, formats: Mapping[str, str]) -> tuple[str, ...]:
    """Name the columns of numbers that are not written with the decimal sign that the user said, and how they are read.

    `formats` say how the numbers of each column are written, with nothing where they are plain.
    """
    if source.frame is None or said is None:
        return ()
    shown = {
        name: text
        for name, written in formats.items()
        if (form := NumberFormat.parse(written) if written else NumberFormat()).decimal != said
        and (text := _with_a_sign(source.frame[name], form)) is not None
    }
    if not shown:
        return ()
    name, text = next(iter(shown.items()))
    form = NumberFormat.parse(formats[name]) if formats[name] else NumberFormat()
    value = read_numbers(pl.Series([text]), form)[0]
    those, are = ("column", "is") if len(shown) == 1 else ("columns", "are")
    return (
        f"--decimal {said} does not fit {those} {listed(list(shown))}, which {are} read with a decimal "
        f"{'point' if said == ',' else 'comma'} ('{visible(text, 40)}' as {value:.15g})",
    )


def _with_a_sign(series: pl.Series, form: NumberFormat) -> str | None:
    """Return the first number of a text column, written so, that holds a point or a comma."""
    if series.dtype != pl.String:
        return None
    cells = series.alias("cells").str.strip_chars()
    signed = cells.filter(cells.str.contains(r"\d[.,]|[.,]\d").fill_null(False))
    signed = signed.filter(read_numbers(signed, form).is_not_null())
    return signed[0] if signed.len() else None


def _sign_of(series: pl.Series) -> str:
    """Return the decimal sign that a column shows beyond doubt, or nothing."""
    seen = clean_cells(series).drop_nulls()
    numbers, written = read_texts(seen)
    return written.decimal if written is not None and numbers.count() > seen.len() / 2 else ""


def _kept(series: pl.Series, source: Source, decimal: str | None) -> Found:
    """Take an identifier as a number after all."""
    found = find_column(series, source.at, kind="number", decimal=decimal)
    said = Remark(
        series.name,
        f"counts or names the rows, but is all that there is to learn from; {override(series.name, 'ignore')} leaves it out",
        "count or name the rows, but are all that there is to learn from",
    )
    return Found(column=found.column, remarks=(said, *found.remarks))
