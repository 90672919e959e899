"""DenseStep: which networks it takes, and what becomes of the model's own parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.core.errors import SettingError, ShapeError, TrainingFailed
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.train.dense_chain import why_not_dense

RULE = functools.partial(cr.optimizer, "momentum", learning_rate=0.1)


def objective_of(*layers: nn.Module, loss: object = None) -> cr.Objective:
    return cr.Objective(nn.Sequential(*layers), cr.MultiClass(["a", "b", "c"], loss))


def step_of(objective: cr.Objective) -> cr.DenseStep:
    step = cr.DenseStep(objective, RULE)
    step.prepare(0, 1.0)
    return step


def chain() -> cr.Objective:
    torch.manual_seed(0)
    return objective_of(nn.Linear(4, 5), Activate("relu"), nn.Linear(5, 3))


def frozen() -> cr.Objective:
    objective = chain()
    objective.model[0].weight.requires_grad_(False)
    return objective


def hooked() -> cr.Objective:
    objective = chain()
    objective.model[0].register_forward_hook(lambda *_: None)
    return objective


def shared() -> cr.Objective:
    layer = nn.Linear(3, 3)
    return objective_of(layer, Activate("relu"), layer)


def mixed() -> cr.Objective:
    return objective_of(nn.Linear(4, 5).double(), Activate("relu"), nn.Linear(5, 3))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: objective_of(nn.Conv2d(1, 2, 3), nn.Linear(4, 3)), r"layer 0 \(Conv2d\) is none of Linear"),
        (lambda: objective_of(nn.Linear(4, 3), Activate("relu")), "its last layer is not a dense one"),
        (lambda: objective_of(nn.Linear(4, 5), nn.Dropout(0.1), nn.Linear(5, 3)), r"layer 1 \(Dropout\)"),
        (lambda: objective_of(nn.Linear(4, 5), Dropout(0.1), Activate("relu"), nn.Linear(5, 3)), r"layer 2 \(Activate\)"),
        (lambda: objective_of(nn.Linear(4, 5), Activate("softmax"), nn.Linear(5, 3)), "softmax.* not one of each value"),
        (lambda: objective_of(nn.Linear(4, 5), Activate("step"), nn.Linear(5, 3)), "step.* passes no gradient back"),
        (lambda: objective_of(nn.Linear(4, 3), loss=nn.CrossEntropyLoss()), "declares no derivative"),
        (lambda: cr.Objective(nn.Linear(4, 3), cr.MultiClass(["a", "b", "c"])), "no chain of layers .* but a Linear"),
        (frozen, "some of its weights are held fixed"),
        (hooked, "layer 0 has hooks"),
        (shared, "stands in the chain twice"),
        (mixed, "not all of one type"),
    ],
)  # fmt: skip
def test_says_why_a_network_is_not_its_kind(make: Callable[[], cr.Objective], reason: str) -> None:
    objective = make()
    said = why_not_dense(objective)
    assert said is not None
    with pytest.raises(SettingError, match=reason):
        cr.DenseStep(objective, RULE)


def test_takes_chains_of_dense_layers() -> None:
    assert why_not_dense(chain()) is None
    assert why_not_dense(objective_of(nn.Flatten(), nn.Linear(4, 5), Activate("gelu"), Dropout(0.1), nn.Linear(5, 3))) is None  # fmt: skip


def test_parameters_stay_the_models_own() -> None:
    objective = chain()
    before = dict(objective.model.named_parameters())
    state = {name: tensor.clone() for name, tensor in objective.model.state_dict().items()}
    step = step_of(objective)
    assert all(
        dict(objective.model.named_parameters())[name] is parameter for name, parameter in before.items()
    )
    assert all(torch.equal(objective.model.state_dict()[name], tensor) for name, tensor in state.items())
    step(torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2]))
    assert not torch.equal(objective.model[0].weight, state["0.weight"])
    objective.model.load_state_dict(state)
    loaded = step(torch.zeros(1, 4), torch.tensor([1])).outputs
    hidden = torch.relu(state["0.bias"])
    torch.testing.assert_close(loaded[0], state["2.weight"] @ hidden + state["2.bias"])


def test_losses_outlast_their_step() -> None:
    step = step_of(chain())
    inputs, targets = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    losses = [step(inputs, targets).loss for _ in range(5)]
    assert len({loss.item() for loss in losses}) == 5


def test_weights_that_explode_are_named_before_they_move() -> None:
    objective = chain()
    step = step_of(objective)
    with torch.no_grad():
        objective.model[2].weight[0, 0] = torch.inf
    step.prepare(6, 1.0)
    with pytest.raises(
        TrainingFailed, match=r"not finite at step 7; first in the weights of layer 2 \(Linear\)"
    ):
        step(torch.ones(2, 4), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (torch.zeros(2, 5), r"takes 4 values per row; got a batch of the shape \(2, 5\)"),
        (torch.zeros(2, 2, 2), r"got a batch of the shape \(2, 2, 2\)"),
        (torch.zeros(2, 4).double(), "got inputs of torch.float64"),
    ],
)
def test_rows_that_do_not_fit(rows: torch.Tensor, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        step_of(chain())(rows, torch.tensor([0, 1]))


def test_products_in_bfloat16_follow_float32() -> None:
    """At the same weights: the loss, the direction of the gradient, and weights that stay float32."""
    steps = [cr.DenseStep(chain(), RULE, precision=precision) for precision in (None, torch.bfloat16)]
    inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(64) % 3
    losses, gradients = [], []
    for step in steps:
        step.prepare(0, 1.0)
        losses.append(step(inputs, targets).loss.item())
        gradients.append(
            torch.cat([p.grad.reshape(-1) for p in step.objective.parameters() if p.grad is not None])
        )
        assert {p.dtype for p in step.objective.parameters()} == {torch.float32}
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.999
    assert not torch.equal(*gradients)


def test_a_gradient_can_be_taken_without_an_update() -> None:
    """It stands in the model's own parameters, whoever took the gradients away before."""
    objective = chain()
    x, y = torch.randn(6, 4), torch.randint(0, 3, (6,))
    step = step_of(objective)
    before = [p.detach().clone() for p in objective.parameters()]
    for taken_away in (False, True):
        if taken_away:
            objective.zero_grad()
        loss = step.differentiate(x, y).loss
        wanted = torch.autograd.grad(objective(x, y).loss, list(objective.parameters()))
        torch.testing.assert_close(loss, objective(x, y).loss.detach())
        for parameter, kept, gradient in zip(objective.parameters(), before, wanted, strict=True):
            assert torch.equal(parameter, kept)
            torch.testing.assert_close(parameter.grad, gradient)
