"""Hyper-parameters of a stack of networks: one number for all members, or one for each."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

PerMember = float | Tensor  # a number, or one per member of a stack: shape (members,)


def beside(value: PerMember, parameter: Tensor) -> PerMember:
    """Return a number as it is, and one per member ready to be multiplied with a parameter of the stack.

    Shapes: (members,) -> (members, 1, …)
    """
    return spread(value, parameter) if isinstance(value, Tensor) else value


def beside_each(values: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return one value per member as it stands `beside` each of some parameters; those with as many axes share a tensor."""
    of_axes = {p.dim(): p for p in parameters}
    made = {axes: spread(values, p) for axes, p in of_axes.items()}
    return [made[p.dim()] for p in parameters]


def spread(values: Tensor, parameter: Tensor) -> Tensor:
    """Return one value per member, or one for all, in the precision and with the axes of a parameter of the stack."""
    return values.to(parameter.dtype).reshape(-1, *[1] * (parameter.dim() - 1))
