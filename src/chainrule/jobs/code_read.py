"""What the ways to read a run's data have in common: the function `read_data` and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.jobs.code_text import Part, literal


@dataclass(frozen=True, slots=True)
class Marks:
    """What the data says of each row about the part that it is in.

    `name` is what `read_data` returns it as; `rows` gives per part (TRAIN, VALIDATION, TEST) the expression that is true
    for its rows. A part that is not there is drawn from the training rows.
    """

    name: str
    rows: Mapping[int, str]


@dataclass(slots=True)
class ReadCode:
    """The functions that read, and what `read_data` returns by name; `marks` is the last of them."""

    part: Part
    names: tuple[str, ...]
    marks: Marks | None = None


def named_parts(names: Mapping[int, Sequence[str]]) -> Marks:
    """Return marks that are names, of which one or several mean each part."""
    return Marks(
        "parts",
        {
            number: f"parts == {literal(found[0])}"
            if len(found) == 1
            else f"np.isin(parts, {literal(list(found))})"
            for number, found in names.items()
        },
    )


def read_data(purpose: str, lines: Sequence[str], names: Sequence[str]) -> str:
    """Return the function with these lines that returns these names."""
    body = "".join(f"    {line}\n" for line in lines)
    return f'def read_data():\n    """{purpose}"""\n{body}    return {", ".join(names)}'
