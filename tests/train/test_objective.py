"""A model and its question as one thing to differentiate."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chainrule import MultiClass, Objective, Regression
from chainrule.core.errors import ShapeError
from chainrule.train.objective import check_outputs


def test_loss_is_the_mean_over_the_batch() -> None:
    task, model = MultiClass(["a", "b", "c"]), nn.Linear(4, 3)
    x, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    outcome = Objective(model, task)(x, y)
    assert outcome.loss.shape == () and outcome.outputs.shape == (6, 3)
    torch.testing.assert_close(outcome.loss, nn.functional.cross_entropy(model(x), y))
    assert torch.equal(outcome.loss, outcome.losses)


def test_members_are_added_up_so_that_none_feels_another() -> None:
    """The gradient of a sum of members' losses is, for each member, the gradient of its own."""
    weights = torch.randn(3, 4, 1, requires_grad=True)

    class Members(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ weights

    x, y = torch.randn(6, 4), torch.randn(6, 1)
    outcome = Objective(Members(), Regression(["v"]))(x, y.expand(3, 6, 1))
    assert outcome.losses.shape == (3,)
    assert outcome.loss == outcome.losses.sum()
    outcome.loss.backward()
    alone = weights[1].detach().requires_grad_()
    (x @ alone - y).square().mean().backward()
    torch.testing.assert_close(weights.grad[1], alone.grad)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    objective = Objective(nn.Linear(4, 3), MultiClass(["a", "b", "c"]))
    x, y = torch.randn(3, 4), torch.tensor([0, 1, 2])
    weighted = objective(x, y, torch.tensor([2.0, 1.0, 0.0])).loss
    torch.testing.assert_close(weighted, objective(x[[0, 0, 1]], y[[0, 0, 1]]).loss)


def test_members_of_a_stack_weigh_rows_each_in_their_own_way() -> None:
    outputs, targets = torch.randn(2, 5, 1), torch.randn(5, 1)
    weights = torch.rand(2, 5)
    objective = Objective(nn.Identity(), Regression(["v"]))
    found = objective.outcome(outputs, targets.expand(2, 5, 1), weights)
    for k in range(2):
        alone = objective.outcome(outputs[k], targets, weights[k])
        torch.testing.assert_close(found.losses[k], alone.loss)


def test_parameters_of_the_model_are_the_objectives() -> None:
    objective = Objective(nn.Linear(4, 3), MultiClass(["a", "b", "c"]))
    assert [name for name, _ in objective.named_parameters()] == ["model.weight", "model.bias"]


@pytest.mark.parametrize(
    ("model", "came"),
    [(nn.Linear(4, 2), r"\(2, 2\)"), (nn.Unflatten(1, (2, 2)), r"\(2, 2, 2\)"), (nn.LSTM(4, 3), "tuple")],
    ids=["too few outputs", "an axis too many", "no tensor"],
)
def test_outputs_that_do_not_fit_the_task(model: nn.Module, came: str) -> None:
    with pytest.raises(
        ShapeError, match=rf"3 outputs per row for a multi-class task: \(2, 3\) for 2 rows; got {came}"
    ):
        check_outputs(model, MultiClass(["a", "b", "c"]), torch.randn(2, 4))
