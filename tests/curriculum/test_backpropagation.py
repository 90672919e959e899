"""Backpropagation as the course derives it, on the parts that train: objective, step, loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chainrule.data.batches import Batches
from chainrule.explanations.backprop import Pass
from chainrule.explanations.run_row import walk_of_row
from chainrule.models import build
from chainrule.optim.rules import optimizer
from chainrule.optim.schedules import schedule
from chainrule.train.loop import updates
from chainrule.train.objective import Objective
from chainrule.train.step import AutogradStep
from chainrule.train.task import Binary, MultiClass, Regression, Task
from chainrule.train.training import Training

OR_INPUTS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
OR_TARGETS = torch.tensor([0, 1, 1, 1])


def central_differences(objective: Callable[[], Tensor], weights: Tensor, step: float = 1e-6) -> Tensor:
    found = torch.zeros_like(weights)
    with torch.no_grad():
        for place in np.ndindex(*weights.shape):
            before = weights[place].item()
            weights[place] = before + step
            above = objective()
            weights[place] = before - step
            found[place] = (above - objective()) / (2 * step)
            weights[place] = before
    return found


@pytest.mark.curriculum("BPG-01")
@pytest.mark.parametrize("seed", range(6))
def test_gradients_of_random_networks_equal_central_differences(seed: int) -> None:
    """From the outputs to the inputs by the chain rule: every weight of MLPs of random shape, for each kind of task."""
    random = np.random.default_rng(seed)
    hidden = tuple(int(n) for n in random.integers(1, 7, size=random.integers(1, 4)))
    activation = ("tanh", "sigmoid", "softplus", "gelu", "silu", "elu")[seed]
    tasks: list[tuple[Task, Tensor]] = [
        (Regression(["a", "b"]), torch.from_numpy(random.normal(size=(5, 2)))),
        (Binary(["no", "yes"]), torch.from_numpy(random.integers(0, 2, 5))),
        (MultiClass(["x", "y", "z"], label_smoothing=0.1), torch.from_numpy(random.integers(0, 3, 5))),
    ]
    inputs = torch.from_numpy(random.normal(size=(5, 3)))
    for task, targets in tasks:
        torch.manual_seed(seed)
        model = build("mlp", inputs=3, units=task.units, hidden=hidden, activation=activation).double()
        walk = walk_of_row(model, task.train(), inputs, targets)
        assert all(call.is_by_rule for call in walk.calls)

        def cost(model: nn.Module = model, task: Task = task, targets: Tensor = targets) -> Tensor:
            return task.losses(model(inputs), targets).mean()

        for name, parameter in model.named_parameters():
            numeric = central_differences(cost, parameter.data)
            torch.testing.assert_close(walk.gradients[name], numeric, atol=1e-6, rtol=1e-6)


@pytest.mark.curriculum("BPG-02")
@pytest.mark.parametrize("loss", ["binary-cross-entropy", "squared-error"])
def test_the_loop_lowers_the_loss(loss: str) -> None:
    """Forward, loss, backward, adjust, again: 100 updates on OR."""
    torch.manual_seed(0)
    task: Task = Binary(["0", "1"], loss) if loss.startswith("binary") else Regression(["y"], loss)
    targets = OR_TARGETS if isinstance(task, Binary) else OR_TARGETS.float()[:, None]
    model = build("mlp", inputs=2, units=1, hidden=(3,), activation="tanh")
    step = AutogradStep(Objective(model, task), optimizer("sgd", model.parameters(), learning_rate=0.5))
    batches = Batches(OR_INPUTS, targets, 4)
    losses = [r.loss.item() for r in updates(step, batches, schedule("constant", steps=100))]
    assert len(losses) == 100 and losses[-1] < 0.1 * losses[0]
    assert losses[-1] == min(losses)


@pytest.mark.curriculum("BPG-03")
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_one_update_is_one_pass_forward_and_one_back(
    make_training: Callable[..., Training], batch_size: int
) -> None:
    training = make_training(
        (np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2),
        model="mlp", epochs=2, batch_size=batch_size, test=0, validation=0, model_settings={"hidden": (4,)},
    )  # fmt: skip
    model = training.step.objective.model
    passes = {"forward": 0, "backward": 0, "updates": 0}
    moved: list[bool] = []

    def count(which: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            passes[which] += 1

        return hook

    first = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
    first.register_forward_hook(count("forward"))
    first.weight.register_hook(count("backward"))
    before = first.weight.detach().clone()
    for _ in training.reports():
        passes["updates"] += 1
        moved.append(not torch.equal(before, first.weight))
        before = first.weight.detach().clone()
    assert passes["updates"] == 2 * 8 // batch_size
    assert passes["forward"] == passes["backward"] == passes["updates"] and all(moved)


def one_unit(weight: float, bias: float = 0.0) -> nn.Module:
    model = build("logistic-regression", inputs=1, units=1).double()
    with torch.no_grad():
        model[0].weight.fill_(weight)
        model[0].bias.fill_(bias)
    return model


@pytest.mark.curriculum("BPG-04")
def test_automatic_gradients_equal_those_by_hand_for_a_logistic_unit() -> None:
    model, task = one_unit(0.5, -0.2), Binary(["0", "1"])
    x, y = torch.tensor([[1.5], [-0.7]], dtype=torch.float64), torch.tensor([1, 0])
    outcome = Objective(model, task)(x, y)
    outcome.loss.backward()
    a = torch.sigmoid(0.5 * x - 0.2)
    dz = a - y[:, None]
    assert model[0].weight.grad.item() == pytest.approx((dz * x).mean().item(), abs=1e-12)
    assert model[0].bias.grad.item() == pytest.approx(dz.mean().item(), abs=1e-12)
    walk: Pass = walk_of_row(model, task, x, y)
    torch.testing.assert_close(walk.gradients["0.weight"], model[0].weight.grad, atol=1e-12, rtol=0)
    torch.testing.assert_close(walk.delta, dz / 2, atol=1e-12, rtol=0)


@pytest.mark.curriculum("BPG-07", "WRK-03")
def test_logistic_regression_on_or_by_the_engine() -> None:
    """D09: zero start, rate 1. The mean comes before the update (E18), and the cost has its minus sign (E16)."""
    model, task = build("logistic-regression", inputs=2, units=1), Binary(["0", "1"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    step = AutogradStep(Objective(model, task), optimizer("sgd", model.parameters(), learning_rate=1.0))
    reports = updates(step, Batches(OR_INPUTS, OR_TARGETS, 4), schedule("constant", steps=2))
    assert next(reports).loss.item() == pytest.approx(0.693147, abs=1e-6)
    assert model[0].weight.tolist() == [[0.25, 0.25]] and model[0].bias.tolist() == [0.25]
    assert next(reports).loss.item() == pytest.approx(0.540241, abs=1e-6)
