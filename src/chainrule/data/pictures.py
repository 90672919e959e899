"""Pictures in folders, one folder per class, decoded once into a cache.

The road: `_find` names the files, `_load_cache` gives their pixels back, or `_decode_all` reads every header, chooses
one shape and decodes. A file is hostile until `decode_picture` has returned.

Worker processes are plain subprocesses that talk through pipes: a script needs no `if __name__ == "__main__"`,
nothing is unpickled, Ctrl-C reaches only the parent, and a worker ends by itself when its parent is gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from chainrule.core.errors import DataError, Interrupted, SettingError, StorageError, nearest
from chainrule.core.files import make_folder, write_atomic
from chainrule.core.text import listed, visible
from chainrule.core.units import show_bytes
from chainrule.data.source import TEST, TRAIN, VALIDATION, Source

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
FORMATS = ("PNG", "JPEG", "WEBP")
SPLITS = {"train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "test": TEST}
LAYOUT = (
    "wanted is one folder per class, such as pets/cat/1.png and pets/dog/2.png, "
    "or already divided, such as pets/train/cat/1.png and pets/test/cat/2.png"
)
MOST_PIXELS = 50_000_000  # per picture; a 48-megapixel camera still fits
MOST_FILE_BYTES = 256_000_000  # more than MOST_PIXELS in three channels without any compression
MOST_BYTES = 16_000_000_000  # of all decoded pictures together
KEPT_SIDE = 128  # pictures of one size up to this side are kept as they are
USUAL_SIDE = 64
FEW = 200  # below this many pictures, starting workers (0.3 s) costs more than it saves
JOB = 16  # pictures that a worker decodes per request
DECODER_VERSION = 1  # raise it when the same file would give other pixels

T = TypeVar("T")
Shape = tuple[int, int, int]
Job = tuple[list[str], Shape | None]  # paths; the shape (channels, height, width) wanted, or None for headers
Reply = tuple[
    list[Any], bytes
]  # per path a header, None, or a problem in words; the pixels, one after the other
Ask = Callable[[list[Job]], Iterator[Reply]]


class Track(Protocol):
    """Something that passes items on and shows how many there were, such as a progress bar."""

    def __call__(self, items: Iterable[T], total: int, label: str, /) -> Iterable[T]: ...


def read_pictures(
    folder: Path,
    *,
    cache: Path | None = None,
    size: tuple[int, int] | None = None,
    workers: int | None = None,
    track: Track | None = None,
) -> Source:
    """Read a folder of class folders; folders named train, val, valid, validation or test at its top are splits.

    `cache` is a folder that keeps the decoded pixels, in one file per data folder; `size` is (height, width);
    `workers` is a number of processes, 0 for none, None for as many as pay.
    Shapes: pictures (N, 1, H, W) if all are grey, else (N, 3, H, W), uint8, in the order of their paths
    Raises: DataError naming the folder or the file; SettingError for a size that cannot be
    """
    if size is not None and not all(isinstance(side, int) and 1 <= side <= 4096 for side in size):
        raise SettingError(f"a picture size is (height, width) in pixels, 1 to 4096 each; got {size}")
    found = _find(folder)
    if cache is None:
        decoded = _decode_all(found.files, size, workers, track)
    else:
        decoded = _through_cache(found, cache, size, workers, track)
    class_names = tuple(sorted(set(found.classes)))
    codes = {name: code for code, name in enumerate(class_names)}
    is_divided = set(found.splits) != {TRAIN}
    return Source(
        name=found.root.name,
        origin={
            "kind": "pictures",
            "path": str(folder.absolute()),
            "size": None if size is None else list(size),
        },
        array=decoded.pixels,
        targets=np.array([codes[name] for name in found.classes], np.int64),
        target_names=("class",),
        class_names=class_names,
        is_pictures=True,
        fixed_split=np.array(found.splits, np.int8) if is_divided else None,
        row_names=found.names(),
        notes=(*found.notes(), *decoded.notes),
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
        below = _pictures_below(path) if path.is_dir() else [path]
        if not below:
            raise DataError(f"the folder {_shown(path)} holds no picture ({', '.join(ENDINGS)})")
        files += below
        names += [_name(file, path.resolve()) for file in below] if path.is_dir() else [visible(path.name)]
    for file in files:
        if not file.is_file():
            raise DataError(f"a picture was wanted, but no file stands at {_shown(file)}")
    with _pool(_worker_count(None, len(files))) as ask:
        return _decode(files, (channels, height, width), ask, None), tuple(names)


# ---- which files, in which class, in which split: names only, nothing is opened


@dataclass(slots=True)
class _Found:
    """The pictures of a folder, in the order of their paths, and what stands there without being used."""

    root: Path
    files: list[Path] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)
    stray: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)

    def names(self) -> tuple[str, ...]:
        return tuple(_name(file, self.root) for file in self.files)

    def key(self, size: tuple[int, int] | None) -> str:
        """Return a hash that changes when a picture, the size wanted or the decoder changes."""
        import PIL

        try:
            stats = [file.stat() for file in self.files]
        except OSError as error:
            raise DataError(
                f"{visible(error.filename, most=1000)}: cannot be read ({error.strerror})"
            ) from error
        stamps = [(n, s.st_size, s.st_mtime_ns) for n, s in zip(self.names(), stats, strict=True)]
        content = json.dumps([str(self.root), stamps, size, DECODER_VERSION, PIL.__version__])
        return hashlib.sha256(content.encode()).hexdigest()

    def notes(self) -> Iterator[str]:
        if self.stray:
            shown = listed([_name(path, self.root) for path in self.stray], most=3)
            yield f"not used, because not a picture ({', '.join(ENDINGS)}) in a class folder: {shown}"
        if self.links:
            shown = listed([_name(path, self.root) for path in self.links], most=3)
            yield f"not used, because a link that leads out of the folder: {shown}"
        pairs = set(zip(self.splits, self.classes, strict=True))
        for split in sorted({split for split, _ in pairs} - {TRAIN}):
            lacking = sorted(set(self.classes) - {name for s, name in pairs if s == split})
            if lacking:
                yield f"the {_PARTS[split]} part has no pictures of: {listed(lacking)}"


_PARTS = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}


def _find(folder: Path) -> _Found:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{_shown(folder)} should be a folder of class folders, but it {what}")
    found = _Found(folder.resolve())
    folders, found.stray = _entries(found.root, found)
    if not folders:
        loose = sum(map(_is_picture, found.stray))
        raise DataError(f"{_shown(folder)} holds no class folders ({loose} pictures without one); {LAYOUT}")
    divided = [f for f in folders if f.name.lower() in SPLITS]
    if not divided:
        _collect(folders, TRAIN, found)
        return found
    found.stray += [f for f in folders if f not in divided]
    for part in divided:
        classes, files = _entries(part, found)
        found.stray += files
        if not classes:
            raise DataError(
                f"{_shown(part)} is a part of the data because of its name, but holds no class folders; {LAYOUT}. "
                f"If {visible(part.name)!r} is itself a class, give the folder another name"
            )
        _collect(classes, SPLITS[part.name.lower()], found)
    _check_classes(folder, found)
    return found


def _collect(classes: list[Path], split: int, found: _Found) -> None:
    """Add the pictures of class folders."""
    for folder in classes:
        folders, files = _entries(folder, found)
        pictures = [file for file in files if _is_picture(file)]
        if not pictures:
            inside = listed([f.name for f in folders], most=3)
            deeper = (
                f"; if the folders in it ({inside}) are the classes, point at {_shown(folder)}"
                if folders
                else ""
            )
            raise DataError(
                f"the class folder {_shown(folder)} holds no picture ({', '.join(ENDINGS)}); "
                f"add pictures or remove the folder{deeper}"
            )
        if not folder.name.isprintable():
            raise DataError(
                f"the class folder {_shown(folder)} has a name that cannot be printed; give it another"
            )
        found.stray += [*folders, *(file for file in files if not _is_picture(file))]
        found.files += pictures
        found.classes += [folder.name] * len(pictures)
        found.splits += [split] * len(pictures)


def _check_classes(folder: Path, found: _Found) -> None:
    """Refuse divided data without training pictures, or with a class that training never sees."""
    pairs = set(zip(found.splits, found.classes, strict=True))
    known = {name for split, name in pairs if split == TRAIN}
    if not known:
        raise DataError(f"{_shown(folder)} is divided, but has no folder 'train' to learn from; {LAYOUT}")
    for split, name in sorted(pairs):
        if name not in known:
            close = "".join(f"; did you mean {c!r}?" for c in nearest(name, known, most=1))
            raise DataError(
                f"the class {name!r} is in the {_PARTS[split]} part of {_shown(folder)} but not in its train part, "
                f"which has {listed(sorted(known))}{close}"
            )


def _entries(folder: Path, found: _Found) -> tuple[list[Path], list[Path]]:
    """Return the folders and the other entries of a folder, sorted, without hidden ones and links that lead out."""
    folders: list[Path] = []
    files: list[Path] = []
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"the folder {_shown(folder)} cannot be read ({error.strerror})") from error
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_symlink() and not _leads_inside(path, found.root):
            found.links.append(path)
        else:
            (folders if entry.is_dir() else files).append(path)
    return folders, files


def _leads_inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links in a circle
        return False


def _pictures_below(folder: Path) -> list[Path]:
    """Return the pictures at any depth, without following links to folders or out of the folder."""
    found = _Found(folder.resolve())
    waiting = [found.root]
    while waiting:
        folders, files = _entries(waiting.pop(), found)
        waiting += [f for f in folders if not f.is_symlink()]
        found.files += filter(_is_picture, files)
    return sorted(found.files)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()


def _shown(path: Path) -> str:
    return visible(path, most=1000)


def _name(file: Path, root: Path) -> str:
    """Return a path below `root` as text that can be printed and stored."""
    return visible(file.relative_to(root).as_posix(), most=4000)


# ---- the cache: one file per data folder and size, replaced when anything in it has changed


@dataclass(frozen=True, slots=True)
class _Decoded:
    pixels: np.ndarray
    notes: tuple[str, ...]


def _through_cache(
    found: _Found, cache: Path, size: tuple[int, int] | None, workers: int | None, track: Track | None
) -> _Decoded:
    """Return what the cache holds for these pictures, or decode them and put them there."""
    name = hashlib.sha256(json.dumps([str(found.root), size]).encode()).hexdigest()[:16]
    path, key = cache / f"pictures-{name}.safetensors", found.key(size)
    notes = []
    try:
        stored = _load_cache(path, key)
    except DataError as error:
        stored = None
        notes.append(f"{error}; the pictures were decoded again")
    if stored is not None:
        return stored
    decoded = _decode_all(found.files, size, workers, track)
    try:
        _save_cache(path, key, decoded)
    except StorageError as error:
        notes.append(f"the decoded pictures could not be kept for the next time: {error}")
    return _Decoded(decoded.pixels, (*decoded.notes, *notes))


def _load_cache(path: Path, key: str) -> _Decoded | None:
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
            pixels = file.get_tensor("pictures")
        if about["checksum"] != _checksum(pixels, key, about["notes"]):
            raise ValueError("its checksum differs")
        return _Decoded(pixels, tuple(json.loads(about["notes"])))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DataError(f"the cache {_shown(path)} is damaged ({visible(error)})") from error


def _save_cache(path: Path, key: str, decoded: _Decoded) -> None:
    """Write what `_load_cache` reads: the safetensors format, built here because its own writer holds three copies."""
    notes = json.dumps(decoded.notes)
    about = {"key": key, "notes": notes, "checksum": _checksum(decoded.pixels, key, notes)}
    tensor = {"dtype": "U8", "shape": decoded.pixels.shape, "data_offsets": [0, decoded.pixels.nbytes]}
    header = json.dumps({"__metadata__": about, "pictures": tensor}).encode()
    header += b" " * (-len(header) % 8)
    make_folder(path.parent)
    write_atomic(path, b"".join([len(header).to_bytes(8, "little"), header, decoded.pixels.data]))


def _checksum(pixels: np.ndarray, key: str, notes: str) -> str:
    hasher = hashlib.sha256(f"{pixels.dtype}{pixels.shape}{key}{notes}".encode())
    hasher.update(np.ascontiguousarray(pixels).data)
    return hasher.hexdigest()


# ---- all pictures: headers first, then one shape for all, then pixels


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says about itself before it is decoded; height and width as it is to be looked at."""

    height: int
    width: int
    is_grey: bool
    has_alpha: bool
    is_animated: bool


def _decode_all(
    files: list[Path], size: tuple[int, int] | None, workers: int | None, track: Track | None
) -> _Decoded:
    with _pool(_worker_count(workers, len(files))) as ask:
        headers = _headers(files, ask)
        (height, width), note = _choose_size(headers, size)
        shape = (1 if all(header.is_grey for header in headers) else 3, height, width)
        if len(files) * prod(shape) > MOST_BYTES:
            raise DataError(
                f"{len(files)} pictures of {height} × {width} take {show_bytes(len(files) * prod(shape))} decoded, "
                f"more than the limit of {show_bytes(MOST_BYTES)}; choose a smaller picture size"
            )
        return _Decoded(_decode(files, shape, ask, track), (note, *_header_notes(headers)))


def _headers(files: list[Path], ask: Ask) -> list[Header]:
    values = [value for value, _ in _answers(files, None, ask)]
    _refuse([value for value in values if isinstance(value, str)])
    return [Header(*value) for value in values]


def _decode(files: list[Path], shape: Shape, ask: Ask, track: Track | None) -> np.ndarray:
    pixels = np.empty((len(files), *shape), np.uint8)
    problems = []
    answers: Iterable[tuple[Any, bytes]] = _answers(files, shape, ask)
    if track is not None:
        answers = track(answers, len(files), "decoding pictures")
    for row, (problem, content) in enumerate(answers):
        if problem is not None:
            problems.append(problem)
        else:
            pixels[row] = np.frombuffer(content, np.uint8).reshape(shape)
    _refuse(problems)
    return pixels


def _answers(files: list[Path], shape: Shape | None, ask: Ask) -> Iterator[tuple[Any, bytes]]:
    """Give for each picture, in order, its header or problem, and its pixels."""
    jobs: list[Job] = [
        ([str(f) for f in files[start : start + JOB]], shape) for start in range(0, len(files), JOB)
    ]
    length = 0 if shape is None else prod(shape)
    for values, content in ask(jobs):
        for place, value in enumerate(values):
            yield value, content[place * length : (place + 1) * length]


def _refuse(problems: list[str]) -> None:
    """Raise for pictures that cannot be used: the first in full, so that one run names what all must be mended."""
    if problems:
        others = [problem.partition(": ")[0] for problem in problems[1:]]
        more = f" ({len(others)} more pictures cannot be used: {listed(others, most=5)})" if others else ""
        raise DataError(f"{problems[0]}{more}")


def _choose_size(headers: list[Header], size: tuple[int, int] | None) -> tuple[tuple[int, int], str]:
    """Return (height, width) for all pictures, and the sentence that says why."""
    sizes = sorted({(h.height, h.width) for h in headers}, key=lambda s: (s[0] * s[1], s))
    low, high = (f"{height} × {width}" for height, width in (sizes[0], sizes[-1]))
    if len(sizes) == 1 and (size == sizes[0] or (size is None and max(sizes[0]) <= KEPT_SIDE)):
        return sizes[0], f"all pictures are {low} (height × width) and keep that size"
    came = f"all came {low}" if len(sizes) == 1 else f"they came in {len(sizes)} sizes, {low} to {high}"
    height, width = size or (USUAL_SIDE, USUAL_SIDE)
    return (
        height,
        width,
    ), f"pictures are resized to {height} × {width} (height × width), proportions not kept; {came}"


def _header_notes(headers: list[Header]) -> Iterator[str]:
    transparent = sum(header.has_alpha for header in headers)
    moving = sum(header.is_animated for header in headers)
    grey = sum(header.is_grey for header in headers)
    if transparent:
        yield f"pictures with transparency are laid on white ({transparent} of {len(headers)})"
    if moving:
        yield f"of animated pictures only the first frame is used ({moving} of {len(headers)})"
    if 0 < grey < len(headers):
        yield f"grey pictures among coloured ones are read as coloured ({grey} of {len(headers)})"


# ---- one picture


def inspect_picture(path: Path) -> Header:
    """Read what a picture says about itself.

    Raises: DataError naming the file if it is no picture or claims to be too large
    """
    with _guarded(path), path.open("rb") as file:
        picture = _open(file, path)
        height, width = picture.height, picture.width
        if _orientation(picture) >= 5:  # turned by a quarter
            height, width = width, height
        is_grey = picture.mode[0] in "1LIF"
        return Header(
            height, width, is_grey, _has_alpha(picture), bool(getattr(picture, "is_animated", False))
        )


def decode_picture(path: Path, shape: Shape) -> np.ndarray:
    """Decode a picture: turned as its camera says, laid on white where transparent, resized if it has another size.

    Shapes: (channels, height, width) uint8
    Raises: DataError naming the file if it is too large, damaged or cut short
    """
    from PIL import Image

    channels, height, width = shape
    with _guarded(path):
        content = path.read_bytes()
        _check_whole(content, path)
        picture = _open(io.BytesIO(content), path)
        picture.draft(
            None, (2 * max(height, width),) * 2
        )  # a JPEG decodes near the size wanted: 4 times faster
        picture.load()
        picture = _upright(picture)
        picture = _flat(picture).convert("L" if channels == 1 else "RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(picture).reshape(height, width, channels).transpose(2, 0, 1)


@contextlib.contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file makes Pillow raise into a DataError naming the file; its warnings go nowhere."""
    from PIL import ImageFile

    before = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        ImageFile.LOAD_TRUNCATED_IMAGES = False  # another library may have asked for half-grey pictures
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DataError, Interrupted):
        raise
    except Exception as error:  # from SyntaxError to struct.error, zlib.error and MemoryError
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{_shown(path)}: cannot be read ({error.strerror.lower()})") from error
        reason = visible(error) or type(error).__name__
        raise DataError(
            f"{_shown(path)}: damaged or cut short ({reason}); replace it or remove it"
        ) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _open(file: IO[bytes], path: Path) -> Image.Image:
    """Open a picture as far as its header, with only three decoders, and refuse one that is too large."""
    from PIL import Image, UnidentifiedImageError

    size = path.stat().st_size
    if size > MOST_FILE_BYTES:
        raise DataError(
            f"{_shown(path)}: has {show_bytes(size)}, more than the limit of {show_bytes(MOST_FILE_BYTES)}"
        )
    try:
        picture = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        file.seek(0)
        start = file.read(8)
        what = f"begins with {start!r}" if start else "is empty"
        raise DataError(
            f"{_shown(path)}: not a PNG, JPEG or WebP picture (it {what}); replace or remove it"
        ) from None
    except Image.DecompressionBombError as error:  # Pillow's own limit, above ours
        claimed = int("".join(re.findall(r"\((\d+) pixels", str(error))) or 0)
        raise _too_large(path, f"{claimed:,} pixels") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise _too_large(
            path, f"{picture.width} × {picture.height} = {picture.width * picture.height:,} pixels"
        )
    return picture


def _too_large(path: Path, claim: str) -> DataError:
    return DataError(
        f"{_shown(path)}: claims {claim}, more than the limit of {MOST_PIXELS:,}; make it smaller or remove it"
    )


def _check_whole(content: bytes, path: Path) -> None:
    """Refuse the damage that decoders pass over, such as a file whose second half is zeros.

    PNG carries checksums, which Pillow looks at only when asked. In a JPEG the end marker must follow the pixels
    (one before them belongs to a preview). WebP has neither, so a long tail of zeros must do.
    """
    if content.startswith(b"\x89PNG"):
        with _open(io.BytesIO(content), path) as picture:
            picture.verify()
    elif content.startswith(b"\xff\xd8") and content.find(b"\xff\xd9", _pixels_start(content)) < 0:
        raise DataError(
            f"{_shown(path)}: damaged or cut short (it has no end marker); replace it or remove it"
        )
    elif content.startswith(b"RIFF") and content.endswith(bytes(64)) and b"EXIF" not in content:
        raise DataError(f"{_shown(path)}: damaged or cut short (it ends in zeros); replace it or remove it")


def _pixels_start(content: bytes) -> int:
    """Return where the pixels of a JPEG begin: behind the segments, each of which says its length."""
    place = 2
    while content[place : place + 1] == b"\xff" and content[place + 1 : place + 2] != b"\xda":
        is_filling = content[place + 1 : place + 2] == b"\xff"
        place += 1 if is_filling else 2 + max(2, int.from_bytes(content[place + 2 : place + 4]))
    return place


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where the camera's note is missing or unreadable."""
    try:
        orientation = picture.getexif().get(0x0112, 1)
    except Interrupted:
        raise
    except Exception:  # whatever the note holds, the pixels may be fine
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a picture as its camera was held; ImageOps.exif_transpose does the same but fails on a damaged note."""
    from PIL.Image import Transpose as Turn

    turns = {
        2: Turn.FLIP_LEFT_RIGHT,
        3: Turn.ROTATE_180,
        4: Turn.FLIP_TOP_BOTTOM,
        5: Turn.TRANSPOSE,
        6: Turn.ROTATE_270,
        7: Turn.TRANSVERSE,
        8: Turn.ROTATE_90,
    }
    turn = turns.get(_orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or (
        "transparency" in picture.info and picture.mode[0] != "I"
    )


def _flat(picture: Image.Image) -> Image.Image:
    """Return a picture of 8 bits without transparency."""
    from PIL import Image

    if picture.mode[0] == "I":  # 16 bits; Pillow's own conversion would clip them at 255
        return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if not _has_alpha(picture):
        return picture
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white


# ---- many pictures: here, or in worker processes


def _do(job: Job) -> Reply:
    """Read the headers or the pixels of a few pictures; a picture that fails gives its problem and leaves zeros."""
    paths, shape = job
    values: list[Any] = []
    parts: list[bytes] = []
    for path in map(Path, paths):
        try:
            if shape is None:
                values.append(astuple(inspect_picture(path)))
            else:
                parts.append(decode_picture(path, shape).tobytes())
                values.append(None)
        except DataError as error:
            values.append(str(error))
            parts.append(bytes(prod(shape or (0,))))
    return values, b"".join(parts)


def _worker_count(workers: int | None, pictures: int) -> int:
    """Return how many processes decode: none where they cost more than they save."""
    if workers is not None:
        return max(0, min(workers, -(-pictures // JOB)))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    has_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    return min(available, 8) if pictures >= FEW and available > 1 and has_python else 0


@contextlib.contextmanager
def _pool(count: int) -> Iterator[Ask]:
    """Give a function that answers jobs in order, in `count` processes; with none, here."""
    if not count:
        yield partial(map, _do)
        return
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_worker()) for _ in range(count)]
        yield partial(_ask_workers, workers)


@contextlib.contextmanager
def _worker() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that answers jobs; it is gone when the block is left, however it is left."""
    start = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import chainrule.data.pictures as p; p.serve()"
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-I", "-c", start, json.dumps([p for p in sys.path if isinstance(p, str)])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **one_thread},
        start_new_session=True,  # a terminal's Ctrl-C does not reach it
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()


def _ask_workers(workers: list[subprocess.Popen[bytes]], jobs: list[Job]) -> Iterator[Reply]:
    """Hand the jobs round; each worker holds one at a time, so neither end of a pipe ever waits for the other."""
    for worker, job in zip(workers, jobs, strict=False):
        _send(worker, job)
    for number, job in enumerate(jobs):
        worker = workers[number % len(workers)]
        reply = _receive(worker, job)
        if number + len(workers) < len(jobs):
            _send(worker, jobs[number + len(workers)])
        yield reply


def _send(worker: subprocess.Popen[bytes], job: Job) -> None:
    assert worker.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # a worker that is gone is noticed when its reply is awaited
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        worker.stdin.flush()


def _receive(worker: subprocess.Popen[bytes], job: Job) -> Reply:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    values, length = json.loads(line) if line.endswith(b"\n") else ([], 1)
    content = worker.stdout.read(length)
    if len(content) < length:
        first, last = Path(job[0][0]), Path(job[0][-1])
        raise DataError(
            f"the process that decoded the pictures from {_shown(first)} to {_shown(last)} ended "
            f"(exit status {worker.wait()}); one of them may crash the decoder, or memory ran out"
        )
    return values, content


def serve() -> None:
    """Answer jobs from standard input until it closes: what a worker process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for line in sys.stdin.buffer:
            paths, shape = json.loads(line)
            values, content = _do((paths, shape))
            sys.stdout.buffer.write(json.dumps([values, len(content)]).encode() + b"\n" + content)
            sys.stdout.buffer.flush()
    except BrokenPipeError:  # the parent is gone
        os._exit(1)
