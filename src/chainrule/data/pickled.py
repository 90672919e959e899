"""Data from a pickle, without unpickling: nothing that a file names is imported or called.

A pickle is a program for a small machine. This one knows the instructions that build numbers, text, lists, dicts and
NumPy arrays of bytes, as the batches of CIFAR hold them, and refuses every other one by its name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.data.untrusted import as_data_error

RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
ARRAY, TYPE = "numpy ndarray", "numpy dtype"
IGNORED = ("PROTO", "FRAME")
VALUES = (
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8",
)  # fmt: skip
STRINGS = ("BINSTRING", "SHORT_BINSTRING")  # of Python 2: bytes, which pickletools shows as latin-1
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple,
}  # fmt: skip
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


@dataclass(frozen=True, slots=True)
class _Name:
    """Something that a pickle wants imported; it is not."""

    name: str


class _ArrayToBe(list[Any]):
    """An array that the pickle has begun: empty, or holding the array."""


@dataclass(frozen=True, slots=True)
class _TypeToBe:
    code: str


def read_pickle(content: bytes, name: str) -> Any:
    """Return the numbers, text, lists, dicts and arrays of bytes in a pickle; text of Python 2 as bytes.

    Raises: DataError naming the instruction or the import that no such data needs
    """
    with as_data_error(f"{name} is damaged, or no pickle of numbers and text"):
        return _finished(_Machine(name).run(content))


class _Machine:
    """The stack and the memory of a pickle."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                return self.stack.pop()
            self._step(opcode.name, argument)
        raise DataError(f"{self.name} is cut short")

    def _step(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        if opcode in VALUES:
            stack.append(argument)
        elif opcode in STRINGS:
            stack.append(argument.encode("latin-1"))
        elif opcode in CONSTANTS:
            stack.append(CONSTANTS[opcode]())
        elif opcode == "MARK":
            stack.append(_MARK)
        elif opcode in TUPLES:
            stack[-TUPLES[opcode] :] = [tuple(stack[-TUPLES[opcode] :])]
        elif opcode in ("TUPLE", "LIST", "DICT"):
            items = self._since_mark()
            stack.append(tuple(items) if opcode == "TUPLE" else items if opcode == "LIST" else _pairs(items))
        elif opcode in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if opcode == "MEMOIZE" else argument] = stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif opcode not in IGNORED:
            self._build(opcode, argument)

    def _build(self, opcode: str, argument: Any) -> None:
        """Fill lists and dicts, and make arrays."""
        stack = self.stack
        if opcode in ("APPENDS", "APPEND"):
            items = self._since_mark() if opcode == "APPENDS" else [stack.pop()]
            self._last(list).extend(items)
        elif opcode in ("SETITEMS", "SETITEM"):
            items = self._since_mark() if opcode == "SETITEMS" else [stack.pop() for _ in range(2)][::-1]
            self._last(dict).update(_pairs(items))
        elif opcode in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(
                self._known(*([stack.pop(-2), stack.pop()] if opcode == "STACK_GLOBAL" else [argument]))
            )
        elif opcode == "REDUCE":
            arguments, called = stack.pop(), stack.pop()
            stack.append(self._called(called, arguments))
        elif opcode == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], _ArrayToBe):
                stack[-1][:] = [_array(state, self.name)]
            elif not isinstance(stack[-1], _TypeToBe):
                raise DataError(
                    f"{self.name} is a pickle that builds other objects than arrays; it is not read"
                )
        else:
            raise DataError(
                f"{self.name} is a pickle with the instruction {visible(opcode)}, which data of this kind does not need; "
                "it is not read"
            )

    def _since_mark(self) -> list[Any]:
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                items = self.stack[place + 1 :]
                del self.stack[place:]
                return items
        raise DataError(f"{self.name} is damaged: a list ends that never began")

    def _last(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise DataError(f"{self.name} is damaged: it fills a {kind.__name__} that is none")
        return self.stack[-1]

    def _known(self, *parts: Any) -> _Name:
        if not all(
            isinstance(part, str) for part in parts
        ):  # what lists refer to each other may print without end
            raise DataError(f"{self.name} is damaged: it wants something imported that has no name")
        name = " ".join(parts)
        if name not in (*RECONSTRUCT, ARRAY, TYPE):
            shown = visible(name.replace(" ", "."), 60)
            raise DataError(
                f"{self.name} is a pickle that wants {shown} imported, which could run any code; it is not read"
            )
        return _Name(name)

    def _called(self, called: Any, arguments: Any) -> _ArrayToBe | _TypeToBe:
        if isinstance(called, _Name) and isinstance(arguments, tuple):
            if called.name in RECONSTRUCT and arguments[:1] == (_Name(ARRAY),):
                return _ArrayToBe()
            if called.name == TYPE and arguments and arguments[0] in (b"u1", "u1"):
                return _TypeToBe("u1")
        raise DataError(
            f"{self.name} is a pickle with other objects than lists and arrays of bytes; it is not read"
        )


def _pairs(items: list[Any]) -> dict[Any, Any]:
    """Return keys and values in turn as a dict; keys are text, of Python 2 or 3."""
    keys = [key.decode("latin-1") if isinstance(key, bytes) else key for key in items[::2]]
    if not all(isinstance(key, str) for key in keys):
        raise DataError("a dict has keys that are no text")
    return dict(zip(keys, items[1::2], strict=True))


def _array(state: Any, name: str) -> np.ndarray:
    _, shape, kind, is_fortran, content = state
    if not isinstance(kind, _TypeToBe) or not isinstance(content, bytes):
        raise DataError(f"{name} holds an array that is not of bytes")
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise DataError(f"{name} holds an array whose shape is damaged")
    if prod(shape) != len(content):
        raise DataError(f"{name} holds an array of shape {visible(shape, 40)} with {len(content):,} values")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if is_fortran else "C")


def _finished(value: Any) -> Any:
    """Return a value with its arrays in place, as deep as data goes: a dict of them."""
    if isinstance(value, dict):
        return {
            key: _finished(inner) if isinstance(inner, _ArrayToBe) else inner for key, inner in value.items()
        }
    return value[0] if isinstance(value, _ArrayToBe) and value else value
