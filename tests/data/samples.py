"""What several tests of data read: pictures, damaged ones, and numbers; hypothesis in one folder."""

import io
import struct
import zlib

import numpy as np
from hypothesis import HealthCheck, settings
from PIL import Image

from chainrule.core.errors import DataError
from chainrule.data.source import Source

RNG = np.random.default_rng(0)
X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 1, 0, 1])
IN_ONE_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
KINDS = {
    "png": {"format": "PNG"},
    "jpeg": {"format": "JPEG", "quality": 90},
    "progressive": {"format": "JPEG", "progressive": True},
    "webp": {"format": "WEBP"},
    "lossless": {"format": "WEBP", "lossless": True},
    "gif": {"format": "GIF"},
    "bmp": {"format": "BMP"},
    "tiff": {"format": "TIFF", "compression": "tiff_lzw"},
    "avif": {"format": "AVIF", "quality": 90},
}


def save(path, *, size=(20, 16), mode="RGB", **options):
    """Write a picture of smooth noise; `size` is (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = RNG.integers(0, 256, (4, 4, 3), np.uint8)
    picture = Image.fromarray(small).convert(mode).resize((size[1], size[0]), Image.Resampling.NEAREST)
    if mode in ("RGBA", "LA"):
        picture.putalpha(
            Image.fromarray(np.repeat([[0], [255]], 2, 1).astype(np.uint8)).resize(picture.size, 0)
        )
    picture.save(path, **options)
    return path


def pets(folder, count=3, **options):
    for name in ("dog", "cat"):
        for number in range(count):
            save(folder / name / f"{number:03d}.png", **options)
    return folder


def encoded(options):
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (6, 5, 3), np.uint8)).resize((40, 48))
    file = io.BytesIO()
    picture.save(file, **options)
    return file.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_claiming(width, height):
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def only_source_or_data_error(read, path):
    try:
        assert isinstance(read(path), Source)
    except DataError as error:
        assert path.name.split("-")[0] in str(error)
