"""How a script tells the parts of a table's rows: by the files that they are in, or by the column that --split names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.data.cells import clean_cells
from chainrule.data.dates import FORMATS
from chainrule.data.division import WORDS, parse_split
from chainrule.data.source import PART_NAMES, PARTS_BY_NAME, TEST, TRAIN, VALIDATION
from chainrule.jobs.code_read import Marks, named_parts
from chainrule.jobs.code_text import Part, Source, literal
from chainrule.jobs.material import Material

MOST_GROUPS = 200  # that a script may list


def marks_code(
    part: Part,
    lines: list[str],
    table: pl.DataFrame,
    material: Material,
    split: str,
    part_column: str,
    names: Mapping[str, str],
) -> Marks | None:
    """Add the lines that read what divides the rows, if anything does; `names` are those of columns in the script.

    `part_column` names the part of each row where the data is in several files.
    Raises: RunError for rows that are divided in a way that takes too much to write
    """
    kind, column = parse_split(split)
    rows = table[material.examples.rows.tolist()] if table.height > len(material.examples) else table
    if part_column and column:
        raise RunError(f"--split {kind}:… together with data in parts is not yet supported in scripts")
    if part_column:
        lines.append(f"parts = table[{literal(names[part_column])}].to_numpy()")
        return named_parts({PARTS_BY_NAME[name]: [name] for name in dict.fromkeys(rows[names[part_column]])})
    if not column:
        return None
    cells = rows[names[column]].alias("cells")
    if kind == "predefined":
        part.setting("PARTS", names[column], "the column that says which rows train, validate and test")
        lines.append("parts = table[PARTS].to_numpy()")
        return named_parts(_spellings(cells))
    if kind == "group":
        part.setting("GROUPS", names[column], "the column whose groups stay together")
        return _groups(part, lines, cells, material)
    part.setting("TIMES", names[column], "the column by whose time the rows are divided")
    return _times(part, lines, cells, column, material)


def _spellings(cells: pl.Series) -> dict[int, list[str]]:
    """Return every way in which a column names each part."""
    found: dict[int, list[str]] = {}
    for cell in cells.unique().sort():
        if not isinstance(cell, str):
            raise RunError("parts that are named by other cells than text are not yet supported in scripts")
        found.setdefault(WORDS[cell.strip().lower()], []).append(cell)
    return found


def _groups(part: Part, lines: list[str], cells: pl.Series, material: Material) -> Marks:
    """Write the groups that were drawn by name: the draw itself weighs sizes and classes, which takes pages."""
    if lost := clean_cells(cells).null_count():
        raise RunError(
            f"{lost:,} of its rows have no group, and each is one of its own, which scripts cannot name"
        )
    if cells.dtype not in (pl.String, pl.Boolean) and not cells.dtype.is_integer():
        raise RunError(f"groups in a column of {cells.dtype} are not yet supported in scripts")
    lines.append("groups = table[GROUPS]")
    rows = {}
    for number in (TEST, VALIDATION):
        chosen = cells[material.rows(PART_NAMES[number])].unique().sort().to_list()
        if len(chosen) > MOST_GROUPS:
            raise RunError(
                f"its {PART_NAMES[number]} rows are {len(chosen):,} groups, more than the {MOST_GROUPS} to list in a script"
            )
        if chosen:
            name = f"{PART_NAMES[number].upper()}_GROUPS"
            part.setting(name, chosen, "drawn by chainrule so that size and classes fit")
            rows[number] = f"groups.is_in({name})"
    return Marks("groups", {TRAIN: _neither(rows.values()), **rows})


def _neither(conditions: Any) -> str:
    found = list(conditions)
    return f"~{found[0]}" if len(found) == 1 else f"~({' | '.join(found)})"


def _times(part: Part, lines: list[str], cells: pl.Series, column: str, material: Material) -> Marks:
    """Write the times at which the later parts begin."""
    parts = [n for n in (TRAIN, VALIDATION, TEST) if len(material.rows(PART_NAMES[n]))]
    for read, times in _readings(cells):
        starts = {n: times[material.rows(PART_NAMES[n])].min() for n in parts[1:]}
        if times.null_count() or None in starts.values():
            continue
        ends = [starts.get(n) for n in [*parts[1:], -1]]
        conditions = {n: _between(times, starts.get(n), end) for n, end in zip(parts, ends, strict=True)}
        if all(
            np.array_equal(np.flatnonzero(c), material.rows(PART_NAMES[n])) for n, c in conditions.items()
        ):
            return _written_times(part, lines, read, starts, parts)
    raise RunError(
        f"its rows are divided by the time in '{visible(column)}', with copies that follow each other or times written in a way "
        "that is not yet supported in scripts"
    )


def _readings(cells: pl.Series) -> Iterator[tuple[str, pl.Series]]:
    """Yield the ways in which cells may be read as times that can be compared, the simplest first."""
    if cells.dtype != pl.String:
        yield "table[TIMES]", cells
        return
    for text, numbers in (
        ("table[TIMES].cast(pl.Int64)", cells.cast(pl.Int64, strict=False)),
        ("table[TIMES].cast(pl.Float64)", cells.cast(pl.Float64, strict=False)),
        (
            "table[TIMES].str.strip_chars().cast(pl.Float64)",
            cells.str.strip_chars().cast(pl.Float64, strict=False),
        ),
    ):
        if not numbers.null_count():
            yield text, numbers
            return
    yield "table[TIMES]", cells  # dates such as 2024-12-31 sort as text
    for pattern in FORMATS:
        times = (
            cells.str.to_datetime(pattern, strict=False, time_unit="us") if "%d" in pattern else cells.clear()
        )
        if times.len() and not times.null_count():
            yield f"table[TIMES].str.to_datetime({literal(pattern)})", times


def _between(times: pl.Series, start: Any, end: Any) -> pl.Series:
    found = pl.repeat(True, times.len(), eager=True)
    found = found if start is None else found & (times >= start)
    return found if end is None else found & (times < end)


def _written_times(
    part: Part, lines: list[str], read: str, starts: dict[int, Any], parts: list[int]
) -> Marks:
    is_text = read == "table[TIMES]" and all(isinstance(start, str) for start in starts.values())
    lines.append(f"times = {read}{'  # such dates sort as text' * is_text}")
    names = {}
    for number, start in starts.items():
        names[number] = f"{PART_NAMES[number].upper()}_FROM"
        comment = "the latest rows" if number == parts[-1] else "the rows before those"
        part.setting(names[number], _moment(part, start), comment)
    rows = {}
    for number, after in zip(parts, [*parts[1:], -1], strict=True):
        since = [f"times >= {names[number]}"] if number in names else []
        until = [f"times < {names[after]}"] if after in names else []
        rows[number] = " & ".join(
            [f"({c})" for c in since + until] if len(since + until) > 1 else since + until
        )
    return Marks("times", rows)


def _moment(part: Part, time: Any) -> Any:
    """Return a time as a literal."""
    if isinstance(time, datetime) and time.tzinfo is None:
        part.uses("datetime:datetime")
        numbers = [time.year, time.month, time.day, time.hour, time.minute, time.second, time.microsecond]
        while len(numbers) > 3 and not numbers[-1]:
            numbers.pop()
        return Source(f"datetime({', '.join(map(str, numbers))})")
    if isinstance(time, date) and not isinstance(time, datetime):
        part.uses("datetime:date")
        return Source(f"date({time.year}, {time.month}, {time.day})")
    if isinstance(time, str | int | float):
        return time
    raise RunError(f"times of the type {type(time).__name__} are not yet supported in scripts")
