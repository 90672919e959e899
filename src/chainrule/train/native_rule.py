"""Update rules as native.cpp takes them: the numbers of every member, and where the state of the rule lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.optim.kernel import Rule
from chainrule.optim.members import PerMember
from chainrule.optim.penalties import Penalty, is_coupled
from chainrule.train.step import RUNNING

# The places are those of the enumeration in native.cpp; beside each the names of its state.
RULES: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "momentum": ("velocity",),
    "nesterov": ("velocity",),
    "adagrad": ("sum",),
    "rmsprop": ("square",),
    "adadelta": ("square", "delta"),
    "adam": ("average", "square"),
    "simple-nadam": ("average", "square"),
    "gradients-only": (),
}
GRADIENTS_ONLY = "gradients-only"
# But for the decay, which stands apart
SAME_RULE = {"gradient-descent": "sgd", "mini-batch": "sgd", "adamw": "adam"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRule:
    """An update rule with the numbers of every member. Shapes: (members,) each, float64

    `number` is momentum or ρ. `running` is the mean of losses that decays are multiplied with, less than 0 before the
    first; none where they stay.
    """

    name: str
    number: Tensor
    beta1: Tensor
    beta2: Tensor
    epsilon: Tensor
    decays: Tensor
    l1: Tensor
    is_coupled: bool = True
    running: Tensor | None = None
    running_share: float = RUNNING
    clip_norm: float = 0.0
    clip_value: float = 0.0

    @property
    def state(self) -> tuple[str, ...]:
        """The names of what the rule keeps of each parameter."""
        return RULES[self.name]


def has_native_rule(name: str) -> bool:
    """Whether native.cpp has an update rule of the catalogue."""
    return SAME_RULE.get(name, name) in RULES


def native_rule(
    name: str,
    optimizer: Rule,
    penalty: Penalty | None,
    members: int,
    *,
    running: Tensor | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
) -> NativeRule:
    """Return a rule of the catalogue, as it is bound to parameters, with the penalty around it."""
    group = optimizer.param_groups[0]  # that of the weights
    number: PerMember = next((group[key] for key in ("momentum", "rho") if key in group), 0.0)
    decay: PerMember = group["weight_decay"] if penalty is None else penalty.l2
    l1: PerMember = 0.0 if penalty is None else penalty.l1

    def each(value: PerMember) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float64).expand(members).contiguous()

    return NativeRule(
        name=SAME_RULE.get(name, name),
        number=each(number),
        beta1=each(group.get("beta1", 0.0)),
        beta2=each(group.get("beta2", 0.0)),
        epsilon=each(group.get("epsilon", 0.0)),
        decays=each(decay),
        l1=each(l1),
        is_coupled=is_coupled(None, name) if penalty is None else penalty.is_coupled,
        running=running,
        clip_norm=clip_norm or 0.0,
        clip_value=clip_value or 0.0,
    )


def gradients_only(members: int = 1) -> NativeRule:
    """Return what keeps the gradients, and moves nothing."""
    zero = torch.zeros(members, dtype=torch.float64)
    return NativeRule(
        name=GRADIENTS_ONLY, number=zero, beta1=zero, beta2=zero, epsilon=zero, decays=zero, l1=zero
    )


def state_of(optimizer: Rule, rule: NativeRule, parameters: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return what a rule keeps of each parameter, in the order in which native.cpp takes it."""
    kept = optimizer.tensors()
    places = {
        id(p): (g, k) for g, group in enumerate(optimizer.param_groups) for k, p in enumerate(group["params"])
    }
    found = []
    for parameter in parameters:
        group, number = places[id(parameter)]
        found.append([kept[f"{group}/{number}/{name}"] for name in rule.state])
    return found
