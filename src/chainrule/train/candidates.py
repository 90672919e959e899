"""The ways in which a network could run here: what is tried before a plan is chosen."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from chainrule.train import own_kernels, winograd
from chainrule.train.dense_chain import why_not_dense
from chainrule.train.native_build import is_compiled
from chainrule.train.native_step import why_not_native_step
from chainrule.train.objective import Objective
from chainrule.train.plan import ONE_THREAD_BELOW, PROCESSORS, WRITTEN_OUT, Plan

WORTH_THREADS = ONE_THREAD_BELOW // 2
ALL_THREADS_FROM = 2 * ONE_THREAD_BELOW  # multiply-adds a batch for each core: with more, all of them win
SURE_BELOW = 250_000  # multiply-adds a batch; an MLP of 64 and 32 units on a small table has 130,000
PROMISING = (
    "native",
    "dense",
    "bfloat16,winograd",
    "bfloat16,channels-last",
    "winograd",
    "channels-last",
    "dense,bfloat16",
    "bfloat16",
)  # what mostly won first

_CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d


def candidates(objective: Objective, plain: Plan) -> list[Plan]:
    """Return the plans that apply to a network on this machine, plain execution first, each without measurements.

    Explicit backprop where the network is a chain of dense layers, bfloat16 where the device multiplies in it, channels
    last where pictures are convolved, and minimal filtering of filters that it fits.
    """
    found = [plain]
    lower = has_fast_bfloat16(plain.device)
    if is_compiled() and why_not_native_step(objective) is None:
        found += [replace(plain, step="native", threads=1)]
    if why_not_dense(objective) is None:
        found += [replace(plain, step="dense", precision=each) for each in ("float32", *["bfloat16"] * lower)]
    layouts = ("standard", *["channels-last"] * _convolves(objective.model))
    ways = [(each, layout) for each in ("float32", *["bfloat16"] * lower) for layout in layouts]
    found += [replace(plain, precision=each, layout=layout) for each, layout in ways[1:]]
    if plain.device == "cpu" and winograd.has_fitting_layers(objective.model) and own_kernels.are_compiled():
        filtered = replace(plain, layout="channels-last", convolutions="winograd")
        found += [filtered, *[replace(filtered, precision="bfloat16")] * lower]
    return found


def is_sure(plan: Plan, multiply_adds: int) -> bool:
    """Whether a plan was faster than plain execution wherever it was measured, so that a short run may take it untimed.

    Explicit backprop with little to multiply: by torch 1.7 to 9.6 times in all such jobs of benchmarks/never_slower.py. With
    more, an update no longer is mostly overhead: with 500,000, softmax regression of MNIST, it took 0.95 to 1.1 times as long.
    Compiled it has not been through these jobs, but beside the same by torch: 64-32-32-10 at batch 32, with 108,000, took 14 µs
    (plain 381, benchmarks/steps_against_peers.py) and 40 by torch (benchmarks/dense_step.py).
    """
    return plan.way in WRITTEN_OUT and multiply_adds < SURE_BELOW


def promise(plan: Plan) -> int:
    """Return the place of a plan in the order in which plans are tried while there is time."""
    return PROMISING.index(plan.way) if plan.way in PROMISING else len(PROMISING)


def other_threads(plan: Plan, multiply_adds: int) -> tuple[int, ...]:
    """Return the number of threads that a plan could have in place of its own: one, or one for each core.

    `multiply_adds` is the work of one forward pass over a batch. With little no second thread is tried, which waits a
    hundred times as long as it works where another program wants the processor; with much a single one has no chance.
    """
    if plan.device != "cpu" or plan.step == "native" or PROCESSORS == 1:
        return ()
    if not WORTH_THREADS <= multiply_adds < ALL_THREADS_FROM * PROCESSORS:
        return ()
    return (PROCESSORS if plan.threads == 1 else 1,)


def has_fast_bfloat16(device: str) -> bool:
    """Whether a device multiplies matrices of bfloat16 faster than of float32, as far as it says so itself."""
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def _convolves(model: nn.Module) -> bool:
    return any(isinstance(layer, _CONVOLUTIONS) for layer in model.modules())
