"""How long each layer of a network takes in real training steps, forward and backward.

A layer's forward time is that of its call. Its backward time begins when the gradient of its output is there and ends
when the next one is, which is that of its input: within a chain it is exact, and where branches meet it is that of the
layer which autograd took up. Looking costs time itself: that of one look is measured and taken off.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from chainrule.nn.visits import visits
from chainrule.train.machine import now, rounds
from chainrule.train.objective import Objective, Outcome
from chainrule.train.step import AutogradStep

T = TypeVar("T")
LOSS = "loss"  # what stands in for the name of a layer, behind the last one
LOOKS = 200  # in the chain that tells what one costs


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """One call of a layer in a step, and whether it owes the gradients of its weights and of its inputs.

    Units: seconds; the bytes of its inputs, its output and its weights
    """

    name: str
    layer: nn.Module | None
    forward: float
    backward: float
    learns: bool
    passes_on: bool
    input_bytes: int
    output_bytes: int
    weight_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """A step, layer by layer in the order of the forward pass; the loss is the last of them. Units: seconds."""

    layers: tuple[LayerTime, ...]
    update: float
    whole: float  # with what looking cost


class LayerWatch:
    """Watches the layers of a step. Each step that is made within `watching` is one sample."""

    def __init__(self, step: AutogradStep, device: torch.device) -> None:
        self.step = step
        self.device = device
        self.samples: list[StepTimes] = []
        self._look = cost_of_look(device)
        self._clear()

    def _clear(self) -> None:
        self._calls: list[dict[str, Any]] = []
        self._began = 0.0
        self._open: int | None = None  # the call whose backward pass is under way
        self._since = 0.0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the layers of one step."""
        self._clear()
        step, objective = self.step, self.step.objective
        update_, ended = step._clip_and_update_, objective.model.register_forward_hook(self._model_ended)
        spent = 0.0

        def timed() -> None:
            nonlocal spent
            self._pass_on(None)
            began = now(self.device)
            update_()
            spent = now(self.device) - began

        computed = objective.register_forward_hook(self._loss_is_there)
        started = now(self.device)
        step._clip_and_update_ = timed  # type: ignore[method-assign]
        try:
            with visits(objective.model, self._left, self._entered):
                yield
        finally:
            del step._clip_and_update_
            ended.remove()
            computed.remove()
        layers = tuple(LayerTime(**call) for call in self._calls)
        self.samples.append(StepTimes(layers=layers, update=spent, whole=now(self.device) - started))

    def usual(self) -> StepTimes:
        """Return the means over the faster half of the steps, call by call: so they add up, and no waiting is in them."""
        last = self.samples[-1]
        alike = [sample for sample in self.samples if len(sample.layers) == len(last.layers)]
        calm = faster_half(alike, key=lambda sample: sample.whole)
        layers = tuple(_mean([sample.layers[place] for sample in calm]) for place in range(len(last.layers)))
        return StepTimes(
            layers=layers,
            update=statistics.fmean(sample.update for sample in calm),
            whole=statistics.fmean(sample.whole for sample in calm),
        )

    def _entered(self, *_: object) -> None:
        self._began = now(self.device)

    def _left(self, name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        seconds = now(self.device) - self._began
        tensors = [value for value in inputs if isinstance(value, Tensor)]
        weights = list(layer.parameters())
        self._add(name, layer, seconds, tensors, output if isinstance(output, Tensor) else None, weights)

    def _model_ended(self, *_: object) -> None:
        self._began = now(self.device)

    def _loss_is_there(self, _: Objective, inputs: tuple[Any, ...], outcome: Outcome) -> None:
        seconds = now(self.device) - self._began
        self._add(LOSS, None, seconds, [outcome.outputs], outcome.loss, [])

    def _add(
        self,
        name: str,
        layer: nn.Module | None,
        seconds: float,
        inputs: list[Tensor],
        output: Tensor | None,
        weights: list[nn.Parameter],
    ) -> None:
        place = len(self._calls)
        # Dropout of nothing: the same tensor, the same gradient
        is_passed_on = any(output is value for value in inputs)
        if output is not None and output.requires_grad and not is_passed_on:
            output.register_hook(lambda _: self._pass_on(place))  # type: ignore[no-untyped-call]
        self._calls.append(
            {
                "name": name, "layer": layer, "forward": seconds, "backward": 0.0,
                "learns": any(w.requires_grad for w in weights),
                "passes_on": any(value.requires_grad for value in inputs),
                "input_bytes": sum(map(_bytes, inputs)), "output_bytes": _bytes(output),
                "weight_bytes": sum(map(_bytes, weights)),
            }
        )  # fmt: skip

    def _pass_on(self, place: int | None) -> None:
        """End the backward pass of the call that it was the turn of, and begin that of another."""
        moment = now(self.device)
        if self._open is not None:
            self._calls[self._open]["backward"] += max(0.0, moment - self._since - self._look)
        self._open, self._since = place, now(self.device)


def cost_of_look(device: torch.device) -> float:
    """Return the seconds that a hook on a gradient adds to a backward pass: a chain of sums with hooks, and without."""
    start = torch.ones(1, device=device, requires_grad=True)

    def go_back(looks: bool) -> None:
        value = start
        for _ in range(LOOKS):
            value = value + start
            if looks:
                value.register_hook(lambda _: None)  # type: ignore[no-untyped-call]
        began = now(device)
        torch.autograd.grad(value, start)
        taken[looks].append(now(device) - began)

    taken: dict[bool, list[float]] = {True: [], False: []}
    for looks in (False, True):
        rounds(lambda looks=looks: go_back(looks), device, seconds=0.02)  # type: ignore[misc]
    return max(0.0, statistics.median(taken[True]) - statistics.median(taken[False])) / LOOKS


def _bytes(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.numel() * tensor.element_size()


def faster_half(samples: Sequence[T], key: Callable[[T], float]) -> list[T]:
    """Return the half of some samples that took less time: in the others another program had the processor.

    >>> faster_half([3.0, 1.0, 9.0, 2.0, 8.0], key=float)
    [1.0, 2.0, 3.0]
    """
    return sorted(samples, key=key)[: (len(samples) + 1) // 2]


def _mean(calls: list[LayerTime]) -> LayerTime:
    return replace(
        calls[-1],
        forward=statistics.fmean(call.forward for call in calls),
        backward=statistics.fmean(call.backward for call in calls),
    )
