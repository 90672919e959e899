"""How a script reads the cells of one column as numbers: the simplest way that gives what the run was trained on.

Ways are tried from the simplest to the most tolerant on the run's own cells, so that a script for clean data has nothing
in it for unclean data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.data.cells import clean_cells
from chainrule.data.columns import Column, as_numbers
from chainrule.data.dates import DAYS_PER_YEAR, LACKING, NATIVE, NATIVE_TIMES, has_dates, has_times
from chainrule.data.number_formats import APOSTROPHES, MINUS, SPACES, NumberFormat
from chainrule.jobs.code_text import Part, literal


@dataclass(slots=True)
class Readers:
    """The functions of a script that read cells, each written once."""

    part: Part
    names: dict[str, str] = field(default_factory=dict)

    def add(self, base: str, purpose: str, lines: list[str]) -> str:
        """Return the name of the function with these lines, called `base` if that is free."""
        body = "\n".join(f"    {line}" for line in [f'"""{purpose}"""', *lines])
        if body not in self.names:
            taken = sum(name.startswith(base) for name in self.names.values())
            self.names[body] = base if not taken else f"{base}_{taken + 1}"
            self.part.functions.append(f"def {self.names[body]}(cells):\n{body}")
        return self.names[body]


NUMBER_WAYS = (
    ("Cells as numbers.", "cells.cast(pl.Float64)"),
    ("Cells as numbers; what is none is missing.", "cells.cast(pl.Float64, strict=False)"),
    ("Cells as numbers; what is none is missing.", "cells.str.strip_chars().cast(pl.Float64, strict=False)"),
    ("Durations in seconds.", 'cells.cast(pl.Duration("us")).to_physical().cast(pl.Float64) / 1e6'),
    ("Times of day in seconds.", "cells.to_physical().cast(pl.Float64) / 1e9"),
)


def _read(way: int, cells: pl.Series) -> pl.Series:
    """Do what NUMBER_WAYS says."""
    match way:
        case 0:
            return cells.cast(pl.Float64)
        case 1:
            return cells.cast(pl.Float64, strict=False)
        case 2:
            return cells.str.strip_chars().cast(pl.Float64, strict=False)
        case 3:
            return cells.cast(pl.Duration("us")).to_physical().cast(pl.Float64) / 1e6
    return cells.to_physical().cast(pl.Float64) / 1e9


def number_way(cells: pl.Series) -> int:
    """Return the place of the first of NUMBER_WAYS that reads plain numbers as the run did."""
    wanted = as_numbers(clean_cells(cells))
    for way in range(len(NUMBER_WAYS)):
        try:
            found = _read(way, cells.alias("cells")).fill_nan(None)
        except (pl.exceptions.PolarsError, AttributeError):
            continue
        if found.dtype == pl.Float64 and found.eq_missing(wanted).all():
            return way
    raise RunError(f"column '{visible(cells.name)}' ({cells.dtype}) is not yet supported in scripts")


def add_numbers(readers: Readers, way: int) -> str:
    """Add the function for plain numbers."""
    purpose, text = NUMBER_WAYS[way]
    return readers.add("number", purpose, [f"return {text}"])


def add_written(readers: Readers, cells: pl.Series, written: str) -> str:
    """Add the function for numbers that are written in another way, such as $1,234.5."""
    form, text = NumberFormat.parse(written), cells.alias("cells").drop_nulls()
    steps = []
    if form.unit and text.str.contains(form.unit, literal=True).any():
        steps.append(f'.str.replace_all({literal(form.unit)}, "", literal=True)')
    idle = SPACES + "+" + {"'": APOSTROPHES, " ": ""}.get(form.thousands, form.thousands)
    used = "".join(sign for sign in idle if text.str.contains(sign, literal=True).any())
    if len(used) == 1:
        steps.append(f'.str.replace_all({literal(used)}, "", literal=True)')
    elif used:
        steps.append(f'.str.replace_all({literal(f"[{used}]")}, "")')
    if text.str.contains(MINUS, literal=True).any():
        steps.append(f'.str.replace({literal(MINUS)}, "-", literal=True)')
    if text.str.contains("(", literal=True).any():
        steps.append('.str.replace_all("(", "-", literal=True).str.replace_all(")", "", literal=True)')
    if form.decimal == "," and text.str.contains(",", literal=True).any():
        steps.append('.str.replace(",", ".", literal=True)')
    lines = [f"cells = cells{step}" for step in steps]
    return readers.add(
        "amount",
        "Cells as numbers, whatever stands around the digits.",
        [*lines, "return cells.cast(pl.Float64, strict=False)"],
    )


def add_dates(readers: Readers, cells: pl.Series, column: Column) -> str:
    """Add the function for dates, or times of day, of one format."""
    readers.part.uses("math", "numpy as np")
    pattern, is_day = column.format, has_dates(column.format)
    turns = ["days / " + str(DAYS_PER_YEAR), "days / 7"] if is_day else []
    turns += ["days"] if has_times(pattern) else []
    circles = ["year", "week"] * is_day + ["day"] * has_times(pattern)
    places = " and ".join(f"in the {name}" for name in circles)
    purpose = (
        f"{'Days since 1970' if is_day else 'Hours since midnight'}, and the place {places} on a circle."
    )
    lines = [
        *_microseconds(cells, pattern),
        "days = microseconds.cast(pl.Float64).to_numpy() / 86_400e6",
        f"turns = [{', '.join(turns)}]",
        "circles = [wave(2 * math.pi * turn) for turn in turns for wave in (np.sin, np.cos)]",
        f"return np.column_stack([{'days' if is_day else '24 * days'}, *circles])",
    ]
    return readers.add("date" if is_day else "time", purpose, lines)


def _microseconds(cells: pl.Series, pattern: str) -> Iterator[str]:
    if cells.dtype == pl.Time:
        yield "microseconds = cells.to_physical() // 1000"
        return
    if pattern in (NATIVE, NATIVE_TIMES):
        yield 'microseconds = cells.dt.epoch("us")'
        return
    if has_spaces(cells):
        yield "cells = cells.str.strip_chars()"
    if pattern in LACKING:
        before, behind, before_pattern, behind_pattern = LACKING[pattern]
        parts = [literal(before)] * bool(before) + ["cells"] + [literal(behind)] * bool(behind)
        yield f"cells = {' + '.join(parts)}"
        pattern = before_pattern + pattern + behind_pattern
    yield f'times = cells.str.to_datetime({literal(pattern)}, strict=False, time_unit="us")'
    yield 'microseconds = times.dt.epoch("us")'


def has_spaces(cells: pl.Series) -> bool:
    """Whether spaces stand around some text."""
    cells = cells.alias("cells")
    return cells.dtype == pl.String and bool((cells != cells.str.strip_chars()).any())


def add_flags(readers: Readers, columns: list[pl.Series], read: list[np.ndarray]) -> str:
    """Add the function for truth values, with every spelling that stands in these columns."""
    if all(cells.dtype == pl.Boolean for cells in columns):
        return readers.add("flag", "1 for true, 0 for false.", ["return cells.cast(pl.Float64)"])
    flags: dict[str, float] = {}
    for cells, values in zip(columns, read, strict=True):
        found = pl.DataFrame(
            [cells.alias("cell").cast(pl.String), pl.Series("flag", values, nan_to_null=True)]
        )
        flags |= dict(found.drop_nulls().unique("cell").sort("cell").iter_rows())
    readers.part.setting("FLAGS", flags)
    text = "" if all(cells.dtype == pl.String for cells in columns) else ".cast(pl.String)"
    value = f"cells{text}.replace_strict(FLAGS, default=None, return_dtype=pl.Float64)"
    return readers.add("flag", "1 for what means yes, 0 for what means no.", [f"return {value}"])
