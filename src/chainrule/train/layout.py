"""Where the values of pictures and kernels lie in memory: the channels of one place side by side, or map by map.

Convolutions of many channels read whole lines of the cache where channels come last. Shapes, names and what is saved stay.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from chainrule.optim.rules import Rule


def lay_out_(model: nn.Module, optimizer: Rule, layout: torch.memory_format) -> None:
    """Lay out all weights, buffers and state of a rule that have four axes: torch.channels_last, or contiguous_format.

    Whatever copies into them later, a checkpoint for instance, keeps the layout.
    """
    _lay_out_([*model.parameters(), *model.buffers(), *optimizer.tensors().values()], layout)


@torch.no_grad()
def _lay_out_(tensors: Iterable[Tensor], layout: torch.memory_format) -> None:
    for tensor in tensors:
        if tensor.dim() == 4:
            tensor.data = (
                channels_last(tensor.data) if layout is torch.channels_last else tensor.data.contiguous()
            )


def channels_last(values: Tensor) -> Tensor:
    """Return a tensor with its channels last in memory if it has four axes, else the tensor itself.

    A single channel is last wherever it lies; its strides say so too, since torch chooses its kernels by them.
    """
    if values.dim() != 4:
        return values
    found = values.contiguous(memory_format=torch.channels_last)
    if found.shape[1] > 1:
        return found
    height, width = found.shape[2:]
    return found.as_strided(found.shape, (height * width, 1, width, 1))
