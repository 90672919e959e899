"""Max pooling taken apart for the compiler: bit for bit what torch computes, where it applies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from chainrule.train import compiled
from chainrule.train.compiled_pooling import _pool, decompositions

ATEN = torch.ops.aten.max_pool2d_with_indices


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 13), st.integers(1, 13)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    st.integers(0, 99),
)
def test_values_and_places_are_those_of_torch(
    shape: tuple[int, ...], window: tuple[int, int], kind: torch.dtype, seed: int
) -> None:
    """With many equal values, of which the first counts, and some that are not numbers."""
    drawn = torch.Generator().manual_seed(seed)
    x = torch.randint(-2, 3, shape, generator=drawn).to(kind)
    x[torch.rand(shape, generator=drawn) < 0.05] = float("nan")
    x[torch.rand(shape, generator=drawn) < 0.05] = float("-inf")
    found = _pool(x, list(window), list(window))
    if window[0] > shape[2] or window[1] > shape[3]:
        assert found is NotImplemented
        return
    best, places = ATEN(x, list(window))
    torch.testing.assert_close(found[0], best, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(found[1], places)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (([2, 2], [1, 1]), "windows that overlap"),
        (([2, 2], [2, 2], [1, 1]), "padding"),
        (([2, 2], [2, 2], [0, 0], [2, 2]), "dilation"),
        (([2, 2], [2, 2], [0, 0], [1, 1], True), "windows over the edge"),
        (([5, 5],), "large windows"),
    ],
)
def test_what_it_does_not_know_is_left_to_torch(more: tuple[list[int]], why: str) -> None:
    assert _pool(torch.ones(1, 1, 8, 8), *more) is NotImplemented, why


def test_the_gradient_goes_by_torchs_kernel() -> None:
    x = torch.tensor([[[[0.0, 1.0, 5.0], [1.0, 1.0, 5.0]]]])
    best, places = _pool(x, [2, 2], [2, 2])
    back = decompositions()[torch.ops.aten.max_pool2d_with_indices_backward.default]
    found = back(3 * torch.ones_like(best), x, [2, 2], [2, 2], [0, 0], [1, 1], False, places)
    assert found.tolist() == [[[[0, 3, 0], [0, 0, 0]]]]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(compiled.CACHE, str(tmp_path))
    yield
    os.environ.pop(compiled.CACHE, None)


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_compiled_it_gives_the_same_bits() -> None:
    def pooled(x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(x), 2)

    x = torch.randn(2, 6, 9, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    plain = pooled(x)
    weights = torch.randn(plain.shape, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(plain, x, weights)
    with compiled.asking_the_compiler():
        ours = torch.compile(pooled, backend=compiled._backend, dynamic=False)(x)
        (gradient,) = torch.autograd.grad(ours, x, weights)
    assert torch.equal(ours, plain) and torch.equal(gradient, expected)
