"""Max pooling as a compiler should write it on a processor: what pools by itself takes longer than the convolutions around it.

torch's compiler goes from each input back to the windows that hold it, in a branch for each, which takes ten times as long
as torch's own kernel; that one picks the largest value by branches too, which nobody can predict, and takes a quarter of an
update of LeNet. Here the values of all windows are compared at once, place by place, in the code around; the gradient goes
back by torch's own kernel, which only needs to know where the largest value stood. Bit for bit it is what torch computes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

MOST_EXACT = 1 << 24  # places of a map that float32 counts exactly
MOST_PLACES = 16  # of a window that are compared one by one

Decomposition = Callable[..., Any]


@functools.cache
def decompositions() -> dict[torch._ops.OpOverload, Decomposition]:
    """Return what the compiler takes operations apart into: its own table, with max pooling changed."""
    from torch._inductor.decomposition import select_decomp_table

    forward = torch.ops.aten.max_pool2d_with_indices.default
    backward = torch.ops.aten.max_pool2d_with_indices_backward.default
    return {
        **select_decomp_table(),
        forward: _pool,
        backward: functools.partial(_back, _backward_kernel()[0]),
    }


def _pool(
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the largest value of each window and where in its map it stands; the first, if several are as large."""
    if not _is_ours(x, kernel_size, stride, padding, dilation, ceil_mode):
        return NotImplemented  # type: ignore[no-any-return]
    (rows, columns), width = _pair(kernel_size), x.shape[-1]
    height, wide = x.shape[-2] // rows * rows, width // columns * columns
    corner = (
        torch.arange(0, height, rows).view(-1, 1) * width + torch.arange(0, wide, columns)
    ).float()  # in floats: 7 times as fast as in whole numbers
    best = x[..., 0:height:rows, 0:wide:columns]
    place = corner.expand(best.shape)
    for row in range(rows):
        for column in range(columns):
            if row or column:
                other = x[..., row:height:rows, column:wide:columns]
                is_larger = (other > best) | (other != other)  # what is no number counts
                best = torch.where(is_larger, other, best)
                place = torch.where(is_larger, corner + (row * width + column), place)
    return best, place.long()


def _back(
    kernel: Decomposition,
    gradient: Tensor,
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    places: Tensor,
) -> Tensor:
    if x.device.type != "cpu":
        return NotImplemented  # type: ignore[no-any-return]
    found: Tensor = kernel(gradient, x, kernel_size, stride, padding, dilation, ceil_mode, places)
    return found


def _is_ours(
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> bool:
    """Whether windows lie side by side and are small, on a processor."""
    rows, columns = _pair(kernel_size)
    fits = rows * columns <= MOST_PLACES and rows <= x.shape[-2] and columns <= x.shape[-1]
    side_by_side = not stride or _pair(stride) == (rows, columns)
    plain = not any(_pair(padding)) and _pair(dilation) == (1, 1) and not ceil_mode
    return (
        x.device.type == "cpu"
        and x.is_floating_point()
        and fits
        and side_by_side
        and plain
        and x.shape[-2] * x.shape[-1] < MOST_EXACT
    )


def _pair(value: Sequence[int]) -> tuple[int, int]:
    return (value[0], value[-1])


@functools.cache
def _backward_kernel() -> tuple[Decomposition, torch.library.Library]:
    """Return torch's own kernel under a name that its compiler does not know, and so calls as it is.

    The library comes with it: it takes its operations back when nobody holds it.
    """
    library = torch.library.Library("chainrule", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define(  # type: ignore[no-untyped-call]
        "max_pool_backward(Tensor gradient, Tensor x, int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, "
        "bool ceil_mode, Tensor places) -> Tensor"
    )
    torchs = torch.ops.aten.max_pool2d_with_indices_backward.default
    library.impl("max_pool_backward", torchs, "CPU")  # type: ignore[no-untyped-call]
    library.impl("max_pool_backward", torchs, "Meta")  # type: ignore[no-untyped-call]
    return torch.ops.chainrule.max_pool_backward.default, library
