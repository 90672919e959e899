"""Arrays: NumPy's .npz files, MNIST's IDX files, arrays in memory and map-style data sets.

Every reader ends in `_source`, which decides what the numbers are: rows of features, or pictures. Files are hostile:
what they promise is compared with what they hold before memory is taken, and nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import IO, Any, Literal, cast

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
    """Inputs and their targets, with the names that messages give them."""

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
    pairs = _pair_keys(_shown(path), sorted(arrays), target)
    used = {key for pair in pairs.values() for key in pair if key is not None}
    _check_bytes(sum(arrays[key].total_bytes for key in used), _shown(path))
    parts = {}
    for split, (x, y) in pairs.items():
        targets = None if y is None else arrays[y].read()
        parts[split] = _Part(arrays[x].read(), targets, arrays[x].name, "" if y is None else arrays[y].name)
    unused = sorted([*(arrays.keys() - used), *others])
    notes = [f"not used: {listed(unused)}"] if unused else []
    origin = {"kind": "npz", "path": str(path.absolute()), "target": target}
    return _source(path.stem, origin, parts, notes, target or "target")


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
    return _source(
        path.absolute().name.split(".")[0], {"kind": "idx", "path": str(path.absolute())}, parts, []
    )


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
    items: list[tuple[np.ndarray, np.ndarray]] = []
    for index in range(len(dataset)):
        items.append(_item(dataset, index))
        for what, value, first in zip("xy", items[index], items[0], strict=True):
            if value.shape != first.shape:
                raise DataError(
                    f"item {index} of {visible(name)!r} has {what} of shape {value.shape}, "
                    f"but item 0 has {first.shape}; all items need one shape (resize or pad them)"
                )
        if not index:
            _check_bytes(len(dataset) * sum(value.nbytes for value in items[0]), visible(name))
    part = _Part(_stacked([x for x, _ in items], "x"), _stacked([y for _, y in items], "y"))
    source = _source(name, {"kind": "dataset", "name": name}, {TRAIN: part}, [])
    return replace(source, class_names=_class_names(dataset, source.targets))


def _class_names(dataset: Any, targets: np.ndarray | None) -> tuple[str, ...] | None:
    """Return the names in `dataset.classes`, as torchvision keeps them, if the targets count through them."""
    names = getattr(dataset, "classes", None)
    if (
        not isinstance(names, (list, tuple))
        or targets is None
        or targets.ndim != 1
        or targets.dtype.kind != "i"
    ):
        return None
    fits = len(names) and targets.min() >= 0 and targets.max() < len(names)
    return tuple(str(name) for name in names) if fits else None


# ---- what the numbers are


def _source(
    name: str, origin: dict[str, Any], parts: Mapping[int, _Part], notes: list[str], target: str = "target"
) -> Source:
    """Join the parts of the data and decide whether they are rows of numbers or pictures."""
    first = next(iter(parts.values()))
    understood = [_understand(part.inputs, part.input_name) for part in parts.values()]
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
        array=_joined(inputs),
        targets=answers,
        target_names=(target,),
        is_pictures=inputs[0].ndim == 4,
        fixed_split=splits if set(parts) != {TRAIN} else None,
        notes=(*notes, *dict.fromkeys(note for _, note in understood if note)),
    )


def _check_alike(array: np.ndarray, name: str, first: np.ndarray, first_name: str) -> None:
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
    note = ""
    if array.ndim == 1:
        array = array[:, None]
    elif array.ndim == 3:
        array, note = array[:, None], "read as grey pictures (N, H, W)"
    elif array.ndim == 4:
        array, note = _channels_first(array, name)
    array = _plain(array)
    _check_finite(array, name, row_values=len(shape) == 2)
    return (
        array,
        note and f"{note}: {array.shape[1]} channels of {array.shape[2]} × {array.shape[3]} (height × width)",
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
    """Return numbers in types that torch knows: tables keep their precision, pictures are uint8 or float32."""
    kind, width = array.dtype.kind, array.dtype.itemsize
    with np.errstate(all="ignore"):  # what overflows becomes infinite and is refused
        if array.ndim == 4 and kind != "f":
            is_bytes = kind == "b" or (array.min() >= 0 and array.max() <= 255)
            return array.astype(np.uint8 if is_bytes else np.float32, copy=False)
        if kind == "f":
            return array.astype(np.float32 if width <= 4 or array.ndim == 4 else np.float64, copy=False)
        if kind == "u" and width > 1:
            return array.astype(np.int64 if width < 8 else np.float64)
        return array.astype(np.uint8 if kind == "b" else array.dtype.newbyteorder("="), copy=False)


def _check_finite(array: np.ndarray, name: str, *, row_values: bool) -> None:
    """Refuse infinite values, and in pictures missing ones."""
    if array.dtype.kind != "f":
        return
    is_table = array.ndim == 2
    bad = np.isinf(array) if is_table else ~np.isfinite(array)
    if not bad.any():
        return
    place = tuple(int(index) for index in np.argwhere(bad)[0])
    where = f"row {place[0]}" + (f", column {place[1]}" if row_values else "")
    what = "NaN is read as missing" if is_table else "pictures cannot have missing values"
    raise DataError(
        f"{name}: {where} (counted from 0) is {array[place]}, one of {int(bad.sum())} such values; "
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
    with _said(f"{name} cannot be read as one array{_ragged(values)}"):
        array = np.asarray(values)
    if array.dtype.kind == "O" and array.ndim and all(isinstance(value, str) for value in array.flat):
        return array.astype(str)
    if array.dtype.hasobject:
        found = next(
            (v for v in array.flat if not isinstance(v, (int, float))), array.flat[0] if array.size else None
        )
        raise DataError(
            f"{name} holds {visible(repr(found), 60)}, but an array has numbers only (NaN for missing ones); "
            "give mixed columns as a table (a data frame or a CSV file)"
        )
    return array


def _ragged(values: Any) -> str:
    """Say which row of nested lists has another length than the first."""
    if not isinstance(values, (list, tuple)):
        return ""
    lengths = [len(value) if hasattr(value, "__len__") else 1 for value in values]
    for row, length in enumerate(lengths):
        if length != lengths[0]:
            return f" (row {row}, counted from 0, has {length} values, row 0 has {lengths[0]})"
    return ""


def _item(dataset: Any, index: int) -> tuple[np.ndarray, np.ndarray]:
    with _said(f"item {index} of the data set cannot be read"):
        item = dataset[index]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(f"item {index} of the data set should be (x, y); got {type(item).__name__}")
    return _as_array(item[0], f"x of item {index}"), _as_array(item[1], f"y of item {index}")


def _stacked(values: Sequence[np.ndarray], what: str) -> np.ndarray:
    try:
        return np.stack(values)
    except TypeError as error:  # numbers here, dates there
        raise DataError(f"{what} differs in type between the items: {visible(error)}") from error


@contextlib.contextmanager
def _said(message: str) -> Iterator[None]:
    """Turn whatever hostile bytes make a parser raise into a DataError; what was raised on purpose passes."""
    try:
        yield
    except (DataError, Interrupted):
        raise
    except Exception as error:
        raise DataError(f"{message} ({visible(error) or type(error).__name__})") from error


# ---- .npz: a zip of arrays, each with a header that says its type and shape


@dataclass(frozen=True, slots=True)
class _Entry:
    """One array in a .npz file whose header has been read and fits its length."""

    path: Path
    name: str
    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def total_bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        order: Literal["F", "C"] = "F" if self.is_fortran else "C"
        with _said(f"{self.name} is damaged"):
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                file.read(self.start)
                content = _read_bounded(file, self.total_bytes, self.name)
            return np.frombuffer(content, self.dtype).reshape(self.shape, order=order)


def _open_npz(path: Path) -> tuple[dict[str, _Entry], list[str]]:
    """Return the arrays of a file by key, their headers read, and the names of members that are no arrays."""
    if not path.is_file():
        raise DataError(f"{_shown(path)} should be a .npz file, but no file stands there")
    arrays: dict[str, _Entry] = {}
    others = []
    with _said(f"{_shown(path)} is not a .npz file, or damaged"), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            if key in arrays:
                raise DataError(f"{_shown(path)} has two arrays called {visible(key)!r}; write it again")
            if key == member.filename:
                others.append(key)
            else:
                arrays[key] = _read_header(path, archive, member, f"{_shown(path)}: {visible(key)!r}")
    return arrays, others


def _read_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> _Entry:
    """Read what an array says about itself, and refuse pickles and lengths that do not fit."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{name} is compressed in a way that numpy.savez_compressed does not use; write it again"
        )
    with archive.open(member) as file:
        shape, is_fortran, dtype, start = _parse_header(file.read(_HEADER_BYTES), name)
    if dtype.hasobject:
        raise DataError(
            f"{name} holds Python objects, which are stored as pickle and could run code when read; "
            "store numbers or text, such as x.astype(float) or y.astype(str)"
        )
    entry = _Entry(path, name, member, shape, is_fortran, dtype, start)
    if start + entry.total_bytes != member.file_size:
        raise DataError(
            f"{name} of shape {visible(shape)} and type {visible(dtype)} should have {entry.total_bytes} bytes, "
            f"but has {member.file_size - start}; the file is damaged"
        )
    return entry


_HEADER_BYTES = 1 << 14  # numpy itself refuses headers above 10,000 bytes


def _parse_header(content: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, order, type and length of a header, with numpy's own parser (it evaluates literals only)."""
    from numpy.lib import format as npy

    file = io.BytesIO(content)
    with _said(f"{name} has a damaged header"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
    if any(side < 0 for side in shape):
        raise DataError(f"{name} has a damaged header (shape {visible(shape)})")
    return shape, is_fortran, dtype, file.tell()


def _pair_keys(path: str, keys: list[str], target: str | None) -> dict[int, tuple[str, str | None]]:
    """Return the key of the inputs and the key of the targets, per split."""
    targets = TARGET_KEYS if target is None else (target.lower(),)
    roles: dict[tuple[int, str], list[str]] = {}
    for key in keys:
        name, split = _split_of(key)
        role = "y" if name in targets or key == target else "x" if name in INPUT_KEYS else ""
        roles.setdefault((split, role), []).append(key)
    if target is not None and not any(role == "y" for _, role in roles):
        close = "".join(f"; did you mean {c!r}?" for c in nearest(target, keys, most=1))
        raise DataError(f"{path} has no array {visible(target)!r}; it has {listed(keys)}{close}")
    if keys[:1] == ["arr_0"] and keys in (["arr_0"], ["arr_0", "arr_1"]):  # numpy.savez(file, x, y)
        return {TRAIN: ("arr_0", keys[1] if len(keys) > 1 else None)}
    for (_, role), found in roles.items():
        if role and len(found) > 1:
            raise DataError(f"{path}: {listed(found)} could each be meant; keep one, or rename the others")
    splits = sorted({split for split, role in roles if role})
    for split in splits or [TRAIN]:
        if (split, "x") not in roles or TRAIN not in splits:
            raise DataError(
                f"{path} should hold arrays x and y, or x_train, y_train, x_test and y_test "
                f"({', '.join(INPUT_KEYS)} and {', '.join(TARGET_KEYS)} are understood); it has {listed(keys)}"
            )
    return {split: (roles[split, "x"][0], roles.get((split, "y"), [None])[0]) for split in splits}


def _split_of(key: str) -> tuple[str, int]:
    """Return the plain name of an array and its split.

    >>> _split_of("x_test"), _split_of("val_images"), _split_of("X")
    (('x', 2), ('images', 1), ('x', 0))
    """
    first, _, rest = key.lower().partition("_")
    start, _, last = key.lower().rpartition("_")
    if first in SPLITS and rest:
        return rest, SPLITS[first]
    if last in SPLITS and start:
        return start, SPLITS[last]
    return key.lower(), TRAIN


# ---- IDX: two zeros, a type, the number of dimensions, their sizes, the values


def _read_idx_file(path: Path) -> np.ndarray:
    """Read one IDX file, plain or compressed, to exactly the length that its header promises."""
    name = _shown(path)
    if not path.is_file():
        raise DataError(f"{name} should be an IDX file, but no file stands there")
    with _said(f"{name} is damaged or cut short"), path.open("rb") as plain, _unpacked(plain) as file:
        dtype, shape = _idx_header(file, name)
        _check_bytes(prod(shape) * dtype.itemsize, name)
        content = _read_bounded(file, prod(shape) * dtype.itemsize, name)
        return np.frombuffer(content, dtype).reshape(shape)


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return a file that reads what is inside a gzip file, or the file itself, whatever its name ends in."""
    is_compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if is_compressed else file


def _idx_header(file: IO[bytes], name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_TYPES or not 1 <= magic[3] <= 4:
        raise DataError(
            f"{name} is not an IDX file: it should begin with 00 00, a type (08 for bytes) and the number of dimensions "
            f"(01 to 04), but begins with {magic.hex(' ') or 'nothing'}"
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(
            f"{name} is cut short: its header should have {4 + 4 * magic[3]} bytes, but has {4 + len(sizes)}"
        )
    return np.dtype(IDX_TYPES[magic[2]]), tuple(int(side) for side in np.frombuffer(sizes, ">u4"))


def _labels_file(images: Path) -> Path:
    """Return the file of labels that stands beside a file of images."""
    name = images.name.removesuffix(".gz")
    if "images" not in name:
        raise DataError(
            f"{_shown(images)} should be a file of images, such as train-images-idx3-ubyte, with its labels beside it, "
            "or the folder that holds both"
        )
    wanted = images.with_name(re.sub(r"idx\d", "idx1", name.replace("images", "labels")))
    found = [file for file in (wanted, wanted.with_name(wanted.name + ".gz")) if file.is_file()]
    if not found:
        raise DataError(
            f"{_shown(images)} needs its labels beside it, in {visible(wanted.name)} or {visible(wanted.name)}.gz"
        )
    return found[0]


def _idx_folder(folder: Path) -> dict[int, Path]:
    """Return the file of images of each split in a folder; a plain file is taken before its compressed twin."""
    found: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        if not re.search(r"images.*idx\d", file.name) or file.name.startswith("."):
            continue
        split = TEST if re.search("t10k|test", file.name) else VALIDATION if "val" in file.name else TRAIN
        other = found.setdefault(split, file)
        if other.name.removesuffix(".gz") != file.name.removesuffix(".gz"):
            raise DataError(
                f"{_shown(other)} and {file.name!r} could each be meant; give the path of one of them"
            )
    if TRAIN not in found:
        raise DataError(
            f"{_shown(folder)} should hold train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or .gz"
        )
    return dict(sorted(found.items()))


def _read_bounded(file: IO[bytes], wanted: int, name: str) -> bytearray:
    """Read `wanted` bytes and make sure that the file ends there, whatever it would unpack to."""
    content = bytearray()
    while len(content) <= wanted and (chunk := file.read(min(_CHUNK, wanted + 1 - len(content)))):
        content += chunk
    if len(content) != wanted:
        found = "more" if len(content) > wanted else f"only {len(content)}"
        raise DataError(
            f"{name} should have {wanted} bytes of values after its header, but has {found}; fetch it again"
        )
    return content


def _shown(path: Path) -> str:
    return visible(path, most=1000)
