"""Columns that tell rows apart and nothing else: running numbers, keys, paths, texts. Recognised, named, left out."""

from __future__ import annotations

import re

import polars as pl

from chainrule.core.text import visible
from chainrule.data.findings import Remark, override

FEWEST_ROWS = 20  # in fewer, whole numbers in order mean little
YEARS = (1000, 2200)  # whole numbers in order that begin here may be years
NEARLY_ALL = 0.9  # a text column with this share of different texts tells rows apart and nothing else
MANY_TEXTS = 0.5  # the same for texts of several words
WORDS_OF_TEXT = 4.0
LOOKED_AT = 1000  # cells from which the kind of a text is told
NAMES_OF_KEYS = frozenset(
    ("id", "ids", "idx", "index", "uid", "uuid", "guid", "key", "rowid", "rowname", "rownames", "row", "nr", "no", "obs", "unnamed: 0", "record")
)  # fmt: skip
NAMES_OF_MEASURES = frozenset(  # that may well go up by one from row to row
    ("time", "t", "year", "yr", "month", "week", "day", "date", "hour", "minute", "second", "quarter", "period", "age", "x",
     "count", "dose", "step", "lag", "distance", "depth", "rank", "position", "temperature", "epoch", "size", "length")
)  # fmt: skip
PICTURE = r"(?i)^\S.*\.(png|jpe?g|webp|gif|bmp|tiff?|heic|svg)$"
TEXT_KINDS = (
    (r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", "a UUID"),
    (r"^[0-9a-fA-F]{16,128}$", "a hash"),
    (r"^[a-z]+://\S+$", "an address"),
    (r"^[^@\s]+@[^@\s]+\.[a-zA-Z]+$", "an e-mail address"),
    (r"^\S*\d\S*$", "a code"),
)


def running_number(name: str, numbers: pl.Series) -> Remark | None:
    """Say so if the numbers of a column (nulls dropped) count or name the rows, and measure nothing."""
    if numbers.len() < FEWEST_ROWS:
        return None
    words = _words(name)
    head, first = numbers.head(FEWEST_ROWS), float(numbers[0])
    may_count = first >= 0 and first.is_integer() and not YEARS[0] <= first <= YEARS[1]
    in_order = may_count and _goes_up_by_one(head) and _goes_up_by_one(numbers)
    if in_order and not NAMES_OF_MEASURES & set(words):
        count = ", ".join(f"{v:g}" for v in head.head(3))
        return Remark(
            name,
            f"counts the rows ({count}, …) and is left out; {override(name, 'number')} keeps it",
            "count the rows and are left out; --column NAME=number keeps one",
        )
    is_key = name.lower() in NAMES_OF_KEYS or (len(words) > 1 and words[-1] in ("id", "uuid", "guid", "key"))
    if is_key and bool((numbers == numbers.round()).all()) and numbers.n_unique() == numbers.len():
        return Remark(
            name,
            f"has another whole number in every row, an identifier by its name, and is left out; {override(name, 'number')} keeps it",
            "have another whole number in every row, identifiers by their names, and are left out; --column NAME=number keeps one",
        )
    return None


def key_text(name: str, seen: pl.Series, values: int) -> Remark | None:
    """Say so if the texts of a column (nulls dropped, `values` different ones) are pictures, prose or keys."""
    few = seen.head(LOOKED_AT)
    first = visible(seen[0], 40)
    keep = override(name, "category")
    if few.str.contains(PICTURE).sum() > NEARLY_ALL * few.len():
        return Remark(
            name,
            f"holds paths to pictures ('{first}') and is left out: networks for pictures take a folder with one folder of "
            "pictures per class, not a column of paths",
            "hold paths to pictures and are left out: networks for pictures take a folder with one folder of pictures per "
            "class, not a column of paths",
        )
    if values <= FEWEST_ROWS:
        return None
    words = float(few.str.count_matches(r"\S+").mean())  # type: ignore[arg-type]
    if words >= WORDS_OF_TEXT and values > MANY_TEXTS * seen.len():
        return Remark(
            name,
            f"holds free text ({words:.0f} words a cell: '{first}') and is left out: there are no networks for text yet; "
            f"{keep} takes each text as a value",
            "hold free text and are left out: there are no networks for text yet; --column NAME=category takes each text "
            "as a value",
        )
    if values <= NEARLY_ALL * seen.len():
        return None
    what = next((kind for pattern, kind in TEXT_KINDS if few.str.contains(pattern).all()), "a name or a key")
    return Remark(
        name,
        f"has another text in nearly every row ({what}, '{first}') and is left out; {keep} keeps it",
        "have another text in nearly every row (names or keys) and are left out; --column NAME=category keeps one",
    )


def _goes_up_by_one(numbers: pl.Series) -> bool:
    return bool((numbers.diff().drop_nulls() == 1).all())


def _words(name: str) -> list[str]:
    """Cut a name into its words, in lower case.

    >>> _words("PassengerId"), _words("customer_ID"), _words("year")
    (['passenger', 'id'], ['customer', 'id'], ['year'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]
