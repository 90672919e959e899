"""Neurons as their users meet them: threshold units, the perceptron and its rule, sigmoid units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from torch import Tensor, nn

import chainrule as cr
from chainrule.jobs.run import Run

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
    """D20. w ← w + (t − y) x from zero, rows in the order 00, 01, 10, 11: the fourth epoch makes no mistake."""
    model, mistakes = learn(OR, epochs=4)
    assert parameters(model) == [1, 1, -1]
    assert all(mistakes[:3]) and mistakes[3] == 0
    fires = cr.Binary(["silent", "fires"], "perceptron").decode(model(ROWS)).labels
    assert fires.tolist() == OR.tolist()


@pytest.mark.curriculum("NEU-10", "NEU-13")
def test_perceptron_never_learns_xor() -> None:
    _, mistakes = learn(XOR, epochs=200)
    assert min(mistakes) > 0


@pytest.mark.curriculum("NEU-04")
def test_bias_is_the_weight_of_an_input_that_is_always_one() -> None:
    neuron = cr.build("logistic-regression", inputs=3, units=1)
    nn.init.ones_(neuron[0].bias)
    silent, task = torch.zeros(1, 3), cr.Binary(["silent", "fires"])
    assert task.decode(neuron(silent)).probabilities[0, 1].item() == pytest.approx(0.731059, abs=1e-6)
    augmented = cr.build("logistic-regression", inputs=4, units=1)
    with torch.no_grad():
        augmented[0].weight.copy_(torch.cat([neuron[0].weight, neuron[0].bias[:, None]], 1))
        augmented[0].bias.zero_()
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(augmented(torch.cat([x, torch.ones(50, 1)], 1)), neuron(x))


@pytest.mark.curriculum("NEU-05")
def test_weights_say_how_much_an_input_counts(fit: Callable[..., Run]) -> None:
    """w = (5, 0, −1), found from rows: without effect, and less for more."""
    x = np.random.default_rng(0).normal(size=(200, 3))
    run = fit((x, x @ [5.0, 0.0, -1.0]), model="linear-regression", epochs=300, test=0, validation=0)

    def predicted(row: list[float]) -> float:
        found: float = run.predict(np.array([row])).values.item()
        return found

    at = predicted([0.3, 0.2, 0.1])
    changes = [predicted(row) - at for row in ([1.3, 0.2, 0.1], [0.3, 1.2, 0.1], [0.3, 0.2, 1.1])]
    assert changes == pytest.approx([5, 0, -1], abs=0.01)
    x = torch.zeros(1, 3, requires_grad=True)
    run.model(x).backward()
    assert torch.equal(x.grad, run.model[0].weight), "dz/dxᵢ = wᵢ"


@pytest.mark.curriculum("NEU-19")
def test_sigmoid_neuron_is_logistic_regression(fit: Callable[..., Run]) -> None:
    """1 / (1 + e^−Σ): the deck's exponent has lost its minus sign (E01), which would give 0.017986 at Σ = 4."""
    x = np.random.default_rng(0).normal(size=(100, 2))
    run = fit((x, (x[:, 0] > x[:, 1]).astype(int)), model="logistic-regression")
    learnt = run.predict(np.array([[2.0, -2.0], [-2.0, 2.0]])).probabilities[:, 1].tolist()
    assert learnt[0] > 0.8 > 0.2 > learnt[1], "it fires where the sum is large"
    with torch.no_grad():
        run.model[0].weight.zero_()
        run.model[0].bias.fill_(4)
    fires = run.predict(x).probabilities
    assert fires[:, 1].tolist() == pytest.approx([0.982014] * 100, abs=1e-6)
    assert fires[:, 0].tolist() == pytest.approx([0.017986] * 100, abs=1e-6)


XOR_TABLE = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "y": [0, 1, 1, 0]}


def learn_xor(fit: Callable[..., Run], hidden: int, activation: str) -> Run:
    return fit(
        XOR_TABLE,
        target="y",
        model="mlp",
        model_settings={"hidden": (hidden,), "activation": activation},
        test=0,
        validation=0,
        optimizer="adam",
        learning_rate=0.1,
        schedule="constant",
        weight_decay=0,
        dropout=0,
        label_smoothing=0,
        epochs=300,
    )


@pytest.mark.curriculum("NEU-21", "FFN-20")
@pytest.mark.parametrize(
    ("activation", "is_learned"), [("identity", False), ("sigmoid", True), ("tanh", True), ("step", True)]
)
def test_hidden_layers_need_an_activation_that_is_not_linear(
    fit: Callable[..., Run], activation: str, is_learned: bool
) -> None:
    """Two layers without one are one layer, and fail on XOR; of step units only the layer behind them learns."""
    run = learn_xor(fit, 32 if activation == "step" else 8, activation)
    assert (run.metrics["train"]["accuracy"] == 1) is is_learned
    assert ("the derivative of step is 0" in " ".join(run.recipe.notes)) is (activation == "step")


@pytest.mark.curriculum("FFN-20")
def test_a_network_by_hand_and_a_trained_one_are_one_function(fit: Callable[..., Run]) -> None:
    by_hand = cr.build("truth-table", table="0110")
    trained = learn_xor(fit, 8, "tanh").predict({"a": XOR_TABLE["a"], "b": XOR_TABLE["b"]})
    assert trained.labels.tolist() == by_hand(ROWS).flatten().tolist() == XOR.tolist()


@pytest.mark.curriculum("FFN-19")
def test_an_mlp_models_any_boundary_and_any_function(fit: Callable[..., Run]) -> None:
    """Two moons, and the sine; Boolean functions are proven with the networks for truth tables."""
    moons = make_moons(600, noise=0.1, random_state=0)
    free = {"weight_decay": 0, "learning_rate": 0.01, "epochs": 60}
    assert fit(moons, dropout=0, label_smoothing=0, **free).metrics["test"]["accuracy"] > 0.98
    assert fit(moons, model="logistic-regression").metrics["test"]["accuracy"] < 0.95, (
        "no straight boundary does"
    )
    x = np.linspace(-np.pi, np.pi, 400)[:, None]
    run = fit(
        (x, np.sin(x[:, 0])), model_settings={"hidden": (32, 32), "activation": "tanh"}, model="mlp", **free
    )
    assert run.metrics["test"]["r2"] > 0.99
    assert run.predict(np.array([[np.pi / 2]])).values.item() == pytest.approx(1, abs=0.05)
