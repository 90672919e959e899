"""What the cells of a column mean: numbers, booleans, categories, dates, times. Found once, from all of its cells."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.core.units import show_share
from chainrule.data.cells import Words, clean_cells, is_unreadable
from chainrule.data.columns import (
    FALSE,
    TRUE,
    At,
    Column,
    as_booleans,
    as_numbers,
    as_texts,
    plain_numbers,
    refuse_infinite,
)
from chainrule.data.dates import find_format, has_dates, native_format, read_dates
from chainrule.data.findings import Remark, override
from chainrule.data.identifiers import key_text, running_number
from chainrule.data.number_formats import read_texts, said_of

MOST_CATEGORIES = 100  # the most frequent ones; the others count as unseen
STRAY_CELLS = (
    0.1  # a column of numbers or dates may hold this share of cells that are neither; they are missing
)
LEAST_SHARE = 0.05  # of the cells that the most frequent values of a category hold
TICKS = 5  # cells filled, and missing, from which a column of one value tells the ones from the others
MOST_STRAYS = 100  # different texts among numbers that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a column was found to be; `column` is None if it says nothing about a row.

    `is_identifier`: left out because its numbers count or name the rows.
    """

    column: Column | None = None
    remarks: tuple[Remark, ...] = ()
    is_identifier: bool = False


def find_column(series: pl.Series, at: At, *, kind: str | None = None, decimal: str | None = None) -> Found:
    """Decide what a column is, unless the user said its `kind`. `decimal` is the sign that an open case is read with.

    Raises: DataError naming row and column for infinite numbers, or where nothing is of the kind that the user said
    """
    name = series.name
    if kind == "ignore":
        return Found()
    if is_unreadable(series):
        return _left_out(name, f"holds {series.dtype}, which is not read, and is left out", "are of a type that is not read and are left out")  # fmt: skip
    cells = plain_numbers(series) if kind in (None, "number") else None
    if cells is not None and decimal == "," and series.alias("cells").str.contains(".", literal=True).any():
        cells = None
    if cells is None:
        cells = clean_cells(series)
    seen = cells.drop_nulls()
    if kind is not None:
        return _as_told(name, cells, seen, at, kind, decimal)
    if not seen.len():
        return _left_out(name, "is empty and left out", "are empty and left out")
    if not (seen == seen[0]).all():
        return _find_kind(name, cells, seen, at, decimal)
    if min(seen.len(), cells.null_count()) < TICKS:
        return _left_out(
            name,
            f"has one value ({visible(as_texts(seen.head(1))[0], 40)}) and is left out",
            "have one value throughout and are left out",
        )
    return _ticks(_find_kind(name, cells, seen, at, decimal), seen, cells.len())


def _find_kind(name: str, cells: pl.Series, seen: pl.Series, at: At, decimal: str | None) -> Found:
    if cells.dtype == pl.Boolean or _are_words(seen, TRUE | FALSE):
        return Found(column=Column(name=name, kind="boolean"))
    if cells.dtype in (pl.Date, pl.Datetime, pl.Time):
        return Found(column=_dates(name, native_format(seen)))
    if cells.dtype == pl.String:
        return _find_in_text(name, cells, seen, at, decimal)
    numbers = as_numbers(cells)
    refuse_infinite(numbers, name, at)
    return _number_or_key(Column(name=name, kind="number"), numbers, ())


def _ticks(found: Found, seen: pl.Series, rows: int) -> Found:
    """Say of a column with one value that it tells the cells that are filled from those that are not."""
    if found.column is None:
        return found
    name, value = found.column.name, visible(as_texts(seen.head(1))[0], 40)
    ticks = Remark(
        name,
        f"has one value ({value}), in {seen.len():,} of {rows:,} cells: it tells those that are filled from those "
        "that are missing",
        "have one value each: they tell the cells that are filled from those that are missing",
    )
    return Found(column=found.column, remarks=(*found.remarks, ticks))


def _left_out(name: str, one: str, many: str) -> Found:
    return Found(remarks=(Remark(name, one, many),))


def _find_in_text(name: str, cells: pl.Series, seen: pl.Series, at: At, decimal: str | None) -> Found:
    column, numbers, remarks = _read_as_numbers(name, seen, decimal)
    if (strays := _strays(seen, numbers)) is not None:
        refuse_infinite(as_numbers(cells, column.format), name, at)
        column = Column(name=name, kind="number", format=column.format, strays=strays)
        return _number_or_key(
            column,
            numbers if seen.len() == cells.len() else cells,
            (*remarks, *_said_of_strays(column, seen, numbers)),
        )
    pattern, said = find_format(seen, lambda cells, times: _strays(cells, times) is not None)
    remarks = (Remark(name, said, said.replace("is read", "are read", 1)),) if said else ()
    if not pattern:
        found = _find_category(name, seen, numbers)
        return Found(column=found.column, remarks=remarks + found.remarks)
    times = read_dates(seen, pattern)
    column = _dates(name, pattern, _strays(seen, times) or ())
    return Found(column=column, remarks=(*remarks, *_said_of_strays(column, seen, times)))


def _read_as_numbers(
    name: str, seen: pl.Series, decimal: str | None
) -> tuple[Column, pl.Series, tuple[Remark, ...]]:
    """Read texts as numbers, plain or as people write them. Null for what is no number."""
    numbers, written = read_texts(seen, decimal)
    if written is None:
        return Column(name=name, kind="number"), numbers, ()
    column = Column(name=name, kind="number", format=str(written.format))
    said = Remark(
        name,
        f"is written {said_of(written, seen)}",
        f"are written like '{written.format}', and read so",
    )
    return column, numbers, (said,)


def _number_or_key(column: Column, numbers: pl.Series, remarks: tuple[Remark, ...]) -> Found:
    key = None if column.format or numbers.null_count() else running_number(column.name, numbers)
    return Found(column=column, remarks=remarks) if key is None else Found(remarks=(key,), is_identifier=True)


def _dates(name: str, pattern: str, strays: tuple[str, ...] = ()) -> Column:
    return Column(name=name, kind="date" if has_dates(pattern) else "time", format=pattern, strays=strays)


def _strays(seen: pl.Series, read: pl.Series, most: float = STRAY_CELLS) -> tuple[str, ...] | None:
    """Return the texts that could not be read; None if they are too many for a column of this kind."""
    if read.null_count() > most * seen.len():
        return None
    texts = seen.filter(read.is_null()).unique()
    return tuple(sorted(texts.to_list())) if texts.len() <= MOST_STRAYS else None


def _said_of_strays(column: Column, seen: pl.Series, read: pl.Series) -> tuple[Remark, ...]:
    count = read.null_count()
    if not count:
        return ()
    first = visible(seen.filter(read.is_null())[0], 40)
    those = "1 cell is none" if count == 1 else f"{count:,} cells are none"
    return (
        Remark(
            column.name,
            f"holds {column.kind}s, but {those} ('{first}'{' …' * (count > 1)}): "
            f"{'it counts' if count == 1 else 'they count'} as missing",
            f"hold {column.kind}s and a few cells that are none, which count as missing",
        ),
    )


def _find_category(name: str, seen: pl.Series, numbers: pl.Series) -> Found:
    """Decide what texts are; `numbers` are those among them, null for the others."""
    counts = seen.alias("value").value_counts(name="count")
    if key := key_text(name, seen, counts.height) or _too_many(name, seen, counts):
        return Found(remarks=(key,))
    column, remarks = _category(name, seen, counts)
    share = numbers.count() / seen.len()
    if share < STRAY_CELLS or numbers.drop_nulls().n_unique() <= MOST_CATEGORIES // 10:
        return Found(column=column, remarks=remarks)
    word = visible(seen.filter(numbers.is_null())[0], 40)
    mixed = Remark(
        name,
        f"mixes numbers ({show_share(share)} of its cells) and words ('{word}') and is taken as a category; "
        f"{override(name, 'number')} takes the words as missing",
        "mix numbers and words and are taken as categories; --column NAME=number takes the words as missing",
    )
    return Found(column=column, remarks=(mixed, *remarks))


def _category(name: str, seen: pl.Series, counts: pl.DataFrame) -> tuple[Column, tuple[Remark, ...]]:
    ordered = counts.sort("count", "value", descending=[True, False]).head(MOST_CATEGORIES)
    column = Column(name=name, kind="category", values=tuple(sorted(ordered["value"].to_list())))
    if counts.height <= MOST_CATEGORIES:
        return column, ()
    share = float(ordered["count"].sum()) / seen.len()
    most = f"the {MOST_CATEGORIES} most frequent"
    said = Remark(
        name,
        f"has {counts.height:,} values; {most}, in {show_share(share)} of its cells, are told apart",
        f"have more than {MOST_CATEGORIES} values; {most} are told apart",
    )
    return column, (said,)


def _too_many(name: str, seen: pl.Series, counts: pl.DataFrame) -> Remark | None:
    """Say so if the most frequent values are too rare for the others to be called unseen."""
    share = float(counts["count"].top_k(MOST_CATEGORIES).sum()) / seen.len()
    if share >= LEAST_SHARE:
        return None
    most = f"{MOST_CATEGORIES} most frequent"
    return Remark(
        name,
        f"has {counts.height:,} values, of which the {most} stand in {show_share(share)} of its cells, and is left out; "
        f"{override(name, 'category')} keeps it",
        f"have so many values that the {most} are rare, and are left out; --column NAME=category keeps one",
    )


def _as_told(name: str, cells: pl.Series, seen: pl.Series, at: At, kind: str, decimal: str | None) -> Found:
    """Take a column for what the user said it is; cells that are not of this kind are missing, and said."""
    if not seen.len():
        raise DataError(f"{at(0)}: column '{visible(name)}' is empty throughout; {override(name, 'ignore')} leaves it out")  # fmt: skip
    if kind == "category":
        texts = as_texts(seen)
        column, remarks = _category(name, texts, texts.alias("value").value_counts(name="count"))
        return Found(column=column, remarks=remarks)
    remarks = ()
    if kind == "boolean":
        column, read = Column(name=name, kind="boolean"), as_booleans(seen)
    elif kind == "number":
        column, read = Column(name=name, kind="number"), as_numbers(seen)
        if seen.dtype == pl.String:
            column, read, remarks = _read_as_numbers(name, seen, decimal)
        refuse_infinite(as_numbers(cells, column.format), name, at)
    else:
        column, read, remarks = _told_date(name, seen)
    strays = _strays(seen.cast(pl.String), read, 1.0) if read.count() else None
    if strays is None:
        row = int(cells.is_not_null().arg_true()[0])
        some = "no cell can be" if not read.count() else f"more than {MOST_STRAYS} different texts cannot be"
        raise DataError(f"{at(row)}: column '{visible(name)}' cannot be a {kind}: {some} read as one (here '{visible(cells[row], 40)}')")  # fmt: skip
    column = Column(name=name, kind=column.kind, format=column.format, strays=strays)
    return Found(column=column, remarks=(*remarks, *_said_of_strays(column, seen.cast(pl.String), read)))


def _told_date(name: str, seen: pl.Series) -> tuple[Column, pl.Series, tuple[Remark, ...]]:
    if seen.dtype != pl.String:
        pattern, said = (
            (native_format(seen) if seen.dtype.is_temporal() and seen.dtype != pl.Duration else ""),
            "",
        )
    else:
        pattern, said = find_format(seen, lambda _, times: times.count() > 0)
    times = read_dates(seen, pattern) if pattern else seen.clear(seen.len())
    return _dates(name, pattern), times, (Remark(name, said, said),) if said else ()


def _are_words(seen: pl.Series, words: Words) -> bool:
    if seen.dtype != pl.String or not seen.head(100).str.to_lowercase().is_in(list(words)).all():
        return False
    return bool(seen.unique().str.to_lowercase().is_in(list(words)).all())
