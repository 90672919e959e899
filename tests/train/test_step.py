"""One update: what it computes, what it clips, and what it says when the loss is no longer finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from chainrule import AutogradStep, MultiClass, Objective, Regression, build, optimizer
from chainrule.core.errors import SettingError, TrainingFailed
from chainrule.nn.noise import Dropout


def linear(weights: list[float]) -> nn.Module:
    model = nn.Linear(len(weights), 1, bias=False).double()
    model.weight.data.copy_(torch.tensor([weights]))
    return model


def step_for(model: nn.Module, rate: float = 0.1, **settings: object) -> AutogradStep:
    rule = optimizer("sgd", model.parameters(), learning_rate=rate)
    return AutogradStep(Objective(model, Regression(["v"], "half-squared-error")), rule, **settings)


def test_an_update_is_the_rate_times_the_gradient() -> None:
    model, x, y = linear([1, 2]), torch.tensor([[3.0, -1.0]]).double(), torch.tensor([[0.0]]).double()
    outcome = step_for(model)(x, y)
    # z = 3 − 2 = 1, ½ z² = 0.5, gradient z x = (3, −1)
    assert outcome.loss.item() == 0.5, "the loss before the update"
    assert model.weight[0].tolist() == pytest.approx([1 - 0.3, 2 + 0.1])


def test_a_gradient_can_be_taken_without_an_update() -> None:
    model, x, y = linear([1, 2]), torch.tensor([[3.0, -1.0]]).double(), torch.tensor([[0.0]]).double()
    step = step_for(model, decay_with_loss=True)
    for _ in range(2):
        assert step.differentiate(x, y).loss.item() == 0.5
    assert model.weight.grad is not None and model.weight.grad.tolist() == [[3.0, -1.0]]
    assert model.weight.tolist() == [[1.0, 2.0]] and step.running_loss is None


def test_gradients_do_not_pile_up() -> None:
    x, y = torch.tensor([[1.0]]).double(), torch.tensor([[0.0]]).double()
    model = linear([1])
    step = step_for(model)
    for _ in range(3):
        step(x, y)
    assert model.weight.item() == pytest.approx(0.9**3)


@pytest.mark.curriculum("GEN-10")
def test_clipping_shortens_the_gradient_and_keeps_its_direction() -> None:
    """g = (3, 4) of length 5, at most 1: (0.6, 0.8). A shorter one stays."""
    x, y = torch.tensor([[3.0, 4.0]]).double(), torch.tensor([[-1.0]]).double()
    for longest, expected in ((1.0, [0.6, 0.8]), (10.0, [3, 4])):
        model = linear([0, 0])
        step_for(model, rate=1, clip_norm=longest)(x, y)
        assert (-model.weight[0]).tolist() == pytest.approx(expected, abs=1e-6)


def test_rate_follows_the_factor() -> None:
    x, y = torch.tensor([[1.0]]).double(), torch.tensor([[0.0]]).double()
    model = linear([1])
    step = step_for(model, rate=0.5)
    step.prepare(0, 0.5)
    assert step.rate == 0.25
    step(x, y)
    assert model.weight.item() == pytest.approx(0.75)
    step.prepare(1, 1.0)
    assert step.rate == 0.5, "factors apply to the first rate, not to one another"


def test_takes_an_optimizer_of_torch() -> None:
    x, y = torch.tensor([[3.0, -1.0]]).double(), torch.tensor([[0.0]]).double()
    ours, theirs = linear([1, 2]), linear([1, 2])
    step_for(ours)(x, y)
    objective = Objective(theirs, Regression(["v"], "half-squared-error"))
    step = AutogradStep(objective, torch.optim.SGD(theirs.parameters(), lr=0.1))
    step.prepare(0, 1.0)
    step(x, y)
    torch.testing.assert_close(theirs.weight, ours.weight)


def test_dropout_hears_the_number_of_the_update() -> None:
    model = nn.Sequential(nn.Linear(4, 50), Dropout(0.5), nn.Linear(50, 1))
    step, x = step_for(model, seed=3), torch.ones(2, 4)
    step.objective.train()

    def outputs_at(number: int) -> Tensor:
        step.prepare(number, 1.0)
        return step.objective.model(x).detach()

    first = outputs_at(0)
    assert torch.equal(outputs_at(0), first) and not torch.equal(outputs_at(1), first)
    assert not torch.equal(step_for(model, seed=4).objective.model(x), first)


def test_foreign_noise_is_reseeded_per_update() -> None:
    """A model of the user's with torch's own dropout repeats too."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(40, 1))
    x = torch.ones(2, 40)
    step = step_for(model, reseeds=True)
    step.objective.train()
    drawn = []
    for number in (0, 1, 0):
        step.prepare(number, 1.0)
        drawn.append(model(x).detach())
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])


def test_clipping_by_value_cuts_every_entry() -> None:
    x, y = torch.tensor([[3.0, -0.5]]).double(), torch.tensor([[-1.0]]).double()
    model = linear([0, 0])
    step = step_for(model, rate=1, clip_value=1.0)
    step(x, y)
    assert (-model.weight[0]).tolist() == pytest.approx([1, -0.5])
    assert step.gradient_norm is None, "nobody asked for it"


def test_values_are_cut_first_and_the_length_is_measured_before_it_is_cut() -> None:
    x, y = torch.tensor([[3.0, 4.0]]).double(), torch.tensor([[-1.0]]).double()
    model = linear([0, 0])
    step = step_for(model, rate=1, clip_value=3.0, clip_norm=1.0)
    step(x, y)
    assert step.gradient_norm is not None and step.gradient_norm.item() == pytest.approx(3 * 2**0.5)
    assert (-model.weight[0]).tolist() == pytest.approx([0.5**0.5] * 2)


@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_limits_must_be_positive(name: str, limit: float) -> None:
    with pytest.raises(SettingError, match=f"{name} must be a positive number; got"):
        step_for(linear([1]), **{name: limit})


# ---- the loss is no longer finite


def failing(model: nn.Module, x: Tensor, number: int = 4) -> str:
    task = MultiClass(["a", "b"])
    step = AutogradStep(Objective(model, task), optimizer("sgd", model.parameters(), learning_rate=0.1))
    step.prepare(number, 1.0)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(TrainingFailed) as caught:
        step(x, torch.tensor([0, 1]))
    after = list(model.parameters())
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(before, after, strict=True))
    assert not any(module._forward_hooks for module in model.modules()), "looking leaves nothing behind"
    return str(caught.value)


def test_names_the_layer_with_bad_weights() -> None:
    model = build("mlp", inputs=3, units=2, hidden=(4, 5))
    model[2].weight.data[0, 0] = math.nan
    assert (
        failing(model, torch.randn(2, 3))
        == "the loss is not finite at step 5; first in the weights of layer 2 (Linear)"
    )


def test_names_the_layer_with_bad_outputs() -> None:
    model = build("mlp", inputs=3, units=2, hidden=(4,))
    model[0].weight.data.fill_(1e30)
    model[2].weight.data.fill_(1e30)
    said = failing(model, torch.full((2, 3), 1.0))
    assert said == "the loss is not finite at step 5; first in the outputs of layer 2 (Linear)"


def test_names_bad_inputs_by_the_first_layer_that_sees_them() -> None:
    said = failing(build("softmax-regression", inputs=3, units=2), torch.full((2, 3), math.inf))
    assert "first in the outputs of layer 0 (Linear)" in said


def test_a_loss_that_fails_by_itself() -> None:
    model = nn.Linear(1, 1)
    objective = Objective(model, Regression(["v"], lambda o, t: (o - o.detach()).squeeze(-1) / 0))
    step = AutogradStep(objective, optimizer("sgd", model.parameters(), learning_rate=0.1))
    with pytest.raises(
        TrainingFailed, match="first in the loss itself: the outputs of every layer are finite"
    ):
        step(torch.ones(2, 1), torch.zeros(2, 1))
