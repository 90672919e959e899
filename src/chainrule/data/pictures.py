"""Pictures in folders, one folder per class, decoded once into a cache.

The road: `find_pictures` names the files, `through_cache` gives their pixels back, or `_decode_all` reads every header,
chooses one shape and decodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from chainrule.core.errors import DataError, SettingError
from chainrule.core.text import visible
from chainrule.core.units import show_bytes
from chainrule.data.class_folders import PICTURE_KINDS, find_pictures, name_below, pictures_below
from chainrule.data.decoding import HEIC_ENDINGS, Header, Shape, prepare_heic
from chainrule.data.picture_cache import Decoded, bytes_in_memory, room_for, through_cache
from chainrule.data.picture_workers import Track, pool, read_headers, read_pixels
from chainrule.data.source import TRAIN, Source
from chainrule.data.store import Store, StoredRows
from chainrule.data.untrusted import MOST_BYTES, shown

KEPT_SIDE = 128  # pictures of one size up to this side are kept as they are
USUAL_SIDE = 64


def read_pictures(
    folder: Path,
    *,
    cache: Path | None = None,
    size: tuple[int, int] | None = None,
    shape: Shape | None = None,
    workers: int | None = None,
    track: Track | None = None,
    store: Store | None = None,
) -> Source:
    """Read a folder of class folders; folders named train, val, valid, validation or test at its top are splits.

    `cache` is a folder that keeps the decoded pixels, in one file per data folder; `size` is (height, width); `shape`
    is (channels, height, width) where other pictures decide both; `workers` is a number of processes, 0 for none, None for as many as pay.
    Shapes: pictures (N, 1, H, W) if all are grey, else (N, 3, H, W), uint8, in the order of their paths
    Raises: DataError naming the folder or the file; SettingError for a size that cannot be
    """
    if size is not None and not all(isinstance(side, int) and 1 <= side <= 4096 for side in size):
        raise SettingError(f"a picture size is (height, width) in pixels, 1 to 4096 each; got {size}")
    found = find_pictures(folder)
    _check_decoders(found.files)
    decode = partial(_decode_all, found.files, size, shape, workers, track, store)
    decoded = decode() if cache is None else through_cache(found, cache, shape or size, decode, store)
    notes = [*found.notes(), *decoded.notes]
    if store is not None and isinstance(decoded.pixels, StoredRows):
        notes.append(store.note(found.root.name, bytes_in_memory(decoded.pixels.nbytes)))
    class_names = tuple(sorted(set(found.classes)))
    codes = {name: code for code, name in enumerate(class_names)}
    is_divided = set(found.splits) != {TRAIN}
    return Source(
        name=found.root.name,
        origin={"kind": "pictures", "path": str(folder.absolute()), "size": size and list(size)},
        array=decoded.pixels,
        targets=np.array([codes[name] for name in found.classes], np.int64),
        target_names=("class",),
        class_names=class_names,
        is_pictures=True,
        fixed_split=np.array(found.splits, np.int8) if is_divided else None,
        row_names=found.names(),
        notes=tuple(notes),
    )


def read_loose_pictures(folder: Path, *, track: Track | None = None, store: Store | None = None) -> Source:
    """Read the pictures of a folder at any depth, whatever their folders are called: they have no targets.

    Shapes: pictures (N, 1, H, W) if all are grey, else (N, 3, H, W), uint8, in the order of their paths
    Raises: DataError naming the folder or the file
    """
    files = pictures_below(folder)
    if not files:
        raise DataError(f"the folder {shown(folder)} holds no picture ({PICTURE_KINDS})")
    _check_decoders(files)
    decoded = _decode_all(files, None, None, None, track, store)
    root = folder.resolve()
    return Source(
        name=root.name,
        origin={"kind": "pictures", "path": str(folder.absolute()), "size": None},
        array=decoded.pixels,
        is_pictures=True,
        row_names=tuple(name_below(file, root) for file in files),
        notes=decoded.notes,
    )


def read_picture_inputs(
    paths: Path | Sequence[Path], *, channels: int, height: int, width: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read pictures to predict from: files, or folders of pictures at any depth; return the pixels and the names.

    Shapes: (N, channels, height, width) uint8, decoded exactly as `read_pictures` decodes
    Raises: DataError naming the file, or the folder that holds no picture
    """
    files: list[Path] = []
    names: list[str] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        below = pictures_below(path) if path.is_dir() else [path]
        if not below:
            raise DataError(f"the folder {shown(path)} holds no picture ({PICTURE_KINDS})")
        files += below
        root = path.resolve()
        names += [name_below(file, root) for file in below] if path.is_dir() else [visible(path.name)]
    for file in files:
        if not file.is_file():
            raise DataError(f"a picture was wanted, but no file stands at {shown(file)}")
    _check_decoders(files)
    pixels = np.empty((len(files), channels, height, width), np.uint8)
    with pool(None, len(files)) as ask:
        read_pixels(files, pixels, ask)
    return pixels, tuple(names)


def _check_decoders(files: Sequence[Path]) -> None:
    """Raises: MissingExtraError if a file needs a decoder that is not installed"""
    if any(file.suffix.lower() in HEIC_ENDINGS for file in files):
        prepare_heic()


def _decode_all(
    files: list[Path],
    size: tuple[int, int] | None,
    shape: Shape | None,
    workers: int | None,
    track: Track | None,
    store: Store | None,
) -> Decoded:
    """Read every header, choose one shape for all, and decode."""
    with pool(workers, len(files)) as ask:
        headers = read_headers(files, ask)
        (height, width), note = _choose_size(headers, shape[1:] if shape else size)
        shape = shape or (1 if all(header.is_grey for header in headers) else 3, height, width)
        if len(files) * prod(shape) > MOST_BYTES:
            raise DataError(
                f"{len(files)} pictures of {height} × {width} take {show_bytes(len(files) * prod(shape))} decoded, "
                f"more than the limit of {show_bytes(MOST_BYTES)}; choose a smaller picture size"
            )
        pixels = room_for((len(files), *shape), store)
        read_pixels(files, pixels, ask, track)
        return Decoded(pixels, (note, *_header_notes(headers)))


def _choose_size(headers: list[Header], size: tuple[int, int] | None) -> tuple[tuple[int, int], str]:
    """Return (height, width) for all pictures, and the sentence that says why."""
    sizes = sorted({(h.height, h.width) for h in headers}, key=lambda s: (s[0] * s[1], s))
    low, high = (f"{height} × {width}" for height, width in (sizes[0], sizes[-1]))
    if len(sizes) == 1 and (size == sizes[0] or (size is None and max(sizes[0]) <= KEPT_SIDE)):
        return sizes[0], f"all pictures are {low} (height × width) and keep that size"
    came = f"all came {low}" if len(sizes) == 1 else f"they came in {len(sizes)} sizes, {low} to {high}"
    height, width = size or (USUAL_SIDE, USUAL_SIDE)
    note = f"pictures are resized to {height} × {width} (height × width), proportions not kept; {came}"
    return (height, width), note


def _header_notes(headers: list[Header]) -> Iterator[str]:
    for is_so, sentence in (
        ([h.is_turned for h in headers], "photos are turned upright, as their camera noted"),
        ([h.has_alpha for h in headers], "pictures with transparency are laid on white"),
        ([h.is_animated for h in headers], "of animated pictures only the first frame is used"),
        ([h.has_palette for h in headers], "pictures with a palette are read with its colours"),
        (
            [h.is_cmyk for h in headers],
            "pictures in the colours of print (CMYK) are read as red, green and blue",
        ),
        ([h.is_deep for h in headers], "of pictures with 16 bits a value the upper 8 are used"),
    ):
        if any(is_so):
            yield f"{sentence} ({sum(is_so)} of {len(headers)})"
    grey = sum(header.is_grey for header in headers)
    if 0 < grey < len(headers):
        yield f"grey pictures among coloured ones are read as coloured ({grey} of {len(headers)})"
