"""Neurons as their users meet them: threshold units, the perceptron and its rule, sigmoid units."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import chainrule as cr

ROWS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
OR, AND, XOR = (torch.tensor(outputs) for outputs in ([0, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0]))


def learn(targets: Tensor, epochs: int) -> tuple[nn.Module, list[int]]:
    """Train a perceptron from zero on the rows in their order; return it, and the mistakes of each epoch."""
    model = cr.build("perceptron", inputs=2, units=1)
    for weights in model.parameters():
        nn.init.zeros_(weights)
    step = cr.AutogradStep(
        cr.Objective(model, cr.Binary(["silent", "fires"], "perceptron")),
        cr.optimizer("sgd", model.parameters(), learning_rate=1.0),
    )
    batches, mistakes, before = cr.Batches(ROWS, targets, 1, shuffle=False), [0] * epochs, parameters(model)
    for report in cr.updates(step, batches, cr.schedule("constant", steps=4 * epochs)):
        mistakes[report.epoch - 1] += parameters(model) != before
        before = parameters(model)
    return model, mistakes


def parameters(model: nn.Module) -> list[float]:
    return [value for tensor in model.parameters() for value in tensor.flatten().tolist()]


@pytest.mark.curriculum("NEU-10")
def test_perceptron_learns_or_in_four_epochs() -> None:
    """w ← w + (t − y) x from zero, rows in the order 00, 01, 10, 11: the fourth epoch makes no mistake."""
    model, mistakes = learn(OR, epochs=4)
    assert parameters(model) == [1, 1, -1]
    assert all(mistakes[:3]) and mistakes[3] == 0
    fires = cr.Binary(["silent", "fires"], "perceptron").decode(model(ROWS)).labels
    assert fires.tolist() == OR.tolist()


@pytest.mark.curriculum("NEU-10", "NEU-13")
def test_perceptron_never_learns_xor() -> None:
    _, mistakes = learn(XOR, epochs=200)
    assert min(mistakes) > 0
