"""The cache of decoded pictures: one file per data folder and size, replaced when anything in it has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.core.errors import DataError, StorageError
from chainrule.core.files import make_folder, write_parts_atomic
from chainrule.core.text import visible
from chainrule.core.typed_json import typed
from chainrule.data.class_folders import FoundPictures
from chainrule.data.decoding import DECODER_VERSION
from chainrule.data.store import OpenFile, Store, StoredRows, parts_of
from chainrule.data.untrusted import shown


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pictures (N, C, H, W) uint8, and what is to be said about how they were decoded."""

    pixels: np.ndarray | StoredRows
    notes: tuple[str, ...]


def through_cache(
    found: FoundPictures,
    cache: Path,
    size: tuple[int, ...] | None,
    decode: Callable[[], Decoded],
    store: Store | None = None,
) -> Decoded:
    """Return what the cache holds for these pictures, or decode them and put them there.

    Pictures that `store` does not hold stay in the file.
    """
    name = _digest(str(found.root), size)[:16]
    path, key = cache / f"pictures-{name}.safetensors", _key(found, size)
    notes = []
    try:
        stored = _load(path, key, store)
    except DataError as error:
        stored = None
        notes.append(f"{error}; the pictures were decoded again")
    if stored is not None:
        return stored
    decoded = decode()
    try:
        _save(path, key, decoded)
    except StorageError as error:
        notes.append(f"the decoded pictures could not be kept for the next time: {error}")
    else:
        if isinstance(decoded.pixels, StoredRows):  # the file that they were decoded into can go
            decoded = _load(path, key, store) or decoded
    return Decoded(decoded.pixels, (*decoded.notes, *notes))


def room_for(shape: tuple[int, ...], store: Store | None) -> np.ndarray | StoredRows:
    """Return a place for pixels: on disk if they and what is prepared from them do not fit in memory."""
    wanted = bytes_in_memory(prod(shape))
    return np.empty(shape, np.uint8) if store is None or store.holds(wanted) else store.rows(shape, np.uint8)


def bytes_in_memory(pixels: int) -> int:
    """Return what so many pixels take: the bytes, and as numbers that are prepared."""
    return 5 * pixels


def _key(found: FoundPictures, size: tuple[int, ...] | None) -> str:
    """Return a hash that changes when a picture, the size wanted or the decoder changes."""
    import PIL

    try:
        stats = [file.stat() for file in found.files]
    except OSError as error:
        raise DataError(f"{visible(error.filename, most=1000)}: cannot be read ({error.strerror})") from error
    stamps = [(n, s.st_size, s.st_mtime_ns) for n, s in zip(found.names(), stats, strict=True)]
    return _digest(str(found.root), stamps, size, DECODER_VERSION, PIL.__version__)


def _digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _load(path: Path, key: str, store: Store | None) -> Decoded | None:
    """Return what is stored for exactly these pictures, or None.

    Raises: DataError if the file is damaged
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            if about["key"] != key:
                return None
            shape = tuple(file.get_slice("pictures").get_shape())
        pixels: np.ndarray | StoredRows = _stored(path, shape)
        if store is None or store.holds(bytes_in_memory(prod(shape))):
            pixels = pixels[:]
        if about["checksum"] != _checksum(pixels, key, about["notes"]):
            raise ValueError("its checksum differs")
        return Decoded(pixels, typed(tuple[str, ...], json.loads(about["notes"]), "notes"))
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise DataError(f"the cache {shown(path)} is damaged ({visible(error)})") from error


def _stored(path: Path, shape: tuple[int, ...]) -> StoredRows:
    """Return the pictures as they stand in the file, behind the length of the header and the header."""
    file = path.open("rb", buffering=0)
    start = 8 + int.from_bytes(file.read(8), "little")
    return StoredRows(OpenFile(file), shape, np.uint8, name=f"the cache {shown(path)}", offset=start)


def _save(path: Path, key: str, decoded: Decoded) -> None:
    """Write what `_load` reads: the safetensors format, built here because its own writer holds three copies."""
    pixels, notes = decoded.pixels, json.dumps(decoded.notes)
    about = {"key": key, "notes": notes, "checksum": _checksum(pixels, key, notes)}
    tensor = {"dtype": "U8", "shape": pixels.shape, "data_offsets": [0, pixels.nbytes]}
    header = json.dumps({"__metadata__": about, "pictures": tensor}).encode()
    header += b" " * (-len(header) % 8)
    make_folder(path.parent)
    start = [len(header).to_bytes(8, "little"), header]
    write_parts_atomic(path, chain(start, (part.data for _, part in parts_of(pixels))))


def _checksum(pixels: np.ndarray | StoredRows, key: str, notes: str) -> str:
    hasher = hashlib.sha256(f"{pixels.dtype}{tuple(pixels.shape)}{key}{notes}".encode())
    for _, part in parts_of(pixels):
        hasher.update(np.ascontiguousarray(part).data)
    return hasher.hexdigest()
