"""Update rules for one network by torch's fused kernels: one call per group for all parameters.

The kernels are called directly, since constructing a torch.optim.Optimizer imports torch's compiler (1.1 s at the start
of every command) and its `step` adds some 20 µs to each update.
"""

from __future__ import annotations

import torch

from chainrule.optim.kernel import Kernel, Update


class FusedAdam(Kernel):
    """Adam with bias corrections by 1 − βᵗ (E09) and ε outside the root (E10)."""

    names = ("average", "square")
    _call = staticmethod(torch._fused_adam_)

    def kernel(self, update: Update) -> None:
        group = update.group
        self._call(
            update.parameters, update.gradients, update.state["average"], update.state["square"], [], update.counts,
            lr=group["lr"], beta1=group["beta1"], beta2=group["beta2"], weight_decay=group["weight_decay"],
            eps=group["epsilon"], amsgrad=False, maximize=group["maximise"],
        )  # fmt: skip


class FusedAdamW(FusedAdam):
    """Adam with decoupled decay."""

    _call = staticmethod(torch._fused_adamw_)


class FusedSGD(Kernel):
    """θ ← θ − α g; with momentum V ← μ V + g and θ ← θ − α V."""

    is_nesterov = False
    uses_counts = False

    def kernel(self, update: Update) -> None:
        group = update.group
        momentum = group.get("momentum", 0.0)  # without it the kernel wants no velocities
        torch._fused_sgd_(
            update.parameters, update.gradients, update.state["velocity"] if momentum else [],
            weight_decay=group["weight_decay"], momentum=momentum, lr=group["lr"], dampening=0.0,
            nesterov=self.is_nesterov and momentum > 0, maximize=group["maximise"], is_first_step=False,
        )  # fmt: skip


class FusedMomentum(FusedSGD):
    """Gradient descent with momentum."""

    names = ("velocity",)


class FusedNesterov(FusedMomentum):
    """Momentum with the gradient at the point ahead."""

    is_nesterov = True


class FusedAdagrad(Kernel):
    """Rates divided by the root of the sum of all squared gradients. torch has it on the CPU only."""

    names = ("sum",)

    def kernel(self, update: Update) -> None:
        group = update.group
        torch._fused_adagrad_(
            update.parameters, update.gradients, update.state["sum"], update.counts, lr=group["lr"], lr_decay=0.0,
            weight_decay=group["weight_decay"], eps=group["epsilon"], maximize=group["maximise"],
        )  # fmt: skip
