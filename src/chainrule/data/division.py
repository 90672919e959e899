"""What the rows themselves say about who trains and who tests: `--split`, read from the columns that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from chainrule.core.errors import DataError, SettingError, UnknownNameError, nearest, unknown_name
from chainrule.core.text import listed, visible
from chainrule.core.units import show_number
from chainrule.data.cells import clean_cells
from chainrule.data.dates import find_format, has_dates, read_dates
from chainrule.data.identifiers import NEARLY_ALL
from chainrule.data.source import TEST, TRAIN, VALIDATION, Source

KINDS = ("random", "time", "group", "predefined")
WORDS = {
    **dict.fromkeys(("train", "training", "fit"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "holdout"), TEST),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """What ties rows to parts or to each other. Shapes: (N,) each

    `fixed` says TRAIN, VALIDATION or TEST; rows of one number in `groups` stay together; `times` grow with time;
    `copies` numbers groups of equal rows. `column` is where groups or times are from.
    """

    fixed: np.ndarray | None = None
    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    copies: np.ndarray | None = None
    column: str = ""
    times_are_dates: bool = False
    notes: tuple[str, ...] = ()


def parse_split(text: str) -> tuple[str, str]:
    """Return the kind of a split and the column that it names, if any.

    >>> parse_split("group:patient"), parse_split("random")
    (('group', 'patient'), ('random', ''))
    """
    kind, _, column = text.partition(":")
    kind, column = kind.strip().lower(), column.strip()
    if kind not in KINDS:
        raise unknown_name("split", kind, list(KINDS))
    if kind in ("time", "group") and not column:
        raise SettingError(f"--split {kind} needs the column to go by: --split {kind}:COLUMN")
    if kind == "random" and column:
        raise SettingError(f"--split random takes no column; got '{visible(column)}'")
    return kind, column


def find_division(source: Source, rows: np.ndarray, split: str, copies: np.ndarray) -> Division:
    """Read what `split` asks for. Shapes: rows (N,) of the source, copies (N,)

    Raises: SettingError for data that has no such thing; UnknownNameError for a column that is not there; DataError for
    cells that cannot be read
    """
    kind, column = parse_split(split)
    fixed = None if source.fixed_split is None else source.fixed_split[rows]
    if kind == "predefined" and not column and fixed is None:
        raise SettingError(
            f"{source.name} is not divided; --split predefined takes folders called train and test, an .npz with x_train "
            "and x_test, --test-data, or a column that holds the words train, validation and test "
            "(--split predefined:COLUMN)"
        )
    if not column:
        return Division(fixed=fixed, copies=copies)
    cells = _cells(source, column)[rows]
    if kind == "predefined":
        if fixed is not None:
            raise SettingError(
                f"{source.name} is divided already; leave out --split {split}, or give one file"
            )
        return Division(fixed=_parts(source, rows, cells, column), copies=copies, column=column)
    if kind == "group":
        groups, notes = _groups(cells, column)
        return Division(fixed=fixed, groups=groups, copies=copies, column=column, notes=notes)
    times, are_dates = _times(source, rows, cells, column)
    return Division(fixed=fixed, times=times, copies=copies, column=column, times_are_dates=are_dates)


def columns_that_divide(source: Source, split: str, told: Sequence[str] = ()) -> dict[str, str]:
    """Return columns that divide the rows and are therefore no inputs, each with what the user should hear.

    A group's name says who a row belongs to, which new rows do not share. A number that differs in nearly every row only counts
    the time on: at the test it is larger than all that the network trained on. A date stays, for its place in the year
    and in the week. A column of which `told` says what it is (NAME=KIND) is what it says.
    """
    kind, column = parse_split(split)
    if not column or any(text.rpartition("=")[0].strip() == column for text in told):
        return {}
    cells = _cells(source, column)
    shown = visible(column)
    if kind == "group":
        return {column: f"column '{shown}' says which rows belong together and is no input"}
    if kind == "predefined":
        return {column: f"column '{shown}' says which rows train and test and is no input"}
    assert source.frame is not None
    is_time = (
        cells.dtype.is_temporal() or cells.cast(pl.Float64, strict=False).null_count() > cells.null_count()
    )
    only_counts = not is_time and cells.n_unique() >= NEARLY_ALL * cells.len() and source.frame.width > 2
    return (
        {column: f"column '{shown}' counts the time on, another number in nearly every row, and is no input"}
        if only_counts
        else {}
    )


def division_notes(division: Division, parts: Mapping[str, np.ndarray]) -> list[str]:
    """Say how the rows came to be divided. `parts` are row numbers of train, validation and test."""
    notes = list(division.notes)
    there = {name: rows for name, rows in parts.items() if len(rows)}
    marked = () if division.fixed is None or not division.column else division.fixed
    if len(marked) and TEST not in marked and len(parts["test"]):
        notes.append(
            f"column '{visible(division.column)}' marks no test rows: {len(parts['test']):,} of those that it marks train "
            "are kept for the test (--test 0 keeps none)"
        )
    if division.times is not None and len(there) > 1:
        ends = {name: _moment(division, division.times[rows].max()) for name, rows in there.items()}
        told = ", ".join(f"{name} until {end}" for name, end in ends.items())
        notes.append(f"divided by the time in '{visible(division.column)}': {told}")
    if division.groups is not None and len(there) > 1:
        many = {name: len(np.unique(division.groups[rows])) for name, rows in there.items()}
        told = ", ".join(f"{count:,} {name}" for name, count in many.items())
        notes.append(f"groups of '{visible(division.column)}': {told}; no group is in two parts")
    return notes


def _cells(source: Source, column: str) -> pl.Series:
    """Return the cells of a column, cleaned."""
    if source.frame is None:
        raise SettingError(
            f"--split by a column needs a table; {source.name} has no columns to divide its rows by"
        )
    if column not in source.frame.columns:
        close = nearest(column, source.frame.columns)
        hint = f"did you mean {listed(close)}?" if close else f"it has {listed(source.frame.columns)}"
        raise UnknownNameError(f"{source.name} has no column '{visible(column)}' to divide rows by; {hint}")
    return clean_cells(source.frame[column])


def _groups(cells: pl.Series, column: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number the groups; a row whose cell is missing is a group of its own, since nothing says whose it is."""
    missing = cells.is_null().to_numpy()
    numbers = cells.cast(pl.String).rank("dense").fill_null(0).to_numpy().astype(np.int64)
    numbers[missing] = numbers.max(initial=0) + 1 + np.arange(missing.sum())
    groups = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    lost = int(missing.sum())
    rows = "1 row has" if lost == 1 else f"{lost:,} rows have"
    note = f"{rows} no '{visible(column)}'; each is taken for a group of its own"
    return groups, (note,) if lost else ()


def _times(source: Source, rows: np.ndarray, cells: pl.Series, column: str) -> tuple[np.ndarray, bool]:
    """Return numbers that grow with time, and whether they are microseconds since 1970."""
    missing = cells.is_null().arg_true()
    if missing.len():
        count = "1 row" if missing.len() == 1 else f"{missing.len():,} rows"
        raise DataError(
            f"column '{visible(column)}' of {source.name}, by which --split time divides, is empty in {count} (the first is "
            f"{source.at(int(rows[missing[0]]))}); fill in the times, remove the rows, or use --split random"
        )
    if cells.dtype in (pl.Duration, pl.Time):
        return cells.to_physical().to_numpy(), False
    if cells.dtype in (pl.Date, pl.Datetime):
        return read_dates(cells, "").to_numpy(), True
    numbers = cells.cast(pl.Float64, strict=False)
    if not numbers.null_count():
        return numbers.to_numpy(), False
    pattern, _ = find_format(cells, lambda seen, read: read.null_count() == 0)
    if pattern:
        return read_dates(cells, pattern).to_numpy(), has_dates(pattern)
    unread = int(numbers.is_null().arg_true()[0])
    raise DataError(
        f"{source.at(int(rows[unread]))}: '{visible(cells[unread], 40)}' in column '{visible(column)}' is neither a number "
        "nor a date in the format of the others; --split time needs one kind of time in every row, such as 2024-12-31"
    )


def _parts(source: Source, rows: np.ndarray, cells: pl.Series, column: str) -> np.ndarray:
    """Return TRAIN, VALIDATION or TEST per row, from the words of a column."""
    words = cells.cast(pl.String).str.to_lowercase()
    numbers = words.replace_strict(list(WORDS), list(WORDS.values()), default=None, return_dtype=pl.Int8)
    if numbers.null_count():
        bad = numbers.is_null().arg_true()
        first = int(bad[0])
        got = "an empty cell" if cells[first] is None else f"'{visible(cells[first], 40)}'"
        more = f", and {bad.len() - 1:,} more like it" if bad.len() > 1 else ""
        raise DataError(
            f"{source.at(int(rows[first]))}: column '{visible(column)}' must say train, validation or test; got {got}{more}"
        )
    return numbers.to_numpy()


def _moment(division: Division, time: float) -> str:
    if not division.times_are_dates:
        return show_number(float(time))
    moment = str(np.datetime64(int(time), "us").astype("datetime64[s]"))
    return moment.removesuffix("T00:00:00").replace("T", " ")
