"""Class names as people write them: one spelling for numbers and truth values, and names that look like one class."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from chainrule.core.text import visible
from chainrule.data.cells import MISSING, blank_cells, clean_cells, readable

CLASSES_TOO = frozenset({"none", "nil", "-"})  # missing among numbers, but a class among texts
STRIPPED, EXACT, FOLDED = "stripped", "exact", "folded"  # how spellings are told apart
SAID_ALIKE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """The classes of a column with their numbers of rows, how their spellings are told apart, and which look alike."""

    counts: dict[str, int]
    spelling: str = STRIPPED
    alike: tuple[tuple[str, ...], ...] = ()

    def question(self) -> str:
        """Ask whether classes that look alike are one."""
        shown = [
            " and ".join(f"'{visible(c, 40)}' ({_rows(self.counts[c])})" for c in group)
            for group in self.alike[:SAID_ALIKE]
        ]
        more = len(self.alike) - len(shown)
        which = "; ".join(shown) + (f"; and {more:,} more such cases" if more else "")
        return (
            f"classes {which} look like one: --merge-classes merges them, --no-merge-classes keeps them apart"
        )


def find_classes(raw: pl.Series, merge: bool | None) -> Classes:
    """Find the classes in a target's cells. Names that differ in case or outer spaces are merged only if `merge` is true.

    Outer spaces, tabs among them, are stripped from all names, unless two would become one by it: then all are taken as
    they are written.
    """
    found = readable(raw).value_counts(name="rows")  # far fewer values than rows
    values, rows = found["cells"], found["rows"]
    cells = clean_cells(values).cast(pl.String)
    names = cells.drop_nulls().to_list()
    if is_numbers(names) or _are_truths(names):
        return Classes(counts=_counts(one_spelling(cells, names), rows))
    counts = _counts(blank_cells(values, MISSING - CLASSES_TOO).cast(pl.String), rows)
    groups: dict[str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        groups.setdefault(name.strip().lower(), []).append(name)
    alike = tuple(tuple(group) for group in groups.values() if len(group) > 1)
    if alike and merge:
        merged = {group[0].strip(): sum(counts[name] for name in group) for group in groups.values()}
        return Classes(counts=merged, spelling=FOLDED)
    stripped = {name.strip(): count for name, count in counts.items()}
    if len(stripped) < len(counts):
        return Classes(counts=counts, spelling=EXACT, alike=alike)
    return Classes(counts=stripped, alike=tuple(tuple(name.strip() for name in group) for group in alike))


def as_given(cells: pl.Series) -> Classes:
    """Return the classes of cells that are names already, of folders: none is missing, nothing is stripped."""
    found = readable(cells).value_counts(name="rows")
    return Classes(counts=_counts(found["cells"], found["rows"]), spelling=EXACT)


def class_cells(raw: pl.Series, classes: Collection[str], spelling: str) -> tuple[pl.Series, list[str]]:
    """Return a target's cells, null where missing, and the classes, both in the spelling in which they are compared."""
    missing = MISSING - {name.strip().lower() for name in classes}
    if spelling == EXACT:
        return blank_cells(raw, missing).cast(pl.String), list(classes)
    cells = clean_cells(raw, missing).cast(pl.String)
    if spelling == FOLDED:
        return cells.str.to_lowercase(), [name.lower() for name in classes]
    return one_spelling(cells, classes), one_spelling(
        pl.Series(list(classes), dtype=pl.String), classes
    ).to_list()


def one_spelling(cells: pl.Series, classes: Collection[str]) -> pl.Series:
    """Spell classes that are numbers (1.0 is 1) or truth values (True is true) in one way; leave others alone."""
    if is_numbers(classes):
        plain = cells.str.replace(r"^\+", "").str.replace(r"(\.\d*?)0+$", "$1")
        return plain.str.replace(r"\.$", "").str.replace(r"^-0$", "0")
    return cells.str.to_lowercase() if _are_truths(classes) else cells


def natural_order(names: Sequence[str]) -> list[str]:
    """Sort class names: by value where all are numbers, else by text.

    >>> natural_order(["10", "9", "1"]), natural_order(["b", "10", "a"])
    (['1', '9', '10'], ['10', 'a', 'b'])
    """
    return sorted(names, key=float) if is_numbers(names) else sorted(names)


def is_numbers(texts: Collection[str]) -> bool:
    """Whether all texts are numbers."""
    return all(map(_is_number, texts))


def numbers_and_words(counts: Mapping[str, int]) -> str:
    """Say how many rows of classes hold numbers, and how many words; nothing where all are the same.

    >>> numbers_and_words({"22": 1, "7": 2, "low": 1}), numbers_and_words({"low": 1, "high": 2})
    ("numbers (3 rows, such as '7') and words (1 row, 'low')", '')
    """
    numbers = {name: count for name, count in counts.items() if _is_number(name)}
    if not 0 < len(numbers) < len(counts):
        return ""
    words = {name: count for name, count in counts.items() if name not in numbers}
    return f"numbers ({_such_as(numbers)}) and words ({_such_as(words)})"


def _such_as(counts: Mapping[str, int]) -> str:
    most = visible(min(counts, key=lambda name: (-counts[name], name)), 40)
    return f"{_rows(sum(counts.values()))}, {'' if len(counts) == 1 else 'such as '}'{most}'"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _are_truths(names: Collection[str]) -> bool:
    return {name.lower() for name in names} <= {"true", "false"}


def _counts(names: pl.Series, rows: pl.Series) -> dict[str, int]:
    """Return how many rows each name has, that may stand there several times."""
    counts: dict[str, int] = {}
    for name, count in zip(names, rows, strict=True):
        if name is not None:
            counts[name] = counts.get(name, 0) + count
    return counts


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
