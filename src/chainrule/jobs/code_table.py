"""How a script reads a table's columns: numbers side by side, units of categories, and the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.data.cells import clean_cells
from chainrule.data.columns import Column, number_cells
from chainrule.data.schema import Schema
from chainrule.data.source import Source as Table
from chainrule.data.target import Target
from chainrule.jobs.code_cells import (
    Readers,
    add_dates,
    add_flags,
    add_numbers,
    add_written,
    has_spaces,
    number_way,
)
from chainrule.jobs.code_text import Part, Source, assign

MOST_INLINE = 40  # characters of a function that is written where it is called
MOST_SPELLINGS = 1000  # of classes that a script may list


@dataclass(slots=True)
class TableCode:
    """The functions that read the columns of a table, and the lines that call them; `table` is its name there."""

    part: Part = field(default_factory=Part)
    numbers: str = ""  # what gives the numbers of all rows, NaN where missing
    categories: str = ""  # what gives the units of the categories
    targets: tuple[str, ...] = ()  # the lines that give the targets, and take out rows without one


def table_code(frame: pl.DataFrame, schema: Schema) -> TableCode:
    """Write the reading of inputs and targets from a table.

    Raises: RunError for a column that cannot be written
    """
    code = TableCode()
    code.part.uses("polars as pl", "numpy as np")
    readers = Readers(code.part)
    of_numbers = [c for c in schema.columns if c.kind != "category"]
    names = _readers(readers, frame, of_numbers, schema.target)
    _inputs(code, {c.name: names[c.name] for c in of_numbers})
    _categories(code, frame, [c for c in schema.columns if c.kind == "category"])
    if schema.target.classes:
        _classes(code, frame, schema.target)
    else:
        _values(code, frame, schema.target, names)
    if set(names.values()) == {"number"}:
        _inline(code)
    return code


def _inline(code: TableCode) -> None:
    """Write the one way in which all cells are read where they are read, if that is short."""
    function = next(text for text in code.part.functions if text.startswith("def number(cells)"))
    text = function.rpartition("return ")[2]
    if len(text) > MOST_INLINE:
        return
    code.part.functions.remove(function)
    for call in ("table[name]", "table[TARGET]"):
        read = text.replace("cells", call)
        code.numbers = code.numbers.replace(f"number({call})", read)
        code.targets = tuple(line.replace(f"number({call})", read) for line in code.targets)


def _readers(
    readers: Readers, frame: pl.DataFrame, columns: Sequence[Column], target: Target
) -> dict[str, str]:
    """Return the name of the function that reads each column, and see that it is written."""
    values = {} if target.classes else dict(zip(target.names, target.formats or [""] * 99, strict=False))
    written = {c.name: c.format for c in columns if c.kind == "number"} | values
    names: dict[str, str] = {}
    if plain := [name for name, form in written.items() if not form]:
        ways = {name: number_way(frame[name]) for name in plain}
        tolerant = max((way for way in ways.values() if way < 3), default=0)
        names |= {name: add_numbers(readers, way if way >= 3 else tolerant) for name, way in ways.items()}
    names |= {name: add_written(readers, frame[name], form) for name, form in written.items() if form}
    if flags := [c for c in columns if c.kind == "boolean"]:
        read = [number_cells(frame[c.name], c, str)[:, 0] for c in flags]
        name = add_flags(readers, [frame[c.name] for c in flags], read)
        names |= {c.name: name for c in flags}
    for column in columns:
        if column.kind in ("date", "time"):
            names[column.name] = add_dates(readers, frame[column.name], column)
        elif column.name not in names:
            raise RunError(
                f"column '{visible(column.name)}' is of the kind {column.kind}, which scripts do not support yet"
            )
    return names


def _inputs(code: TableCode, readers: dict[str, str]) -> None:
    """Write the columns that become numbers: a list of names, or names with the functions that read them."""
    if len(set(readers.values())) == 1:
        code.part.setting("NUMBERS", list(readers))
        code.numbers = f"np.column_stack([{next(iter(readers.values()))}(table[name]) for name in NUMBERS])"
    elif readers:
        calls = {name: Source(reader) for name, reader in readers.items()}
        code.part.functions.append(f"# What is read from each column, and how\n{assign('INPUTS', calls)}")
        code.numbers = "np.column_stack([read(table[name]) for name, read in INPUTS.items()])"


def _categories(code: TableCode, frame: pl.DataFrame, columns: Sequence[Column]) -> None:
    """Write the columns of categories: one unit for missing cells and one per value."""
    if not columns:
        return
    code.part.setting("CATEGORIES", {column.name: list(column.values) for column in columns})
    gone: set[str] = set()
    for column in columns:
        cells = frame[column.name].alias("cells")
        stripped = cells.str.strip_chars() if cells.dtype == pl.String else cells.cast(pl.String)
        gone |= set(stripped.filter(clean_cells(cells).is_null() & cells.is_not_null()).unique().to_list())
    steps = []
    if any(frame[c.name].dtype != pl.String for c in columns):
        steps.append("cells = cells.cast(pl.String)")
    if any(frame[c.name].dtype.is_float() for c in columns):
        steps.append('cells = cells.str.strip_suffix(".0")')
    if any(has_spaces(frame[c.name]) for c in columns):
        steps.append("cells = cells.str.strip_chars()")
    missing, equal = "cells.is_null()", "cells.eq_missing(value)"
    if gone:
        code.part.setting("MISSING", sorted(gone), "what stands for a missing category")
        has_nulls = any(frame[c.name].null_count() for c in columns)
        missing, equal = ("missing", equal) if has_nulls else ("cells.is_in(MISSING)", "cells == value")
        steps += ["missing = cells.is_null() | cells.is_in(MISSING)"] * has_nulls
    lines = "".join(f"    {step}\n" for step in steps)
    code.part.functions.append(
        "def one_hot(cells, values):\n"
        '    """Columns of 0 and 1: one for missing cells, then one for each value; other values have none."""\n'
        f"{lines}    return np.column_stack([{missing}, *({equal} for value in values)])"
    )
    code.categories = "np.hstack([one_hot(table[name], values) for name, values in CATEGORIES.items()])"


def _values(code: TableCode, frame: pl.DataFrame, target: Target, readers: dict[str, str]) -> None:
    values, _ = target.encode(Table(name="table", origin={}, frame=frame))
    names = list(target.names)
    if len({readers[name] for name in names}) > 1:
        code.part.functions.append(
            assign("TARGETS", {name: Source(readers[name]) for name in names}) + "  # and how each is read"
        )
        lines = ["targets = np.column_stack([read(table[name]) for name, read in TARGETS.items()])"]
    elif len(names) == 1:
        code.part.setting("TARGET", names[0])
        lines = [f"targets = {readers[names[0]]}(table[TARGET]).to_numpy()[:, None]  # (rows, 1)"]
    else:
        code.part.setting("TARGETS", names)
        lines = [f"targets = np.column_stack([{readers[names[0]]}(table[name]) for name in TARGETS])"]
    if np.isnan(values).any():
        lines += [
            "known = ~np.isnan(targets).any(1)",
            "table, targets = table.filter(known), targets[known]  # rows without a target teach nothing",
        ]
    code.targets = tuple(lines)


def _classes(code: TableCode, frame: pl.DataFrame, target: Target) -> None:
    """Write classes by every spelling that stands in the table."""
    cells = frame[target.names[0]].alias("cells")
    if cells.dtype in (pl.Categorical, pl.Enum) or cells.dtype.is_temporal():
        raise RunError(f"a target of the type {cells.dtype} is not yet supported in scripts")
    codes, known = target.encode(Table(name="table", origin={}, frame=frame))
    pairs = pl.DataFrame({"cell": cells, "code": codes}).filter(known).unique("cell").sort("code", "cell")
    classes = dict(pairs.iter_rows())
    if len(classes) > MOST_SPELLINGS:
        raise RunError(f"its classes have {len(classes):,} spellings, more than {MOST_SPELLINGS:,}")
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
