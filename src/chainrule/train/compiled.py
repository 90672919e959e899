"""An objective turned into C++ for this machine by torch.compile; its backward pass with it.

The compiler is imported when the first batch comes, and what it makes is kept in a folder of the user's own, for the next
run to read. Batches of other sizes than the one that was compiled, the last of an epoch for instance, run as they are: a
second program would take as long to make as the first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from chainrule.core.errors import ChainruleError, PlanError
from chainrule.core.text import visible
from chainrule.core.user_cache import user_cache_folder
from chainrule.nn.noise import Dropout
from chainrule.train.objective import Outcome

Forward = Callable[[Tensor, Tensor, Tensor | None], Outcome]
Compiled = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
CACHE = "TORCHINDUCTOR_CACHE_DIR"  # where torch looks for the folder; one that the user has set stays
LOGGERS = ("torch._dynamo", "torch._inductor", "torch._functorch")
SETTINGS: dict[str, str | int | bool | Callable[..., object]] = {
    "fallback_random": True,  # torch's own dropout draws what it draws without the compiler
    "compile_threads": 1,  # no pool of processes, which would stay behind and hear Ctrl-C
    "layout_optimization": False,  # the plan says where channels lie; torch's own choice took LeNet 1.7 times as long
}


class CompiledForward:
    """The forward pass of batches of `rows` rows, compiled at the first of them; of others as it is.

    Raises: PlanError where the compiler is missing or fails; StorageError where there is no folder for what it makes
    """

    def __init__(self, forward: Forward, model: nn.Module, rows: int) -> None:
        if CACHE not in os.environ:
            os.environ[CACHE] = str(user_cache_folder("compiled"))
        self.forward = forward
        self.model = model
        self.rows = rows
        self._compiled: Compiled | None = None

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        if len(targets) != self.rows:
            return self.forward(inputs, targets, weights)
        if self._compiled is None:
            with asking_the_compiler():
                self._compiled = self._compile(inputs, targets, weights)
        loss, outputs = self._compiled(inputs, targets, weights)
        return Outcome(loss, loss.detach(), outputs)

    def _compile(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Compiled:
        """Compile, and try forward and backward once, so that all that can fail fails here."""
        if any(isinstance(layer, Dropout) for layer in self.model.modules()):
            keep_noise_out()
        # isolated: torch otherwise counts all networks of a process together, and compiles no more than eight
        found: Compiled = torch.compile(  # type: ignore[call-overload]
            self._loss_and_outputs, dynamic=False, isolate_recompiles=True, options=SETTINGS
        )
        with untouched(self.model):
            found(inputs, targets, weights)[0].backward()  # type: ignore[no-untyped-call]
        return found

    def _loss_and_outputs(
        self, inputs: Tensor, targets: Tensor, weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        outcome = self.forward(inputs, targets, weights)
        # Else the backward pass takes a gradient of zeros for them
        return outcome.loss, outcome.outputs.detach()


def compilations() -> int:
    """Count what the compiler made in this process, without what it found in its cache."""
    if (found := sys.modules.get("torch._dynamo.utils")) is None:
        return 0
    counted = found.counters["inductor"]
    return int(counted["fxgraph_cache_miss"] + counted["fxgraph_cache_bypass"])


def keep_noise_out() -> None:
    """Have the compiler leave dropout as it is: its step is a new number at every update, each compiled anew otherwise.

    Said of the class: a copy of a layer that carries it would draw the noise of the layer that it was copied from.
    """
    if not hasattr(Dropout.forward, "_torchdynamo_disable"):
        Dropout.forward = torch.compiler.disable(Dropout.forward)  # type: ignore[method-assign, no-untyped-call]


@contextlib.contextmanager
def asking_the_compiler() -> Iterator[None]:
    """Keep what the compiler says from the user's terminal, and say in one sentence why it failed. Raises: PlanError"""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ChainruleError:
        raise
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "it gave no reason")
        raise PlanError(f"torch.compile failed ({type(error).__name__}): {visible(first)}") from error


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put buffers, gradients and torch's generator back as they were."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    on_gpu = {parameter.device for parameter, _ in gradients if parameter.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=on_gpu):
            yield
    finally:
        for buffer, kept in buffers:
            buffer.copy_(kept)
        for parameter, gradient in gradients:
            parameter.grad = gradient
