"""Arrays as PNG data URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from chainrule.core.errors import ShapeError
from chainrule.report.pictures import is_tiny, png_uri


def read(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_bytes_stay_as_they_are() -> None:
    picture = np.arange(64, 64 + 60, dtype=np.uint8).reshape(3, 4, 5)
    assert (read(png_uri(picture)) == picture.transpose(1, 2, 0)).all()


def test_dark_bytes_are_made_visible() -> None:
    picture = np.array([[[0, 8], [16, 4]]], dtype=np.uint8)
    assert read(png_uri(picture)).tolist() == [[0, 128], [255, 64]]


def test_floats_are_scaled_from_their_range() -> None:
    picture = np.array([[[-1.0, 0.0], [1.0, 3.0]]])
    assert read(png_uri(picture)).tolist() == [[0, 64], [128, 255]]


@pytest.mark.parametrize("value", [0.0, 7.5, np.nan])
def test_picture_without_range(value: float) -> None:
    assert read(png_uri(np.full((1, 2, 2), value))).tolist() == [[0, 0], [0, 0]]


def test_what_is_not_finite_is_white_or_black() -> None:
    picture = np.array([[[np.nan, np.inf], [-np.inf, 2.0], [1.0, 1.5]]])
    assert read(png_uri(picture)).tolist() == [[0, 255], [0, 255], [0, 128]]


def test_large_pictures_are_made_smaller_and_small_ones_stay() -> None:
    assert read(png_uri(np.full((3, 600, 300), 200, np.uint8))).shape == (216, 108, 3)
    assert read(png_uri(np.full((1, 8, 8), 200, np.uint8))).shape == (8, 8)
    assert is_tiny(np.zeros((1, 28, 28))) and not is_tiny(np.zeros((3, 28, 224)))


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8), (4, 8, 8), (1, 0, 8), (1, 1, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"\(C, H, W\) with 1 or 3 channels; got shape"):
        png_uri(np.zeros(shape))
