"""Update rules by name, in torch's fused form where it has one.

Weight decay is decoupled in adamw alone; elsewhere it is the L2 penalty ½ λ Σ θ² added to the loss. Biases and
normalisation's gains (tensors of one axis) are not decayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from chainrule.catalog import load
from chainrule.core.errors import SettingError

Groups = list[dict[str, Any]]


def optimizer(
    name: str, parameters: Iterable[nn.Parameter], *, learning_rate: float, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Return the update rule called `name` for the parameters.

    Raises: UnknownNameError; SettingError for a rate or a decay that is negative or not finite
    """
    if not 0 < learning_rate < float("inf"):
        raise SettingError(f"learning_rate must be a positive number; got {learning_rate:g}")
    if not 0 <= weight_decay < float("inf"):
        raise SettingError(f"weight_decay must be 0 or a positive number; got {weight_decay:g}")
    rule: Callable[[Groups, float], torch.optim.Optimizer] = load("optimizer", name)
    trained = [p for p in parameters if p.requires_grad]
    if not trained:
        raise SettingError("the model has no parameters to train")
    decayed = [p for p in trained if p.dim() > 1]
    others = [p for p in trained if p.dim() <= 1]
    groups: Groups = [
        {"params": group, "weight_decay": decay}
        for group, decay in ((decayed, weight_decay), (others, 0.0))
        if group
    ]
    if weight_decay == 0:
        groups = [{"params": trained, "weight_decay": 0.0}]
    return rule(groups, learning_rate)


def sgd(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """θ ← θ − α g."""
    return torch.optim.SGD(groups, lr=learning_rate, fused=True)


def momentum(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """V ← 0.9 V + g, θ ← θ − α V: an exponentially weighted sum, with α outside V (E11)."""
    return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, fused=True)


def nesterov(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """Momentum with the gradient at the point ahead, θ − α 0.9 V (E08)."""
    return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True, fused=True)


def adagrad(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """Source: Duchi, Hazan, Singer 2011."""
    return torch.optim.Adagrad(groups, lr=learning_rate, fused=True)


def adadelta(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """Source: Zeiler 2012. The learning rate scales its step, 1 in the paper."""
    return torch.optim.Adadelta(groups, lr=learning_rate)


def rmsprop(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """Source: Hinton's lecture 6e of 2012, with its decay of 0.9."""
    return torch.optim.RMSprop(groups, lr=learning_rate, alpha=0.9)


def adam(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """Source: Kingma and Ba 2015; corrections by 1 − βᵗ (E09), ε outside the root (E10)."""
    return torch.optim.Adam(groups, lr=learning_rate, fused=True)


def adamw(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """Source: Loshchilov and Hutter 2019."""
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def nadam(groups: Groups, learning_rate: float) -> torch.optim.Optimizer:
    """Source: Dozat 2016."""
    return torch.optim.NAdam(groups, lr=learning_rate)
