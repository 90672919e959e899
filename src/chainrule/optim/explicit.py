"""Update rules written out, for stacks of networks: every hyper-parameter is a number, or a tensor of one per member.

A stack holds `members` networks of one architecture: each of its parameters has the shape (members, …). Member k moves
as the same rule would move a single network with member k's hyper-parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chainrule.optim.kernel import Kernel, Update
from chainrule.optim.members import PerMember, beside, spread


def descend_(parameter: Tensor, direction: Tensor, rate: PerMember) -> None:
    """θ ← θ − α d, in one pass."""
    fitting = beside(rate, parameter)
    if isinstance(fitting, Tensor):
        parameter.addcmul_(direction, fitting, value=-1)
    else:
        parameter.add_(direction, alpha=-fitting)


def shrink_(parameter: Tensor, rate: PerMember, decay: PerMember) -> None:
    """θ ← (1 − α λ) θ: decay that is decoupled from the gradient."""
    if isinstance(decay, Tensor) or decay:
        parameter.mul_(1 - beside(rate * decay, parameter))


def with_l2(parameter: Tensor, gradient: Tensor, group: dict[str, Any], *, in_place: bool = False) -> Tensor:
    """Return g + λ θ, the gradient with that of the penalty ½ λ θ²; −g + λ θ where the value is maximised.

    In new memory, or in that of the gradient: for a stack, whose gradients are large, making memory took five times as long.
    """
    if group["maximise"]:
        gradient = gradient.neg_() if in_place else -gradient
    decay = beside(group["weight_decay"], parameter)
    into = gradient if in_place else None
    if isinstance(decay, Tensor):
        return torch.addcmul(gradient, parameter, decay, out=into)
    return torch.add(gradient, parameter, alpha=decay, out=into) if decay else gradient


@dataclass(frozen=True, slots=True)
class Turn:
    """One parameter's part of an update."""

    gradient: Tensor
    state: dict[str, Tensor]
    count: Tensor
    group: dict[str, Any]

    def __getitem__(self, name: str) -> PerMember:
        """Return a hyper-parameter, ready to be multiplied with the gradient."""
        return beside(self.group[name], self.gradient)

    def correction(self, name: str) -> Tensor:
        """Return 1 − βᵗ, computed in float64: in float32 it would have four digits at the start."""
        return spread(1 - torch.pow(self.group[name], self.count.double()), self.gradient)


class Explicit(Kernel):
    """A rule that goes, one parameter after the other, against a direction of its own."""

    is_decoupled = False

    def kernel(self, update: Update) -> None:
        group = update.group
        for place, parameter in enumerate(update.parameters):
            state = {name: tensors[place] for name, tensors in update.state.items()}
            if self.is_decoupled:
                shrink_(parameter, group["lr"], group["weight_decay"])
                gradient = -update.gradients[place] if group["maximise"] else update.gradients[place]
            else:
                gradient = with_l2(parameter, update.gradients[place], group, in_place=update.may_overwrite)
            turn = Turn(gradient, state, update.counts[place], group)
            descend_(parameter, self.direction(turn), group["lr"])

    def direction(self, turn: Turn) -> Tensor:
        """Take the gradient into the state, and return what the rate multiplies."""
        raise NotImplementedError


class ExplicitSGD(Explicit):
    """The gradient itself."""

    def direction(self, turn: Turn) -> Tensor:
        return turn.gradient


class ExplicitMomentum(Explicit):
    """V ← μ V + g."""

    names = ("velocity",)

    def direction(self, turn: Turn) -> Tensor:
        return turn.state["velocity"].mul_(turn["momentum"]).add_(turn.gradient)


class ExplicitNesterov(ExplicitMomentum):
    """g + μ V with the new V."""

    def direction(self, turn: Turn) -> Tensor:
        velocity = super().direction(turn)
        return turn.gradient + turn["momentum"] * velocity


class ExplicitAdagrad(Explicit):
    """G ← G + g²; g / (√G + ε)."""

    names = ("sum",)

    def direction(self, turn: Turn) -> Tensor:
        total = turn.state["sum"].addcmul_(turn.gradient, turn.gradient)
        return turn.gradient / (total.sqrt() + turn["epsilon"])


class ExplicitRMSprop(Explicit):
    """G ← ρ G + (1 − ρ) g²; g / (√G + ε)."""

    names = ("square",)

    def direction(self, turn: Turn) -> Tensor:
        square = average_(turn.state["square"], turn.gradient.square(), turn["rho"])
        return turn.gradient / (square.sqrt() + turn["epsilon"])


class ExplicitAdadelta(Explicit):
    """G ← ρ G + (1 − ρ) g²; d = g √(D + ε) / √(G + ε); D ← ρ D + (1 − ρ) d²."""

    names = ("square", "delta")

    def direction(self, turn: Turn) -> Tensor:
        square = average_(turn.state["square"], turn.gradient.square(), turn["rho"])
        epsilon = turn["epsilon"]
        direction = (turn.state["delta"] + epsilon).sqrt_() / (square + epsilon).sqrt_() * turn.gradient
        average_(turn.state["delta"], direction.square(), turn["rho"])
        return direction


class ExplicitAdam(Explicit):
    """V̂ / (√Û + ε), with V̂ = V / (1 − β₁ᵗ) and Û = U / (1 − β₂ᵗ)."""

    names: tuple[str, ...] = ("average", "square")

    def direction(self, turn: Turn) -> Tensor:
        average, root = self.moments(turn)
        return average / turn.correction("beta1") / root

    def moments(self, turn: Turn) -> tuple[Tensor, Tensor]:
        """Return V and √Û + ε."""
        average = average_(turn.state["average"], turn.gradient, turn["beta1"])
        square = average_(turn.state["square"], turn.gradient.square(), turn["beta2"])
        return average, (square / turn.correction("beta2")).sqrt_().add_(turn["epsilon"])


class ExplicitAdamW(ExplicitAdam):
    """Adam with decoupled decay."""

    is_decoupled = True


class ExplicitSimpleNadam(ExplicitAdam):
    """(β₁ V̂ + (1 − β₁) g / (1 − β₁ᵗ)) / (√Û + ε)."""

    def direction(self, turn: Turn) -> Tensor:
        average, root = self.moments(turn)
        beta = turn["beta1"]
        return (beta * average + (1 - beta) * turn.gradient) / turn.correction("beta1") / root


class ExplicitNadam(ExplicitAdam):
    """Nadam with the momentum μₜ = β₁ (1 − ½ 0.96^(0.004 t)) and its running product, as torch.optim has it."""

    names = ("average", "square", "product")

    def start(self, name: str, parameter: Tensor) -> Tensor:
        if name != "product":
            return super().start(name, parameter)
        members = parameter.shape[:1]
        return torch.ones(members, dtype=torch.float32, device=parameter.device)  # float32 as in torch.optim

    def direction(self, turn: Turn) -> Tensor:
        average, root = self.moments(turn)
        now, following = (_warmed(turn, ahead) for ahead in (0, 1))
        product = turn.state["product"].mul_(now.float()).double()
        ahead = spread(following / (1 - product * following), turn.gradient)
        here = spread((1 - now) / (1 - product), turn.gradient)
        return (here * turn.gradient + ahead * average) / root


def _warmed(turn: Turn, ahead: int) -> Tensor:
    share = 1 - 0.5 * 0.96 ** ((turn.count.double() + ahead) * 0.004)
    found: Tensor = turn.group["beta1"] * share
    return found


def average_(state: Tensor, value: Tensor, share: PerMember) -> Tensor:
    """Move a running average, in place: share × state + (1 − share) × value."""
    return state.mul_(share).add_(value * (1 - share))
