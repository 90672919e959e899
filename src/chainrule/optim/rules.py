"""Update rules by name.

SGD, momentum, Nesterov, AdaGrad, Adam and AdamW call torch's fused kernels, one call per group for all parameters;
the others are torch.optim's. The kernels are called directly, since constructing a torch.optim.Optimizer imports
torch's compiler (1.1 s at the start of every command) and its `step` adds some 20 µs to each update.

Weight decay is decoupled in adamw alone; elsewhere it is the L2 penalty ½ λ Σ θ² added to the loss. Biases and
normalisation's gains (tensors of one axis) are not decayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from chainrule.catalog import load
from chainrule.core.errors import SettingError

Groups = list[dict[str, Any]]  # params, weight_decay, lr: as in torch.optim


class Rule(Protocol):
    """An update rule bound to parameters. `param_groups` is as in torch.optim: rates may be changed between updates."""

    @property
    def param_groups(self) -> Groups:
        """Groups of parameters with their rates and decays."""

    def step(self) -> None:
        """Update the parameters in place from their gradients."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all state by name."""

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Put saved state back."""


def optimizer(
    name: str, parameters: Iterable[nn.Parameter], *, learning_rate: float, weight_decay: float = 0.0
) -> Rule:
    """Return the update rule called `name` for the parameters.

    Raises: UnknownNameError; SettingError for a rate or a decay that is negative or not finite
    """
    if not 0 < learning_rate < float("inf"):
        raise SettingError(f"learning_rate must be a positive number; got {learning_rate:g}")
    if not 0 <= weight_decay < float("inf"):
        raise SettingError(f"weight_decay must be 0 or a positive number; got {weight_decay:g}")
    rule: Callable[[Groups], Rule] = load("optimizer", name)
    trained = [p for p in parameters if p.requires_grad]
    if not trained:
        raise SettingError("the model has no parameters to train")
    parts = [([p for p in trained if p.dim() > 1], weight_decay), ([p for p in trained if p.dim() <= 1], 0.0)]
    if weight_decay == 0:
        parts = [(trained, 0.0)]
    return rule([{"params": ps, "weight_decay": decay, "lr": learning_rate} for ps, decay in parts if ps])


class Update(NamedTuple):
    """What a kernel works on: the parameters of a group with their gradients, state and numbers of updates."""

    parameters: list[Tensor]
    gradients: list[Any]
    state: dict[str, list[Tensor]]
    counts: list[Tensor]
    group: dict[str, Any]


class Fused:
    """A rule made of one fused kernel. State is one tensor per parameter and name, zero at the start."""

    names: tuple[str, ...] = ()

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._state = [
            {
                name: [torch.zeros_like(p, memory_format=torch.preserve_format) for p in group["params"]]
                for name in self.names
            }
            for group in groups
        ]
        # The kernels want the number of updates per parameter as a tensor; these are views of one per group.
        self._counts = [
            torch.zeros(len(g["params"]), dtype=torch.float32, device=g["params"][0].device) for g in groups
        ]
        self._views = [list(counts.unbind()) for counts in self._counts]

    @property
    def param_groups(self) -> Groups:
        """Groups of parameters with their rates and decays."""
        return self._groups

    def step(self) -> None:
        """Update the parameters in place from their gradients; one without a gradient stays."""
        for group, state, counts, views in zip(
            self._groups, self._state, self._counts, self._views, strict=True
        ):
            parameters = group["params"]
            gradients = [p.grad for p in parameters]
            if any(g is None for g in gradients):
                self._step_some(group, state, views)
                continue
            counts += 1
            with torch.no_grad():
                self.kernel(Update(parameters, gradients, state, views, group))

    def _step_some(self, group: dict[str, Any], state: dict[str, list[Tensor]], views: list[Tensor]) -> None:
        kept = [i for i, p in enumerate(group["params"]) if p.grad is not None]
        if not kept:
            return
        parameters = [group["params"][i] for i in kept]
        counts = [views[i].add_(1) for i in kept]
        some = {name: [tensors[i] for i in kept] for name, tensors in state.items()}
        with torch.no_grad():
            self.kernel(Update(parameters, [p.grad for p in parameters], some, counts, group))

    def kernel(self, update: Update) -> None:
        """Update one group."""
        raise NotImplementedError

    def tensors(self) -> dict[str, Tensor]:
        """Return all state by name."""
        named = {
            f"{place}/{number}/{name}": tensor
            for place, state in enumerate(self._state)
            for name, tensors in state.items()
            for number, tensor in enumerate(tensors)
        }
        return {**named, **{f"{place}/updates": counts for place, counts in enumerate(self._counts)}}

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Put saved state back."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])


class FusedAdam(Fused):
    """Adam with bias corrections by 1 − βᵗ (E09) and ε outside the root (E10)."""

    names = ("average", "square")
    betas, epsilon = (0.9, 0.999), 1e-8
    _call = staticmethod(torch._fused_adam_)

    def kernel(self, update: Update) -> None:
        self._call(
            update.parameters, update.gradients, update.state["average"], update.state["square"], [], update.counts,
            lr=update.group["lr"], beta1=self.betas[0], beta2=self.betas[1], weight_decay=update.group["weight_decay"],
            eps=self.epsilon, amsgrad=False, maximize=False,
        )  # fmt: skip


class FusedAdamW(FusedAdam):
    """Adam with decoupled decay."""

    _call = staticmethod(torch._fused_adamw_)


class FusedSGD(Fused):
    """Gradient descent on mini-batches; with momentum V ← μ V + g an exponentially weighted sum, α outside V (E11)."""

    momentum, is_nesterov = 0.0, False

    def kernel(self, update: Update) -> None:
        torch._fused_sgd_(
            update.parameters, update.gradients, update.state.get("velocity", []), weight_decay=update.group["weight_decay"],
            momentum=self.momentum, lr=update.group["lr"], dampening=0.0, nesterov=self.is_nesterov, maximize=False,
            is_first_step=False,
        )  # fmt: skip


class FusedMomentum(FusedSGD):
    """Gradient descent with momentum 0.9."""

    names = ("velocity",)
    momentum = 0.9


class FusedNesterov(FusedMomentum):
    """Momentum with the gradient at the point ahead, θ − α 0.9 V (E08)."""

    is_nesterov = True


class FusedAdagrad(Fused):
    """Rates divided by the root of the sum of all squared gradients."""

    names = ("sum",)

    def kernel(self, update: Update) -> None:
        torch._fused_adagrad_(
            update.parameters, update.gradients, update.state["sum"], update.counts, lr=update.group["lr"], lr_decay=0.0,
            weight_decay=update.group["weight_decay"], eps=1e-10, maximize=False,
        )  # fmt: skip


class FromTorch:
    """A torch.optim.Optimizer as a rule."""

    def __init__(self, wrapped: torch.optim.Optimizer) -> None:
        self.wrapped = wrapped

    @property
    def param_groups(self) -> Groups:
        """The groups of the wrapped optimizer."""
        return self.wrapped.param_groups

    def step(self) -> None:
        """Update the parameters in place from their gradients."""
        self.wrapped.step()

    def tensors(self) -> dict[str, Tensor]:
        """Return all state by name: `<parameter number>/<key>`."""
        return {
            f"{number}/{key}": value
            if isinstance(value, Tensor)
            else torch.tensor(value, dtype=torch.float64)
            for number, entry in self.wrapped.state_dict()["state"].items()
            for key, value in entry.items()
            if value is not None
        }

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Put saved state back."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            number, _, key = name.partition("/")
            state.setdefault(int(number), {})[key] = tensor
        self.wrapped.load_state_dict(
            {"state": state, "param_groups": self.wrapped.state_dict()["param_groups"]}
        )


def sgd(groups: Groups) -> Rule:
    """θ ← θ − α g."""
    return FusedSGD(groups)


def momentum(groups: Groups) -> Rule:
    """V ← 0.9 V + g, θ ← θ − α V."""
    return FusedMomentum(groups)


def nesterov(groups: Groups) -> Rule:
    """V ← 0.9 V + g, θ ← θ − α (g + 0.9 V). Source: Sutskever et al. 2013."""
    return FusedNesterov(groups)


def adagrad(groups: Groups) -> Rule:
    """Source: Duchi, Hazan, Singer 2011."""
    if groups[0]["params"][0].device.type != "cpu":  # torch has its fused form on the CPU only
        return FromTorch(torch.optim.Adagrad(groups))
    return FusedAdagrad(groups)


def adadelta(groups: Groups) -> Rule:
    """Source: Zeiler 2012, ρ = 0.9. The learning rate scales its step, 1 in the paper."""
    return FromTorch(torch.optim.Adadelta(groups))


def rmsprop(groups: Groups) -> Rule:
    """Source: Hinton's lecture 6e of 2012, with its decay of 0.9."""
    return FromTorch(torch.optim.RMSprop(groups, alpha=0.9))


def adam(groups: Groups) -> Rule:
    """Source: Kingma and Ba 2015."""
    return FusedAdam(groups)


def adamw(groups: Groups) -> Rule:
    """Source: Loshchilov and Hutter 2019."""
    return FusedAdamW(groups)


def nadam(groups: Groups) -> Rule:
    """Source: Dozat 2016."""
    return FromTorch(torch.optim.NAdam(groups))
