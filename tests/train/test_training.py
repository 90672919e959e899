"""Which epoch is the best, and when to stop: by validation loss, or by the metric that was asked for."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.report.curves import draw_curve
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.metrics import metric_named
from chainrule.train.training import Training

LOSSES = [0.9, 0.5, 0.4, 0.6, 0.7, 0.3]
ACCURACIES = [0.6, 0.8, 0.7, 0.8, 0.8, 0.7]


def scripted(
    metric: str | None, measured: list[dict[str, float]], patience: int | None, monkeypatch
) -> Training:
    """Return a training whose validation gives these figures, one epoch of one update after the other."""
    inputs, targets = torch.randn(8, 2), torch.randint(0, 2, (8,))
    objective = cr.Objective(nn.Linear(2, 1), cr.Binary(["a", "b"]))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=0.1))
    batches = cr.Batches(inputs, targets, 8)
    figures = iter(measured)
    monkeypatch.setattr("chainrule.train.training.evaluate", lambda *_: next(figures))
    chosen = None if metric is None else metric_named(metric)
    return Training(
        step, batches, batches, cr.schedule("constant", steps=len(measured)), patience, metric=chosen
    )


def figures() -> list[dict[str, float]]:
    return [
        {"loss": loss, "accuracy": accuracy, "log-loss": 2 * loss}
        for loss, accuracy in zip(LOSSES, ACCURACIES, strict=True)
    ]


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        (None, 6),  # the least loss
        ("accuracy", 2),  # 0.8 three times: the one with the least loss
        ("log-loss", 6),  # smaller is better
    ],
)
def test_best_epoch_by_what_was_asked_for(metric, best, monkeypatch) -> None:
    training = scripted(metric, figures(), patience=10, monkeypatch=monkeypatch)
    for _ in training.reports():
        pass
    assert training.best_epoch == best
    assert training.state()["best_cost"][1] == LOSSES[best - 1]


def test_patience_counts_epochs_without_a_better_metric(monkeypatch) -> None:
    training = scripted("accuracy", figures(), patience=3, monkeypatch=monkeypatch)
    for _ in training.reports():
        pass
    assert (training.best_epoch, len(training.history)) == (2, 5)
    patient = scripted(None, figures(), patience=3, monkeypatch=monkeypatch)
    for _ in patient.reports():
        pass
    assert (patient.best_epoch, len(patient.history)) == (6, 6)


def test_best_is_taken_up_again(monkeypatch) -> None:
    training = scripted("accuracy", figures(), patience=10, monkeypatch=monkeypatch)
    for _ in zip(range(3), training.reports(), strict=False):
        pass
    again = scripted("accuracy", figures()[3:], patience=10, monkeypatch=monkeypatch)
    again.restore(training.tensors(), training.state())
    assert again.course.best_cost == training.course.best_cost == (-0.8, 0.5)


def test_validation_rows_that_do_not_define_the_metric_are_said(monkeypatch) -> None:
    training = scripted("auc", figures(), patience=None, monkeypatch=monkeypatch)
    with pytest.raises(
        SettingError, match=r"all of one class, so their auc is not defined .* give a larger --validation"
    ):
        next(training.reports())


def test_fit_by_a_metric(tmp_path: Path) -> None:
    """The metric stands in the history, in the best epoch and in the table of runs; without it nothing changes."""
    plain = cr.fit("iris", epochs=12, runs=tmp_path, quiet=True)
    by_metric = cr.fit("iris", epochs=12, metric="log-loss", runs=tmp_path, quiet=True)
    assert [row["train_loss"] for row in plain.history] == [row["train_loss"] for row in by_metric.history]
    scores = [row["validation_log-loss"] for row in by_metric.history]
    state = load_checkpoint(by_metric.folder.checkpoint)[1]
    assert state["best_epoch"] == 7 + int(np.argmin(scores[6:]))
    assert "validation_log-loss" not in plain.history[0]
    assert (plain.metric, by_metric.metric) == ("accuracy", "log-loss")
    assert "test log loss" in by_metric.record["verdict"]


def test_a_metric_of_another_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="auc is not for regression; those that are: r2, mae, rmse"):
        cr.fit("diabetes", metric="auc", runs=tmp_path, quiet=True)
    with pytest.raises(
        SettingError,
        match="mae is not for classification into several classes; those that are: accuracy, balanced-",
    ):
        cr.fit("iris", metric="mae", runs=tmp_path, quiet=True)
    with pytest.raises(UnknownNameError, match="no metric is called 'acuracy'; did you mean 'accuracy'"):
        cr.fit("iris", metric="acuracy", runs=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.curriculum("GEN-14")
def test_learning_curves_with_the_epoch_that_was_kept(tmp_path: Path) -> None:
    """Training and validation loss per epoch, for two learning rates; training stops early and the curve marks where."""
    runs = {
        rate: cr.fit("iris", epochs=60, patience=4, learning_rate=rate, runs=tmp_path, quiet=True)
        for rate in (0.0003, 0.05)
    }
    for rate, run in runs.items():
        history, best = run.history, load_checkpoint(run.folder.checkpoint)[1]["best_epoch"]
        assert [row["epoch"] for row in history] == list(range(1, len(history) + 1))
        losses = [row["validation_loss"] for row in history]
        assert losses[best - 1] == min(losses)
        assert len(history) == min(60, best + 4), "it stopped four epochs after the best one"
        (axes,) = draw_curve(history, "loss", best).axes
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert list(lines["train"].get_ydata()) == [row["train_loss"] for row in history]
        assert list(lines["validation"].get_ydata()) == losses
        assert (lines["best epoch"].get_xdata()[0], lines["best epoch"].get_ydata()[0]) == (best, min(losses))
        assert "best epoch" in (run.path / "report.html").read_text("utf-8"), rate
    slow, fast = (runs[rate].history for rate in (0.0003, 0.05))
    assert fast[4]["train_loss"] < slow[4]["train_loss"], "a larger rate goes down faster here"
    assert len(fast) < 60, "early stopping happened"


def test_a_checkpoint_holds_losses_that_were_not_read_yet() -> None:
    """As on a device where reading each loss would stall it."""
    objective = cr.Objective(nn.Linear(2, 1), cr.Binary(["a", "b"]))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=0.1))
    batches = cr.Batches(torch.randn(32, 2), torch.randint(0, 2, (32,)), 4)
    training = Training(step, batches, None, cr.schedule("constant", steps=16), None)
    training.read_every = 64
    losses = [report.loss for report in itertools.islice(training.reports(), 5)]
    assert torch.equal(training.tensors()["losses"], torch.stack(losses))
