"""Adam for stacks whose rates and decays differ alone: the fused kernel into a buffer, then one scaled add.

Several times as fast as Adam written out: the kernel passes over gradient and state once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from chainrule.optim.explicit import shrink_, with_l2
from chainrule.optim.kernel import Groups, Kernel, Update
from chainrule.optim.members import beside_each


class BufferedAdam(Kernel):
    """Adam with a rate and a decay per member, β₁, β₂ and ε being the same for all."""

    names = ("average", "square")
    is_decoupled = False

    def __init__(self, groups: Groups) -> None:
        super().__init__(groups)
        self._buffers = {p: torch.zeros_like(p) for group in groups for p in group["params"]}

    def kernel(self, update: Update) -> None:
        group, parameters = update.group, update.parameters
        gradients = update.gradients if self.is_decoupled else _with_l2(update)
        directions = [self._buffers[p] for p in parameters]
        torch._foreach_zero_(directions)
        torch._fused_adam_(
            directions, gradients, update.state["average"], update.state["square"], [], update.counts,
            lr=1.0, beta1=group["beta1"], beta2=group["beta2"], weight_decay=0.0, eps=group["epsilon"], amsgrad=False,
            maximize=group["maximise"] and self.is_decoupled,
        )  # fmt: skip
        if self.is_decoupled:
            for parameter in parameters:
                shrink_(parameter, group["lr"], group["weight_decay"])
        # The kernel descended from zero: the buffers hold −d.
        if isinstance(group["lr"], Tensor):
            torch._foreach_addcmul_(parameters, directions, beside_each(group["lr"], parameters))
        else:
            torch._foreach_add_(parameters, directions, alpha=group["lr"])


def _with_l2(update: Update) -> list[Tensor]:
    """Return the gradients with that of the penalty; for all at once where each member has its own decay."""
    group, parameters = update.group, update.parameters
    if not update.may_overwrite or group["maximise"] or not isinstance(group["weight_decay"], Tensor):
        pairs = zip(parameters, update.gradients, strict=True)
        return [with_l2(p, g, group, in_place=update.may_overwrite) for p, g in pairs]
    torch._foreach_addcmul_(update.gradients, parameters, beside_each(group["weight_decay"], parameters))
    return update.gradients


class BufferedAdamW(BufferedAdam):
    """Adam with decoupled decay."""

    is_decoupled = True
