"""The loop makes the updates that a straightforward one makes, to the last bit."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch

import chainrule as cr
from chainrule.train.training import Training

STEPS = 45  # three epochs of 12 updates, the last of each smaller, and a part of a fourth


def step_of(kind: str) -> cr.AutogradStep | cr.DenseStep:
    torch.manual_seed(1)
    objective = cr.Objective(
        cr.build("mlp", inputs=20, units=3, hidden=(16, 8), dropout=0.2), cr.MultiClass(["a", "b", "c"])
    )
    make_rule = functools.partial(cr.optimizer, "adamw", learning_rate=0.01, weight_decay=0.1)
    if kind == "dense":
        return cr.DenseStep(objective, make_rule, seed=3)
    return cr.AutogradStep(objective, make_rule(objective.parameters()), seed=3)


def weights(step: cr.AutogradStep | cr.DenseStep) -> list[torch.Tensor]:
    return [p.detach().clone() for p in step.objective.parameters()]


def losses_of_loop(
    step: cr.AutogradStep | cr.DenseStep, batches: cr.Batches, made: cr.Schedule
) -> list[float]:
    return [report.loss.item() for report in cr.updates(step, batches, made)]


def losses_of_training(
    step: cr.AutogradStep | cr.DenseStep, batches: cr.Batches, made: cr.Schedule
) -> list[float]:
    training = Training(step, batches, None, made, None)
    for report in training.reports():
        assert len(training.losses) == report.step, "every loss is known when its update is reported"
    return training.losses


@pytest.mark.parametrize("kind", ["autograd", "dense"])
@pytest.mark.parametrize("batch_size", [16, 17])
@pytest.mark.parametrize("way", [losses_of_loop, losses_of_training])
def test_same_bits_as_the_straightforward_loop(
    kind: str, batch_size: int, way: Callable[..., list[float]]
) -> None:
    random = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(190, 20, generator=random), torch.randint(0, 3, (190,), generator=random)
    batches, made = cr.Batches(inputs, targets, batch_size), cr.schedule("cosine", steps=STEPS)

    plain, expected = step_of(kind), []
    plain.objective.train()
    while len(expected) < STEPS:
        for rows in batches.order(len(expected) // len(batches)).split(batch_size):
            if len(expected) < STEPS:
                plain.prepare(len(expected), made(len(expected)))
                expected.append(plain(inputs[rows], targets[rows]).loss.item())

    step = step_of(kind)
    assert way(step, batches, made) == expected
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(weights(step), weights(plain), strict=True))


def network(depth: tuple[int, ...]) -> torch.nn.Module:
    torch.manual_seed(1)
    return cr.build("mlp", inputs=4, units=2, hidden=depth).double()


@pytest.mark.parametrize("kind", ["autograd", "dense"])
def test_rows_of_weight_k_train_as_rows_that_stand_there_k_times(kind: str) -> None:
    """All rows at once, so that the order of batches has no say; weights have the mean 1 over the rows."""
    inputs, targets = torch.randn(12, 4).double(), torch.randn(12, 2).double()
    counts = torch.tensor([0, 1, 2, 3] * 3)
    repeated = torch.arange(12).repeat_interleave(counts)
    ends = []
    for batches in (
        cr.Batches(inputs, targets, 12, weights=counts.double() * 12 / counts.sum()),
        cr.Batches(inputs[repeated], targets[repeated], len(repeated)),
    ):
        objective = cr.Objective(network((5,)), cr.Regression(["u", "v"]))
        make_rule = functools.partial(cr.optimizer, "adam", learning_rate=0.01)
        step = (
            cr.DenseStep(objective, make_rule)
            if kind == "dense"
            else cr.AutogradStep(objective, make_rule(objective.parameters()))
        )
        reports = list(cr.epochs(step, batches, batches, cr.schedule("constant", steps=30)))
        ends.append((objective, reports[-1]))
    (ours, our_report), (theirs, their_report) = ends
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-12)
    assert our_report.validation == pytest.approx(their_report.validation, rel=1e-9), "judged alike as well"
    assert our_report.train_loss == pytest.approx(their_report.train_loss, rel=1e-6)
