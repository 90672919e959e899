"""Networks that answer as one give what one network of the same question would give."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.models.ensemble import Ensemble
from chainrule.train.task import Binary, MultiClass, Regression


class Says(nn.Module):
    """A member that answers what stands in its columns of the inputs."""

    def __init__(self, first: int, units: int) -> None:
        super().__init__()
        self.columns = slice(first, first + units)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.columns]


def ensemble(members: int, units: int, **how: Any) -> Ensemble:
    return Ensemble([Says(k * units, units) for k in range(members)], **how)


@pytest.mark.curriculum("ENS-01")
def test_a_majority_of_three_at_70_percent_is_right_in_78_4_percent() -> None:
    """Over all ways in which three independent members can be right and wrong, by their probability."""
    ways = list(itertools.product([True, False], repeat=3))
    outputs = torch.tensor([[0.5 if right else -4.0 for right in way] for way in ways])
    answers = Binary(["wrong", "right"]).labels(ensemble(3, 1, kind="binary", vote="majority")(outputs))
    shares = [torch.tensor([0.7 if right else 0.3 for right in way]).prod().item() for way in ways]
    together = sum(share for share, answer in zip(shares, answers.tolist(), strict=True) if answer)
    assert together == pytest.approx(0.784, abs=1e-6)
    assert together > 0.7


def test_averages_are_those_of_probabilities() -> None:
    torch.manual_seed(0)
    outputs = torch.randn(20, 9) * 3
    task = MultiClass(["a", "b", "c"])
    mean = torch.stack([outputs[:, k : k + 3].softmax(-1) for k in (0, 3, 6)]).mean(0)
    found = task.decode(ensemble(3, 3, kind="multi-class")(outputs))
    assert found.probabilities is not None and found.labels is not None
    assert torch.allclose(found.probabilities.float(), mean, atol=1e-6)
    assert torch.equal(found.labels, mean.argmax(-1))
    two = Binary(["a", "b"]).decode(ensemble(3, 1, kind="binary")(outputs[:, :3]))
    assert two.probabilities is not None
    assert torch.allclose(two.probabilities[:, 1].float(), outputs[:, :3].sigmoid().mean(1), atol=1e-6)
    values = Regression(["y"]).decode(ensemble(3, 1, kind="regression")(outputs[:, :3])).values
    assert values is not None
    assert torch.allclose(values.float(), outputs[:, :3].mean(1, keepdim=True), atol=1e-6)


def test_an_average_of_sure_members_stays_finite() -> None:
    found = ensemble(2, 1, kind="binary")(torch.tensor([[200.0, 200.0], [200.0, -200.0]]))
    assert found.flatten().tolist() == [200.0, 0.0]


def test_votes_are_shares_of_members_and_nobody_has_none() -> None:
    outputs = torch.tensor([[3.0, 0, 0, 0, 1, 0, 2, 1, 0, 9, 1, 2]])
    found = MultiClass(["a", "b", "c"]).probabilities(
        ensemble(4, 3, kind="multi-class", vote="majority")(outputs)
    )
    assert found[0].tolist() == pytest.approx([(3 + 1 / 3) / 5, (1 + 1 / 3) / 5, (1 / 3) / 5], abs=1e-6)


def test_a_word_counts_by_its_share() -> None:
    made = ensemble(3, 1, kind="binary", vote="majority")
    outputs = torch.tensor([[1.0, -1.0, -1.0]])
    assert made(outputs).item() < 0
    made.give_shares_([3.0, 1.0, 1.0])
    assert made(outputs).item() > 0
    assert made.shares.tolist() == pytest.approx([0.6, 0.2, 0.2])


def test_a_weighted_median_is_the_least_value_that_half_of_the_shares_reach() -> None:
    made = ensemble(3, 1, kind="regression", vote="median")
    assert made(torch.tensor([[5.0, 1.0, 3.0]])).item() == 3
    made.give_shares_([2.0, 1.0, 1.0])
    assert made(torch.tensor([[5.0, 1.0, 3.0]])).item() == 3
    made.give_shares_([3.0, 1.0, 1.0])
    assert made(torch.tensor([[5.0, 1.0, 3.0]])).item() == 5


def test_each_row_can_have_shares_of_its_own() -> None:
    made = ensemble(2, 1, kind="regression")
    outputs = torch.tensor([[[1.0], [2.0]], [[5.0], [6.0]]])
    shares = torch.tensor([[1.0, 0.5], [0.0, 0.5]], dtype=torch.float64)
    assert made.combine(outputs, shares).flatten().tolist() == [1.0, 4.0]


@pytest.mark.parametrize(
    ("kind", "vote", "words"),
    [("regression", "majority", "average or median"), ("binary", "median", "average or majority")],
)
def test_a_vote_that_the_question_does_not_have_is_refused(kind: str, vote: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        ensemble(2, 1, kind=kind, vote=vote)
