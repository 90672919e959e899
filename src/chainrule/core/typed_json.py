"""JSON that anybody may have written, read as the types that a dataclass declares."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from chainrule.core.text import visible

_IN_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


def typed(kind: Any, value: Any, name: str = "") -> Any:
    """Return a JSON value as the type that is wanted: an object as a dataclass or dict, a list as a tuple.

    Raises: ValueError naming the value that is of another type, missing or unknown
    >>> typed(tuple[int, ...], [1, 2])
    (1, 2)
    >>> typed(dict[str, float], {"loss": "low"}, "metrics")
    Traceback (most recent call last):
    ValueError: metrics.loss should be a number; got 'low'
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _one_of(inner, value, name)
    if is_dataclass(kind):
        if isinstance(value, dict):
            return _record(kind, value, name)
    elif origin is tuple:
        if isinstance(value, list | tuple):
            kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
            if len(kinds) != len(value):
                raise ValueError(f"{name or 'it'} should hold {len(kinds)} values; got {len(value)}")
            return tuple(typed(kinds[place], item, f"{name}[{place}]") for place, item in enumerate(value))
    elif origin is dict:
        if isinstance(value, dict):
            return {key: typed(inner[1], item, _below(name, key)) for key, item in value.items()}
    elif type(value) is kind or (kind is float and type(value) is int):
        return value
    raise ValueError(f"{name or 'it'} should be {_in_words(kind)}; got {visible(repr(value), 60)}")


def _record(kind: Any, value: Mapping[str, Any], name: str) -> Any:
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    for key in value:
        if key not in known:
            raise ValueError(f"{_below(name, key)} is not known to this version of chainrule")
    for field in known.values():
        if field.name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{_below(name, field.name)} is missing")
    return kind(**{key: typed(hints[key], item, _below(name, key)) for key, item in value.items()})


def _one_of(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    for kind in kinds:
        try:
            return typed(kind, value, name)
        except ValueError as error:
            if is_dataclass(kind) and isinstance(value, dict):
                raise error
    wanted = " or ".join(map(_in_words, kinds))
    raise ValueError(f"{name or 'it'} should be {wanted}; got {visible(repr(value), 60)}")


def _below(name: str, key: str) -> str:
    return f"{name}.{visible(key, 60)}" if name else visible(key, 60)


def _in_words(kind: Any) -> str:
    if kind in _IN_WORDS:
        return _IN_WORDS[kind]
    return "a list" if typing.get_origin(kind) is tuple else "an object"
