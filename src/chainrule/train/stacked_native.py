"""Stacks of chains of dense layers trained by compiled code: member by member, a whole epoch in one call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from chainrule.nn.stacks import StackedLinear
from chainrule.optim.kernel import Kernel
from chainrule.train.dense_chain import dense_chain
from chainrule.train.native import NativeStack, NativeTensors
from chainrule.train.native_memory import own_biases, own_weights, room_for_biases, room_for_weights
from chainrule.train.native_rule import native_rule, state_of
from chainrule.train.population import Population
from chainrule.train.stack_rows import StackRows
from chainrule.train.stacked_memory import dropouts_of
from chainrule.train.stacked_step import Bind, StackedStep
from chainrule.train.task import Task


class StackedNativeStep(StackedStep):
    """Forward, backward and rule of a member in one call; its bits depend on nothing but itself.

    Raises: PlanError where this machine has no compiler
    """

    def __init__(self, population: Population, task: Task, bind: Bind, **around: Any) -> None:
        chain = dense_chain(population.member(0))
        layers = [layer for layer in population.stack if isinstance(layer, StackedLinear)]
        weights = [_moved(layer.weight) for layer in layers]
        biases = [_moved(layer.bias) for layer in layers if layer.bias is not None]
        parameters = [nn.Parameter(t) for pair in zip(weights, biases, strict=True) for t in pair]
        super().__init__(population, task, parameters, bind, **around)
        self._running = torch.full((len(population),), -1.0, dtype=torch.float64)
        rule = native_rule(
            self.rule_name,
            self.optimizer,
            self.penalty,
            len(population),
            running=self._running if self.decay_with_loss else None,
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
        )
        state = state_of(self.optimizer, rule, parameters)
        tensors = [
            NativeTensors(values=p.data, state=kept) for p, kept in zip(parameters, state, strict=True)
        ]
        self._native = NativeStack(
            chain, tensors[::2], tensors[1::2], task, rule, dropouts=dropouts_of(population.stack)
        )

    def epoch(self, rows: StackRows, first: int, factors: Tensor) -> Tensor:
        """Make the updates of an epoch, and return every member's loss before each."""
        return self._train(
            rows.inputs, rows.targets, rows.order, rows.batch_size, first, factors, rows.weights
        )

    def prepare(self, number: int, rate_factors: Tensor) -> None:
        """Say which update comes next, counted from 0, and the factor on each learning rate. Shapes: (members,)."""
        self._next = number, rate_factors.unsqueeze(0)

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Make one update, and return every member's loss before it."""
        order = torch.arange(inputs.shape[-2]).unsqueeze(0)
        return self._train(
            inputs.contiguous(), targets.contiguous(), order, order.numel(), *self._next, weights
        )[:, 0]

    def outputs(self, inputs: Tensor) -> Tensor:
        """Return what every member answers, as in prediction. Shapes: as a call's -> (members, rows, units)."""
        return self._native.answer(inputs.contiguous(), torch.arange(inputs.shape[-2]))

    def rest(self, *, is_over: bool) -> None:
        """Let go of the memory of passes; of the rule too if no update comes."""
        self._native.rest()
        if is_over:
            self._native.forget_rule()
        super().rest(is_over=is_over)

    def _train(
        self, inputs: Tensor, targets: Tensor, order: Tensor, batch: int, first: int, factors: Tensor, weights: Tensor | None
    ) -> Tensor:  # fmt: skip
        if self.running_losses is not None and self.running_losses is not self._running:
            self._running.copy_(self.running_losses)
        rates = (self._rates[0] * factors).contiguous()
        weights = None if weights is None else weights.contiguous()
        assert isinstance(self.optimizer, Kernel)
        made = self.optimizer.updates
        losses = self._native.train(inputs, targets, order.contiguous(), batch, rates, first, made, weights)
        if self.decay_with_loss:
            self.running_losses = self._running
        for group in self.optimizer.param_groups:
            group["lr"] = rates[-1]
        self.optimizer.advance_(len(factors))
        return losses


def _moved(own: nn.Parameter) -> Tensor:
    """Return memory for a parameter of all members, and make the parameter a view of it."""
    room, of_network = (room_for_weights, own_weights) if own.dim() == 3 else (room_for_biases, own_biases)
    memory = room(own.shape, own.dtype)
    view = of_network(memory, own.shape)
    view.copy_(own.detach())
    own.data = view
    return memory
