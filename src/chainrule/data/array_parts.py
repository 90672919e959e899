"""Parts of data, as arrays, joined into a Source: rows of numbers, or pictures.

Every reader of arrays ends in `join_parts`, which recognizes from type and shape what the numbers are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.errors import DataError
from chainrule.data.source import TRAIN, Source
from chainrule.data.store import Store, StoredRows, parts_of, stacked

Rows = np.ndarray | StoredRows


@dataclass(frozen=True, slots=True)
class Part:
    """Inputs and their targets, with the names that messages give them."""

    inputs: np.ndarray | StoredRows
    targets: np.ndarray | None
    input_name: str = "x"
    target_name: str = "y"


def join_parts(
    name: str,
    origin: dict[str, Any],
    parts: Mapping[int, Part],
    notes: Sequence[str] = (),
    target: str = "target",
    store: Store | None = None,
) -> Source:
    """Join the parts of the data and decide whether they are rows of numbers or pictures."""
    first = next(iter(parts.values()))
    understood = [_recognize(part.inputs, part.input_name) for part in parts.values()]
    inputs = [array for array, _ in understood]
    for part, array in zip(parts.values(), inputs, strict=True):
        _check_alike(array, part.input_name, inputs[0], first.input_name)
        if (part.targets is None) != (first.targets is None):
            without, other = (part, first) if part.targets is None else (first, part)
            raise DataError(f"{other.input_name} has targets, but {without.input_name} has none")
    targets = [
        _check_targets(part.targets, part.target_name, len(array), part.input_name)
        for part, array in zip(parts.values(), inputs, strict=True)
        if part.targets is not None
    ]
    for part, array in zip(parts.values(), targets, strict=False):
        _check_alike(array, part.target_name, targets[0], first.target_name)
    answers = _joined(targets) if targets else None
    splits = np.repeat(np.array(list(parts), np.int8), [len(array) for array in inputs])
    return Source(
        name=name,
        origin=origin,
        array=stacked(inputs, store),
        targets=answers,
        target_names=(target,),
        is_pictures=inputs[0].ndim == 4,
        fixed_split=splits if set(parts) != {TRAIN} else None,
        notes=(*notes, *dict.fromkeys(note for _, note in understood if note)),
    )


def _check_alike(array: Rows, name: str, first: Rows, first_name: str) -> None:
    if array.shape[1:] != first.shape[1:]:
        raise DataError(
            f"{name} has rows of shape {array.shape[1:]}, but {first_name} has {first.shape[1:]}; make them alike"
        )
    if (array.dtype.kind == "U") != (first.dtype.kind == "U"):
        raise DataError(
            f"{name} has values of type {array.dtype}, but {first_name} has {first.dtype}; make them alike"
        )


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    """Return the arrays one below the other; one alone is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _each(array: Rows, change: Callable[[np.ndarray], np.ndarray]) -> Rows:
    """Change rows: at once in memory, as they are read on disk."""
    return array.changed(change) if isinstance(array, StoredRows) else change(array)


def _recognize(array: Rows, name: str) -> tuple[Rows, str]:
    """Return rows of numbers (N, features) or pictures (N, C, H, W), and a note if that was a decision."""
    shape = array.shape
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{name} has values of type {array.dtype}, but inputs are numbers; "
            "give text and dates as a table (a data frame or a CSV file)"
        )
    if not 1 <= array.ndim <= 4:
        raise DataError(
            f"{name} has shape {shape}; wanted are (N, features), or pictures (N, H, W), (N, C, H, W) or (N, H, W, C)"
        )
    if 0 in shape:
        raise DataError(f"{name} is empty: its shape is {shape}")
    note = ""
    if array.ndim == 1:
        array = _each(array, lambda rows: rows[:, None])
    elif array.ndim == 3:
        array, note = _each(array, lambda rows: rows[:, None]), "read as grey pictures (N, H, W)"
    elif array.ndim == 4:
        array, note = _channels_first(array, name)
    dtype = _plain_type(array)
    array = _each(array, lambda rows: _as_type(rows, dtype))
    _check_finite(array, name, row_values=len(shape) == 2)
    return (
        array,
        note and f"{note}: {array.shape[1]} channels of {array.shape[2]} × {array.shape[3]} (height × width)",
    )


def _channels_first(array: Rows, name: str) -> tuple[Rows, str]:
    """Tell (N, C, H, W) from (N, H, W, C) by which end has 1 or 3 channels."""
    first, last = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
    if last and not first:
        first_channels = _each(array, lambda rows: np.ascontiguousarray(rows.transpose(0, 3, 1, 2)))
        return first_channels, "read as pictures (N, H, W, C)"
    if first:
        return array, "read as pictures (N, C, H, W)" + (
            ", though (N, H, W, C) would fit too" if last else ""
        )
    raise DataError(
        f"{name} has shape {array.shape}; pictures have 1 or 3 channels, as (N, C, H, W) or (N, H, W, C); "
        "for other numbers give one row per example, (N, features)"
    )


def _plain_type(array: Rows) -> np.dtype[Any]:
    """Return the type, of those that torch knows: tables keep their precision, pictures are uint8 or float32."""
    kind, width = array.dtype.kind, array.dtype.itemsize
    if array.ndim == 4 and kind != "f":
        is_bytes = kind == "b" or all(part.min() >= 0 and part.max() <= 255 for _, part in parts_of(array))
        return np.dtype(np.uint8 if is_bytes else np.float32)
    if kind == "f":
        return np.dtype(np.float32 if width <= 4 or array.ndim == 4 else np.float64)
    if kind == "u" and width > 1:
        return np.dtype(np.int64 if width < 8 else np.float64)
    return np.dtype(np.uint8) if kind == "b" else array.dtype.newbyteorder("=")


def _as_type(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    with np.errstate(all="ignore"):  # what overflows becomes infinite and is refused
        taken = array.astype(dtype, copy=False)
        if (
            taken.dtype.kind == "f" and (missing := np.isnan(taken)).any()
        ):  # of damaged files some NaN are of the kind
            taken = np.where(missing, taken.dtype.type(np.nan), taken)  # that makes every computation warn
        return taken


def _check_finite(array: Rows, name: str, *, row_values: bool) -> None:
    """Refuse infinite values, and in pictures missing ones."""
    if array.dtype.kind != "f":
        return
    is_table = array.ndim == 2
    first, count = None, 0
    for start, part in parts_of(array):
        bad = np.isinf(part) if is_table else ~np.isfinite(part)
        if first is None and bad.any():
            place = tuple(int(index) for index in np.argwhere(bad)[0])
            first = (start + place[0], place[1], part[place])
        count += int(bad.sum())
    if first is None:
        return
    where = f"row {first[0]}" + (f", column {first[1]}" if row_values else "")
    what = "NaN is read as missing" if is_table else "pictures cannot have missing values"
    raise DataError(
        f"{name}: {where} (counted from 0) is {first[2]}, one of {count} such values; "
        f"inputs are finite numbers ({what})"
    )


def _check_targets(targets: np.ndarray, name: str, rows: int, input_name: str) -> np.ndarray:
    """Return targets (N,) or (N, values) in a plain type."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim not in (1, 2):
        raise DataError(f"{name} has shape {targets.shape}; targets are (N,) or (N, values)")
    if len(targets) != rows:
        raise DataError(
            f"{input_name} has {rows} rows, but {name} has {len(targets)}; each row needs its target"
        )
    kind = targets.dtype.kind
    if kind in "SU":
        return _checked_text(targets, name)
    if kind not in "biuf":
        raise DataError(f"{name} has values of type {targets.dtype}; targets are numbers or text")
    if kind == "b":
        return targets
    is_whole = kind == "i" or (kind == "u" and targets.dtype.itemsize < 8)
    with np.errstate(all="ignore"):
        plain = targets.astype(np.int64 if is_whole else np.float64)
    if np.isinf(plain).any():
        row = int(np.argwhere(np.isinf(plain))[0][0])
        raise DataError(f"{name}: row {row} (counted from 0) is {plain[row]}; targets are finite numbers")
    return plain


def _checked_text(targets: np.ndarray, name: str) -> np.ndarray:
    """Return labels as text; an array of text can hold numbers that are no characters."""
    if targets.dtype.kind == "S":
        return np.char.decode(targets, "utf-8", "replace")
    text = np.ascontiguousarray(targets, targets.dtype.newbyteorder("="))
    codes = text.view(np.uint32) if text.dtype.itemsize else np.empty(0, np.uint32)
    if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
        raise DataError(f"{name} holds text with characters that do not exist; it is damaged")
    return text
