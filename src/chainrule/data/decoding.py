"""One picture, from a file that is hostile until `decode_picture` has returned."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from chainrule.core.errors import DataError, Interrupted, missing_extra
from chainrule.core.text import visible
from chainrule.core.units import show_bytes
from chainrule.data.untrusted import shown

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # no other decoder ever sees a file
HEIC_ENDINGS = (".heic", ".heif")
MOST_PIXELS = 50_000_000  # per picture; a 48-megapixel camera still fits
MOST_FILE_BYTES = 256_000_000  # more than MOST_PIXELS in three channels without any compression
DECODER_VERSION = 2  # raise it when the same file would give other pixels

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says about itself before it is decoded; height and width as it is to be looked at."""

    height: int
    width: int
    is_grey: bool
    has_alpha: bool
    is_animated: bool
    is_turned: bool = False  # the camera was not held upright
    has_palette: bool = False
    is_cmyk: bool = False
    is_deep: bool = False  # 16 bits a value


def inspect_picture(path: Path) -> Header:
    """Read what a picture says about itself.

    Raises: DataError naming the file if it is no picture or claims to be too large
    """
    with _guarded(path), path.open("rb") as file:
        picture = _open(file, path)
        orientation = _orientation(picture)
        height, width = picture.height, picture.width
        return Header(
            height=width if orientation >= 5 else height,  # turned by a quarter
            width=height if orientation >= 5 else width,
            is_grey=picture.mode[0] in "1LIF",
            has_alpha=_has_alpha(picture),
            is_animated=bool(getattr(picture, "is_animated", False)) and picture.format != "MPO",
            is_turned=orientation > 1,
            has_palette=picture.mode[0] == "P",
            is_cmyk=picture.mode == "CMYK",
            is_deep=picture.mode[0] == "I"
            or any("16" in str(tile[3]) for tile in getattr(picture, "tile", ())),
        )


def decode_picture(path: Path, shape: Shape) -> np.ndarray:
    """Decode a picture: turned as its camera says, laid on white where transparent, resized if it has another size.

    Shapes: (channels, height, width) uint8
    Raises: DataError naming the file if it is too large, damaged or cut short
    """
    from PIL import Image, ImageChops

    channels, height, width = shape
    with _guarded(path):
        content = path.read_bytes()
        _check_whole(content, path)
        picture = _open(io.BytesIO(content), path)
        picture.draft(None, (2 * max(height, width),) * 2)  # near the size wanted: 12 MP JPEG 0.22 -> 0.05 s
        picture.load()
        if picture.mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info:
            picture = ImageChops.invert(picture)  # Pillow takes all for Adobe's, which store ink upside down
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
            raise DataError(f"{shown(path)}: cannot be read ({error.strerror.lower()})") from error
        reason = visible(error) or type(error).__name__
        raise DataError(f"{shown(path)}: damaged or cut short ({reason}); replace it or remove it") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _open(file: IO[bytes], path: Path) -> Image.Image:
    """Open a picture as far as its header, with the decoders named above alone, and refuse one that is too large."""
    from PIL import Image, UnidentifiedImageError

    size = path.stat().st_size
    if size > MOST_FILE_BYTES:
        raise DataError(
            f"{shown(path)}: has {show_bytes(size)}, more than the limit of {show_bytes(MOST_FILE_BYTES)}"
        )
    try:
        is_heic = path.suffix.lower() in HEIC_ENDINGS
        if is_heic:
            prepare_heic()
        picture = Image.open(file, formats=("HEIF",) if is_heic else FORMATS)
    except UnidentifiedImageError:
        file.seek(0)
        start = file.read(8)
        what = f"begins with {start!r}" if start else "is empty"
        raise DataError(
            f"{shown(path)}: not a picture of a kind that is read (it {what}); replace or remove it"
        ) from None
    except Image.DecompressionBombError as error:  # Pillow's own limit, above ours
        claimed = int("".join(re.findall(r"\((\d+) pixels", str(error))) or 0)
        raise _too_large(path, f"{claimed:,} pixels") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise _too_large(
            path, f"{picture.width} × {picture.height} = {picture.width * picture.height:,} pixels"
        )
    return picture


def prepare_heic() -> None:
    """Let Pillow know the decoder of HEIC pictures. Raises: MissingExtraError if it is not installed"""
    try:
        import pillow_heif
    except ImportError as error:
        raise missing_extra("pillow-heif", "heic", "reading HEIC pictures") from error
    pillow_heif.register_heif_opener(thumbnails=False)


def _too_large(path: Path, claim: str) -> DataError:
    return DataError(
        f"{shown(path)}: claims {claim}, more than the limit of {MOST_PIXELS:,}; make it smaller or remove it"
    )


def _check_whole(content: bytes, path: Path) -> None:
    """Refuse the damage that decoders pass over, such as a file whose second half is zeros.

    PNG carries checksums, which Pillow looks at only when asked. In a JPEG the end marker must follow the pixels
    (one before them belongs to a preview). WebP, AVIF and HEIC have neither, so a long tail of zeros must do; in BMP
    and TIFF that may be a black sky.
    """
    if content.startswith(b"\x89PNG"):
        with _open(io.BytesIO(content), path) as picture:
            picture.verify()
    elif content.startswith(b"\xff\xd8") and content.find(b"\xff\xd9", _pixels_start(content)) < 0:
        raise DataError(
            f"{shown(path)}: damaged or cut short (it has no end marker); replace it or remove it"
        )
    elif _is_dense(content) and content.endswith(bytes(64)) and b"EXIF" not in content:
        raise DataError(f"{shown(path)}: damaged or cut short (it ends in zeros); replace it or remove it")


def _is_dense(content: bytes) -> bool:
    """Whether a picture is WebP, AVIF or HEIC, by its first bytes."""
    return content.startswith(b"RIFF") or content[4:8] == b"ftyp"


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

    if picture.mode == "F":
        raise ValueError("its values are floating-point numbers; save it with 8 or 16 bits")
    if picture.mode[0] == "I":  # 16 bits; Pillow's own conversion would clip them at 255
        return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if not _has_alpha(picture):
        return picture
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white
