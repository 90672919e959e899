"""Ensembles: several networks that answer as one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chainrule.core.errors import SettingError

VOTES = ("average", "majority", "median")


class Ensemble(nn.Module):
    """Networks with the answers of all of them put together: it gives what one network of the same question would give.

    `kind` is that of the task. `vote`: average of probabilities, or of values; majority of the classes answered; median of
    values. `shares` are what each member's word counts, 1 together. With `only_decides`, outputs are no
    probabilities, and their average is taken as it is.
    Shapes: (B, …) -> (B, units)
    Raises: SettingError for a vote that the kind of task does not have
    """

    shares: Tensor

    def __init__(
        self, members: list[nn.Module], *, kind: str, vote: str = "average", only_decides: bool = False
    ) -> None:
        super().__init__()
        check_vote(vote, kind)
        self.members = nn.ModuleList(members)
        self.kind = kind
        self.vote = vote
        self.only_decides = only_decides
        self.register_buffer("shares", torch.full((len(members),), 1 / len(members), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.combine(torch.stack([member(x) for member in self.members]))

    def combine(self, outputs: Tensor, shares: Tensor | None = None) -> Tensor:
        """Put the outputs of members together. Shapes: outputs (members, B, units), shares (members,) or (members, B)."""
        return put_together(
            outputs,
            self.shares if shares is None else shares,
            kind=self.kind,
            vote=self.vote,
            only_decides=self.only_decides,
        )

    def give_shares_(self, says: list[float]) -> None:
        """Let each member count as much as is said, in proportion."""
        given = torch.tensor(says, dtype=torch.float64)
        self.shares = given / given.sum()

    def shorten_(self, count: int) -> None:
        """Keep the first members alone, as many: boosting may end before all that were asked for."""
        self.members = self.members[:count]
        self.shares = self.shares[:count] / self.shares[:count].sum()


def put_together(
    outputs: Tensor, shares: Tensor, *, kind: str, vote: str = "average", only_decides: bool = False
) -> Tensor:
    """Return the outputs of one network that says what several say together.

    Shapes: outputs (members, B, units), shares (members,) or (members, B), 1 together -> (B, units)
    """
    says = shares.view(*shares.shape, *[1] * (outputs.dim() - shares.dim()))
    wide = outputs.double()
    if vote == "median":
        found = _median(wide, says)
    elif vote == "majority":
        found = _majority(wide, says)
    elif kind == "regression" or only_decides:
        found = (wide * says).sum(0)
    else:
        found = _average(wide, says)
    return found.to(outputs.dtype)


def check_vote(vote: str, kind: str) -> None:
    """Refuse a vote that there is not, or that a kind of task does not have. Raises: SettingError"""
    fitting = ("average", "median") if kind == "regression" else ("average", "majority")
    if vote not in fitting:
        what = "values" if kind == "regression" else "classes"
        raise SettingError(f"--vote takes {' or '.join(fitting)} where the target holds {what}; got '{vote}'")


def _average(outputs: Tensor, shares: Tensor) -> Tensor:
    """Return the outputs that are read as the mean of the members' probabilities. In logarithms: none becomes 0 or 1."""
    says = shares.log()
    if outputs.shape[-1] > 1:
        return torch.logsumexp(F.log_softmax(outputs, -1) + says, 0)
    second = torch.logsumexp(F.logsigmoid(outputs) + says, 0)
    return second - torch.logsumexp(F.logsigmoid(-outputs) + says, 0)


def _majority(outputs: Tensor, shares: Tensor) -> Tensor:
    """Return the outputs that are read as each class's share of the votes.

    One vote more is given to all classes in equal parts, so that none has probability 0.
    """
    members, classes = len(outputs), max(2, outputs.shape[-1])
    if outputs.shape[-1] > 1:
        votes = (F.one_hot(outputs.argmax(-1), classes) * shares).sum(0)
        return torch.log((votes + 1 / (members * classes)) / (1 + 1 / members))
    second = ((outputs >= 0) * shares).sum(0)
    return torch.logit((second + 1 / (2 * members)) / (1 + 1 / members))


def _median(outputs: Tensor, shares: Tensor) -> Tensor:
    """Return the least value that half of the shares do not exceed."""
    ordered, order = outputs.sort(0)
    reached = shares.expand_as(outputs).gather(0, order).cumsum(0) >= 0.5 - 1e-12
    return ordered.gather(0, reached.int().argmax(0, keepdim=True)).squeeze(0)
