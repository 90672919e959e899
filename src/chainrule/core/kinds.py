"""The types that a setting may have: what they are called, which values are of them, and how text is read as one.

A type is an annotation: bool, int, float, str, a list of one of them, or several of these with | between.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
import typing
from typing import Any

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a name", type(None): "none"}
_YES, _NO = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


@functools.cache
def options_of(kind: Any) -> tuple[Any, ...]:
    """Return the single types that a type stands for.

    >>> options_of(int | None), options_of(float)
    ((<class 'int'>, <class 'NoneType'>), (<class 'float'>,))
    """
    is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if is_union else (kind,)


@functools.cache
def item_of(kind: Any) -> Any:
    """Return the type of the items if a single type is a list, else None."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is not None else None


def is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a type. Lists are tuples; whole numbers are numbers too, and truth values none."""
    return any(_is_of(value, option) for option in options_of(kind))


def _is_of(value: Any, kind: Any) -> bool:
    if (item := item_of(kind)) is not None:
        return isinstance(value, tuple) and all(_is_of(one, item) for one in value)
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return isinstance(value, kind)


def in_words(kind: Any) -> str:
    """Say what a type takes.

    >>> in_words(tuple[int, ...] | str | None)
    'a list of whole numbers or a name or none'
    """
    return " or ".join(
        f"a list of {_WORDS[item].removeprefix('a ')}s"
        if (item := item_of(one))
        else _WORDS.get(one, str(one))
        for one in options_of(kind)
    )


def read_text(text: str, kind: Any) -> Any:
    """Read text as a type: a list where there are commas, else the first single type that it can be.

    Raises: ValueError if it can be none
    >>> read_text("128,64", tuple[int, ...]), read_text("64", int | str), read_text("all", int | str), read_text("none", int | None)
    ((128, 64), 64, 'all', None)
    """
    options, text = options_of(kind), text.strip()
    if type(None) in options and text.lower() in ("", "none", "auto"):
        return None
    items = [item for one in options if (item := item_of(one)) is not None]
    *others, last = [one for one in options if one in (bool, int, float, str)] or [None]
    if items and ("," in text or last is None or text == ""):
        return tuple(_read_single(part.strip(), items[0]) for part in text.split(",") if part.strip())
    for one in others:
        with contextlib.suppress(ValueError):
            return _read_single(text, one)
    return _read_single(text, last or str)


def _read_single(text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() not in (*_YES, *_NO):
            raise ValueError(text)
        return text.lower() in _YES
    if kind is int:
        number = float(text)
        if not number.is_integer():
            raise ValueError(text)
        return int(number)
    return kind(text)
