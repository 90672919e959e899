"""One update, in place."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn

from chainrule.core.errors import PlanError, SettingError, TrainingFailed
from chainrule.core.seeds import mix
from chainrule.nn.noise import Noise
from chainrule.nn.visits import visits
from chainrule.optim.clipping import clip_norm_, clip_value_
from chainrule.optim.penalties import Penalty
from chainrule.optim.rules import FromTorch, Rule
from chainrule.train.compiled import CompiledForward, Forward
from chainrule.train.layout import channels_last as with_channels_last
from chainrule.train.layout import lay_out_
from chainrule.train.objective import Objective, Outcome
from chainrule.train.own_kernels import OwnKernels
from chainrule.train.winograd import why_no_filter_fits

RUNNING = 0.98  # share of the past in the running loss: it looks back some 50 updates


class Step(Protocol):
    """An update rule bound to a network: each call makes one update and reports its loss before it."""

    objective: Objective

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome: ...

    def prepare(self, number: int, rate_factor: float) -> None:
        """Say which update comes next, counted from 0, and the factor on its learning rate."""


class RuleStep:
    """What steps share that go by an update rule: its rates, the clipping before it and the penalties around it.

    The loss that is reported is that of the data; a penalty is reported apart (`penalty.value()`). What is clipped is the
    gradient of the data's loss: first its entries to `clip_value`, then its length to `clip_norm`.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: Rule | torch.optim.Optimizer,
        *,
        seed: int = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        penalty: Penalty | None = None,
        decay_with_loss: bool = False,
        reseeds: bool = False,
    ) -> None:
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if limit is not None and not 0 < limit < math.inf:
                raise SettingError(f"{name} must be a positive number; got {limit:g}")
        self.objective = objective
        self.optimizer: Rule = (
            FromTorch(optimizer) if isinstance(optimizer, torch.optim.Optimizer) else optimizer
        )
        self.noise = Noise(objective, seed)
        self.seed = seed
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.gradient_norm: Tensor | None = None
        self.penalty = penalty
        self.decay_with_loss = decay_with_loss
        self.running_loss: float | None = None
        self.reseeds = reseeds
        self.number = 0
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self._decays = [group["weight_decay"] for group in self.optimizer.param_groups]

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        outcome = self.differentiate(inputs, targets, weights)
        if self.decay_with_loss:
            self._scale_decay(outcome.loss.item())
        self._clip_and_update_()
        return outcome

    def differentiate(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        """Take loss and gradient and move nothing: the gradient stands in `grad` of the objective's parameters.

        Raises: TrainingFailed naming update and layer
        """
        raise NotImplementedError

    @property
    def highest_rate(self) -> float:
        """The learning rate that the schedule scales."""
        return float(self._rates[0])

    @property
    def rate(self) -> float:
        """The learning rate of the latest update."""
        return float(self.optimizer.param_groups[0]["lr"])

    def prepare(self, number: int, rate_factor: float) -> None:
        """Say which update comes next, counted from 0, and the factor on its learning rate."""
        self.number = number
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * rate_factor
        if self.noise.layers:
            self.noise.at(number)
        if self.reseeds:
            torch.manual_seed(mix(self.seed, "global", number))

    def _clip_and_update_(self) -> None:
        """Move the weights by the gradient that was taken."""
        if self.clip_value is not None:
            clip_value_(self._parameters, self.clip_value)
        if self.clip_norm is not None:
            self.gradient_norm = clip_norm_(self._parameters, self.clip_norm)
        if self.penalty is None or not self.penalty.acts:
            self.optimizer.step()
            return
        self.penalty.before_update_(self.rate)
        self.optimizer.step()
        self.penalty.after_update_(self.rate)

    def _scale_decay(self, loss: float) -> None:
        """Set the weight decay to its full value times the running mean of the loss, at most 1."""
        before = min(1.0, loss) if self.running_loss is None else self.running_loss
        self.running_loss = RUNNING * before + (1 - RUNNING) * loss
        for group, decay in zip(self.optimizer.param_groups, self._decays, strict=True):
            group["weight_decay"] = decay * min(1.0, self.running_loss)
        if self.penalty is not None:
            self.penalty.factor = min(1.0, self.running_loss)


class AutogradStep(RuleStep):
    """Any model: forward, backward, clip, optimizer with the penalties around it.

    With a lower `precision`, torch.bfloat16, the products of the forward and the backward pass are taken in it
    (torch.autocast); weights, buffers, the loss, gradients and updates stay float32. `channels_last` lays out weights,
    buffers, the rule's state and inputs that have four axes with their channels last in memory; with `winograd`, which wants
    that layout, convolutions that it fits are taken by minimal filtering; `compiled_rows` says of how many rows the batches
    are that run compiled. All of them combine, but for the last two.

    On the CPU the loss is checked before it is used, so that the weights which gave a loss that is not finite still
    stand when the layer is looked for. Elsewhere reading it would stall the device: the loop checks later.
    Raises: SettingError for weights that are not float32 beside a precision; TrainingFailed naming update and layer;
    PlanError where there is nothing to filter or nothing to compile it with, and at the first batch where torch's compiler
    is missing or fails
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: Rule | torch.optim.Optimizer,
        *,
        seed: int = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        penalty: Penalty | None = None,
        decay_with_loss: bool = False,
        reseeds: bool = False,
        precision: torch.dtype | None = None,
        channels_last: bool = False,
        winograd: bool = False,
        compiled_rows: int | None = None,
    ) -> None:
        """`reseeds` re-seeds torch's global generator before each update, for layers that draw from it."""
        super().__init__(
            objective,
            optimizer,
            seed=seed,
            clip_norm=clip_norm,
            clip_value=clip_value,
            penalty=penalty,
            decay_with_loss=decay_with_loss,
            reseeds=reseeds,
        )
        self.precision = precision
        self.channels_last = channels_last
        self._convolutions: AbstractContextManager[object] = OwnKernels() if winograd else nullcontext()
        self._forward: Forward = self._filtered if winograd else objective
        if precision is not None:
            if any(p.dtype != torch.float32 for p in self._parameters):
                raise SettingError(f"products in {precision} are for weights in float32; these are not all")
            self._forward = self._in_precision
        if winograd and (reason := why_no_filter_fits(objective)):
            raise PlanError(reason)
        if channels_last:
            lay_out_(objective, self.optimizer, torch.channels_last)
        if compiled_rows is not None:
            self._forward = CompiledForward(self._forward, objective, compiled_rows)

    def differentiate(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        if self.channels_last:
            inputs = with_channels_last(inputs)
        outcome = self._forward(inputs, targets, *([] if weights is None else [weights]))
        if self._checks and not math.isfinite(outcome.loss.item()):
            with self._lowered():
                raise TrainingFailed(describe_failure(self.objective.model, inputs, self.number))
        for parameter in self._parameters:
            parameter.grad = None
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        return outcome

    def _filtered(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        with self._convolutions:
            outcome: Outcome = self.objective(inputs, targets, weights)
        return outcome

    def _in_precision(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        with self._lowered(), self._convolutions:
            outputs = self.objective.model(inputs)
        return self.objective.outcome(outputs.float(), targets, weights)

    def _lowered(self) -> torch.autocast:
        device = self._parameters[0].device.type
        return torch.autocast(device, self.precision, enabled=self.precision is not None)

    @property
    def _checks(self) -> bool:
        return bool(self._parameters[0].device.type == "cpu")


def describe_failure(model: nn.Module, inputs: Tensor, number: int) -> str:
    """Say at which update the loss stopped being finite, and the first layer where it shows."""
    return f"the loss is not finite at step {number + 1}; {first_bad_layer(model, inputs)}"


def first_bad_layer(model: nn.Module, inputs: Tensor) -> str:
    """Name the first layer, in the order of the forward pass, whose weights or outputs are not finite."""
    found: list[str] = []

    def look(name: str, layer: nn.Module, _: object, output: object) -> None:
        if found:
            return
        if any(not torch.isfinite(p).all() for p in layer.parameters(recurse=False)):
            found.append(f"first in the weights of layer {name} ({type(layer).__name__})")
        elif isinstance(output, Tensor) and not torch.isfinite(output).all():
            found.append(f"first in the outputs of layer {name} ({type(layer).__name__})")

    with visits(model, look), torch.no_grad():
        model(inputs)
    return found[0] if found else "first in the loss itself: the outputs of every layer are finite"
