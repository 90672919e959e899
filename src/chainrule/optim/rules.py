"""Update rules by name: what each is called, which hyper-parameters it takes, and with which published defaults.

A single network is updated by torch's fused kernels (`fused.py`), or by torch.optim where it has none. A stack of
networks with hyper-parameters per member is updated by the same rules written out (`explicit.py`).

Weight decay is decoupled in adamw alone; elsewhere it is the L2 penalty ½ λ Σ θ² added to the loss: the same thing up
to scaling for sgd, and not for adam (E71). Biases and normalisation's gains (tensors of one axis) are not decayed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.catalog import OPTIMIZERS, load
from chainrule.core.errors import SettingError, ShapeError
from chainrule.optim import buffered, explicit, from_torch, fused
from chainrule.optim.from_torch import FromTorch as FromTorch
from chainrule.optim.kernel import Groups
from chainrule.optim.kernel import Rule as Rule
from chainrule.optim.members import PerMember

Make = Callable[[Groups], Rule]
HYPERPARAMETERS = ("momentum", "beta1", "beta2", "rho", "epsilon")  # beside learning rate and weight decay


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRule:
    """An update rule of the catalogue.

    `formula` has g for the gradient, α for the learning rate; every average starts at 0. `defaults` holds the
    hyper-parameters that it takes beside learning rate and weight decay.
    """

    formula: str
    single: Make
    stacked: Make
    source: str
    defaults: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, groups: Groups, members: int | None) -> Rule:
        """Return the rule bound to parameters: those of a single network, or of a stack of members."""
        return self.single(groups) if members is None else self.stacked(groups)


def _adagrad(groups: Groups) -> Rule:
    is_cpu = groups[0]["params"][0].device.type == "cpu"  # torch has its fused form there alone
    return fused.FusedAdagrad(groups) if is_cpu else from_torch.torch_adagrad(groups)


def _differs(groups: Groups, names: Iterable[str]) -> bool:
    return any(isinstance(groups[0][name], Tensor) for name in names)


def _stacked_adam(groups: Groups) -> Rule:
    each = _differs(groups, ADAM.defaults)
    return explicit.ExplicitAdam(groups) if each else buffered.BufferedAdam(groups)


def _stacked_adamw(groups: Groups) -> Rule:
    each = _differs(groups, ADAMW.defaults)
    return explicit.ExplicitAdamW(groups) if each else buffered.BufferedAdamW(groups)


SGD = UpdateRule(
    formula="θ ← θ − α g",
    single=fused.FusedSGD,
    stacked=explicit.ExplicitSGD,
    source="Robbins and Monro 1951. Batch, mini-batch and stochastic gradient descent differ in the batch size alone.",
)
GRADIENT_DESCENT = SGD  # `fit` gives it all training rows at once
MINI_BATCH = SGD
MOMENTUM = UpdateRule(
    formula="V ← μ V + g; θ ← θ − α V",
    single=fused.FusedMomentum,
    stacked=explicit.ExplicitMomentum,
    source="Polyak 1964. V is an exponentially weighted sum, α stands outside it (E11): with a constant α, α V is the V "
    "of the form V ← μ V + α g; where α changes on the way the two forms differ.",
    defaults={"momentum": 0.9},
)
NESTEROV = UpdateRule(
    formula="V ← μ V + g; θ ← θ − α (g + μ V)",
    single=fused.FusedNesterov,
    stacked=explicit.ExplicitNesterov,
    source="Sutskever et al. 2013. θ is the point ahead, where the gradient is taken: θ + α μ V is the iterate of the form "
    "V ← μ V + α ∇L(θ − μ V), θ ← θ − V (E08); both meet as V falls to 0.",
    defaults={"momentum": 0.9},
)
ADAGRAD = UpdateRule(
    formula="G ← G + g²; θ ← θ − α g / (√G + ε)",
    single=_adagrad,
    stacked=explicit.ExplicitAdagrad,
    source="Duchi, Hazan, Singer 2011.",
    defaults={"epsilon": 1e-10},
)
ADADELTA = UpdateRule(
    formula="G ← ρ G + (1 − ρ) g²; d = g √(D + ε) / √(G + ε); D ← ρ D + (1 − ρ) d²; θ ← θ − α d",
    single=from_torch.torch_adadelta,
    stacked=explicit.ExplicitAdadelta,
    source="Zeiler 2012. The learning rate scales its step, 1 in the paper.",
    defaults={"rho": 0.9, "epsilon": 1e-6},
)
RMSPROP = UpdateRule(
    formula="G ← ρ G + (1 − ρ) g²; θ ← θ − α g / (√G + ε)",
    single=from_torch.torch_rmsprop,
    stacked=explicit.ExplicitRMSprop,
    source="Hinton's lecture 6e of 2012, with its decay of 0.9.",
    defaults={"rho": 0.9, "epsilon": 1e-8},
)
ADAM = UpdateRule(
    formula="V ← β₁ V + (1 − β₁) g; U ← β₂ U + (1 − β₂) g²; θ ← θ − α V̂ / (√Û + ε), V̂ = V / (1 − β₁ᵗ), Û = U / (1 − β₂ᵗ)",
    single=fused.FusedAdam,
    stacked=_stacked_adam,
    source="Kingma and Ba 2015. The corrections have the exponent t (E09), and ε stands outside the root (E10).",
    defaults={"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
)
ADAMW = UpdateRule(
    formula="θ ← (1 − α λ) θ, then as adam",
    single=fused.FusedAdamW,
    stacked=_stacked_adamw,
    source="Loshchilov and Hutter 2019.",
    defaults=ADAM.defaults,
)
NADAM = UpdateRule(
    formula="as adam with μₜ₊₁ V / (1 − Πμ) + (1 − μₜ) g / (1 − Πμ) for V̂, μₜ = β₁ (1 − ½ 0.96^(0.004 t))",
    single=from_torch.torch_nadam,
    stacked=explicit.ExplicitNadam,
    source="Dozat 2016, with his momentum that warms up, as torch.optim.NAdam.",
    defaults=ADAM.defaults,
)
SIMPLE_NADAM = UpdateRule(
    formula="as adam with β₁ V̂ + (1 − β₁) g / (1 − β₁ᵗ) for V̂",
    single=explicit.ExplicitSimpleNadam,
    stacked=explicit.ExplicitSimpleNadam,
    source="Ruder 2016, equation 35: Nadam with a constant β₁, as courses write it.",
    defaults=ADAM.defaults,
)


def optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    *,
    learning_rate: PerMember,
    weight_decay: PerMember = 0.0,
    momentum: PerMember | None = None,
    beta1: PerMember | None = None,
    beta2: PerMember | None = None,
    rho: PerMember | None = None,
    epsilon: PerMember | None = None,
    members: int | None = None,
    maximise: bool = False,
) -> Rule:
    """Return the update rule called `name` for the parameters.

    A hyper-parameter that is None has its published default. A tensor holds one value per member of a stack, whose
    parameters have the shape (members, …); `members` says that they are such where every value is a number.
    `maximise` goes up the gradient.
    Raises: UnknownNameError; SettingError for a hyper-parameter that the rule does not have or a value that it cannot
    have; ShapeError for parameters that are no stack of so many members
    """
    rule: UpdateRule = load("optimizer", name)
    given = {"momentum": momentum, "beta1": beta1, "beta2": beta2, "rho": rho, "epsilon": epsilon}
    check_hyperparameters(name, given)
    chosen = {key: default if given[key] is None else given[key] for key, default in rule.defaults.items()}
    hyper: dict[str, Any] = {"learning_rate": learning_rate, "weight_decay": weight_decay, **chosen}
    trained = [p for p in parameters if p.requires_grad]
    if not trained:
        raise SettingError("the model has no parameters to train")
    for key, value in hyper.items():
        _check_value(key, value)
    members = _members(hyper, members, trained)
    hyper = {"lr" if key == "learning_rate" else key: _settled(value, trained[0].device) for key, value in hyper.items()}  # fmt: skip
    axes = 1 if members is None else 2  # of a bias
    decays = isinstance(weight_decay, Tensor) or weight_decay > 0
    parts = [([p for p in trained if p.dim() > axes], hyper["weight_decay"]), ([p for p in trained if p.dim() <= axes], 0.0)]  # fmt: skip
    if not decays:
        parts = [(trained, 0.0)]
    groups = [
        {**hyper, "params": ps, "weight_decay": decay, "maximise": maximise} for ps, decay in parts if ps
    ]
    return rule(groups, members)


def check_hyperparameters(name: str, given: Mapping[str, Any]) -> None:
    """Refuse hyper-parameters that a rule does not have, naming the rules that do. Raises: SettingError"""
    rule: UpdateRule = load("optimizer", name)
    for key, value in given.items():
        if value is not None and key not in rule.defaults:
            having = [other for other in OPTIMIZERS if key in load("optimizer", other).defaults]
            raise SettingError(
                f"the optimizer {name} has no {key} (optimizers with {key}: {', '.join(having)})"
            )


def _check_value(name: str, value: PerMember) -> None:
    """Refuse a value outside what its hyper-parameter may be. Raises: SettingError"""
    values = value.reshape(-1).tolist() if isinstance(value, Tensor) else [value]
    fits, wanted = _LIMITS[name]
    for member, each in enumerate(values):
        if not fits(each):
            where = f" (member {member})" if len(values) > 1 else ""
            raise SettingError(f"{name} must be {wanted}; got {each:g}{where}")


_SHARE = (lambda value: 0 <= value < 1, "at least 0 and below 1")
_POSITIVE = (lambda value: 0 < value < math.inf, "a positive number")
_LIMITS: dict[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": _POSITIVE,
    "weight_decay": (lambda value: 0 <= value < math.inf, "0 or a positive number"),
    "momentum": _SHARE,
    "beta1": _SHARE,
    "beta2": _SHARE,
    "rho": _SHARE,
    "epsilon": _POSITIVE,
}


def _members(hyper: Mapping[str, PerMember], members: int | None, trained: list[nn.Parameter]) -> int | None:
    """Return how many members the stack has, None for a single network. Raises: ShapeError"""
    counts = {} if members is None else {"members": members}
    for name, value in hyper.items():
        if isinstance(value, Tensor) and value.dim():
            if value.dim() > 1:
                raise ShapeError(
                    f"{name} must be a number or one per member; got the shape {tuple(value.shape)}"
                )
            counts[name] = len(value)
    if not counts:
        return None
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} for {count}" for name, count in counts.items())
        raise ShapeError(f"hyper-parameters must be for as many members each; got {said}")
    name, count = next(iter(counts.items()))
    for parameter in trained:
        if parameter.shape[:1] != (count,):
            raise ShapeError(
                f"{name} is for {count} members, and a parameter has the shape {tuple(parameter.shape)}, not ({count}, …)"
            )
    return count


def _settled(value: PerMember, device: torch.device) -> PerMember:
    """Return a number as a float, one per member as float64 on the parameters' device."""
    if isinstance(value, Tensor) and value.dim():
        return value.detach().to(device, torch.float64)
    return float(value)
