"""Clipping of gradients by length and by value: against steps that explode.

It lengthens nothing: gradients that vanish stay as short as they are, whatever a deck's table lists (E26).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from chainrule.optim.members import spread

EPSILON = 1e-6  # added to a length before dividing by it, as torch does


def clip_norm_(parameters: Sequence[Tensor], longest: float) -> Tensor:
    """Shorten the gradient of all parameters together to a length; its direction stays. Returns its length before.

    Shapes: -> ()
    """
    return torch.nn.utils.clip_grad_norm_(parameters, longest)


def clip_value_(parameters: Sequence[Tensor], most: float) -> None:
    """Clip every entry of the gradient to [−most, most]; its direction may change."""
    torch.nn.utils.clip_grad_value_(parameters, most)


@torch.no_grad()
def clip_norm_per_member_(parameters: Sequence[Tensor], longest: float | Tensor) -> Tensor:
    """Shorten the gradient of each member, as `clip_norm_` would that member's alone. Returns the lengths before.

    Shapes: every parameter (members, …); longest () or (members,) -> (members,)
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    squares = gradients[0].new_zeros(len(gradients[0]))
    for gradient in (
        gradients
    ):  # one after the other: the order of a sum over all would depend on how many members there are
        squares = squares + torch.linalg.vector_norm(gradient.reshape(len(gradient), -1), dim=1).square()
    lengths = squares.sqrt()
    factors = (longest / (lengths + EPSILON)).clamp_max(1.0)
    for gradient in gradients:
        gradient *= spread(factors, gradient)
    return lengths
