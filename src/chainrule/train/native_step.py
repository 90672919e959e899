"""Chains of dense layers trained by compiled code, one update in one call."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError, TrainingFailed
from chainrule.optim.kernel import Groups, Kernel
from chainrule.optim.rules import Rule
from chainrule.train.dense_chain import check_dense, flattens
from chainrule.train.native import NativeStack, NativeTensors, why_not_native
from chainrule.train.native_memory import own_biases, own_weights, room_for_biases, room_for_weights
from chainrule.train.native_rule import NativeRule, gradients_only, has_native_rule, native_rule, state_of
from chainrule.train.objective import Objective, Outcome
from chainrule.train.step import RuleStep, describe_failure

MakeRule = Callable[[Iterable[nn.Parameter]], Rule]


def why_not_native_step(objective: Objective) -> str | None:
    """Say in words why `NativeStep` cannot train a network, None if it can where there is a compiler."""
    try:
        chain = check_dense(objective)
    except SettingError as error:
        return str(error)
    return why_not_native(chain, objective.task)


class NativeStep(RuleStep):
    """Forward, backward and, where native.cpp has the rule, the update itself, without torch in between.

    The model's parameters become views of memory as native.cpp has it; so do their gradients, which `differentiate` fills
    and an update by native.cpp does not. The outputs of an outcome are overwritten by the next call.
    Raises: SettingError for a network or loss that is not written there; PlanError where this machine has no compiler;
    TrainingFailed naming update and layer
    """

    def __init__(self, objective: Objective, make_rule: MakeRule, rule: str, **around: Any) -> None:
        """`rule` is the name of what `make_rule` makes; `around` is as for every step by a rule."""
        self._chain = check_dense(objective)
        if reason := why_not_native(self._chain, objective.task):
            raise SettingError(reason)
        parts = [_Part(p) for layer in self._chain for p in layer.linear.parameters()]
        own = make_rule([part.parameter for part in parts])
        super().__init__(objective, _InShapesOfModel(own, parts), **around)
        self._parts, self._own_rule = parts, own
        self._running = torch.full((1,), -1.0, dtype=torch.float64)
        self._slopes = self._bound(gradients_only())
        # The length of the gradient, which clipping reports, is taken by torch; so are the rules of torch.optim.
        has_rule = has_native_rule(rule) and isinstance(own, Kernel) and self.clip_norm is None
        self._moves = self._bound(self._rule(rule)) if has_rule else None

    def _rule(self, name: str) -> NativeRule:
        return native_rule(
            name,
            self._own_rule,
            self.penalty,
            members=1,
            running=self._running if self.decay_with_loss else None,
            clip_value=self.clip_value,
        )

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        if self._moves is None:
            return super().__call__(inputs, targets, weights)
        if self.decay_with_loss:
            self._running.fill_(-1.0 if self.running_loss is None else self.running_loss)
        outcome = self._passed(self._moves, inputs, targets, weights)
        if self.decay_with_loss:
            self.running_loss = self._running.item()
            if self.penalty is not None:
                self.penalty.factor = min(1.0, self.running_loss)
        assert isinstance(self._own_rule, Kernel)
        self._own_rule.advance_(1)
        return outcome

    def differentiate(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        for part in self._parts:
            part.own.grad = part.gradient
        return self._passed(self._slopes, inputs, targets, weights)

    def _passed(
        self, native: NativeStack, inputs: Tensor, targets: Tensor, weights: Tensor | None
    ) -> Outcome:
        """Let compiled code make a pass over a batch. Raises: TrainingFailed; ShapeError for a batch that does not fit"""
        made = self._own_rule.updates if isinstance(self._own_rule, Kernel) else 0
        loss, outputs = native.step(inputs, targets, self.rate, self.number, made, weights)
        if not math.isfinite(loss.item()):
            raise TrainingFailed(describe_failure(self.objective.model, inputs, self.number))
        return Outcome(loss, loss, outputs)

    def _bound(self, rule: NativeRule) -> NativeStack:
        """Return the network bound to a rule, or to what keeps the gradients."""
        state = state_of(self._own_rule, rule, [part.parameter for part in self._parts])
        tensors = [
            NativeTensors(values=part.values, state=kept, gradients=part.gradients)
            for part, kept in zip(self._parts, state, strict=True)
        ]
        return NativeStack(
            self._chain,
            tensors[::2],
            tensors[1::2],
            self.objective.task,
            rule,
            dropouts=[layer.dropout for layer in self._chain],
            flattens=flattens(self.objective.model),
            stops_at_failure=True,
        )


class _Part:
    """A parameter of the network, in memory of its own with its gradient; the rule moves `parameter`, all of it.

    `view` gives what of a tensor with the shape of that memory belongs to the network, in the network's shape.
    """

    def __init__(self, own: nn.Parameter) -> None:
        room = room_for_weights if own.dim() == 2 else room_for_biases
        of_network = own_weights if own.dim() == 2 else own_biases
        self.values, self.gradients = room(own.shape, own.dtype), room(own.shape, own.dtype)
        self.view = functools.partial(of_network, shape=own.shape)
        self.view(self.values).copy_(own.detach())
        own.data, self.gradient, self.own = self.view(self.values), self.view(self.gradients), own
        self.parameter = nn.Parameter(self.values)
        self.parameter.grad = self.gradients


class _InShapesOfModel:
    """A rule whose state is saved in the shapes of the model's parameters, as that of `AutogradStep` is."""

    def __init__(self, rule: Rule, parts: Sequence[_Part]) -> None:
        self._rule = rule
        self._parts = {id(part.parameter): part for part in parts}
        self.step = rule.step

    @property
    def param_groups(self) -> Groups:
        """Groups of parameters with their rates and decays."""
        return self._rule.param_groups

    def tensors(self) -> dict[str, Tensor]:
        """Return all state by name."""
        found = self._rule.tensors()
        for place, group in enumerate(self.param_groups):
            for number, parameter in enumerate(group["params"]):
                for name in [n for n in found if n.startswith(f"{place}/{number}/")]:
                    if found[name].shape == parameter.shape:
                        found[name] = self._parts[id(parameter)].view(found[name])
        return found

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Put saved state back."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
