"""The state of a stack in training, put together from members of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from chainrule.train.checkpoint import part, under


class MemberOf(NamedTuple):
    """A member by its number in a training of which tensors and state are given, as `StackTraining` has them."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    number: int

    @property
    def place(self) -> int:
        """Where it stands in the stack."""
        return self.state["numbers"].index(self.number)  # type: ignore[no-any-return]


def joined(members: Sequence[MemberOf]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and state of one training in place of several. All have made as many epochs, and none is over."""
    tensors, state, _ = members[0]
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(("best/", "last/")):
            continue
        is_one_for_all = not tensor.dim() or name.endswith("/updates")
        found[name] = tensor if is_one_for_all else torch.stack([m.tensors[name][m.place] for m in members])
    for number, member in enumerate(members):
        found |= under(f"best/{number}/", part(member.tensors, f"best/{member.number}/"))
    courses = [member.state["courses"][member.number] for member in members]
    return found, {"epoch": state["epoch"], "numbers": list(range(len(members))), "courses": courses}
