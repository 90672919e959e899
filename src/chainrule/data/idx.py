"""MNIST's IDX files, plain or compressed: two zeros, a type, the number of dimensions, their sizes, the values."""

from __future__ import annotations

import gzip
import re
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.data.array_parts import Part, join_parts
from chainrule.data.source import TEST, TRAIN, VALIDATION, Source
from chainrule.data.untrusted import as_data_error, check_bytes, read_bounded, shown

IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: Path) -> Source:
    """Read MNIST's format: a folder with train-images-idx3-ubyte and its like, or one file of images.

    The labels are expected beside the images, under the same name with labels-idx1; both may end in .gz.
    Raises: DataError naming the file, with what was expected and what was found
    """
    parts = {}
    for split, (file, labels) in idx_files(path).items():
        pixels = _read_idx_file(file)
        targets = _read_idx_file(labels)
        if targets.ndim != 1:
            raise DataError(f"{shown(labels)}: labels have 1 dimension, but the file says {targets.ndim}")
        parts[split] = Part(pixels, targets, shown(file), shown(labels))
    whole = path.absolute()
    return join_parts(whole.name.split(".")[0], {"kind": "idx", "path": str(whole)}, parts)


def idx_files(path: Path) -> dict[int, tuple[Path, Path]]:
    """Return the files of images and of labels, per split. Raises: DataError for files that are missing."""
    images = _idx_folder(path) if path.is_dir() else {TRAIN: path}
    return {split: (file, _labels_file(file)) for split, file in images.items()}


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
                f"{shown(other)} and {file.name!r} could each be meant; give the path of one of them"
            )
    if TRAIN not in found:
        raise DataError(
            f"{shown(folder)} should hold train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or .gz"
        )
    return dict(sorted(found.items()))


def _labels_file(images: Path) -> Path:
    """Return the file of labels that stands beside a file of images."""
    name = images.name.removesuffix(".gz")
    if "images" not in name:
        raise DataError(
            f"{shown(images)} should be a file of images, such as train-images-idx3-ubyte, with its labels beside it, "
            "or the folder that holds both"
        )
    wanted = images.with_name(re.sub(r"idx\d", "idx1", name.replace("images", "labels")))
    found = [file for file in (wanted, wanted.with_name(wanted.name + ".gz")) if file.is_file()]
    if not found:
        raise DataError(
            f"{shown(images)} needs its labels beside it, in {visible(wanted.name)} or {visible(wanted.name)}.gz"
        )
    return found[0]


def _read_idx_file(path: Path) -> np.ndarray:
    """Read one IDX file, plain or compressed, to exactly the length that its header promises."""
    name = shown(path)
    if not path.is_file():
        raise DataError(f"{name} should be an IDX file, but no file stands there")
    with as_data_error(f"{name} is damaged or cut short"), path.open("rb") as plain, _unpacked(plain) as file:
        dtype, shape = _idx_header(file, name)
        check_bytes(prod(shape) * dtype.itemsize, name)
        content = read_bounded(file, prod(shape) * dtype.itemsize, name)
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
