"""The arithmetic of convolutions: how many places a filter has on a picture, and which sizes fit."""

from __future__ import annotations

from chainrule.core.errors import ShapeError


def output_size(size: int, *, filter_size: int, stride: int = 1, padding: int = 0) -> int:
    """Return how many places a filter has along a side: (N + 2P − F)/S + 1.

    >>> [output_size(7, filter_size=3, stride=stride) for stride in (1, 2)], output_size(7, filter_size=3, padding=1)
    ([5, 3], 7)

    Raises: ShapeError where that is no whole number, with what fits, or is below 1
    """
    room = size + 2 * padding - filter_size
    if room < 0:
        raise ShapeError(
            f"filters of {filter_size} × {filter_size} do not fit a side of {size} with padding {padding}: it has to be "
            f"{filter_size - 2 * padding} at least"
        )
    if room % stride:
        raise ShapeError(
            f"filters of {filter_size} × {filter_size} moved by {stride} do not fit a side of {size} with padding {padding}: "
            f"({size} + 2·{padding} − {filter_size})/{stride} + 1 = {room / stride + 1:.2f}; "
            f"{_what_fits(size, filter_size, stride, padding)}"
        )
    return room // stride + 1


def smallest_size(places: int, *, filter_size: int, stride: int = 1, padding: int = 0) -> int:
    """Return the smallest side on which a filter has so many places, or more.

    >>> smallest_size(5, filter_size=3), smallest_size(3, filter_size=3, stride=2), smallest_size(1, filter_size=1, padding=2)
    (7, 7, 1)
    """
    size = (places - 1) * stride + filter_size - 2 * padding
    return size if size > 0 else 1 + (size - 1) % stride


def _what_fits(size: int, filter_size: int, stride: int, padding: int) -> str:
    """Say which sides, paddings and strides fit where all else stays."""
    rest = (size + 2 * padding - filter_size) % stride
    sides = [side for side in (size - rest, size - rest + stride) if side > 0]
    paddings = [
        p for p in range(filter_size) if (room := size + 2 * p - filter_size) >= 0 and not room % stride
    ]
    strides = [s for s in range(1, stride) if not (size + 2 * padding - filter_size) % s]
    options = {"a side of": sides, "padding": paddings, "stride": strides}
    said = [f"{word} {' or '.join(map(str, fitting))}" for word, fitting in options.items() if fitting]
    return f"what fits, all else equal: {'; '.join(said)}"
