"""Convolutions by minimal filtering: the numbers of torch's, in whatever network they stand."""

from __future__ import annotations

import copy
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import chainrule as cr
from chainrule.catalog import OPTIMIZERS
from chainrule.core.errors import PlanError
from chainrule.nn.initial import initialise_
from chainrule.train import native_build
from chainrule.train.candidates import candidates
from chainrule.train.native_build import find_compiler, library
from chainrule.train.own_kernels import OwnKernels
from chainrule.train.plan import make_plan
from chainrule.train.winograd import SOURCE, fits, has_fitting_layers, has_low_products

# images, inputs, outputs, height, width, kernel, padding: every way that the code goes
SHAPES = [
    (2, 16, 32, 13, 11, 3, 1),  # tiles that stand over the edge
    (3, 64, 64, 16, 16, 3, 1),
    (70, 32, 48, 9, 9, 3, 1),  # more tiles than are held at once, and their gradient's
    (3, 128, 192, 4, 4, 3, 0),  # several blocks of columns, and a block that is not full
    (40, 128, 144, 8, 8, 3, 1),  # threads that sum outputs of their own
    (1, 16, 80, 5, 9, 5, 0),
    (33, 32, 64, 16, 16, 5, 2),
    (1, 16, 16, 3, 3, 3, 0),  # a single output
    (2, 16, 16, 1, 7, 3, 2),  # more zeros around than inputs
]
EXACT, ROUNDED, ROUGH = 1e-5, 5e-3, 4e-2  # distances relative to the length: float32, bfloat16, its products


@pytest.fixture(scope="module", autouse=True)
def _library(compiler: None) -> None:
    library(SOURCE)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator).to(memory_format=torch.channels_last)


def apart(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted).norm() / wanted.norm())


def case(shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    images, inputs, outputs, height, width, kernel, padding = shape
    more = 2 * padding - kernel + 1
    x, w = drawn(images, inputs, height, width), drawn(outputs, inputs, kernel, kernel) / inputs**0.5
    return x, w, torch.linspace(-1, 1, outputs), drawn(images, outputs, height + more, width + more, seed=1)


def taken(x: Tensor, w: Tensor, bias: Tensor, slopes: Tensor, padding: int) -> list[Tensor]:
    """Return outputs and the gradients of inputs, weights and biases."""
    x, w, bias = (t.clone().requires_grad_() for t in (x, w, bias))
    y = F.conv2d(x, w, bias, padding=padding)
    y.backward(slopes.to(y.dtype))  # type: ignore[no-untyped-call]
    return [y.detach(), *(t.grad for t in (x, w, bias) if t.grad is not None)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_outputs_and_gradients_are_those_of_the_sum(shape: tuple[int, ...], threads: int) -> None:
    given = case(shape)
    wanted = taken(*(t.double() for t in given), padding=shape[-1])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with OwnKernels():
            found = taken(*given, padding=shape[-1])
    finally:
        torch.set_num_threads(before)
    for its, true in zip(found, wanted, strict=True):
        assert its.dtype == torch.float32 and its.shape == true.shape
        assert apart(its, true) < EXACT


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pictures_in_bfloat16(shape: tuple[int, ...]) -> None:
    """Outputs are as near as torch's; gradients of 3 x 3 filters go through products in bfloat16 where there are such."""
    given = case(shape)
    wanted = taken(*(t.double() for t in given), padding=shape[-1])
    with OwnKernels(), torch.autocast("cpu", torch.bfloat16):
        outputs, of_inputs, of_weights, of_biases = taken(*given, padding=shape[-1])
    assert outputs.dtype == torch.bfloat16 and of_weights.dtype == of_biases.dtype == torch.float32
    rough = ROUGH if has_low_products() and shape[5] == 3 else ROUNDED
    assert apart(outputs, wanted[0]) < ROUNDED and apart(of_biases, wanted[3]) < ROUNDED
    assert apart(of_inputs, wanted[1]) < rough and apart(of_weights, wanted[2]) < rough


def test_the_same_bits_on_any_number_of_threads_forward_and_every_time() -> None:
    x, w, bias, slopes = case((70, 32, 48, 9, 9, 3, 1))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            with OwnKernels():
                found.append(taken(x, w, bias, slopes, 1))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0][0], each[0]) and torch.equal(found[0][1], each[1]) for each in found)
    assert all(torch.equal(a, b) for a, b in zip(found[1], found[3], strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": (1, 0)}, {"padding": 3}, {"stride": (1, 2)},
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_torchs(settings: dict[str, Any]) -> None:
    x, w = drawn(2, 32, 9, 9), drawn(16, 32 // settings.get("groups", 1), 3, 3)
    assert not fits(x, w, **settings)
    with OwnKernels():
        assert torch.equal(F.conv2d(x, w, **settings), F.conv2d(x, w, **settings))
    assert not fits(drawn(2, 3, 9, 9), drawn(16, 3, 3, 3)) and not fits(x, drawn(20, 32, 3, 3))
    assert not fits(x, drawn(16, 32, 1, 1)) and not fits(x, drawn(16, 32, 3, 5)) and not fits(x[:0], w)
    assert not fits(x.double(), drawn(16, 32, 3, 3).double())


@pytest.mark.parametrize("padding", ["same", "valid", 1, (1, 1)])
def test_zeros_around_are_said_as_torch_takes_them(padding: Any) -> None:
    x, w = drawn(2, 16, 9, 9), drawn(32, 16, 5, 5)
    wanted = F.conv2d(x.double(), w.double(), padding=padding)
    with OwnKernels():
        found = F.conv2d(x, w, padding=padding, stride=(1, 1))
    assert found.shape == wanted.shape and apart(found, wanted) < EXACT


def test_pictures_and_filters_in_any_layout() -> None:
    x, w = drawn(2, 16, 9, 9), drawn(32, 16, 3, 3)
    with OwnKernels():
        found = [F.conv2d(a, b) for a in (x, x.contiguous(), x[:, :, ::1]) for b in (w, w.contiguous())]
    assert all(torch.equal(found[0], each) for each in found)


def test_what_is_not_finite_stays_where_it_is() -> None:
    x, w = drawn(1, 16, 16, 16), drawn(16, 16, 3, 3)
    x[0, 3, 2, 2] = float("nan")
    with OwnKernels():
        found = F.conv2d(x, w, padding=1)
        low = F.conv2d(x.bfloat16(), w, padding=1)
    for each in (found, low):
        assert each[0, :, 1:4, 1:4].isnan().all() and not each[0, :, 8:, 8:].isnan().any()


def test_a_second_derivative_is_refused_not_wrong() -> None:
    x, w = drawn(1, 16, 8, 8).requires_grad_(), drawn(16, 16, 3, 3)
    with OwnKernels():
        y = F.conv2d(x, w)
    (slope,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()  # type: ignore[no-untyped-call]


class Small(nn.Sequential):
    """A network in which filters fit, beside a first layer in which they do not."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 16, 5), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 16, 3)),
        )


def step_of(model: nn.Module, rule: str = "momentum", **way: Any) -> cr.AutogradStep:
    objective = cr.Objective(copy.deepcopy(model), cr.MultiClass(["a", "b", "c"])).train()
    made = cr.optimizer(rule, objective.parameters(), learning_rate=0.01)
    return cr.AutogradStep(objective, made, channels_last=bool(way), **way)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_a_network_trains_as_it_does_plainly_and_repeats_its_bits(precision: torch.dtype | None) -> None:
    model = Small()
    initialise_(model, 0)
    y = torch.arange(24) % 3
    x = drawn(24, 3, 16, 16) + (y - 1).view(-1, 1, 1, 1)
    ways: list[dict[str, Any]] = [{}, *[{"winograd": True, "precision": precision}] * 3]
    ends = []
    for way in ways:
        step = step_of(model, **way)
        for number in range(4):
            step.prepare(number, 1.0)
            outcome = step(x, y)
        assert outcome.loss.dtype == outcome.outputs.dtype == torch.float32
        ends.append(torch.cat([p.detach().reshape(-1) for p in step.objective.parameters()]))
    start = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    plain, its = ends[0] - start, ends[1] - start
    assert torch.cosine_similarity(plain, its, dim=0) > (0.98 if precision else 0.99999)
    assert not torch.equal(plain, its)  # it was another way
    assert torch.equal(ends[1], ends[2]) and torch.equal(ends[1], ends[3])


def test_it_is_tried_where_layers_fit_and_there_is_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = make_plan("plain", "cpu")

    def ways(model: nn.Module) -> set[str]:
        return {plan.way for plan in candidates(cr.Objective(model, cr.MultiClass(["a", "b", "c"])), plain)}

    assert has_fitting_layers(Small()) and "winograd" in ways(Small())
    assert not any("winograd" in way for way in ways(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten())))
    monkeypatch.setattr("chainrule.train.own_kernels.is_compiled", lambda source=None: False)
    assert not any("winograd" in way for way in ways(Small()))


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_every_rule_makes_the_updates_that_it_makes_plainly(rule: str) -> None:
    model = Small()
    initialise_(model, 0)
    y = torch.arange(24) % 3
    x = drawn(24, 3, 16, 16) + (y - 1).view(-1, 1, 1, 1)
    ends = []
    for way in ({}, {"winograd": True}):
        step = step_of(model, rule, **way)
        for number in range(2):
            step.prepare(number, 1.0)
            step(x, y)
        ends.append(torch.cat([p.detach().reshape(-1) for p in step.objective.parameters()]))
    start = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    assert (
        torch.cosine_similarity(ends[0] - start, ends[1] - start, dim=0) > 0.99
    )  # of tiny gradients rules that divide by their size keep the sign alone


def test_a_network_without_such_filters_is_refused() -> None:
    with pytest.raises(
        PlanError, match="no layer has 3 × 3 or 5 × 5 filters between channels in multiples of 16"
    ):
        step_of(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), winograd=True)


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(native_build, "_known", {})
    with pytest.raises(PlanError, match="there is no C\\+\\+ compiler"):
        OwnKernels()


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="other processors have no such options"
)
@pytest.mark.parametrize("options", ["-mno-avx512bf16", "-mno-avx512f", "-mno-avx"])
def test_narrow_vectors(options: str, tmp_path: Path) -> None:
    """The tests of this file once more, on a library compiled as for processors without wide vectors."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:curriculum-ledger",
        "-m", "not slow", f"--basetemp={tmp_path / 'own'}", __file__,
    ]  # fmt: skip
    env = {**os.environ, "CXX": f"{find_compiler()[0]} {options}"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
