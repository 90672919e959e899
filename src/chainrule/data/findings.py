"""What the user should hear of the columns, in few sentences also where there are ten thousand of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from chainrule.core.text import listed, visible

SAID_APART = 4  # columns of which the same is said one by one; more are gathered into one sentence


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to say of one column: the end of "column 'a' …", and of "9 columns …: 'a', 'b', …"."""

    column: str
    one: str
    many: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Sentences for the user: notes say what was decided, warnings ask for something to be done."""

    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        return Findings(notes=self.notes + other.notes, warnings=self.warnings + other.warnings)


def gathered(found: Iterable[Remark]) -> tuple[str, ...]:
    """Turn remarks into sentences; what is the same of many columns is said once, with their names.

    >>> gathered([Remark("a", "is empty", "are empty")])
    ("column 'a' is empty",)
    >>> gathered(Remark(name, "is empty", "are empty") for name in "abcdefghij")
    ("10 columns are empty: 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 2 more",)
    """
    remarks, alike = list(found), dict[str, list[Remark]]()
    for remark in remarks:
        alike.setdefault(remark.many, []).append(remark)
    return tuple(
        f"column '{visible(remark.column)}' {remark.one}"
        if len(group := alike[remark.many]) <= SAID_APART
        else f"{len(group):,} columns {remark.many}: {listed([r.column for r in group])}"
        for remark in remarks
        if len(alike[remark.many]) <= SAID_APART or remark is alike[remark.many][0]
    )


def override(column: str, kind: str) -> str:
    """Return the flag that says what a column is, as it is typed.

    >>> override("year built", "number")
    "--column 'year built=number'"
    """
    return f"--column {visible(shlex.quote(f'{column}={kind}'))}"
