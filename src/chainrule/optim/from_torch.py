"""Optimizers of torch.optim as rules: those without a fused kernel, and any that a user hands over."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chainrule.optim.kernel import Groups, Rule


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


def torch_adagrad(groups: Groups) -> Rule:
    return FromTorch(torch.optim.Adagrad(_plain(groups), eps=groups[0]["epsilon"], **_common(groups)))


def torch_adadelta(groups: Groups) -> Rule:
    first = groups[0]
    return FromTorch(
        torch.optim.Adadelta(_plain(groups), rho=first["rho"], eps=first["epsilon"], **_common(groups))
    )


def torch_rmsprop(groups: Groups) -> Rule:
    first = groups[0]
    return FromTorch(
        torch.optim.RMSprop(_plain(groups), alpha=first["rho"], eps=first["epsilon"], **_common(groups))
    )


def torch_nadam(groups: Groups) -> Rule:
    first = groups[0]
    betas = (first["beta1"], first["beta2"])
    return FromTorch(torch.optim.NAdam(_plain(groups), betas=betas, eps=first["epsilon"], **_common(groups)))


def _plain(groups: Groups) -> Groups:
    return [{key: group[key] for key in ("params", "weight_decay", "lr")} for group in groups]


def _common(groups: Groups) -> dict[str, Any]:
    return {"maximize": groups[0]["maximise"]}
