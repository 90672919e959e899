"""Max pooling of our own: the bits of torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chainrule.train.native_build import library
from chainrule.train.own_kernels import OwnKernels
from chainrule.train.pooling import SOURCE, pooled

pytestmark = pytest.mark.usefixtures("compiler")


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return numbers of which many are equal, as behind ReLU, in the layout that most networks have by themselves."""
    return (
        torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
        .mul(2)
        .round()
        .relu()
        .to(dtype)
    )


def taken(x: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    y = F.max_pool2d(x, 2)
    y.backward(slopes)  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return y.detach(), x.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "shape", [(3, 16, 8, 8), (2, 32, 7, 9), (5, 48, 2, 3), (1, 16, 3, 2), (4, 64, 6, 6)], ids=str
)
def test_outputs_and_gradients_have_the_bits_of_torchs(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = drawn(*shape, dtype=dtype)
    slopes = torch.randn(*shape[:2], shape[2] // 2, shape[3] // 2).to(dtype)
    wanted = taken(x, slopes)
    for layout in (torch.contiguous_format, torch.channels_last):
        with OwnKernels():
            found = taken(x.contiguous(memory_format=layout), slopes)
        assert all(
            torch.equal(its, true) and its.dtype == dtype for its, true in zip(found, wanted, strict=True)
        )


def test_it_is_what_layers_call(monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawn(2, 16, 8, 8).requires_grad_()
    for layer in (nn.MaxPool2d(2), nn.MaxPool2d((2, 2), stride=(2, 2))):
        with OwnKernels():
            assert "_MaxPool" in str(layer(x).grad_fn)


def test_what_is_no_number_wins_and_small_numbers_stay() -> None:
    x = drawn(1, 16, 4, 4) * 1e-40  # below the least normal number
    x[0, 2, 1, 0] = float("nan")
    x[0, 3, 0, 0], x[0, 3, 0, 1] = float("-inf"), float("-inf")
    for dtype in (torch.float32, torch.bfloat16):
        given = x.to(dtype)
        with OwnKernels():
            found = F.max_pool2d(given, 2)
        assert torch.equal(found.isnan(), F.max_pool2d(given, 2).isnan()) and found.isnan().sum() == 1
        assert torch.equal(found.nan_to_num(7), F.max_pool2d(given, 2).nan_to_num(7))


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3}, {"kernel_size": 2, "stride": 1}, {"kernel_size": 2, "padding": 1}, {"kernel_size": (2, 1)},
        {"kernel_size": 2, "dilation": 2}, {"kernel_size": 2, "ceil_mode": True}, {"kernel_size": 2, "return_indices": True},
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_torchs(settings: dict[str, Any]) -> None:
    x = drawn(2, 16, 7, 7)
    assert pooled(x, **settings) is None
    with OwnKernels():
        found = F.max_pool2d(x, **settings)
    wanted = F.max_pool2d(x, **settings)
    assert all(map(torch.equal, found, wanted)) if isinstance(found, tuple) else torch.equal(found, wanted)
    assert pooled(drawn(2, 20, 8, 8), 2) is None and pooled(drawn(2, 16, 1, 8), 2) is None
    assert pooled(x[0], 2) is None and pooled(x.double(), 2) is None and pooled(x, 2) is not None


def test_the_library_is_apart() -> None:
    assert hasattr(library(SOURCE), "max_pool_gradient")
