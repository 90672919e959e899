"""How a model runs on this machine. For now: the device, and the kind of step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from chainrule.core.device import choose_device
from chainrule.core.errors import SettingError

PROCESSORS = os.cpu_count() or 1  # more threads than these only wait for each other
MOST_THREADS = 4096  # of a plan in a file; torch starts as many as it is told to
PLANS = ("auto", "plain", "dense", "dense-bfloat16")
WAYS = (
    ("autograd", "float32"),
    ("dense", "float32"),
    ("dense", "bfloat16"),
)  # step, precision of its products
# Multiply-adds a batch. 64-256-10 at batch 64 has 1.2 million and takes 0.4 ms on one thread.
ONE_THREAD_BELOW = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The way to run, decided before the first step and part of the recipe.

    The number of threads changes the order in which sums are taken and so their last bits: it is in the plan.
    """

    device: str
    threads: int
    step: str = "autograd"
    precision: str = "float32"
    reason: str = ""

    def __str__(self) -> str:
        where = (
            self.device
            if self.device != "cpu"
            else f"cpu, {self.threads} thread{'s' if self.threads != 1 else ''}"
        )
        return f"{'plain' if self.step == 'autograd' else self.step} ({where}, {self.precision})"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as it stands in a recipe."""
        return asdict(self)

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= MOST_THREADS:
            raise ValueError(f"plan.threads should be 1 to {MOST_THREADS}; got {self.threads}")
        if (self.step, self.precision) not in WAYS:
            known = ", ".join(" in ".join(way) for way in WAYS)
            raise ValueError(
                f"plan.step and plan.precision should be one of {known}; got {self.step!r} in {self.precision!r}"
            )

    @contextmanager
    def applied(self) -> Iterator[torch.device]:
        """Run the block with the plan's threads and give its device; the thread count is put back after."""
        before = torch.get_num_threads()
        torch.set_num_threads(min(self.threads, PROCESSORS))
        try:
            yield choose_device(self.device)
        finally:
            torch.set_num_threads(before)


def make_plan(name: str, device: str, multiply_adds: int | None = None) -> Plan:
    """Decide how to run. `auto` is `plain` until candidates are measured; `dense` is explicit backprop, in float32 or with
    products in bfloat16.

    `multiply_adds` is the work of one forward pass over a batch. Below a limit one thread serves best: starting and
    joining others costs as much as the work, and twenty times it where another program wants the processor.
    Raises: SettingError
    """
    if name not in PLANS:
        raise SettingError(f"--plan takes {', '.join(PLANS[:-1])} or {PLANS[-1]}; got {name!r}")
    is_dense = name.startswith("dense")
    chosen = choose_device("cpu" if is_dense and device == "auto" else device)
    threads = min(torch.get_num_threads(), PROCESSORS)
    reason = "explicit backprop, as was asked" if is_dense else "plain execution in torch's default precision"
    if (
        chosen.type == "cpu"
        and threads > 1
        and multiply_adds is not None
        and multiply_adds < ONE_THREAD_BELOW
    ):
        threads, reason = 1, f"{reason}; one thread, since {multiply_adds:,} multiply-adds are few"
    return Plan(
        device=chosen.type,
        threads=threads,
        step="dense" if is_dense else "autograd",
        precision="bfloat16" if name == "dense-bfloat16" else "float32",
        reason=reason,
    )


def multiply_adds(model: nn.Module, inputs: torch.Tensor) -> int:
    """Count the multiply-adds of the dense and convolutional layers in one forward pass."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        total += output.numel() * weight[0].numel()

    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    was_training = model.training
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            model.eval()(inputs)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return total
