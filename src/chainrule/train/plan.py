"""How a model runs on this machine: device, threads, kind of step, precision, layout, compiler."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from chainrule.core.allocator import keep_freed_memory
from chainrule.core.device import choose_device
from chainrule.core.errors import SettingError
from chainrule.core.text import visible

PROCESSORS = os.cpu_count() or 1  # more threads than these only wait for each other
MOST_THREADS = 4096  # of a plan in a file; torch starts as many as it is told to
WORDS = ("plain", "native", "dense", "bfloat16", "channels-last", "winograd", "compiled")
WRITTEN_OUT = ("native", "dense")  # kinds of step, for chains of dense layers
# Multiply-adds a batch. 64-256-10 at batch 64 has 1.2 million and takes 0.4 ms on one thread.
ONE_THREAD_BELOW = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The way to run, decided before the first step and part of the recipe.

    The number of threads changes the order in which sums are taken and so their last bits: it is in the plan.
    What was measured stands beside it: `speed` in multiples of plain execution, `loss_difference` from it at equal weights
    (0.004: 0.4 %), `update_seconds` of one update, and the machine.
    """

    device: str
    threads: int
    step: str = "autograd"
    precision: str = "float32"
    layout: str = "standard"
    convolutions: str = "torch"
    compiled: bool = False
    reason: str = ""
    machine: str = ""
    speed: float | None = None
    loss_difference: float | None = None
    update_seconds: float | None = None

    def __str__(self) -> str:
        where = (
            self.device
            if self.device != "cpu"
            else f"cpu, {self.threads} thread{'s' if self.threads != 1 else ''}"
        )
        measured = ""
        if self.speed is not None and self.loss_difference is not None and not self.is_plain:
            measured = f" — {self.speed:.1f} × plain, loss agrees to {100 * self.loss_difference:.2g} %"
        return f"{self.way} ({where}){measured}"

    @property
    def is_plain(self) -> bool:
        """Whether it runs as PyTorch does by itself."""
        return self.way == "plain"

    @property
    def way(self) -> str:
        """What is not plain about it, as `--plan` takes it."""
        words = [
            *[self.step] * (self.step in WRITTEN_OUT),
            *["bfloat16"] * (self.precision == "bfloat16"),
            *["channels-last"] * (self.layout == "channels-last" and self.convolutions == "torch"),
            *["winograd"] * (self.convolutions == "winograd"),
            *["compiled"] * self.compiled,
        ]
        return ",".join(words) or "plain"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as it stands in a recipe."""
        return asdict(self)

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= MOST_THREADS:
            raise ValueError(f"plan.threads should be 1 to {MOST_THREADS}; got {self.threads}")
        for name, known in _KNOWN.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"plan.{name} should be {' or '.join(known)}; got {value!r}")
        if self.step in WRITTEN_OUT and (self.layout != "standard" or self.compiled):
            raise ValueError(f"plan.step {self.step} goes with neither a layout nor a compiler")
        if self.step == "native" and self.precision != "float32":
            raise ValueError("plan.step native computes in float32")
        if self.convolutions == "winograd" and (self.layout != "channels-last" or self.compiled):
            raise ValueError("plan.convolutions winograd go with the layout channels-last and no compiler")

    @contextmanager
    def applied(self) -> Iterator[torch.device]:
        """Run the block with the plan's threads and give its device; the thread count is put back after."""
        keep_freed_memory()
        before = torch.get_num_threads()
        torch.set_num_threads(min(self.threads, PROCESSORS))
        try:
            yield choose_device(self.device)
        finally:
            torch.set_num_threads(before)


_KNOWN = {
    "step": ("autograd", *WRITTEN_OUT),
    "precision": ("float32", "bfloat16"),
    "layout": ("standard", "channels-last"),
    "convolutions": ("torch", "winograd"),
}


def make_plan(name: str, device: str, multiply_adds: int | None = None) -> Plan:
    """Return the plan that `--plan` names: `plain`, or words with commas between; `auto` is where measuring starts from.

    `multiply_adds` is the work of one forward pass over a batch. Below a limit one thread serves best: starting and
    joining others costs as much as the work, and twenty times it where another program wants the processor.
    Raises: SettingError
    """
    words = _words(name)
    step = next((kind for kind in WRITTEN_OUT if kind in words), "autograd")
    is_own = step != "autograd" or "winograd" in words  # and runs on processors
    chosen = choose_device("cpu" if is_own and device == "auto" else device)
    threads = min(torch.get_num_threads(), PROCESSORS)
    reason = "plain execution in torch's default precision" if words <= {"auto", "plain"} else "as was asked"
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
        step=step,
        precision="bfloat16" if "bfloat16" in words else "float32",
        layout="channels-last" if words & {"channels-last", "winograd"} else "standard",
        convolutions="winograd" if "winograd" in words else "torch",
        compiled="compiled" in words,
        reason=reason,
    )


def names_a_way(name: str) -> bool:
    """Whether `--plan` is given ways to run, or anything else, such as a run whose plan is wanted."""
    return all(word.strip() in ("auto", *WORDS) for word in name.split(","))


def _words(name: str) -> set[str]:
    words = [word.strip() for word in name.split(",")]
    for word in words:
        if word not in ("auto", *WORDS):
            raise SettingError(
                f"--plan takes auto, a run whose plan is wanted, or some of {', '.join(WORDS)} with commas between; "
                f"got '{visible(name, 60)}'"
            )
    for alone in ("auto", "plain", "native"):
        if alone in words and len(words) > 1:
            raise SettingError(f"--plan {alone} stands alone; got '{name}'")
    if "dense" in words and not {"dense", "bfloat16"} >= set(words):
        raise SettingError(f"--plan dense goes with bfloat16 only; got '{name}'")
    if {"winograd", "compiled"} <= set(words):
        raise SettingError(f"--plan winograd goes with bfloat16 only; got '{name}'")
    return set(words)


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
