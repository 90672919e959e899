"""Rows on normalisation and dropout, on networks that train as a user's do."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from chainrule.catalog import load
from chainrule.core.errors import SettingError, TrainingFailed
from chainrule.jobs.events import EpochEnded
from chainrule.jobs.fit import run_fit
from chainrule.jobs.request import Request
from chainrule.jobs.run import Run
from chainrule.jobs.verify import verify
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.loop import evaluate
from chainrule.train.settings import Settings
from chainrule.train.training import Training

MakeTraining = Callable[..., Training]
UNTRAINED = math.log(10)  # loss of an even guess among ten digits
PLAIN = {"weight_decay": 0.0, "label_smoothing": 0.0, "schedule": "constant"}


def loss_after(
    make_training: MakeTraining, updates: int, model_settings: dict[str, Any], **settings: Any
) -> float:
    """Return the loss of a deep network on digits after so many updates; infinite if it is no longer finite."""
    training = make_training(
        "digits", model="mlp", optimizer="sgd", batch_size=64, dropout=0.0, model_settings=model_settings, **PLAIN, **settings
    )  # fmt: skip
    try:
        list(islice(training.reports(), updates))
    except TrainingFailed:
        return math.inf
    return sum(training.losses[-10:]) / 10


@pytest.mark.curriculum("INI-06")
@pytest.mark.parametrize("initial", ["normal:0.01", "normal:1.0"])
def test_batch_normalisation_forgives_the_start(make_training: MakeTraining, initial: str) -> None:
    def loss(normalisation: str | None) -> float:
        model = {"hidden": (64, 64, 64), "normalisation": normalisation}
        return loss_after(make_training, 60, model, initial=initial, learning_rate=0.1, epochs=4)

    assert loss(None) > UNTRAINED - 0.01, "fades or explodes"
    assert loss("batch") < 0.5 * UNTRAINED


@pytest.mark.curriculum("NOR-04")
def test_batch_normalisation_takes_ten_times_the_learning_rate(make_training: MakeTraining) -> None:
    def loss(normalisation: str | None, learning_rate: float) -> float:
        model = {"hidden": (64,) * 5, "normalisation": normalisation}
        return loss_after(make_training, 120, model, initial="he", learning_rate=learning_rate, epochs=6)

    assert loss(None, 0.3) < 0.5, "the highest rate of 0.1, 0.3, 1, 3 without"
    assert loss(None, 1.0) == math.inf and loss(None, 3.0) == math.inf
    assert loss("batch", 3.0) < 0.5


@pytest.mark.curriculum("REG-11")
def test_batch_normalisation_narrows_the_gap_as_dropout_does(make_training: MakeTraining) -> None:
    """Loss of the rows that validate less that of the training rows, where the network learns these by heart."""

    def gap(normalisation: str | None, dropout: float) -> float:
        training = make_training(
            "digits", model="mlp", optimizer="adam", learning_rate=3e-3, epochs=20, batch_size=32, validation=0.5, test=0.2,
            dropout=dropout, model_settings={"hidden": (128, 128), "normalisation": normalisation}, **PLAIN,
        )  # fmt: skip
        list(training.reports())
        objective, validation = training.step.objective, training.validation
        assert validation is not None
        seen, unseen = evaluate(objective, training.batches), evaluate(objective, validation)
        assert seen["loss"] < 0.02 and unseen["accuracy"] > 0.93
        return unseen["loss"] - seen["loss"]

    plain, normalised, dropped = gap(None, 0.0), gap("batch", 0.0), gap(None, 0.3)
    assert normalised < 0.95 * plain and dropped < 0.95 * plain


def test_layers_whose_rates_differ_have_masks_of_their_own_in_training(make_training: MakeTraining) -> None:
    def losses(dropout: float) -> list[float]:
        training = make_training("iris", model="mlp", dropout=dropout, epochs=3)
        list(training.reports())
        return training.losses

    assert losses(0.5) == losses(0.5) != losses(0.2)


NORMALISED = {"hidden": (16, 16), "normalisation": "batch"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def request(runs: Path, name: str) -> Request:
    """Ask for batch normalisation on 105 rows in batches of 13: the last batch of an epoch has a single row."""
    settings = Settings(model="mlp", epochs=6, batch_size=13, test=0.2, validation=0.1)
    return Request(
        data="iris", settings=settings, model_settings=NORMALISED, runs=runs, name=name, checkpoint_seconds=0
    )


@pytest.fixture(scope="module")
def normalised(runs: Path) -> Run:
    for _ in run_fit(request(runs, "whole")):
        pass
    return Run(runs / "whole")


@pytest.mark.curriculum("NOR-05")
def test_an_answer_does_not_depend_on_the_rows_beside_it(normalised: Run) -> None:
    """Running statistics are learnt, saved with the weights, and serve in prediction (E67)."""
    frame = load("dataset", "iris")().frame.drop("species")
    whole = normalised.predict(frame).probabilities
    for rows in (frame[7:8], frame[5:9], frame[::-1]):
        numbers = [frame.rows().index(row) for row in rows.rows()]
        torch.testing.assert_close(normalised.predict(rows).probabilities, whole[numbers], atol=1e-6, rtol=0)
    weights, _ = load_checkpoint(normalised.folder.checkpoint, "model/")
    mean, variance = weights["model/1.running_mean"], weights["model/1.running_var"]
    assert mean.any() and not torch.equal(variance, torch.ones(16))
    assert weights["model/1.num_batches_tracked"] == 6 * 8, (
        "9 batches an epoch, of which one has a single row"
    )


def test_stopped_runs_resume_and_verify_with_their_statistics(normalised: Run, runs: Path) -> None:
    for event in run_fit(request(runs, "stopped")):
        if isinstance(event, EpochEnded):
            break
    for _ in run_fit(Request(resume=runs / "stopped")):
        pass
    whole, again = (
        load_checkpoint(runs / name / "checkpoint.safetensors")[0] for name in ("whole", "stopped")
    )
    assert whole.keys() == again.keys() and all(torch.equal(whole[key], again[key]) for key in whole)
    assert verify(normalised.path).outcome == "equal bits"


def test_batches_of_one_row_are_refused_in_words(make_training: MakeTraining) -> None:
    with pytest.raises(
        SettingError, match="batch normalisation needs batches of at least 2 rows; got --batch-size 1"
    ):
        make_training("iris", model="mlp", batch_size=1, model_settings=NORMALISED)
    losses = make_training("iris", model="mlp", batch_size=13, epochs=2, test=0.2, model_settings=NORMALISED)
    list(losses.reports())
    assert all(map(math.isfinite, losses.losses))


def test_a_module_of_torch_that_cannot_take_a_last_row_says_so(fit: Callable[..., Run]) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    said = r"105 training rows in batches of 13 leave a last batch of one row.*try --batch-size 14"
    with pytest.raises(SettingError, match=said):
        fit("iris", model=model, batch_size=13, test=0.2, validation=0.1)
