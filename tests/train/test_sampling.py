"""Dropout that stays on at prediction: many networks from one, and how far they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.core.errors import SettingError
from chainrule.jobs.predict import predict_file
from chainrule.nn.noise import Dropout, Noise
from chainrule.train.sampling import sample_predictions
from chainrule.train.task import MultiClass, Regression


def network(units: int, rate: float = 0.4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), Dropout(rate), nn.Linear(32, units)
    ).eval()


@pytest.mark.curriculum("ENS-06")
def test_the_average_of_many_masks_is_about_the_plain_answer() -> None:
    model, task, x = network(1), Regression(["y"]), torch.randn(30, 4)
    plain = task.decode(model(x).detach()).values
    found = sample_predictions(model, task, x, 400)
    assert plain is not None and found.values is not None and found.spread is not None
    assert (found.spread > 0.05).all(), "every mask is another network"
    assert ((found.values - plain).abs() < 5 * found.spread / 400**0.5).all()


def test_samples_are_those_of_the_masks() -> None:
    model, task, x = network(3), MultiClass(["a", "b", "c"]), torch.randn(6, 4)
    found = sample_predictions(model, task, x, 5, seed=3)
    noise = Noise(model, 3)
    model[3].train()
    answers = []
    with torch.no_grad():
        for step in range(5):
            noise.at(step)
            answers.append(model(x).double().softmax(-1))
    each = torch.stack(answers)
    assert found.probabilities is not None and found.labels is not None and found.spread is not None
    assert torch.allclose(found.probabilities, each.mean(0), atol=1e-6)
    said = each[:, torch.arange(6), found.labels]
    assert torch.allclose(found.spread[:, 0], said.std(0), atol=1e-6)


def test_sampling_leaves_the_network_as_it_was_and_repeats_itself() -> None:
    model, task, x = network(1), Regression(["y"]), torch.randn(5000, 4)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first, again, other = (sample_predictions(model, task, x, 3, seed=seed).values for seed in (0, 0, 1))
    assert first is not None and again is not None and other is not None
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not any(layer.training for layer in model.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_what_cannot_be_sampled_is_refused() -> None:
    task, x = Regression(["y"]), torch.randn(2, 4)
    with pytest.raises(SettingError, match="at least 2; got 1"):
        sample_predictions(network(1), task, x, 1)
    with pytest.raises(SettingError, match="has no dropout"):
        sample_predictions(network(1, 0.0), task, x, 5)


def test_predictions_of_a_run_have_their_spread_beside_them(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(80, 3))
    run = cr.fit(
        (x, x.sum(1)), model="mlp", dropout=0.3, epochs=2, quiet=True, runs=tmp_path, name="doubtful"
    )
    found = cr.load(run.path).predict(x[:4], samples=20)
    assert found.spread is not None and found.spread.shape == (4, 1)
    np.savez(tmp_path / "rows.npz", x=x[:4])
    text, _ = predict_file("doubtful", tmp_path / "rows.npz", None, tmp_path, samples=20)
    header, first, *_ = text.splitlines()
    assert header.split(",")[-1].startswith("spread")
    assert float(first.split(",")[-1]) == pytest.approx(found.spread[0, 0].item(), rel=1e-6)
