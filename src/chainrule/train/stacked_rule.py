"""The update rule of a stack: every member's own rate, decay and hyper-parameters, in one rule for all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import nn

from chainrule.optim.members import PerMember
from chainrule.optim.penalties import penalty_of
from chainrule.optim.rules import optimizer
from chainrule.train.member import Member
from chainrule.train.stacked_step import Bound


def bind_rule(
    members: Sequence[Member],
    varied: Collection[str],
    name: str,
    penalty: str | None,
    parameters: list[nn.Parameter],
) -> Bound:
    """Return an update rule with every member's own rate, decay and hyper-parameters, and the penalty around it.

    What is `varied` is one number per member, also where all that stand in the stack have the same: rules round otherwise
    in another form, and the state of the rule has another shape. What is not is one number: rules are faster then.
    """

    def own(key: str) -> PerMember:
        values = [_strengths(member)[key] for member in members]
        return torch.tensor(values, dtype=torch.float64) if key in varied else values[0]

    around, decay = penalty_of(
        parameters, name, l1=own("l1"), weight_decay=own("weight_decay"), penalty=penalty, has_members=True
    )
    hyper: dict[str, Any] = {key: own(key) for key in members[0].hyperparameters}
    rates = torch.tensor([member.learning_rate for member in members], dtype=torch.float64)
    made = optimizer(name, parameters, learning_rate=rates, weight_decay=decay, members=len(members), **hyper)
    return Bound(name, made, around)


def _strengths(member: Member) -> dict[str, float]:
    """Return what an update rule and the penalty around it take, beside the learning rate."""
    return {"l1": member.l1, "weight_decay": member.weight_decay, **member.hyperparameters}


def varied_strengths(members: Sequence[Member]) -> set[str]:
    """Return the names of what is not the same for all members."""
    given = [_strengths(member) for member in members]
    return {name for name in given[0] if len({strengths.get(name) for strengths in given}) > 1}
