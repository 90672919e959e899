"""Rows on starting weights, on networks that train as a user's do."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError, TrainingFailed, UnknownNameError
from chainrule.jobs.run import Run
from chainrule.jobs.verify import verify
from chainrule.models import build
from chainrule.nn.activations import Activate
from chainrule.nn.initial import initialise_
from chainrule.train.training import Training

MakeTraining = Callable[..., Training]
DEEP = (500,) * 10


@pytest.mark.curriculum("INI-01")
def test_same_seed_same_weights_another_seed_another_minimum(make_training: MakeTraining) -> None:
    def weights(seed: int, steps: int | None) -> list[Tensor]:
        training = make_training("iris", model="mlp", seed=seed, epochs=40)
        list(islice(training.reports(), steps))
        return [p.detach().clone() for p in training.step.objective.model.parameters()]

    for steps in (0, None):  # at the start, and where training ended
        first, again, other = weights(0, steps), weights(0, steps), weights(1, steps)
        assert all(map(torch.equal, first, again))
        assert not any(map(torch.equal, first, other))
        distance = math.sqrt(sum((a - b).square().sum().item() for a, b in zip(first, other, strict=True)))
        length = math.sqrt(sum(a.square().sum().item() for a in first))
        assert distance > 0.5 * length, "another minimum, not the same one a little off"


def deviations(initial: str, activation: str, scale: float = 1.0) -> list[float]:
    """Return the root of the mean square of each hidden layer's activations, with that of the inputs first."""
    model = build("mlp", inputs=500, units=10, hidden=DEEP, activation=activation)
    initialise_(model, 0, initial)
    found = []
    x = scale * torch.randn(400, 500, generator=torch.Generator().manual_seed(1))
    found.append(x.square().mean().sqrt().item())
    for layer in model:
        x = layer(x)
        if isinstance(layer, Activate):
            found.append(x.square().mean().sqrt().item())
    return found


@pytest.mark.curriculum("INI-02")
@pytest.mark.parametrize("initial", ["xavier", "xavier-normal"])
def test_xavier_keeps_the_variance_through_ten_layers_of_tanh(initial: str) -> None:
    for sizes in ((500, 500), (200, 800)):  # 2/(n_in + n_out): both count
        layer = nn.Linear(*sizes)
        initialise_(layer, 0, initial)
        assert layer.weight.std().item() == pytest.approx(0.0447, abs=0.0003)
    found = deviations(initial, "tanh", scale=0.1)  # where tanh is near its slope of 1
    assert 0.8 < found[-1] / found[0] < 1.1
    assert deviations("normal:0.01", "tanh", scale=0.1)[-1] < 1e-6 * found[0], "too small: the signal fades"
    saturated = deviations("normal:1", "tanh", scale=0.1)
    assert min(saturated[2:]) > 0.95, "too large: every unit at an end of its range"


@pytest.mark.curriculum("INI-03")
@pytest.mark.parametrize("initial", ["he", "he-uniform"])
def test_he_keeps_the_variance_through_ten_layers_of_relu(initial: str) -> None:
    for units in (500, 200):  # 2/n_in, however many units there are
        layer = nn.Linear(500, units)
        initialise_(layer, 0, initial)
        assert layer.weight.std().item() == pytest.approx(0.0632, abs=0.0005)
    found = deviations(initial, "relu")
    assert found[-1] / found[1] == pytest.approx(1, abs=0.25)
    # ReLU drops half of the square sum, which Xavier makes up for with tanh alone.
    assert deviations("xavier", "relu")[-1] / found[-1] == pytest.approx(2**-5, rel=0.3)


@pytest.mark.curriculum("INI-04")
def test_sweep_of_deviations_and_learning_rates(make_training: MakeTraining) -> None:
    """Loss after 50 updates of a network with three hidden layers, on digits; untrained it is ln 10 = 2.30."""

    def loss(initial: str, learning_rate: float) -> float:
        training = make_training(
            "digits", model="mlp", initial=initial, optimizer="sgd", schedule="constant", learning_rate=learning_rate,
            weight_decay=0.0, dropout=0.0, label_smoothing=0.0, batch_size=64, epochs=3, model_settings={"hidden": (64, 64, 64)},
        )  # fmt: skip
        try:
            list(islice(training.reports(), 50))
        except TrainingFailed:
            return math.inf
        return sum(training.losses[-10:]) / 10

    after = {
        initial: [loss(initial, rate) for rate in (1e-3, 1e-1)]
        for initial in ("normal:0.01", "xavier", "he", "normal:1.0")
    }
    untrained = math.log(10)
    assert after["normal:0.01"] == pytest.approx([untrained, untrained], abs=0.01), "no signal, no learning"
    assert max(after["xavier"][1], after["he"][1]) < 0.6
    assert after["xavier"][0] == pytest.approx(untrained, abs=0.3), "the right start, but too small a rate"
    assert after["he"][0] == pytest.approx(untrained, abs=0.3)
    assert after["normal:1.0"][0] > 10 and after["normal:1.0"][1] == math.inf, "explodes"


def test_zeros_never_learn_and_equal_units_stay_equal(make_training: MakeTraining) -> None:
    def trained(initial: str) -> list[Tensor]:
        training = make_training(
            "iris", model="mlp", initial=initial, epochs=5, dropout=0.0, model_settings={"hidden": (8,)}
        )
        list(training.reports())
        return [p.detach() for p in training.step.objective.model.parameters()]

    weight, _, out, out_bias = trained("zeros")
    assert not weight.any() and not out.any() and out_bias.any()
    weight, bias, out, _ = trained("constant")
    assert torch.equal(weight, weight[:1].expand_as(weight)) and torch.equal(bias, bias[:1].expand_as(bias))
    assert torch.equal(out, out[:, :1].expand_as(out)), (
        "eight units that are one"
    )  # dropout would tell them apart


def test_a_run_with_another_start_resumes_and_verifies(fit: Callable[..., Run]) -> None:
    run = fit("iris", model="mlp", epochs=4, initial="orthogonal:1.4")
    assert run.recipe.settings.initial == "orthogonal:1.4"
    assert verify(run.path).outcome == "equal bits"


def test_a_start_that_there_is_not_is_refused_before_data_is_read(fit: Callable[..., Run]) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'xavier'"):
        fit("no-such-data.csv", initial="xavierr")
    with pytest.raises(
        SettingError, match="the model Linear is not of the catalogue and starts from the weights"
    ):
        fit("no-such-data.csv", model=nn.Linear(4, 3), initial="he")
    with pytest.raises(SettingError, match=r"the model torch\.nn:Linear is not of the catalogue"):
        fit("no-such-data.csv", model="torch.nn:Linear", initial="he")


@pytest.mark.curriculum("INI-05")
def test_every_pass_sums_its_gradients_from_zero(make_training: MakeTraining) -> None:
    """Gradient descent on OR from zero weights, one pass over all four rows per update: the course's logistic loop."""
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float), np.array([0, 1, 1, 1])
    training = make_training(
        (x, y), model="logistic-regression", task="classification", initial="zeros", optimizer="sgd", learning_rate=1.0,
        schedule="constant", scaling="none", weight_decay=0.0, batch_size=4, epochs=4, test=0, validation=0, folds=0,
    )  # fmt: skip
    weight, bias, costs = np.zeros(2), 0.0, []
    for _ in training.reports():
        a = 1 / (1 + np.exp(-(x @ weight + bias)))
        costs.append(-(y * np.log(a) + (1 - y) * np.log(1 - a)).mean())
        dz = a - y  # sums begin at zero in every pass
        weight, bias = weight - x.T @ dz / 4, bias - dz.mean()
    assert costs[:2] == pytest.approx([0.693147, 0.540241], abs=1e-6)
    assert training.losses == pytest.approx(costs, abs=1e-6)
