"""Gradients against central differences in float64, layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.core.seeds import generator
from chainrule.explanations.columns import Column, lines_of, written
from chainrule.nn.visits import visits

NUDGE = 1e-6  # times the size of a number: balances the error of the formula, h², and of float64, 1e-16 / h
TOLERANCE = 1e-6  # relative to the largest gradient of the tensor
MOST = 24  # numbers of a tensor that are nudged
MOST_WHOLE = 4  # the same where each nudge runs the whole model
WHOLE = "whole model"

Function = Callable[[], Tensor]  # gives one number


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A tensor (weights, an input) of a layer or of the whole model: the largest difference.

    The error is relative to the largest gradient of the tensor.
    """

    layer: str
    kind: str
    tensor: str
    size: int
    nudged: int
    at_kinks: int  # nudged numbers where the slope differs left and right: no derivative to compare with
    gradient: float
    numerical: float
    error: float

    @property
    def is_equal(self) -> bool:
        return self.error <= TOLERANCE


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """Every tensor that was checked. `str` gives a table and a verdict."""

    checked: tuple[Checked, ...]

    @property
    def is_equal(self) -> bool:
        """Whether every gradient equals its central differences."""
        return all(found.is_equal for found in self.checked)

    @property
    def layers(self) -> list[str]:
        """The layers whose own derivative differs, in the order of the forward pass."""
        differing = (found.layer for found in self.checked if not found.is_equal and found.layer != WHOLE)
        return list(dict.fromkeys(differing))

    def __str__(self) -> str:
        table = lines_of(
            [
                Column(title="layer", cells=[found.layer for found in self.checked], is_text=True),
                Column(title="", cells=[found.kind for found in self.checked], is_text=True),
                Column(title="by", cells=[found.tensor for found in self.checked], is_text=True),
                Column(
                    title="numbers", cells=[f"{found.nudged} of {found.size:,}" for found in self.checked]
                ),
                Column(title="backward", cells=written([found.gradient for found in self.checked])),
                Column(title="nudged", cells=written([found.numerical for found in self.checked])),
                Column(title="difference", cells=[f"{found.error:.0e}" for found in self.checked]),
                Column(
                    title="",
                    cells=["" if found.is_equal else "differs" for found in self.checked],
                    is_text=True,
                ),
            ],
            110,
            indent="",
        )
        return "\n".join([*table, "", self.verdict])

    @property
    def verdict(self) -> str:
        """What was found, in a sentence."""
        kinks = sum(found.at_kinks for found in self.checked)
        beside = f"; {kinks} lie at kinks, where there is no derivative, and were left out" if kinks else ""
        nudged = sum(found.nudged for found in self.checked)
        if self.is_equal:
            return f"all gradients equal their central differences ({nudged} numbers nudged{beside})"
        wrong = [found for found in self.checked if not found.is_equal]
        worst = max((f for f in wrong if f.layer != WHOLE or not self.layers), key=lambda found: found.error)
        where = f"layer {' and '.join(self.layers)}" if self.layers else "something between the layers"
        return (
            f"the derivative of {where} differs: by {worst.tensor} backward gives {worst.gradient:.6g}, "
            f"nudging gives {worst.numerical:.6g}{beside}"
        )


def check_gradients(
    model: nn.Module, batch: Any, *, loss: Callable[[Tensor, Tensor], Tensor] | None = None, seed: int = 0
) -> GradientCheck:
    """Compare the backward pass of every layer with central differences, in float64 on a copy of the model.

    `batch` is inputs, or (inputs, targets). With targets the loss is `loss(outputs, targets)`, or the model's own for an
    `Objective`; without them the outputs are summed with weights drawn from the seed. Every layer is judged by itself: with
    the inputs and the gradient that it gets in this pass, so that a wrong derivative is found where it is, not in all layers
    before it. The whole model is checked too: what happens between layers shows there. At most 24 numbers of a layer's
    tensors are nudged, and 4 of each for the whole model. Dropout draws the same mask every time.
    Raises: SettingError for a batch without numbers, or a loss that is not one number
    >>> check_gradients(nn.Linear(3, 2), torch.ones(4, 3)).is_equal
    True
    """
    ghost = copy.deepcopy(model).double()
    inputs, targets = batch if isinstance(batch, tuple | list) else (batch, None)
    inputs, targets = _double(inputs), _double(targets)

    def total() -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # for layers that draw from the global generator
            return _one_number(ghost, inputs, targets, loss, seed)

    calls: list[_Call] = []
    with visits(ghost, lambda *seen: calls.append(_Call(*seen))):
        first = total()
    gradients = torch.autograd.grad(first, [call.output for call in calls], allow_unused=True)
    found: list[Checked] = []
    for call, gradient in zip(calls, gradients, strict=True):
        if gradient is not None:
            found += _check_layer(call, gradient.detach(), seed)
    tensors = {"input": inputs} if _has_slope(inputs) else {}
    tensors |= {name: p for name, p in ghost.named_parameters() if p.requires_grad}
    return GradientCheck(
        (*found, *_compare_all((WHOLE, type(model).__name__), tensors, total, seed, MOST_WHOLE))
    )


class _Call:
    """A call of a layer: what went in and came out."""

    def __init__(self, name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor):
            raise SettingError(
                f"layer {name} gives a {type(output).__name__}; gradients are checked for tensors"
            )
        self.name, self.layer, self.output = name, layer, output
        self.inputs = tuple(i.detach().clone() if isinstance(i, Tensor) else i for i in inputs)


def _double(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.detach().double().requires_grad_()
    return value


def _one_number(
    model: nn.Module, inputs: Any, targets: Any, loss: Callable[[Tensor, Tensor], Tensor] | None, seed: int
) -> Tensor:
    if not isinstance(inputs, Tensor) or not inputs.numel():
        raise SettingError("check_gradients takes inputs, or (inputs, targets), with at least one row")
    if targets is None:
        outputs = model(inputs)
        weights = torch.randn(outputs.shape, generator=generator(seed, "check"), dtype=torch.float64)
        summed: Tensor = (outputs * weights).sum()
        return summed
    found = model(inputs, targets) if loss is None else loss(model(inputs), targets)
    total = getattr(found, "loss", found)
    if not isinstance(total, Tensor) or total.numel() != 1:
        raise SettingError("with targets, give loss=… that returns one number, or an Objective as the model")
    return total.reshape(())


def _check_layer(call: _Call, gradient: Tensor, seed: int) -> Iterator[Checked]:
    """Compare what a layer makes of its outgoing gradient with nudges of its inputs and of its own tensors."""
    inputs = tuple(i.requires_grad_() if _has_slope(i) else i for i in call.inputs)

    def weighted() -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found: Tensor = (call.layer(*inputs) * gradient).sum()
            return found

    names = [f"input {k + 1}" if len(inputs) > 1 else "input" for k in range(len(inputs))]
    tensors = {n: i for n, i in zip(names, inputs, strict=True) if _has_slope(i)}
    tensors |= {n: p for n, p in call.layer.named_parameters() if p.requires_grad}
    yield from _compare_all((call.name, type(call.layer).__name__), tensors, weighted, seed, MOST)


def _has_slope(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _compare_all(
    whose: tuple[str, str], tensors: dict[str, Tensor], f: Function, seed: int, most: int
) -> Iterator[Checked]:
    """Compare the gradients of a function by several tensors with nudges of some of their numbers."""
    if not tensors:
        return
    analytic = torch.autograd.grad(f(), list(tensors.values()), allow_unused=True)
    for (name, tensor), slope in zip(tensors.items(), analytic, strict=True):
        known = torch.zeros_like(tensor) if slope is None else slope
        places = torch.randperm(tensor.numel(), generator=generator(seed, "check", *whose, name))[:most]
        yield _compare(whose, name, tensor, known, places.tolist(), f)


def _compare(
    whose: tuple[str, str], name: str, tensor: Tensor, known: Tensor, places: list[int], f: Function
) -> Checked:
    largest = max(known.abs().max().item(), 1e-12)
    kinks, worst = 0, (0.0, 0.0, 0.0)
    for place in places:
        left, right = _slopes(tensor, place, f)
        numerical, analytic = (left + right) / 2, known.flatten()[place].item()
        scale = max(largest, abs(numerical))
        if abs(left - right) > 1e-3 * scale:
            kinks += 1
            continue
        error = abs(numerical - analytic) / scale
        if error >= worst[0]:
            worst = (error, analytic, numerical)
    return Checked(
        layer=whose[0],
        kind=whose[1],
        tensor=name,
        size=tensor.numel(),
        nudged=len(places),
        at_kinks=kinks,
        gradient=worst[1],
        numerical=worst[2],
        error=worst[0],
    )


def _slopes(tensor: Tensor, place: int, f: Function) -> tuple[float, float]:
    """Return the slope to the left and to the right of one number of a tensor, which is put back."""
    flat = tensor.data.view(-1)
    before = flat[place].item()
    nudge = NUDGE * max(1.0, abs(before))
    values = []
    with torch.no_grad():
        for moved in (before - nudge, before, before + nudge):
            flat[place] = moved
            values.append(f().item())
    flat[place] = before
    return (values[1] - values[0]) / nudge, (values[2] - values[1]) / nudge
