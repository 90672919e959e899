"""Adam for stacks whose rates and decays differ alone: the fused kernel into a buffer, then one scaled add.

Several times as fast as Adam written out: the kernel passes over gradient and state once.
"""

from __future__ import annotations

import torch

from chainrule.optim.explicit import descend_, shrink_, with_l2
from chainrule.optim.kernel import Groups, Kernel, Update


class BufferedAdam(Kernel):
    """Adam with a rate and a decay per member, β₁, β₂ and ε being the same for all."""

    names = ("average", "square")
    is_decoupled = False

    def __init__(self, groups: Groups) -> None:
        super().__init__(groups)
        self._buffers = {p: torch.zeros_like(p) for group in groups for p in group["params"]}

    def kernel(self, update: Update) -> None:
        group, parameters = update.group, update.parameters
        gradients = update.gradients
        if not self.is_decoupled:
            gradients = [
                with_l2(p, g, group, in_place=update.may_overwrite)
                for p, g in zip(parameters, gradients, strict=True)
            ]
        directions = [self._buffers[p] for p in parameters]
        torch._foreach_zero_(directions)
        torch._fused_adam_(
            directions, gradients, update.state["average"], update.state["square"], [], update.counts,
            lr=1.0, beta1=group["beta1"], beta2=group["beta2"], weight_decay=0.0, eps=group["epsilon"], amsgrad=False,
            maximize=group["maximise"] and self.is_decoupled,
        )  # fmt: skip
        for parameter, direction in zip(parameters, directions, strict=True):
            if self.is_decoupled:
                shrink_(parameter, group["lr"], group["weight_decay"])
            # The kernel descended from zero: the buffer holds −d.
            descend_(parameter, direction, -group["lr"])


class BufferedAdamW(BufferedAdam):
    """Adam with decoupled decay."""

    is_decoupled = True
