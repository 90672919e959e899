"""One update of every member of a stack at once: the rule with rates per member, around either way to the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from chainrule.nn.noise import Dropout
from chainrule.optim.clipping import clip_norm_per_member_, clip_value_
from chainrule.optim.kernel import Kernel
from chainrule.optim.penalties import Penalty
from chainrule.optim.rules import Rule
from chainrule.train.population import Population
from chainrule.train.stack_rows import StackRows
from chainrule.train.stacked_memory import StackedMemory
from chainrule.train.stacked_pass import StackedPass
from chainrule.train.step import RUNNING
from chainrule.train.task import Task

EVALUATION_ROWS = 256  # of validation at once: what a stack of layers makes of them stays in the cache


class Bound(NamedTuple):
    """An update rule of the catalogue bound to parameters, and the penalty around it."""

    name: str
    rule: Rule
    penalty: Penalty | None = None


Bind = Callable[[list[nn.Parameter]], Bound]


class StackedStep:
    """An update rule with rates per member, bound to a population. A member whose loss is not finite spoils itself alone.

    `bind` makes the update rule, and the penalty around it, for the parameters of all layers.
    """

    def __init__(
        self,
        population: Population,
        task: Task,
        parameters: list[nn.Parameter],
        bind: Bind,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        decay_with_loss: bool = False,
    ) -> None:
        self.population = population
        self.task = task
        self._parameters = parameters
        self.rule_name, self.optimizer, self.penalty = bind(parameters)
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.decay_with_loss = decay_with_loss
        self.running_losses: Tensor | None = None
        self._rates = [self._each(group["lr"]) for group in self.optimizer.param_groups]
        self._decays = [self._each(group["weight_decay"]) for group in self.optimizer.param_groups]
        self._noise = [layer for layer in population.modules() if isinstance(layer, Dropout)]

    def _each(self, value: float | Tensor) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float64).expand(len(self.population))

    def prepare(self, number: int, rate_factors: Tensor) -> None:
        """Say which update comes next, counted from 0, and the factor on each learning rate. Shapes: (members,)."""
        for group, rates in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rates * rate_factors
        for layer in self._noise:
            layer.step = number

    @property
    def rates(self) -> Tensor:
        """The learning rates of the latest update. Shapes: (members,)."""
        rates: Tensor = self.optimizer.param_groups[0]["lr"]
        return rates

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Make one update, and return every member's loss before it.

        Shapes: inputs (B, values) and targets (B, …) where all share a batch, else both after an axis of members;
        weights (B,) or (members, B) -> (members,)
        """
        losses = self.differentiate(inputs, targets, weights)
        if self.decay_with_loss:
            self._scale_decay(losses.double())
        if self.clip_value is not None:
            clip_value_(self._parameters, self.clip_value)
        if self.clip_norm is not None:
            clip_norm_per_member_(self._parameters, self.clip_norm)
        if self.penalty is None or not self.penalty.acts:
            self.optimizer.step()
        else:
            self.penalty.before_update_(self.rates)
            self.optimizer.step()
            self.penalty.after_update_(self.rates)
        return losses

    def epoch(self, rows: StackRows, first: int, factors: Tensor) -> Tensor:
        """Make the updates of an epoch, of which the first has a number, and return every member's loss before each.

        Shapes: factors on the rates (updates, members) -> (members, updates)
        """
        losses = []
        for place, batch in enumerate(rows.batches()):
            self.prepare(first + place, factors[place])
            losses.append(self(*batch))
        return torch.stack(losses, 1)

    def rest(self, *, is_over: bool) -> None:
        """Let go of memory that the next update makes anew; of the rule and the gradients too if there is none."""
        if is_over:
            for name in ("optimizer", "penalty"):
                vars(self).pop(name, None)
            for parameter in self._parameters:
                parameter.grad = None

    def differentiate(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Take every member's loss and gradient and move nothing."""
        raise NotImplementedError

    def outputs(self, inputs: Tensor) -> Tensor:
        """Return what every member answers, as in prediction. Shapes: as a call's -> (members, rows, units)."""
        raise NotImplementedError

    def _scale_decay(self, losses: Tensor) -> None:
        """Set each weight decay to its full value times the running mean of the member's loss, at most 1."""
        before = losses.clamp_max(1.0) if self.running_losses is None else self.running_losses
        self.running_losses = RUNNING * before + (1 - RUNNING) * losses
        share = self.running_losses.clamp_max(1.0)
        for group, decays in zip(self.optimizer.param_groups, self._decays, strict=True):
            group["weight_decay"] = decays * share


class StackedDenseStep(StackedStep):
    """Chains of dense layers: backprop written out. Whatever its neighbours are, a member has the same bits, on one thread."""

    def __init__(self, population: Population, task: Task, bind: Bind, **around: Any) -> None:
        self.memory = StackedMemory(population)
        super().__init__(population, task, self.memory.parameters(), bind, **around)
        if isinstance(self.optimizer, Kernel):
            self.optimizer.bind_(may_overwrite=True)
        self._passes: dict[tuple[int, bool, bool], StackedPass] = {}

    def rest(self, *, is_over: bool) -> None:
        """Let go of what passes were made in."""
        self._passes.clear()
        super().rest(is_over=is_over)

    def differentiate(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Take every member's loss and gradient and move nothing."""
        found = self._pass(inputs, trains=True)
        for operation in found.forward:
            operation()
        losses = found.end(targets, weights)
        for operation in found.backward:
            operation()
        return losses

    def outputs(self, inputs: Tensor) -> Tensor:
        """Return what every member answers, as in prediction. Shapes: as a call's -> (members, rows, units)."""
        parts = []
        for start in range(0, inputs.shape[-2], EVALUATION_ROWS):
            found = self._pass(inputs[..., start : start + EVALUATION_ROWS, :], trains=False)
            for operation in found.forward:
                operation()
            parts.append(found.outputs.mT.clone())
        return torch.cat(parts, 1)

    def _pass(self, inputs: Tensor, *, trains: bool) -> StackedPass:
        """Return the operations for batches of a size, with the inputs in their place."""
        is_shared, rows = inputs.dim() == 2, inputs.shape[-2]
        key = rows, is_shared, trains
        if key not in self._passes:
            self._passes[key] = StackedPass(self.memory, self.task, rows, is_shared=is_shared, trains=trains)
        found = self._passes[key]
        found.inputs[..., : inputs.shape[-1]].copy_(inputs)
        return found


class StackedAutogradStep(StackedStep):
    """Any layers that have a form for a stack: one graph for all members."""

    def __init__(self, population: Population, task: Task, bind: Bind, **around: Any) -> None:
        super().__init__(population, task, list(population.parameters()), bind, **around)

    def differentiate(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        self.population.train()
        members = len(self.population)
        if inputs.dim() == 2:
            inputs, targets = (t.expand(members, *t.shape) for t in (inputs, targets))
        losses = self.task.losses(self.population(inputs), targets)
        means = (losses if weights is None else losses * weights).mean(-1)
        for parameter in self._parameters:
            parameter.grad = None
        means.sum().backward()  # type: ignore[no-untyped-call]
        return means.detach()

    def outputs(self, inputs: Tensor) -> Tensor:
        self.population.eval()
        if inputs.dim() == 2:
            inputs = inputs.expand(len(self.population), *inputs.shape)
        with torch.no_grad():
            return torch.cat([self.population(rows) for rows in torch.split(inputs, EVALUATION_ROWS, 1)], 1)
