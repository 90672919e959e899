"""Convolutions and pooling of our own in place of torch's, in whatever model they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from chainrule.train import pooling, winograd
from chainrule.train.native_build import is_compiled, library, why_no_library

SOURCES = (winograd.SOURCE, pooling.SOURCE)
_REPLACED: Mapping[Callable[..., Any], Callable[..., Any]] = {
    torch.conv2d: winograd.convolved,
    torch.max_pool2d: pooling.pooled,
    F.max_pool2d: pooling.pooled,
}


class OwnKernels(TorchFunctionMode):
    """Inside this context what fits is computed by compiled code of ours, and all else by torch.

    Raises: PlanError where there is no compiler, or it fails; StorageError where there is no folder for what it makes
    """

    def __init__(self) -> None:
        super().__init__()
        for source in SOURCES:
            library(source)

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        own = _REPLACED.get(function)
        found = own(*args, **(kwargs or {})) if own is not None else None
        return function(*args, **(kwargs or {})) if found is None else found


def are_compiled() -> bool:
    """Whether nothing is left to compile."""
    return all(map(is_compiled, SOURCES))


def compile_all() -> None:
    """Compile what is not there yet; what fails is known then, and asked for by nobody."""
    for source in SOURCES:
        why_no_library(source)
