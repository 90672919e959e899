"""Pictures that show the same are found; pictures that are merely alike are not."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_images
from torch.nn import functional

from chainrule.data.builtin import digits
from chainrule.data.picture_copies import SIDE, _pooled, picture_groups


@pytest.fixture(scope="module")
def photos():
    """Windows of two photographs that do not overlap."""
    windows = []
    for picture in map(Image.fromarray, load_sample_images().images):
        for x in range(0, picture.width - 80, 80):
            windows += [picture.crop((x, y, x + 80, y + 80)) for y in range(0, picture.height - 80, 80)]
    return [w for w in windows if np.asarray(w.convert("L")).std() > 25]


def pixels(photos, side=48):
    return np.stack(
        [np.asarray(p.resize((side, side), Image.Resampling.BILINEAR)).transpose(2, 0, 1) for p in photos]
    )


def as_jpeg(photo):
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=60)
    return Image.open(io.BytesIO(buffer.getvalue()))


def test_photos_that_differ_are_alone(photos):
    assert len(photos) > 30
    assert len(np.unique(picture_groups(pixels(photos)))) == len(photos)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (as_jpeg, 0.97),
        (lambda p: p.resize((50, 50)), 0.97),
        (lambda p: ImageEnhance.Brightness(p).enhance(0.75), 0.97),
        (lambda p: ImageEnhance.Contrast(p).enhance(1.2), 0.9),
        (lambda p: p.crop((1, 1, 79, 79)), 0.9),
        (lambda p: p.crop((2, 0, 80, 78)), 0.6),
    ],
    ids=["jpeg", "resized", "darker", "contrast", "cropped", "cropped more"],
)
def test_the_same_photo_again(photos, change, found):
    groups = picture_groups(np.concatenate([pixels(photos), pixels([change(p) for p in photos])]))
    count = len(photos)
    assert (groups[:count] == groups[count:]).mean() >= found
    assert np.bincount(groups).max() == 2


def test_a_mirrored_photo_is_another(photos):
    there = pixels(photos)
    groups = picture_groups(np.concatenate([there, there[..., ::-1]]))
    assert np.bincount(groups).max() == 1


def test_another_colour_is_another_picture(photos):
    there = pixels(photos)
    coloured = there // 2 + np.array([100, 0, 0], np.uint8)[:, None, None]
    groups = picture_groups(np.concatenate([there, coloured]))
    assert (groups[: len(there)] == groups[len(there) :]).mean() < 0.15


def test_digits_have_no_copies_and_their_copies_are_found():
    array = digits().array
    assert len(np.unique(picture_groups(array))) == len(array)
    groups = picture_groups(np.concatenate([array, array[100:150]]))
    assert groups[-50:].tolist() == groups[100:150].tolist()


def test_flat_pictures_are_copies_only_if_equal():
    levels = np.array([0, 10, 10, 200, 255], np.uint8)
    groups = picture_groups(np.broadcast_to(levels[:, None, None, None], (5, 1, 8, 8)))
    assert groups.tolist()[1] == groups.tolist()[2] and len(set(groups.tolist())) == 4


def test_the_same_groups_every_time(photos):
    there = pixels([*photos, *photos[:9]])
    assert picture_groups(there).tolist() == picture_groups(there).tolist()
    assert picture_groups((there / 255).astype(np.float32))[-9:].tolist() == list(range(9))


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_pictures(count):
    assert picture_groups(np.zeros((count, 1, 8, 8), np.uint8)).tolist() == list(range(count))


def test_few_pictures_of_which_none_looks_like_another():
    """No candidates at all for a near copy: six ramps of grey that begin elsewhere."""
    ramps = (np.arange(6 * 3072) % 253).astype(np.uint8).reshape(6, 3, 32, 32)
    assert len(picture_groups(ramps)) == 6


@pytest.mark.parametrize(
    "shape", [(3, 1, 28, 28), (2, 3, 8, 8), (4, 3, 33, 50), (1, 1, 128, 128), (2, 1, 1, 200)], ids=str
)
def test_products_pool_whole_pixels_to_the_same_bits(shape):
    """Which pictures are copies, and so how a run's rows are divided, does not depend on the faster way."""
    numbers = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).float()
    for pixels in (numbers, torch.full(shape, 255.0)):
        assert torch.equal(_pooled(pixels, is_whole=True), functional.adaptive_avg_pool2d(pixels, SIDE))


def test_the_threads_that_others_use_are_put_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        picture_groups(np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
