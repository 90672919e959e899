"""Gradient descent as users run it: landscapes, real tables, batches, and when it stops."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

import chainrule as cr
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.stopping import Stopping

ROOT = Path(__file__).parents[2]
HOUSING = ROOT / "tests/fixtures/housing.csv"


@pytest.fixture(scope="module")
def page() -> ModuleType:
    """Return the page of the documentation that compares the rules."""
    spec = importlib.util.spec_from_file_location("optimizers_page", ROOT / "docs/pages/optimizers.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Value(nn.Module):
    """One parameter θ as an objective: a function of it is the loss, as `updates` and `Training` take any."""

    def __init__(self, start: float, function: Any) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([start], dtype=torch.float64))
        self.function = function

    @property
    def model(self) -> nn.Module:
        return self

    def forward(self, inputs: Tensor, targets: Tensor) -> cr.Outcome:
        loss = self.function(self.theta).sum()
        return cr.Outcome(loss=loss, losses=loss[None], outputs=self.theta)


def one_row() -> cr.Batches:
    return cr.Batches(torch.zeros(1, 1), torch.zeros(1, 1), 1)


def follow(rule: str, start: float, function: Any, steps: int, rate: float, **more: Any) -> list[float]:
    """Return θ before the first update and after each."""
    value = Value(start, function)
    step = cr.AutogradStep(value, cr.optimizer(rule, value.parameters(), learning_rate=rate, **more))
    points = [start]
    points += [value.theta.item() for _ in cr.updates(step, one_row(), cr.schedule("constant", steps=steps))]
    return points


@pytest.mark.curriculum("GDF-02")
def test_random_start_gradient_update_repeat(tmp_path: Path) -> None:
    """Deterministic under a seed: another seed starts elsewhere, and each update goes down until the stop rule ends it."""
    same: dict[str, Any] = {
        "optimizer": "gradient-descent",
        "learning_rate": 0.05,
        "dropout": 0.0,
        "epochs": 5,
        "runs": tmp_path,
    }
    first, again, other = (cr.fit("iris", seed=seed, quiet=True, **same) for seed in (3, 3, 4))
    losses = [row["train_loss"] for row in first.history]
    assert losses == [row["train_loss"] for row in again.history]
    assert len(losses) == first.history[-1]["steps"] == 5
    assert all(later < earlier for earlier, later in pairwise(losses))
    weights = [torch.cat([p.flatten() for p in run.model.parameters()]) for run in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.curriculum("GDF-03")
def test_loop_with_a_tolerance(tmp_path: Path) -> None:
    """θ², α = 0.1, ε = 1e-8: it ends where the two newest losses (E05) differ by no more than ε."""
    from chainrule.train.training import Training

    value = Value(1.0, torch.square)
    step = cr.AutogradStep(value, cr.optimizer("gradient-descent", value.parameters(), learning_rate=0.1))
    stopping = Stopping(tolerance=1e-8)
    training = Training(step, one_row(), None, cr.schedule("constant", steps=10_000), None, stopping=stopping)
    for _ in training.reports():
        pass
    changes = [abs(a - b) for a, b in pairwise(row["train_loss"] for row in training.history)]
    assert changes[-1] <= 1e-8 < min(changes[:-1])
    assert abs(value.theta.item()) < 1e-3 and training.is_finished and training.number < 100


def test_a_tolerance_ends_a_run_and_its_resumption_at_the_same_update(tmp_path: Path) -> None:
    same: dict[str, Any] = {"optimizer": "gradient-descent", "learning_rate": 0.5, "schedule": "constant", "runs": tmp_path,
                            "model": "softmax-regression", "settings": {"stop_tolerance": 1e-3}}  # fmt: skip
    run = cr.fit("iris", quiet=True, **same)
    losses = [row["train_loss"] for row in run.history]
    assert abs(losses[-1] - losses[-2]) <= 1e-3 and len(losses) < 250
    again = cr.fit(resume=run.path, quiet=True)
    assert [row["train_loss"] for row in again.history] == losses
    assert str(cr.verify(run.path)).startswith("equal bits")
    assert load_checkpoint(run.folder.checkpoint)[1]["is_finished"]


@pytest.mark.curriculum("GDF-04")
def test_stops_when_the_loss_no_longer_decreases(tmp_path: Path) -> None:
    """A rate that is too high goes up after some updates; one that is low enough makes all epochs."""
    runs = [
        cr.fit("iris", model="softmax-regression", optimizer="gradient-descent", learning_rate=rate, schedule="constant",
               epochs=40, settings={"stop_on_no_decrease": True}, runs=tmp_path, quiet=True)
        for rate in (30.0, 0.3)
    ]  # fmt: skip
    high, low = ([row["train_loss"] for row in run.history] for run in runs)
    assert len(high) < 40 and high[-1] >= high[-2] and all(b < a for a, b in pairwise(high[:-1]))
    assert len(low) == 40 and all(b < a for a, b in pairwise(low))


def test_reasons() -> None:
    rows = [{"train_loss": loss} for loss in (1.0, 0.5, 0.5)]
    assert Stopping(on_no_decrease=True).reason(rows[:2]) is None and Stopping().reason(rows) is None
    assert Stopping(on_no_decrease=True).reason(rows) is not None, "equal is no decrease"
    assert (
        Stopping(tolerance=0.0).reason(rows) is not None and Stopping(tolerance=0.4).reason(rows[:2]) is None
    )
    assert Stopping(tolerance=0.6).reason(rows[:1]) is None, "one loss is compared with nothing"


@pytest.mark.curriculum("GDF-05")
def test_trajectory_of_two_parameters() -> None:
    """The loop reports every update: (w₁, w₂, loss) is collected from it, and falls all the way at a small rate."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 2, generator=generator)
    targets = inputs @ torch.tensor([[2.0], [-1.0]]) + 0.1 * torch.randn(50, 1, generator=generator)
    model = nn.Linear(2, 1, bias=False)
    task = cr.Regression(["y"])
    step = cr.AutogradStep(
        cr.Objective(model, task), cr.optimizer("gradient-descent", model.parameters(), learning_rate=0.05)
    )
    path = [
        (*model.weight.detach().flatten().tolist(), report.loss.item())
        for report in cr.updates(step, cr.Batches(inputs, targets, 50), cr.schedule("constant", steps=120))
    ]
    assert len(path) == 120 and len(set(path)) > 100, "the parameters move from update to update"
    assert all(later[2] <= earlier[2] + 1e-6 for earlier, later in pairwise(path))
    assert path[-1][:2] == pytest.approx((2, -1), abs=0.1)
    assert path[0][2] > 10 * path[-1][2] > 0, "from a slope to the floor"
    errors = [inputs @ torch.tensor([[w1], [w2]]) - targets for w1, w2, _ in path[:-1]]
    at_points = [
        error.square().mean().item() for error in errors
    ]  # a report's loss is that before its update
    assert [loss for _, _, loss in path[1:]] == pytest.approx(at_points, rel=1e-4)


@pytest.mark.curriculum("GDF-06")
def test_gradient_points_to_the_fastest_increase() -> None:
    """Of all directions of length 1 none raises the loss of a network as fast; the update goes the other way, α g far."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(40, 4, dtype=torch.float64), torch.randint(0, 3, (40,))
    model = cr.build("mlp", inputs=4, units=3, hidden=(5,), activation="tanh").double()
    objective = cr.Objective(model, cr.MultiClass(["a", "b", "c"]))
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()

    def loss_at(place: Tensor) -> float:
        nn.utils.vector_to_parameters(place, model.parameters())
        with torch.no_grad():
            return float(objective(inputs, targets).loss)

    step = cr.AutogradStep(objective, cr.optimizer("gradient-descent", model.parameters(), learning_rate=0.1))
    step(inputs, targets)
    moved = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    uphill = -moved / moved.norm()
    others = torch.randn(200, len(before), dtype=torch.float64)
    rises = [loss_at(before + 1e-4 * d / d.norm()) for d in others]
    assert loss_at(before + 1e-4 * uphill) > max(rises) and loss_at(before - 1e-4 * uphill) < min(rises)
    assert moved.norm().item() == pytest.approx(
        0.1 * (loss_at(before + 1e-6 * uphill) - loss_at(before - 1e-6 * uphill)) / 2e-6, rel=1e-5
    )


@pytest.mark.curriculum("GDF-07")
def test_ascent_finds_a_maximum() -> None:
    points = follow("gradient-descent", -1.0, lambda t: -((t - 2) ** 2), 100, 0.1, maximise=True)
    assert points[-1] == pytest.approx(2, abs=1e-6)


@pytest.mark.curriculum("GDF-07")
def test_linear_regression_by_gradient_descent_is_least_squares(tmp_path: Path) -> None:
    run = cr.fit(
        HOUSING, model="linear-regression", optimizer="gradient-descent", learning_rate=0.1, schedule="constant", epochs=2000,
        weight_decay=0.0, validation=0.0, test=0.0, folds=0, runs=tmp_path, quiet=True,
    )  # fmt: skip
    table = pl.read_csv(HOUSING)
    target = run.recipe.schema.target.names[0]
    inputs = table.drop(target).to_numpy().astype(float)
    design = np.column_stack([inputs, np.ones(len(inputs))])
    answers = design @ np.linalg.lstsq(design, table[target].to_numpy().astype(float), rcond=None)[0]
    np.testing.assert_allclose(run.predict(HOUSING).values[:, 0], answers, rtol=1e-3)


@pytest.mark.curriculum("GDF-08")
def test_starts_decide_which_minimum_is_found() -> None:
    """(θ² − 1)² + 0.2 θ has two minima; descent ends in the one on its side, and neither is promised to be the lowest."""

    def wells(theta: Tensor) -> Tensor:
        return (theta**2 - 1) ** 2 + 0.2 * theta

    left, right = (follow("gradient-descent", start, wells, 300, 0.05)[-1] for start in (-1.0, 1.0))
    assert left < -0.9 and right > 0.9
    assert wells(torch.tensor(left)) < wells(torch.tensor(right)) - 0.3, (
        "the right one is a local minimum only"
    )


@pytest.mark.curriculum("GDF-09")
def test_trouble_spots(page: ModuleType) -> None:
    """Every rule from (1, 0) ends at the saddle of x² − y² (0, 0); on the plateau plain descent hardly moves."""
    import dataclasses

    landscapes = {landscape.name: landscape for landscape in page.LANDSCAPES}
    assert list(landscapes) == ["ravine", "plateau", "saddle", "minima"]
    pure = dataclasses.replace(landscapes["saddle"], loss=lambda x, y: x**2 - y**2, start=(1.0, 0.0))
    for rule, rate in (("sgd", 0.1), ("momentum", 0.05), ("nesterov", 0.05), ("adam", 0.1), ("adagrad", 0.5)):
        (path,) = page.walk(rule, pure, [rate], 400)
        assert path.points[-1] == pytest.approx([0, 0], abs=1e-3), rule
        (off,) = page.walk(rule, dataclasses.replace(pure, start=(1.0, 1e-6)), [rate], 400)
        assert abs(off.points[-1][1]) > 1, f"{rule} leaves a saddle that it does not hit exactly"
    (slow,), (quick,) = (page.walk(rule, landscapes["plateau"], [0.1], 20) for rule in ("sgd", "adam"))
    assert slow.losses[0] - slow.losses[-1] < 0.01 < 0.3 < quick.losses[0] - quick.losses[-1]
    (stuck,) = page.walk("sgd", landscapes["minima"], [0.03], 300)
    assert stuck.points[-1][0] == pytest.approx(0.96, abs=0.01), "a local minimum"


@pytest.mark.curriculum("GDF-10")
def test_mini_batches_part_the_rows_anew_each_epoch() -> None:
    """All rows once an epoch, in an order of its own; the mean of the batches' gradients is the full gradient."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(96, 3, dtype=torch.float64), torch.randn(96, 1, dtype=torch.float64)
    batches = cr.Batches(inputs, targets, 32)
    orders = [batches.order(epoch) for epoch in range(3)]
    assert all(torch.equal(order.sort().values, torch.arange(96)) for order in orders)
    assert not torch.equal(orders[0], orders[1]) and not torch.equal(orders[1], orders[2])
    parts = [gradient_of(*batch) for batch in batches.epoch(1)]
    seen = torch.cat([x for x, _ in batches.epoch(1)])
    assert len(parts) == 3 and torch.equal(seen, inputs[orders[1]])
    torch.testing.assert_close(torch.stack(parts).mean(0), gradient_of(inputs, targets), atol=1e-14, rtol=0)


def gradient_of(inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of the squared error of a linear model at a fixed place."""
    weights = torch.full((3, 1), 0.5, dtype=torch.float64, requires_grad=True)
    objective = cr.Regression(["y"])
    loss = objective.losses(inputs @ weights, targets).mean()
    (gradient,) = torch.autograd.grad(loss, weights)
    return gradient.flatten()


@pytest.mark.curriculum("GDF-11")
def test_one_row_per_update_fluctuates(tmp_path: Path) -> None:
    """As many updates an epoch as rows (E66: --batch-size 1), and losses that vary more than those of batches."""
    runs = {
        size: cr.fit("iris", model="softmax-regression", optimizer="sgd", learning_rate=0.01, schedule="constant",
                     batch_size=size, epochs=3, runs=tmp_path, quiet=True)
        for size in (1, 32)
    }  # fmt: skip
    losses = {size: load_checkpoint(run.folder.checkpoint)[0]["losses"] for size, run in runs.items()}
    assert len(losses[1]) == 3 * 105 and len(losses[32]) == 3 * 4
    assert losses[1][-105:].var() > 4 * losses[32][-4:].var()


@pytest.mark.curriculum("GDF-12")
def test_batch_stochastic_and_mini_batch() -> None:
    """100 rows: 1, 100 and 4 updates an epoch, 100, 1 and 32 rows held at once, and gradients that vary in that order."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(100, 3, dtype=torch.float64), torch.randn(100, 1, dtype=torch.float64)
    found = {}
    for size in (100, 1, 32):
        batches = cr.Batches(inputs, targets, size)
        drawn = [batch for epoch in range(8) for batch in batches.epoch(epoch)]
        variance = torch.stack([gradient_of(*batch) for batch in drawn]).var(0).sum().item()
        found[size] = (len(batches), max(len(x) for x, _ in drawn), variance)
    assert {size: counts[:2] for size, counts in found.items()} == {100: (1, 100), 1: (100, 1), 32: (4, 32)}
    assert found[1][2] > 5 * found[32][2] > 0 and found[100][2] < 1e-25


@pytest.mark.curriculum("GDF-15")
def test_momentum_crosses_what_is_flat() -> None:
    """A slope, then a flat stretch, then a slope again: plain descent halts where the gradient is 0."""

    def terraces(theta: Tensor) -> Tensor:
        return torch.where(
            theta < 1, 1 - theta, torch.where(theta < 1.5, torch.zeros_like(theta), 1.5 - theta)
        )

    plain, carried = (follow(rule, 0.0, terraces, 60, 0.1)[-1] for rule in ("gradient-descent", "momentum"))
    assert 1 <= plain < 1.5 < carried


@pytest.mark.curriculum("GDF-25")
def test_what_is_used_when_nothing_is_said(tmp_path: Path) -> None:
    """The Adam family, and for the perceptron its own rule, which is SGD."""
    assert cr.fit("iris", epochs=1, runs=tmp_path, quiet=True).recipe.settings.optimizer == "adamw"
    linear = cr.fit("iris", model="softmax-regression", epochs=1, runs=tmp_path, quiet=True)
    assert linear.recipe.settings.optimizer == "adam"


def test_page_is_written(page: ModuleType, tmp_path: Path) -> None:
    """Small: few digits, one seed, one epoch."""
    page.main(tmp_path, seeds=1, epochs=1, most=180)
    text = (tmp_path / "optimizers.md").read_text("utf-8")
    for rule in page.RULES:
        assert text.count(f"| {rule} |") == 6, "the table of formulas, four landscapes, digits"
    for landscape in page.LANDSCAPES:
        assert f"pictures/optimizers-{landscape.name}.svg" in text
        drawn = (tmp_path / f"pictures/optimizers-{landscape.name}.svg").read_text("utf-8")
        assert all(f">{rule} " in drawn for rule in page.RULES)
    assert "| 120 | 1 |" in text and "| 1 | 120 |" in text, "updates by batch size"
