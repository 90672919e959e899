"""Arrays: NumPy's .npz files, MNIST's IDX files, arrays in memory and map-style data sets.

Every reader ends in `_source`, which decides what the numbers are: rows of features, or pictures. Files are hostile:
what they promise is compared with what they hold before memory is taken, and nothing is unpickled.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.core.errors import DataError, Interrupted, nearest
from chainrule.core.text import listed, visible
from chainrule.core.units import show_bytes
from chainrule.data.source import TEST, TRAIN, VALIDATION, Source

MOST_BYTES = 16_000_000_000  # of all arrays of one source together, uncompressed; less where memory is less
INPUT_KEYS = ("x", "images", "data", "inputs", "features")
TARGET_KEYS = ("y", "labels", "targets", "target")
SPLITS = {"train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "test": TEST}
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Part:
    """Inputs and their targets, with the names that messages call them by."""

    inputs: np.ndarray
    targets: np.ndarray | None
    input_name: str = "x"
    target_name: str = "y"


def read_npz(path: Path, target: str | None = None) -> Source:
    """Read a .npz file: inputs under x, X, images, data, inputs or features, targets under y, labels, target(s).

    x_train, y_train, x_test, … (or train_images, train_labels, …) are read as splits. `target` names another key.
    Raises: DataError naming the file and the key
    """
    arrays, others = _open_npz(path)
    pairs = _pair_keys(path, sorted(arrays), target)
    used = {key for x, y in pairs.values() for key in (x, y)}
    unused = sorted([key for key in arrays if key not in used] + others)
    wanted = sum(arrays[key].total_bytes for key in used if key is not None)
    _check_bytes(wanted, _shown(path))
    parts = {}
    for split, (x, y) in pairs.items():
        targets = None if y is None else arrays[y].read()
        parts[split] = _Part(arrays[x].read(), targets, f"{_shown(path)}: {x!r}", f"{y!r}")
    origin = {"kind": "npz", "path": str(path.absolute()), "target": target}
    notes = [f"arrays not used: {listed(unused)}"] if unused else []
    return _source(path.stem, origin, parts, notes)


def read_idx(path: Path) -> Source:
    """Read MNIST's format: a folder with train-images-idx3-ubyte and its like, or one file of images.

    The labels are expected beside the images, under the same name with labels-idx1; both may end in .gz.
    Raises: DataError naming the file, with what was expected and what was found
    """
    images = _idx_folder(path) if path.is_dir() else {TRAIN: path}
    parts = {}
    for split, file in images.items():
        labels = _labels_file(file)
        pixels = _read_idx_file(file)
        targets = _read_idx_file(labels)
        if targets.ndim != 1:
            raise DataError(f"{_shown(labels)}: labels have 1 dimension, but the file says {targets.ndim}")
        parts[split] = _Part(pixels, targets, _shown(file), _shown(labels))
    return _source(path.absolute().name, {"kind": "idx", "path": str(path.absolute())}, parts, [])


def from_arrays(x: Any, y: Any, name: str = "arrays") -> Source:
    """Take NumPy arrays, nested lists or torch tensors; `y` may be None. NaN in a table of numbers means missing.

    Shapes: x (N, features), or pictures (N, H, W), (N, C, H, W) or (N, H, W, C); y (N,) or (N, values)
    Raises: DataError naming what does not fit
    """
    part = _Part(_as_array(x, "x"), None if y is None else _as_array(y, "y"))
    return _source(name, {"kind": "arrays", "name": name}, {TRAIN: part}, [])


def from_dataset(dataset: Any, name: str = "dataset") -> Source:
    """Take a map-style data set, such as torch's: `len(dataset)` and `dataset[i]`, which gives (x, y).

    Raises: DataError naming the item that does not fit
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise DataError(
            f"a data set has a length and gives (x, y) for an index; got {type(dataset).__name__}, which does not. "
            "Read an iterable one into arrays first"
        )
    if not len(dataset):
        raise DataError(f"the data set {visible(name)!r} has no items")
    items = [_item(dataset, index) for index in range(len(dataset))]
    for index, (x, y) in enumerate(items):
        for what, value, first in (("x", x, items[0][0]), ("y", y, items[0][1])):
            if value.shape != first.shape:
                raise DataError(
                    f"item {index} of {visible(name)!r} has {what} of shape {value.shape}, but item 0 has {first.shape}; "
                    "all items need one shape (resize or pad them)"
                )
        if not index:
            _check_bytes(len(items) * (x.nbytes + y.nbytes), visible(name))
    part = _Part(np.stack([x for x, _ in items]), np.stack([y for _, y in items]))
    return _source(name, {"kind": "dataset", "name": name}, {TRAIN: part}, [])


# ---- what the numbers are


def _source(name: str, origin: dict[str, Any], parts: Mapping[int, _Part], notes: list[str]) -> Source:
    """Join the parts of the data and decide whether they are rows of numbers or pictures."""
    inputs, targets = [], []
    for part in parts.values():
        array, note = _understand(part.inputs, part.input_name)
        inputs.append(array)
        notes += [note] if note and note not in notes else []
        if inputs[0].shape[1:] != array.shape[1:]:
            first = next(iter(parts.values()))
            raise DataError(
                f"{part.input_name} has rows of shape {array.shape[1:]}, but {first.input_name} has {inputs[0].shape[1:]}"
            )
        if part.targets is not None:
            targets.append(_check_targets(part.targets, part.target_name, len(array), part.input_name))
    array = _joined(inputs)
    splits = np.repeat(np.array(list(parts), np.int8), [len(part) for part in inputs])
    return Source(
        name=name,
        origin=origin,
        array=array,
        targets=_joined(targets) if targets else None,
        is_pictures=array.ndim == 4,
        fixed_split=splits if set(parts) != {TRAIN} else None,
        notes=tuple(notes),
    )


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    """Return the arrays one below the other; one alone is not copied."""
    if len({array.shape[1:] for array in arrays}) > 1:
        raise DataError(f"targets differ in shape between the splits: {[array.shape for array in arrays]}")
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _understand(array: np.ndarray, name: str) -> tuple[np.ndarray, str]:
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
    array = _plain(array)
    note = ""
    if array.ndim == 1:
        array = array[:, None]
    elif array.ndim == 3:
        array, note = array[:, None], "read as grey pictures (N, H, W)"
    elif array.ndim == 4:
        array, note = _channels_first(array, name)
    _check_finite(array, name, missing_allowed=array.ndim == 2, shape=shape)
    return (
        array,
        note and f"{note}: {len(array)} of {array.shape[2]} × {array.shape[3]}, {array.shape[1]} channels",
    )


def _channels_first(array: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """Tell (N, C, H, W) from (N, H, W, C) by which end has 1 or 3 channels."""
    first, last = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
    if last and not first:
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2)), "read as pictures (N, H, W, C)"
    if first:
        return array, "read as pictures (N, C, H, W)" + (
            ", though (N, H, W, C) would fit too" if last else ""
        )
    raise DataError(
        f"{name} has shape {array.shape}; pictures have 1 or 3 channels, as (N, C, H, W) or (N, H, W, C); "
        "for other numbers give one row per example, (N, features)"
    )


def _plain(array: np.ndarray) -> np.ndarray:
    """Return numbers in this machine's byte order and in a type that torch knows."""
    kind, width = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        return array.astype(np.uint8)
    if kind == "f":
        return array.astype(np.float32 if width <= 4 else np.float64, copy=False)
    if kind == "u" and width > 1:
        return array.astype(np.int64 if width < 8 else np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check_finite(array: np.ndarray, name: str, *, missing_allowed: bool, shape: tuple[int, ...]) -> None:
    if array.dtype.kind != "f":
        return
    bad = np.isinf(array) if missing_allowed else ~np.isfinite(array)
    if bad.any():
        place = tuple(int(index) for index in np.argwhere(bad)[0])
        what = "NaN is read as missing" if missing_allowed else "pictures have no missing values"
        where = f"row {place[0]}" + (f", column {place[1]}" if len(shape) == 2 else "")
        raise DataError(
            f"{name}: {where} (counted from 0) is {array[place]}; {int(bad.sum())} such values in all. "
            f"Inputs are finite numbers ({what})"
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
    if targets.dtype.kind == "S":
        targets = np.char.decode(targets, "utf-8", "replace")
    if targets.dtype.kind == "U":
        return targets
    if targets.dtype.kind not in "biuf":
        raise DataError(f"{name} has values of type {targets.dtype}; targets are numbers or text")
    if targets.dtype.kind == "f" and np.isinf(targets).any():
        row = int(np.argwhere(np.isinf(targets))[0][0])
        raise DataError(f"{name}: row {row} (counted from 0) is infinite; targets are finite numbers")
    return targets.astype(np.float64) if targets.dtype.kind == "f" else targets.astype(np.int64)


def _check_bytes(wanted: int, name: str) -> None:
    most = MOST_BYTES
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        most = min(most, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if wanted > most:
        raise DataError(
            f"{name} holds {show_bytes(wanted)} of numbers, more than the limit of {show_bytes(most)}"
        )


# ---- values in memory


def _as_array(values: Any, name: str) -> np.ndarray:
    """Return what a user gave as an array of numbers or text."""
    if hasattr(values, "detach"):  # a torch tensor
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    if hasattr(values, "tocsr"):
        raise DataError(f"{name} is a sparse matrix; give {name}.toarray()")
    try:
        array = np.asarray(values)
    except Interrupted:
        raise
    except Exception as error:
        raise DataError(f"{name} cannot be read as one array{_ragged(values)}: {visible(error)}") from error
    if array.dtype.kind == "O" and array.ndim and all(isinstance(value, str) for value in array.flat):
        return array.astype(str)
    if array.dtype.hasobject:
        found = next((v for v in array.flat if not isinstance(v, (int, float))), None)
        raise DataError(
            f"{name} holds {visible(repr(found), 60)}, but one array has numbers only (NaN for missing ones); "
            "give mixed columns as a table (a data frame or a CSV file)"
        )
    return array


def _ragged(values: Any) -> str:
    """Say which row of nested lists has another length than the first."""
    lengths = (
        [len(v) if hasattr(v, "__len__") else None for v in values]
        if isinstance(values, (list, tuple))
        else []
    )
    for row, length in enumerate(lengths):
        if length != lengths[0]:
            return f" (row {row}, counted from 0, has {length} values, row 0 has {lengths[0]})"
    return ""


def _item(dataset: Any, index: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        item = dataset[index]
    except Interrupted:
        raise
    except Exception as error:
        raise DataError(f"item {index} of the data set cannot be read: {visible(error)}") from error
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(f"item {index} of the data set should be (x, y); got {type(item).__name__}")
    return _as_array(item[0], f"x of item {index}"), _as_array(item[1], f"y of item {index}")


# ---- .npz: a zip of arrays, each with a header that says its type and shape


@dataclass(frozen=True, slots=True)
class _Entry:
    """One array in a .npz file whose header has been read and fits its length."""

    path: Path
    key: str
    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def total_bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        name = f"{_shown(self.path)}: {self.key!r}"
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                file.read(self.start)
                content = _read_bounded(file, self.total_bytes)
        except _BAD_ZIP as error:
            raise DataError(f"{name} is damaged ({visible(error)})") from error
        if len(content) != self.total_bytes:
            raise DataError(
                f"{name} should have {self.total_bytes} bytes, but has {_more(content, self.total_bytes)}"
            )
        flat = np.frombuffer(content, self.dtype)
        return flat.reshape(self.shape, order="F" if self.is_fortran else "C")


_BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)


def _open_npz(path: Path) -> tuple[dict[str, _Entry], list[str]]:
    """Return the arrays of a file by key, their headers read, and the names of members that are no arrays."""
    if not path.is_file():
        raise DataError(f"{_shown(path)} should be a .npz file, but no file stands there")
    arrays: dict[str, _Entry] = {}
    others = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                key = member.filename.removesuffix(".npy")
                if key == member.filename:
                    others.append(key)
                elif key in arrays:
                    raise DataError(f"{_shown(path)} has two arrays called {visible(key)!r}; write it again")
                else:
                    arrays[key] = _read_header(path, archive, member, visible(key))
    except DataError:
        raise
    except _BAD_ZIP as error:
        raise DataError(f"{_shown(path)} is not a .npz file, or damaged ({visible(error)})") from error
    return arrays, others


def _read_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, key: str) -> _Entry:
    from numpy.lib import format as npy

    name = f"{_shown(path)}: {key!r}"
    with archive.open(member) as file:
        try:
            version = npy.read_magic(file)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, is_fortran, dtype = read(file)
        except KeyError:
            raise DataError(f"{name} has a format that is not supported; write it with numpy.savez") from None
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError) as error:
            raise DataError(f"{name} has a damaged header ({visible(error)})") from error
        start = file.tell()
    if dtype.hasobject:
        raise DataError(
            f"{name} holds Python objects, which are stored as pickle and could run code when read; "
            "store numbers or text instead, such as x.astype(float) or y.astype(str)"
        )
    entry = _Entry(path, key, member, shape, is_fortran, dtype, start)
    if any(side < 0 for side in shape) or start + entry.total_bytes != member.file_size:
        raise DataError(
            f"{name} of shape {shape} and type {dtype} should have {entry.total_bytes} bytes, "
            f"but has {member.file_size - start}; the file is damaged"
        )
    return entry


def _pair_keys(path: Path, keys: list[str], target: str | None) -> dict[int, tuple[str, str | None]]:
    """Return the key of the inputs and the key of the targets, per split."""
    if target is not None and target not in keys:
        close = "".join(f"; did you mean {c!r}?" for c in nearest(target, keys, most=1))
        raise DataError(f"{_shown(path)} has no array {visible(target)!r}{close} It has {listed(keys)}")
    roles: dict[tuple[int, str], list[str]] = {}
    is_divided = False
    for key in keys:
        name, split = _split_of(key)
        role = "x" if name in INPUT_KEYS else "y" if name in TARGET_KEYS and target is None else ""
        role = "y" if key == target else role
        if role:
            is_divided |= split is not None
            roles.setdefault((TRAIN if split is None else split, role), []).append(key)
    if not roles and keys == ["arr_0", "arr_1"]:
        return {TRAIN: ("arr_0", "arr_1")}
    for found in roles.values():
        if len(found) > 1:
            raise DataError(
                f"{_shown(path)}: {listed(found)} could each be meant; keep one of them, or rename the others"
            )
    splits = sorted({split for split, _ in roles})
    pairs = {}
    for split in splits:
        x, y = roles.get((split, "x")), roles.get((split, "y"))
        if x is None:
            raise DataError(
                f"{_shown(path)}: {y[0] if y else ''!r} has no inputs beside it; {_WANTED}; it has {listed(keys)}"
            )
        pairs[split] = (x[0], y[0] if y else None)
    return pairs


_WANTED = "wanted are arrays x and y, or x_train, y_train, x_test, y_test"


def _split_of(key: str) -> tuple[str, int | None]:
    """Return the plain name of an array and its split: 'x_train' and 'train_images' are both divided data."""
    for before, after in (
        (key.partition("_")[0], key.partition("_")[2]),
        (key.rpartition("_")[2], key.rpartition("_")[0]),
    ):
        if before.lower() in SPLITS and after:
            return after.lower(), SPLITS[before.lower()]
    return key.lower(), None
