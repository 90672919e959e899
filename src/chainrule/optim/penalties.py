"""Penalties on weights: L1, L2, and both (elastic net), added to the loss or applied to the weights.

    loss + l1 Σ |θ| + ½ weight_decay Σ θ²

The ½ makes weight_decay itself the rate at which weights shrink: its gradient is weight_decay · θ, and a step of
gradient descent multiplies a weight by 1 − α weight_decay. Courses also print λ Σ θ², with gradient 2 λ θ and factor
1 − 2 α λ: that is weight_decay = 2 λ (E70). The loss beside it is a mean over rows, so a penalty beside a sum over n
rows is n times as strong (E32): scikit-learn's Ridge(alpha) is weight_decay = 2 alpha / n, Lasso(alpha) is l1 = 2 alpha.

Coupled: the penalty is part of the loss, and the rule sees its gradient. Decoupled: weights shrink beside the update, by
the rate times the strength. For plain gradient descent the two are one; rules that divide the gradient by its own size,
as Adam does, divide a coupled penalty too, which is why AdamW decouples it (E71). "L1" and "elastic net" are not one
thing, as a deck has it: the elastic net is L1 and L2 together (E30). Biases and gains, tensors of one axis, stay free (E31).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.optim.members import PerMember, beside, spread

DECOUPLED_RULES = frozenset({"adamw"})  # whose own weight decay is decoupled; that of all others is coupled


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A penalty of strength 1 on each weight: value, derivative, and the decoupled step of a given size."""

    name: str
    value: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    shrink: Callable[[Tensor, PerMember], Tensor]


def soft_threshold(weights: Tensor, amount: PerMember) -> Tensor:
    """Move weights towards 0 by an amount; those that are nearer become exactly 0.

    >>> soft_threshold(torch.tensor([1.0, -2.0, 0.3]), 0.5).tolist()
    [0.5, -1.5, 0.0]
    """
    if isinstance(amount, Tensor):
        return weights.sign() * (weights.abs() - spread(amount, weights)).clamp_min(0)
    return nn.functional.softshrink(weights, amount)


L1 = Term(name="l1", value=torch.abs, derivative=torch.sign, shrink=soft_threshold)
L2 = Term(
    name="l2",
    value=lambda weights: weights.square() / 2,
    derivative=lambda weights: weights,
    shrink=lambda weights, amount: weights * (1 - beside(amount, weights)),
)


def is_coupled(penalty: str | None, rule: str) -> bool:
    """Return whether penalties are part of the loss: as was said, else as the rule has its own weight decay."""
    return rule not in DECOUPLED_RULES if penalty is None else penalty == "coupled"


def penalty_of(
    parameters: Iterable[Tensor],
    rule: str,
    *,
    l1: PerMember,
    weight_decay: PerMember,
    penalty: str | None,
    has_members: bool = False,
) -> tuple[Penalty | None, PerMember]:
    """Return the penalty around the updates of a rule, and what is left for the rule's own weight decay.

    There is none where the rule does all that is to be done, and nothing is added to the loss. Strengths are numbers, or
    one per member.
    """
    coupled = is_coupled(penalty, rule)
    rule_decays = coupled == (rule not in DECOUPLED_RULES)
    decay = weight_decay if rule_decays else 0.0
    has_l1, decays = (bool(torch.as_tensor(strength).any()) for strength in (l1, weight_decay))
    if not has_l1 and (not decays or (rule_decays and not coupled)):
        return None, decay
    weights = penalised(parameters, has_members=has_members)
    return Penalty(weights, l1=l1, l2=weight_decay, is_coupled=coupled, rule_decays=rule_decays), decay


def penalised(parameters: Iterable[Tensor], *, has_members: bool = False) -> list[Tensor]:
    """Return the trained weights among parameters: those of more than one axis, beside that of the members."""
    return [p for p in parameters if p.requires_grad and p.dim() > 1 + has_members]


class Penalty:
    """L1 and L2 on weights, around the updates of any rule: `before_update_`, the rule's own step, `after_update_`.

    `rule_decays`: the rule itself shrinks the weights by `l2`, which then only counts in `value`. Strengths are numbers,
    or one per member for weights whose first axis is the members. `factor` scales `l2` (weight decay in proportion to the
    loss).

    A coupled L1 stops at 0: an update that would carry a weight across leaves it there, and one that lies at 0 leaves
    only if its gradient is longer than l1, to the side where the loss falls. So weights become exactly 0 under every
    rule. Source: Andrew and Gao 2007, the orthant-wise rule, here without its line search.
    """

    def __init__(
        self,
        weights: list[Tensor],
        *,
        l1: PerMember = 0.0,
        l2: PerMember = 0.0,
        is_coupled: bool = True,
        rule_decays: bool = False,
    ) -> None:
        for name, strength in (("l1", l1), ("weight_decay", l2)):
            if not bool(torch.all(torch.isfinite(s := torch.as_tensor(strength)) & (s >= 0))):
                raise SettingError(f"{name} must be 0 or a positive number; got {strength}")
        self.weights = weights
        self.l1 = l1
        self.l2 = l2
        self.is_coupled = is_coupled
        self.rule_decays = rule_decays
        self.factor = 1.0
        self._has_l1 = bool(torch.as_tensor(l1).any())
        self._has_l2 = bool(torch.as_tensor(l2).any()) and not rule_decays
        self.acts = self._has_l1 or self._has_l2  # else the rule does all
        self._sides: list[Tensor] = []  # the sign that each weight may have after the update

    @torch.no_grad()
    def value(self) -> Tensor:
        """Return what is added to the loss. Shapes: -> () or, with a strength per member, (members,)."""
        has_members = any(isinstance(s, Tensor) and s.dim() for s in (self.l1, self.l2))

        def total(term: Term, weights: Tensor) -> Tensor:
            values = term.value(weights)
            return values.flatten(1).sum(1) if has_members else values.sum()

        found = torch.zeros((), device=self.weights[0].device)
        for weights in self.weights:
            found = found + self.l1 * total(L1, weights) + self.factor * self.l2 * total(L2, weights)
        return found

    @torch.no_grad()
    def before_update_(self, rate: PerMember) -> None:
        """Add a coupled penalty's gradient, or decay the weights beside the update."""
        if self.is_coupled and self._has_l1:
            self._sides = [self._add_l1_(weights) for weights in self.weights]
        if not self._has_l2:
            return
        amount = self.factor * self.l2
        for weights in self.weights:
            if not self.is_coupled:
                weights.copy_(L2.shrink(weights, rate * amount))
            elif weights.grad is not None:
                weights.grad += beside(amount, weights) * L2.derivative(weights)

    def _add_l1_(self, weights: Tensor) -> Tensor:
        """Add the gradient of L1, at 0 its shortest; return the side of 0 on which each weight has to stay."""
        sides = L1.derivative(weights)
        if weights.grad is None:
            return sides
        at_zero = sides == 0
        moved = weights.grad + beside(self.l1, weights) * sides
        weights.grad.copy_(torch.where(at_zero, soft_threshold(weights.grad, self.l1), moved))
        return torch.where(at_zero, -weights.grad.sign(), sides)

    @torch.no_grad()
    def after_update_(self, rate: PerMember) -> None:
        """Stop at 0 what crossed it, or move the weights towards 0 beside the update."""
        if not self._has_l1:
            return
        if self.is_coupled:
            for weights, sides in zip(self.weights, self._sides, strict=True):
                crossed = (weights * sides <= 0) & (beside(self.l1, weights) > 0)
                weights.masked_fill_(crossed, 0.0)
            return
        for weights in self.weights:
            weights.copy_(L1.shrink(weights, rate * self.l1))
