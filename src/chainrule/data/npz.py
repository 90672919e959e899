"""NumPy's .npz files: a zip of arrays, each with a header that says its type and shape.

What a header promises is compared with what the file holds before memory is taken, and nothing is unpickled.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from chainrule.core.errors import DataError, nearest
from chainrule.core.text import listed, visible
from chainrule.data.array_parts import Part, join_parts
from chainrule.data.source import PARTS_BY_NAME, TRAIN, Source
from chainrule.data.store import BYTES_AT_ONCE, OpenFile, Store, StoredRows
from chainrule.data.untrusted import as_data_error, check_bytes, read_bounded, shown

INPUT_KEYS = ("x", "images", "data", "inputs", "features")
TARGET_KEYS = ("y", "labels", "targets", "target")
_HEADER_BYTES = 1 << 14  # numpy itself refuses headers above 10,000 bytes


def read_npz(path: Path, target: str | None = None, store: Store | None = None) -> Source:
    """Read a .npz file: inputs under x, X, images, data, inputs or features, targets under y, labels, target(s).

    x_train, y_train, x_test, … (or train_images, train_labels, …) are read as splits. `target` names another key.
    Inputs that `store` does not hold are left in the file, and read from there row by row.
    Raises: DataError naming the file and the key
    """
    arrays, others = _open_npz(path)
    pairs = _pair_keys(shown(path), sorted(arrays), target)
    used = {key for pair in pairs.values() for key in pair if key is not None}
    unused = sorted([*(arrays.keys() - used), *others])
    notes = [f"not used: {listed(unused)}"] if unused else []
    wanted = sum(arrays[x].bytes_in_memory for x, _ in pairs.values())
    on_disk = None if store is None or store.holds(wanted) else store
    if on_disk is not None:
        used -= {x for x, _ in pairs.values()}
        notes.append(on_disk.note(visible(path.name), wanted))
    check_bytes(sum(arrays[key].total_bytes for key in used), shown(path))
    parts = {}
    for split, (x, y) in pairs.items():
        targets = None if y is None else arrays[y].read()
        inputs = arrays[x].read() if on_disk is None else arrays[x].rows(on_disk)
        parts[split] = Part(inputs, targets, arrays[x].name, "" if y is None else arrays[y].name)
    origin = {"kind": "npz", "path": str(path.absolute()), "target": target}
    return join_parts(path.stem, origin, parts, notes, target or "target", store)


def npz_keys(path: Path, target: str | None = None) -> dict[int, tuple[str, str | None]]:
    """Return the key of the inputs and the key of the targets, per split. Raises: DataError naming file and key."""
    return _pair_keys(shown(path), sorted(_open_npz(path)[0]), target)


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
    if first in PARTS_BY_NAME and rest:
        return rest, PARTS_BY_NAME[first]
    if last in PARTS_BY_NAME and start:
        return start, PARTS_BY_NAME[last]
    return key.lower(), TRAIN


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

    @property
    def bytes_in_memory(self) -> int:
        """What the values take at the most while they are made ready: as they came, in a plain type, prepared."""
        return 2 * self.total_bytes + 4 * prod(self.shape)

    def rows(self, store: Store) -> StoredRows:
        """Return the array on disk: in the file itself, or unpacked where it is compressed."""
        if self.is_fortran and len(self.shape) > 1:
            raise DataError(
                f"{self.name} is stored column by column, which is read into memory only: give more --memory, or save it "
                "row by row (numpy.ascontiguousarray)"
            )
        is_stored = self.member.compress_type == zipfile.ZIP_STORED
        unpacked = None if is_stored else store.file()
        with as_data_error(f"{self.name} is damaged"), store.writing(self.total_bytes):
            self._copy_to(unpacked)
        if unpacked is not None:
            return StoredRows(unpacked, self.shape, self.dtype, name=self.name, offset=self.start)
        file = self.path.open("rb", buffering=0)
        offset = _member_starts(file, self.member.header_offset) + self.start
        return StoredRows(OpenFile(file), self.shape, self.dtype, name=self.name, offset=offset)

    def _copy_to(self, file: OpenFile | None) -> None:
        """Read the array through, which compares it with its checksum, and write it to a file where one is given."""
        done = 0
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as packed:
            while content := packed.read(BYTES_AT_ONCE):
                if file is not None:
                    file.write(memoryview(content), done)
                done += len(content)

    def read(self) -> np.ndarray:
        order: Literal["F", "C"] = "F" if self.is_fortran else "C"
        with as_data_error(f"{self.name} is damaged"):
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                file.read(self.start)
                content = read_bounded(file, self.total_bytes, self.name)
            return np.frombuffer(content, self.dtype).reshape(self.shape, order=order)


def _open_npz(path: Path) -> tuple[dict[str, _Entry], list[str]]:
    """Return the arrays of a file by key, their headers read, and the names of members that are no arrays."""
    if not path.is_file():
        raise DataError(f"{shown(path)} should be a .npz file, but no file stands there")
    arrays: dict[str, _Entry] = {}
    others = []
    with as_data_error(f"{shown(path)} is not a .npz file, or damaged"), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            if key in arrays:
                raise DataError(f"{shown(path)} has two arrays called {visible(key)!r}; write it again")
            if key == member.filename:
                others.append(key)
            else:
                arrays[key] = _read_header(path, archive, member, f"{shown(path)}: {visible(key)!r}")
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


def _member_starts(file: IO[bytes], header: int) -> int:
    """Return where the content of a zip's member starts, behind its header, a name and an extra field."""
    file.seek(header + 26)
    lengths = file.read(4)
    return header + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")


def _parse_header(content: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, order, type and length of a header, with numpy's own parser (it evaluates literals only)."""
    from numpy.lib import format as npy

    file = io.BytesIO(content)
    with as_data_error(f"{name} has a damaged header"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
    if any(side < 0 for side in shape):
        raise DataError(f"{name} has a damaged header (shape {visible(shape)})")
    return shape, is_fortran, dtype, file.tell()
