"""Backpropagation written out: the fastest way to train a small chain of dense layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from chainrule.core.errors import ShapeError, TrainingFailed
from chainrule.optim.kernel import Kernel
from chainrule.optim.penalties import Penalty
from chainrule.optim.rules import Rule
from chainrule.train.dense_chain import DenseMemory, check_dense, flattens
from chainrule.train.dense_pass import DensePass
from chainrule.train.objective import Objective, Outcome
from chainrule.train.step import RuleStep, describe_failure

MakeRule = Callable[[Iterable[nn.Parameter]], Rule]


class DenseStep(RuleStep):
    """Chains of dense layers: no autograd graph, and no memory taken while training.

    The model's parameters become views of one tensor, their gradients of another; `make_rule` is given that tensor as
    one parameter, or the weights and biases of each layer where the rule decays weights alone. Noise is drawn as while
    training, whatever the model's mode. The outputs of an outcome are overwritten by the next call.
    Raises: SettingError for a network that is no such chain; TrainingFailed naming update and layer
    """

    def __init__(
        self,
        objective: Objective,
        make_rule: MakeRule,
        *,
        seed: int = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        penalty: Penalty | None = None,
        decay_with_loss: bool = False,
        precision: torch.dtype | None = None,
    ) -> None:
        """`precision` is that of the products, torch.bfloat16 for instance; weights and updates keep their own."""
        self._memory = DenseMemory(check_dense(objective), precision)
        super().__init__(
            objective,
            rule_for(self._memory, make_rule),
            seed=seed,
            clip_norm=clip_norm,
            clip_value=clip_value,
            penalty=penalty,
            decay_with_loss=decay_with_loss,
        )
        self._passes: dict[torch.Size, DensePass] = {}
        # Made once: 0.1 µs less for every operation, and 1 to enter
        self._no_autograd = torch.inference_mode()

    def differentiate(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        found = self._passes.get(inputs.shape) or self._new_pass(inputs)
        with self._no_autograd:
            found.inputs.copy_(inputs if inputs.dim() == 2 else inputs.flatten(1))
            for operation in found.forward:
                operation()
            loss = found.end(targets, weights)
            if not math.isfinite(loss.item()):
                raise TrainingFailed(describe_failure(self.objective.model, inputs, self.number))
            for operation in found.backward:
                operation()
        if not self._memory.has_bound_gradients():
            self._memory.bind_gradients_()  # others have taken them away
        return Outcome(loss, loss, found.outputs)

    def _new_pass(self, inputs: Tensor) -> DensePass:
        """Make the memory and operations for batches of another shape. Raises: ShapeError for rows that do not fit"""
        chain = self._memory.chain
        fits = inputs.dim() == 2 or (inputs.dim() > 2 and flattens(self.objective.model))
        if not fits or not len(inputs) or inputs[0].numel() != chain[0].inputs:
            raise ShapeError(
                f"the first layer takes {chain[0].inputs} values per row; got a batch of the shape {tuple(inputs.shape)}"
            )
        if inputs.dtype != self._memory.flat.dtype:
            raise ShapeError(f"the weights are {self._memory.flat.dtype}; got inputs of {inputs.dtype}")
        found = self._passes[inputs.shape] = DensePass(self._memory, self.objective.task, len(inputs))
        return found


def rule_for(memory: DenseMemory, make_rule: MakeRule) -> Rule:
    """Return the update rule of a chain: over all weights and biases at once, unless it decays weights alone."""
    rule = make_rule(memory.as_parts())
    if not any(group["weight_decay"] for group in rule.param_groups):
        rule = make_rule(memory.as_one())
    if isinstance(rule, Kernel):
        rule.bind_()
    return rule
