"""Arrays of pictures as PNG data URIs that a page carries in itself."""

from __future__ import annotations

import base64
import io

import numpy as np

from chainrule.core.errors import ShapeError

SIDE = 108  # CSS pixels that the page gives a picture; screens show two device pixels for each
_MOST = 2 * SIDE
_DARK = 63


def png_uri(picture: np.ndarray) -> str:
    """Return a picture as a data URI: uint8 as it is, other numbers scaled from their range to 0..255.

    A uint8 picture with nothing above 63 (digits of scikit-learn: 0 to 16) is scaled too, or it would be black.

    Larger pictures are made smaller, to at most 216 pixels a side; small ones stay and the page enlarges them.
    Shapes: (C, H, W) with 1 or 3 channels
    Raises: ShapeError for any other shape
    """
    from PIL import Image

    if picture.ndim != 3 or picture.shape[0] not in (1, 3) or 0 in picture.shape:
        raise ShapeError(f"a picture is (C, H, W) with 1 or 3 channels; got shape {picture.shape}")
    pixels = as_bytes(picture)
    image = Image.fromarray(
        pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    )
    image.thumbnail((_MOST, _MOST), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, format="PNG")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


def is_tiny(picture: np.ndarray) -> bool:
    """Return whether the pixels should show as squares: the picture is smaller than its place on the page."""
    return bool(max(picture.shape[1:]) < SIDE)


def as_bytes(picture: np.ndarray) -> np.ndarray:
    """Return a picture as uint8, so that it can be seen. Shapes: (C, H, W) -> (C, H, W)."""
    if picture.dtype == np.uint8 and picture.max() > _DARK:
        return picture
    values = picture.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scaled = np.nan_to_num((values - low) / ((high - low) or 1.0), nan=0.0, posinf=1.0, neginf=0.0)
    return (np.clip(scaled, 0.0, 1.0) * 255).round().astype(np.uint8)
