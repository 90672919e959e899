"""Python source put together from parts: literals that nothing in the data can break out of, imports in order, layout.

What is written is laid out as ruff formats it, so that nobody has to tidy it first.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

WIDTH = 110
STANDARD = frozenset({"copy", "csv", "datetime", "functools", "gzip", "math", "pathlib", "zlib"})


@dataclass(frozen=True, slots=True)
class Source:
    """Source that stands for itself among the values of a literal."""

    text: str


@dataclass(slots=True)
class Part:
    """A part of a script: what it imports, its settings (name and value, as source) and its functions, in order.

    An import is a module, "module as name", or "module:name" for one name out of it.
    """

    imports: set[str] = field(default_factory=set)
    settings: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    def uses(self, *imports: str) -> Part:
        """Add imports."""
        self.imports.update(imports)
        return self

    def setting(self, name: str, value: Any, comment: str = "") -> None:
        """Add a constant."""
        if isinstance(value, PurePath):
            self.uses("pathlib:Path")
        text = assign(name, value)
        fits = "\n" not in text and len(text) + len(comment) + 4 <= WIDTH
        if comment and not fits:
            self.settings.append(f"# {comment[0].upper()}{comment[1:]}")
        self.settings.append(f"{text}  # {comment}" if comment and fits else text)

    def function(self, text: str) -> None:
        """Add a function, written with the indentation of where it stands here."""
        self.functions.append(textwrap.dedent(text).strip())

    def add(self, other: Part) -> None:
        """Add what another part holds."""
        self.imports |= other.imports
        self.settings += other.settings
        self.functions += other.functions

    def with_function(self, text: str) -> Part:
        """Add a function and return the part."""
        self.function(text)
        return self


def join(title: str, parts: Iterable[Part]) -> str:
    """Return the script: its title, imports, settings, functions, and the call of `main`."""
    parts = list(parts)
    imports = import_lines(set().union(*(part.imports for part in parts)))
    settings = "\n".join(line for part in parts for line in part.settings)
    functions = [text for part in parts for text in part.functions]
    start = 'if __name__ == "__main__":\n    main()'
    return "\n\n\n".join([f'"""{title}"""\n\n{imports}\n\n{settings}', *functions, start]) + "\n"


def literal(value: Any) -> str:
    """Return a value as Python source on one line.

    >>> literal({"it's": (1, 2.5)}), literal('a"b\\n')
    ('{"it\\'s": (1, 2.5)}', '\\'a"b\\\\n\\'')
    """
    match value:
        case Source():
            return value.text
        case str():
            return _text(value)
        case PurePath():
            return f"Path({_text(str(value))})"
        case dict():
            return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(literal, value)) + "]"
        case tuple():
            return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
        case bool() | int() | None:
            return repr(value)
        case float() if math.isfinite(value):
            return repr(value)
    raise TypeError(f"{type(value).__name__} {value!r} is no literal")


def assign(name: str, value: Any) -> str:
    """Return `name = value`, over several lines where it is long."""
    text = f"{name} = {literal(value)}"
    if len(text) <= WIDTH:
        return text
    if isinstance(value, PurePath):
        return f"{name} = {_opened(literal(value), '')}"
    if not isinstance(value, list | tuple | dict):
        return text
    items = (
        [(literal(k), f": {literal(v)}") for k, v in value.items()]
        if isinstance(value, dict)
        else [(literal(item), "") for item in value]
    )
    opening, closing = {list: ("[", "]"), tuple: ("(", ")"), dict: ("{", "}")}[type(value)]
    if len(items) <= MOST_LINES:
        return f"{name} = {opening}\n" + "".join(f"    {_line(*item)},\n" for item in items) + closing
    return f"{name} = {opening}\n{_filled([first + then for first, then in items])}\n{closing}  # fmt: skip"


def _line(first: str, then: str) -> str:
    """Return an item of a constant; a path that is too long for its line gets one of its own."""
    fits = len(f"    {first}{then},") <= WIDTH or not first.startswith("Path(")
    return f"{first if fits else _opened(first, '    ')}{then}"


def _opened(call: str, indent: str) -> str:
    """Return a call with its argument on a line of its own."""
    function, _, argument = call.removesuffix(")").partition("(")
    return f"{function}(\n{indent}    {argument}\n{indent})"


MOST_LINES = 12  # of a constant with one item a line; longer ones are filled line by line


def _filled(items: list[str]) -> str:
    """Return items side by side, as many as fit on a line. They are not cut, whatever spaces they hold."""
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > WIDTH and line.strip():
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line])


def _text(value: str) -> str:
    """Return a string in quotation marks, double ones unless it has more of those; all that is not printable escaped."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + "".join(_escaped(c, quote) for c in value) + quote


def _escaped(character: str, quote: str) -> str:
    if character in ("\\", quote):
        return "\\" + character
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def import_lines(wanted: set[str]) -> str:
    """Return import lines in the usual order: the standard library, then the rest."""
    blocks = []
    for is_standard in (True, False):
        chosen = {w for w in wanted if (_module(w) in STANDARD) == is_standard}
        plain = sorted(w for w in chosen if ":" not in w)
        names: dict[str, list[str]] = {}
        for module, name in sorted(w.split(":") for w in chosen if ":" in w):
            names.setdefault(module, []).append(name)
        lines = [f"import {w}" for w in plain]
        lines += [f"from {module} import {', '.join(found)}" for module, found in names.items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(block for block in blocks if block)


def _module(wanted: str) -> str:
    return wanted.partition(":")[0].partition(" ")[0].partition(".")[0]
