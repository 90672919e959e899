"""What numbers are recognized as: rows or pictures, in which layout and type."""

import numpy as np
import pytest

from chainrule.core.errors import DataError
from chainrule.data.arrays import from_arrays


@pytest.mark.parametrize(
    "shape, shown, layout",
    [
        ((2, 5, 4), (2, 1, 5, 4), "grey pictures (N, H, W)"),
        ((2, 3, 5, 4), (2, 3, 5, 4), "pictures (N, C, H, W)"),
        ((2, 5, 4, 3), (2, 3, 5, 4), "pictures (N, H, W, C)"),
        ((2, 5, 4, 1), (2, 1, 5, 4), "pictures (N, H, W, C)"),
        ((2, 3, 4, 3), (2, 3, 4, 3), "though (N, H, W, C) would fit too"),
    ],
)
def test_layouts_of_pictures(shape, shown, layout):
    x = np.arange(np.prod(shape)).reshape(shape)
    source = from_arrays(x, [0, 1])
    assert source.array.shape == shown and source.is_pictures and source.array.dtype == np.uint8
    assert layout in source.notes[0]
    if shape[1:] == (5, 4, 3):
        np.testing.assert_array_equal(source.array[1, 2], x[1, :, :, 2])
    assert from_arrays(x - 0.5, [0, 1]).array.dtype == np.float32
    assert from_arrays(x - 5, [0, 1]).array.dtype == np.float32


def test_missing_numbers_are_allowed_and_infinite_ones_named():
    assert np.isnan(from_arrays([[1.0, float("nan")]], [1]).array[0, 1])
    x = np.zeros((5, 3))
    x[3, 2] = -np.inf
    with pytest.raises(
        DataError, match=r"x: row 3, column 2 \(counted from 0\) is -inf, one of 1 such values"
    ):
        from_arrays(x, np.zeros(5))


def test_one_number_per_row():
    assert from_arrays([1.0, 2.0], [3.0, 4.0]).array.shape == (2, 1)


def test_large_unsigned_targets_do_not_wrap():
    assert from_arrays([[1.0]], np.array([2**64 - 1], np.uint64)).targets[0] > 0
