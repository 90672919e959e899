"""What every way of running a model promises: it agrees with plain float32, and repeats its bits."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import chainrule as cr
from chainrule.catalog import OPTIMIZERS
from chainrule.nn.initial import initialise_
from tests.contracts.test_models import each_trained_case, rows, started

LOSS_APART, COSINE = 0.01, 0.999
NORMALISED = (
    0.99  # what normalisation takes away of the outputs leaves their rounding: 0.995 measured, by batches
)
WAYS: dict[str, dict[str, Any]] = {
    "channels-last": {"channels_last": True},
    "bfloat16": {"precision": torch.bfloat16},
    "bfloat16, channels-last": {"precision": torch.bfloat16, "channels_last": True},
}
each_way = pytest.mark.parametrize("way", WAYS)


def step_of(
    model: nn.Module, units: int, rule: str = "momentum", rate: float = 0.01, **way: Any
) -> cr.AutogradStep:
    network = copy.deepcopy(model)
    task = cr.MultiClass([str(k) for k in range(units)]) if units > 1 else cr.Binary(["no", "yes"])
    objective = cr.Objective(network, task).train()
    return cr.AutogradStep(
        objective, cr.optimizer(rule, objective.parameters(), learning_rate=rate), seed=3, **way
    )


def learnable(x: Tensor, units: int) -> tuple[Tensor, Tensor]:
    """Shift rows by their class. Of rows without anything to learn the gradient is a small rest of what cancels out."""
    y = torch.arange(len(x)) % max(units, 2)
    return x + (y - 1).view(-1, *[1] * (x.dim() - 1)), y


def flat_gradient(step: cr.AutogradStep) -> Tensor:
    return torch.cat([p.grad.reshape(-1) for p in step.objective.parameters() if p.grad is not None])


def agree(model: nn.Module, units: int, x: Tensor, way: str, cosine: float = COSINE) -> None:
    x, y = learnable(x, units)
    found = []
    for settings in ({}, WAYS[way]):
        step = step_of(model, units, **settings)
        step.prepare(0, 1.0)
        outcome = step.differentiate(x, y)
        assert outcome.loss.dtype == outcome.outputs.dtype == torch.float32
        assert {p.dtype for p in step.objective.parameters()} == {torch.float32}
        found.append((outcome.loss.item(), flat_gradient(step)))
    (loss, gradient), (its_loss, its_gradient) = found
    assert torch.isfinite(its_gradient).all()
    assert its_loss == pytest.approx(loss, rel=LOSS_APART)
    assert torch.cosine_similarity(gradient, its_gradient, dim=0) >= cosine


@each_way
@each_trained_case
def test_every_model_agrees_with_plain_float32(name: str, inputs: Any, units: int, way: str) -> None:
    agree(started(name, inputs, units), units, rows(name, inputs, 128), way)


@each_way
@pytest.mark.parametrize("normalisation", ["batch", "layer", "instance", "group"])
def test_every_normalisation_agrees_with_plain_float32(normalisation: str, way: str) -> None:
    model = cr.build("lenet", inputs=(3, 20, 20), units=3, normalisation=normalisation)
    initialise_(model, 0)
    cosine = NORMALISED if "precision" in WAYS[way] else COSINE
    agree(model, 3, rows("lenet", (3, 20, 20), 64), way, cosine)


@each_way
def test_the_noise_is_the_same(way: str) -> None:
    model = cr.build("mlp", inputs=(3, 8, 8), units=3, dropout=0.5)
    initialise_(model, 0)
    agree(model, 3, rows("mlp", (3, 8, 8), 64), way)


@each_way
def test_weights_of_rows_count_as_they_do_plainly(way: str) -> None:
    model = started("mlp", (16,), 3)
    x, y = learnable(rows("mlp", (16,), 64), 3)
    weights = torch.linspace(0, 6, 64)
    plain, its = (step_of(model, 3, **settings) for settings in ({}, WAYS[way]))
    wanted = plain.differentiate(x, y, weights).loss.item()
    assert its.differentiate(x, y, weights).loss.item() == pytest.approx(wanted, rel=LOSS_APART)
    assert torch.cosine_similarity(flat_gradient(plain), flat_gradient(its), dim=0) >= COSINE
    assert plain.differentiate(x, y).loss.item() != pytest.approx(wanted, rel=10 * LOSS_APART)


@each_way
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_every_rule_makes_the_updates_that_it_makes_plainly(rule: str, way: str) -> None:
    """Above all its state must lie in memory as the weights do."""
    model = started("lenet", (3, 12, 12), 3)
    x, y = learnable(rows("lenet", (3, 12, 12), 32), 3)
    ends = []
    for settings in ({}, WAYS[way]):
        step = step_of(model, 3, rule, rate=1e-3, **settings)
        for number in range(3):
            step.prepare(number, 1.0)
            step(x, y)
        ends.append(torch.cat([p.detach().reshape(-1) for p in step.objective.parameters()]))
    start = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    plain, its = (end - start for end in ends)
    assert torch.cosine_similarity(plain, its, dim=0) > (0.95 if "precision" in WAYS[way] else 0.999)


@each_way
def test_the_same_run_has_the_same_bits(way: str) -> None:
    model = cr.build("lenet", inputs=(3, 16, 16), units=3, normalisation="batch")
    initialise_(model, 0)
    x, y = learnable(rows("lenet", (3, 16, 16), 32), 3)
    ends = []
    for _ in range(3):
        step = step_of(model, 3, **WAYS[way])
        for number in range(3):
            step.prepare(number, 1.0)
            step(x[: 32 - 8 * (number == 2)], y[: 32 - 8 * (number == 2)])
        ends.append(step.objective.model.state_dict())
    assert all(torch.equal(ends[0][name], end[name]) for end in ends[1:] for name in end)
