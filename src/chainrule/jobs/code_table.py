"""How a script reads a table: each column by the simplest way that gives the numbers which the run was trained on.

Ways are tried from the simplest to the most tolerant, on the run's own cells, so that a script for clean data has
nothing in it for unclean data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.data.cells import clean_cells
from chainrule.data.columns import At, Column, number_cells
from chainrule.data.dates import DAYS_PER_YEAR, NATIVE
from chainrule.data.schema import Schema
from chainrule.data.source import Source as TableSource
from chainrule.data.target import Target
from chainrule.jobs.code_text import Part, Source, assign, literal

MOST_SPELLINGS = 1000  # of classes and truth values that a script may list


@dataclass(frozen=True, slots=True)
class Way:
    """A way to read cells as numbers: what it is, as source, and done here."""

    purpose: str
    text: str
    read: Callable[[pl.Series], pl.Series]


NUMBER_WAYS = (
    Way("Cells as numbers.", "cells.cast(pl.Float64)", lambda cells: cells.cast(pl.Float64)),
    Way(
        "Cells as numbers; what is none is missing.",
        "cells.cast(pl.Float64, strict=False)",
        lambda cells: cells.cast(pl.Float64, strict=False),
    ),
    Way(
        "Cells as numbers; what is none is missing.",
        "cells.str.strip_chars().cast(pl.Float64, strict=False)",
        lambda cells: cells.str.strip_chars().cast(pl.Float64, strict=False),
    ),
)


@dataclass(slots=True)
class TableCode:
    """The functions that read the columns of a table, and the lines that call them; `table` is its name there."""

    part: Part
    numbers: str = ""  # what gives the numbers of all rows, NaN where missing
    categories: str = ""  # what gives the units of the categories
    targets: tuple[str, ...] = ()  # the lines that give the targets, and take out rows without one


def table_code(frame: pl.DataFrame, schema: Schema, at: At) -> TableCode:
    """Write the reading of inputs and targets from a table.

    Raises: RunError for a column that cannot be written
    """
    code = TableCode(Part().uses("polars as pl", "numpy as np"))
    of_numbers = [c for c in schema.columns if c.kind != "category"]
    _number(code.part, frame, [c for c in of_numbers if c.kind == "number"], schema.target, at)
    _flag(code.part, frame, [c for c in of_numbers if c.kind == "boolean"], at)
    _date(code.part, frame, [c for c in of_numbers if c.kind == "date"])
    _inputs(code, frame, of_numbers)
    _categories(code, frame, [c for c in schema.columns if c.kind == "category"])
    _targets(code, frame, schema.target)
    return code


def _number(part: Part, frame: pl.DataFrame, columns: Sequence[Column], target: Target, at: At) -> None:
    """Write the simplest function that reads all columns of numbers, the target's among them."""
    needed = [_way(frame[c.name], number_cells(frame[c.name], c, at)[:, 0]) for c in columns]
    if not target.classes:
        needed += [_way(frame[name], _values(frame[name])) for name in target.names]
    if needed:
        way = NUMBER_WAYS[max(needed)]
        part.function(f'def number(cells):\n    """{way.purpose}"""\n    return {way.text}')


def _way(cells: pl.Series, wanted: np.ndarray) -> int:
    """Return the place of the first way that reads the cells as the run did."""
    for place, way in enumerate(NUMBER_WAYS):
        try:
            found = way.read(cells.alias("cells")).to_numpy()
        except (pl.exceptions.PolarsError, AttributeError):
            continue
        if found.dtype == np.float64 and np.array_equal(found, wanted, equal_nan=True):
            return place
    raise RunError(
        f"column '{visible(cells.name)}' holds numbers in a form that cannot be written as a script yet ({cells.dtype})"
    )


def _values(cells: pl.Series) -> np.ndarray:
    return clean_cells(cells).cast(pl.Float64, strict=False).fill_null(math.nan).to_numpy()


def _flag(part: Part, frame: pl.DataFrame, columns: Sequence[Column], at: At) -> None:
    """Write the function that reads truth values, with every spelling that stands in the table."""
    flags: dict[str, float] = {}
    for column in columns:
        cells = frame[column.name].alias("cell")
        read = pl.Series("flag", number_cells(frame[column.name], column, at)[:, 0], nan_to_null=True)
        flags |= dict(
            pl.DataFrame([cells.cast(pl.String), read]).drop_nulls().unique("cell").sort("cell").iter_rows()
        )
    if not columns:
        return
    if all(frame[column.name].dtype == pl.Boolean for column in columns):
        part.function('''
            def flag(cells):
                """1 for true, 0 for false."""
                return cells.cast(pl.Float64)
        ''')
        return
    part.setting("FLAGS", flags)
    text = "" if all(frame[c.name].dtype == pl.String for c in columns) else ".cast(pl.String)"
    part.function(f'''
        def flag(cells):
            """1 for what means yes, 0 for what means no."""
            return cells{text}.replace_strict(FLAGS, default=None, return_dtype=pl.Float64)
    ''')


def _date(part: Part, frame: pl.DataFrame, columns: Sequence[Column]) -> None:
    """Write the function that reads dates; with several formats it takes one."""
    if not columns:
        return
    part.uses("math")
    formats = list(dict.fromkeys(column.format for column in columns))
    if NATIVE in formats and len(formats) > 1:
        raise RunError("dates as text beside dates of the file's own type cannot be written as a script yet")
    strip = ".str.strip_chars()" if any(_has_spaces(frame[c.name]) for c in columns) else ""
    pattern = "pattern" if len(formats) > 1 else literal(formats[0])
    microseconds = (
        'cells.dt.epoch("us")'
        if formats == [NATIVE]
        else f'cells{strip}.str.to_datetime({pattern}, strict=False, time_unit="us").dt.epoch("us")'
    )
    if len(formats) > 1:
        part.uses("functools:partial")
    part.function(f'''
        def date({"pattern, " * (len(formats) > 1)}cells):
            """Days since 1970, and the place in the year and in the week as points on a circle."""
            microseconds = {microseconds}
            days = microseconds.cast(pl.Float64).to_numpy() / 86_400e6
            year, week = 2 * math.pi * days / {DAYS_PER_YEAR}, 2 * math.pi * days / 7
            return np.column_stack([days, np.sin(year), np.cos(year), np.sin(week), np.cos(week)])
    ''')


def _has_spaces(cells: pl.Series) -> bool:
    return cells.dtype == pl.String and bool(
        (cells.alias("cells") != cells.alias("cells").str.strip_chars()).any()
    )


def _inputs(code: TableCode, frame: pl.DataFrame, columns: Sequence[Column]) -> None:
    """Write the columns that become numbers: a list of names, or names with the functions that read them."""
    if not columns:
        return
    kinds = {column.kind for column in columns}
    if kinds == {"number"}:
        code.part.setting("NUMBERS", [column.name for column in columns])
        code.numbers = "np.column_stack([number(table[name]) for name in NUMBERS])"
        return
    names = {"number": "number", "boolean": "flag", "date": "date"}
    several = len({column.format for column in columns if column.kind == "date"}) > 1
    readers = {
        column.name: Source(
            f"partial(date, {literal(column.format)})"
            if several and column.kind == "date"
            else names[column.kind]
        )
        for column in columns
    }
    code.part.functions.append(f"# What is read from each column, and how\n{assign('INPUTS', readers)}")
    code.numbers = "np.column_stack([read(table[name]) for name, read in INPUTS.items()])"


def _categories(code: TableCode, frame: pl.DataFrame, columns: Sequence[Column]) -> None:
    """Write the columns of categories: one unit for missing cells and one per value."""
    if not columns:
        return
    code.part.setting("CATEGORIES", {column.name: list(column.values) for column in columns})
    gone: set[str] = set()
    for column in columns:
        cells = frame[column.name].alias("cells")
        stripped = cells.str.strip_chars() if cells.dtype == pl.String else cells
        gone |= set(stripped.filter(clean_cells(cells).is_null() & cells.is_not_null()).unique().to_list())
    steps = []
    if any(frame[c.name].dtype != pl.String for c in columns):
        steps.append("cells = cells.cast(pl.String)")
    if any(_has_spaces(frame[c.name]) for c in columns):
        steps.append("cells = cells.str.strip_chars()")
    missing = "cells.is_null()"
    if gone:
        code.part.setting("MISSING", sorted(gone), "what stands for a missing category")
        missing = "cells.is_null() | cells.is_in(MISSING)"
    lines = "".join(f"    {step}\n" for step in steps)
    code.part.functions.append(
        "def one_hot(cells, values):\n"
        '    """A unit for missing cells, then one for each value; any other value has no unit."""\n'
        f"{lines}    return np.column_stack([{missing}, *(cells.eq_missing(value) for value in values)])"
    )
    code.categories = "np.hstack([one_hot(table[name], values) for name, values in CATEGORIES.items()])"


def _targets(code: TableCode, frame: pl.DataFrame, target: Target) -> None:
    """Write the target: values, or classes by every spelling that stands in the table."""
    if not target.classes:
        code.part.setting("TARGETS", list(target.names))
        lines = ["targets = np.column_stack([number(table[name]) for name in TARGETS])"]
        if any(np.isnan(_values(frame[name])).any() for name in target.names):
            lines += [
                "known = ~np.isnan(targets).any(1)",
                "table, targets = table.filter(known), targets[known]  # rows without a target teach nothing",
            ]
        code.targets = tuple(lines)
        return
    cells = frame[target.names[0]].alias("cells")
    if cells.dtype in (pl.Categorical, pl.Enum):
        raise RunError(
            f"the target '{visible(cells.name)}' is of type {cells.dtype}, which cannot be written as a script yet"
        )
    codes, known = target.encode(TableSource(name="table", origin={}, frame=frame))
    pairs = pl.DataFrame({"cell": cells, "code": codes}).filter(known).unique("cell").sort("code", "cell")
    classes = dict(pairs.iter_rows())
    if len(classes) > MOST_SPELLINGS:
        raise RunError(
            f"the target has {len(classes):,} spellings of its classes, more than {MOST_SPELLINGS:,} for a script"
        )
    code.part.setting("TARGET", target.names[0])
    code.part.setting("CLASSES", classes)
    if known.all():
        code.targets = ("targets = table[TARGET].replace_strict(CLASSES).to_numpy()",)
        return
    code.targets = (
        "codes = table[TARGET].replace_strict(CLASSES, default=None, return_dtype=pl.Int64)",
        "table = table.filter(codes.is_not_null())  # rows without a class teach nothing",
        "targets = codes.drop_nulls().to_numpy()",
    )
