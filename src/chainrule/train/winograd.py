"""Convolutions by minimal filtering (winograd.cpp) in place of torch's, inside any model.

A 4 x 4 tile of outputs takes 36 products for a 3 x 3 filter, where summing takes 144; 64 in place of 400 for a 5 x 5 filter.
In float32 outputs and gradients are off by some 1e-6 of their length. With pictures in bfloat16 the outputs are taken in
float32 products and rounded as torch rounds them; the gradients of 3 x 3 filters come from products in bfloat16, off by 2 %
of their length, as noise that does not add up from layer to layer.
Sources: Winograd 1980; Lavin and Gray 2015, Fast Algorithms for Convolutional Neural Networks.
"""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from chainrule.train.layout import channels_last
from chainrule.train.native_build import library
from chainrule.train.pooling import each_way

SOURCE = Path(__file__).with_name("winograd.cpp")
COMPILE_SECONDS = 8.0  # that compiling takes
SAVED_BY_WORK = 2e-11  # seconds of an update, by multiply-add of the forward pass: a third of plain execution
CHANNELS = 16  # of which inputs and outputs are multiples
KERNELS = (3, 5)
_one_at_a_time = threading.Lock()  # memory of the library stays between calls


def fits(
    inputs: Tensor, weight: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> bool:
    """Whether a convolution can go this way: 3 x 3 or 5 x 5 in steps of one, and channels in multiples of 16."""
    kernel, around = weight.shape[-1], _padding(padding, weight.shape[-1])
    return (
        inputs.dim() == weight.dim() == 4
        and inputs.device.type == "cpu"
        and weight.dtype == torch.float32
        and inputs.dtype in (torch.float32, torch.bfloat16)
        and kernel in KERNELS
        and weight.shape[-2] == kernel
        and groups == 1
        and each_way(stride) == each_way(dilation) == 1
        and around is not None
        and around < kernel
        and weight.shape[0] % CHANNELS == weight.shape[1] % CHANNELS == 0
        and min(inputs.shape[-2:]) + 2 * around >= kernel
        and len(inputs) > 0
    )


def has_fitting_layers(model: nn.Module) -> bool:
    """Whether a network has convolutions that `fits` accepts, as far as its layers tell."""
    return any(
        isinstance(layer, nn.Conv2d)
        and layer.padding_mode == "zeros"
        and layer.kernel_size in [(kernel, kernel) for kernel in KERNELS]
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.in_channels % CHANNELS == layer.out_channels % CHANNELS == 0
        for layer in model.modules()
    )


def why_no_filter_fits(model: nn.Module) -> str | None:
    """Say in words that no weights of a network are filters that `fits` accepts, None if some may be."""
    for weight in model.parameters():
        is_square = weight.dim() == 4 and weight.shape[-1] == weight.shape[-2]
        if is_square and weight.shape[-1] in KERNELS and not any(n % CHANNELS for n in weight.shape[:2]):
            return None
    return f"no layer has 3 × 3 or 5 × 5 filters between channels in multiples of {CHANNELS}"


def has_low_products() -> bool:
    """Whether gradients of bfloat16 pictures are taken in bfloat16 products here."""
    return bool(library(SOURCE).has_low_products())


def convolved(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """Return what torch.conv2d returns, by minimal filtering; None where that does not fit. Shapes: as there"""
    if not fits(inputs, weight, stride, padding, dilation, groups):
        return None
    if torch.is_autocast_enabled("cpu"):
        inputs = inputs.to(torch.get_autocast_dtype("cpu"))
    found: Tensor = _Convolution.apply(inputs, weight, bias, _padding(padding, weight.shape[-1]))  # type: ignore[no-untyped-call]
    return found


def _padding(given: Any, kernel: int) -> int | None:
    """Return how many zeros stand on each side, None where sides differ."""
    return {"same": kernel // 2, "valid": 0}.get(given) if isinstance(given, str) else each_way(given)


class _Convolution(torch.autograd.Function):
    """The convolution and its gradients. Weights and sums are float32; pictures float32 or bfloat16."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        inputs, weight = channels_last(inputs), channels_last(weight)
        ctx.save_for_backward(inputs, weight)
        ctx.has_bias, ctx.padding = bias is not None, padding
        return _product(inputs, weight, bias, padding, is_backward=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        inputs, weight = ctx.saved_tensors
        slopes = channels_last(slopes)
        needs_inputs, needs_weight, needs_bias, _ = ctx.needs_input_grad
        around = weight.shape[-1] - 1 - ctx.padding
        return (
            _product(slopes, weight, None, around, is_backward=True) if needs_inputs else None,
            _gradient(inputs, slopes, weight, ctx.padding) if needs_weight else None,
            slopes.sum((0, 2, 3), dtype=torch.float32) if needs_bias and ctx.has_bias else None,
            None,
        )


def _product(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: int, *, is_backward: bool
) -> Tensor:
    images, _, height, width = inputs.shape
    kernel, units = weight.shape[-1], weight.shape[1 if is_backward else 0]
    more = 2 * padding - kernel + 1
    found = torch.empty(
        (images, units, height + more, width + more), dtype=inputs.dtype, memory_format=torch.channels_last
    )
    _call(
        "convolution", inputs, weight, bias, found,
        _shape(inputs, units, padding), kernel, is_backward, low := is_low(inputs), low and is_backward,
    )  # fmt: skip
    return found


def _gradient(inputs: Tensor, slopes: Tensor, weight: Tensor, padding: int) -> Tensor:
    found = torch.empty_like(weight, memory_format=torch.channels_last)
    _call(
        "gradient_of_filters", inputs, slopes, found,
        _shape(inputs, weight.shape[0], padding), weight.shape[-1], low := is_low(inputs), low,
    )  # fmt: skip
    return found


def _shape(inputs: Tensor, units: int, padding: int) -> ctypes.Array[ctypes.c_int64]:
    images, channels, height, width = inputs.shape
    return (ctypes.c_int64 * 6)(images, height, width, channels, units, padding)


def is_low(pictures: Tensor) -> bool:
    return pictures.dtype == torch.bfloat16


def _call(name: str, *given: Any) -> None:
    """Call a function of winograd.cpp. Raises: MemoryError"""
    with _one_at_a_time:
        is_done = getattr(library(SOURCE), name)(
            *(_passed(each) for each in given), ctypes.c_int64(torch.get_num_threads())
        )
    if not is_done:
        raise MemoryError("there is no memory for the patches of a convolution")


def _passed(given: Any) -> Any:
    if given is None or isinstance(given, Tensor):
        return ctypes.c_void_p(None if given is None else given.data_ptr())
    return ctypes.c_int(given) if isinstance(given, int) else given
