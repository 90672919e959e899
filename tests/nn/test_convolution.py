"""How many places a filter has on a picture, and what is said where it does not fit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from chainrule.core.errors import ShapeError
from chainrule.nn.convolution import output_size, smallest_size

SIZES = st.integers(1, 40)


@given(SIZES, st.integers(1, 9), st.integers(1, 5), st.integers(0, 4))
def test_places_are_those_of_torch_where_they_fit(
    size: int, filter_size: int, stride: int, padding: int
) -> None:
    room = size + 2 * padding - filter_size
    if room < 0 or room % stride:
        with pytest.raises(ShapeError, match="do not fit a side of"):
            output_size(size, filter_size=filter_size, stride=stride, padding=padding)
        return
    found = output_size(size, filter_size=filter_size, stride=stride, padding=padding)
    layer = nn.Conv2d(1, 1, filter_size, stride, padding, device="meta")
    assert layer(torch.zeros(1, 1, size, size, device="meta")).shape[-1] == found
    assert smallest_size(found, filter_size=filter_size, stride=stride, padding=padding) <= size


@given(SIZES, st.integers(1, 9), st.integers(1, 5), st.integers(0, 4))
def test_the_smallest_side_is_the_smallest(places: int, filter_size: int, stride: int, padding: int) -> None:
    def fits(size: int) -> bool:
        try:
            return output_size(size, filter_size=filter_size, stride=stride, padding=padding) >= places
        except ShapeError:
            return False

    smallest = smallest_size(places, filter_size=filter_size, stride=stride, padding=padding)
    assert fits(smallest) and not any(fits(size) for size in range(1, smallest))


def test_a_misfit_says_what_fits() -> None:
    with pytest.raises(ShapeError) as caught:
        output_size(7, filter_size=3, stride=3)
    assert str(caught.value) == (
        "filters of 3 × 3 moved by 3 do not fit a side of 7 with padding 0: (7 + 2·0 − 3)/3 + 1 = 2.33; what fits, all else "
        "equal: a side of 6 or 9; padding 1; stride 1 or 2"
    )
    for said in ({"size": 6}, {"size": 9}, {"padding": 1}, {"stride": 1}, {"stride": 2}):
        assert output_size(**{"size": 7, "filter_size": 3, "stride": 3, **said}) >= 1
    with pytest.raises(ShapeError, match="do not fit a side of 2 with padding 1: it has to be 3 at least"):
        output_size(2, filter_size=5, padding=1)
