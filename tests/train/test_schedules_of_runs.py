"""Schedules in runs: what they do to the rate of every epoch, and what is refused before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.train.training import Training


def scripted(losses: Sequence[float], monkeypatch: pytest.MonkeyPatch) -> Training:
    """Return a training of two updates an epoch whose validation gives these losses."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(8, 2), torch.randint(0, 2, (8,))
    objective = cr.Objective(nn.Linear(2, 1), cr.Binary(["a", "b"]))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=0.1))
    batches = cr.Batches(inputs, targets, 4)
    figures = iter(losses)
    monkeypatch.setattr("chainrule.train.training.evaluate", lambda *_: {"loss": next(figures)})
    made = cr.schedule(
        "plateau", steps=2 * len(losses), steps_per_epoch=2, schedule_patience=2, learning_rate=0.1
    )
    return Training(step, batches, batches, made, None)


@pytest.mark.curriculum("LRS-08")
def test_plateau_follows_the_validation_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stale epochs, then the rate is a tenth from the first update of the next epoch on."""
    training = scripted([1.0, 1.0, 1.2, 0.9, 0.9, 0.95, 0.9], monkeypatch)
    seen = [training.step.rate for _ in training.reports()]
    assert seen == pytest.approx([0.1] * 6 + [0.01] * 6 + [0.001] * 2)
    assert [row["learning_rate"] for row in training.history] == seen[1::2]


@pytest.mark.parametrize("stop", [3, 6, 9, 13])
def test_a_plateau_is_taken_up_where_it_stood(stop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is saved for it: its state is the history. Weights and rates have the bits of an unbroken run."""
    losses = [1.0, 1.0, 1.2, 0.9, 0.9, 0.95, 0.9]
    whole = scripted(losses, monkeypatch)
    rates = [whole.step.rate for _ in whole.reports()]
    begun = scripted(losses, monkeypatch)
    for _ in zip(range(stop), begun.reports(), strict=False):
        pass
    again = scripted(losses, monkeypatch)
    again.restore(begun.tensors(), begun.state())
    monkeypatch.setattr(
        "chainrule.train.training.evaluate",
        lambda *_, rest=iter(losses[begun.number // 2 :]): {"loss": next(rest)},
    )
    assert [again.step.rate for _ in again.reports()] == rates[begun.number :]
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, again.tensors()[name]), name


def fit(runs: Path, settings: dict[str, Any], **more: Any) -> cr.Run:
    return cr.fit("iris", runs=runs, quiet=True, settings=settings, **more)


@pytest.mark.curriculum("LRS-09")
def test_warm_up_and_drops_of_a_real_run(tmp_path: Path) -> None:
    run = fit(
        tmp_path,
        {"warmup_epochs": 2, "drop_epochs": 2, "drop_factor": 0.5},
        schedule="step",
        epochs=7,
        learning_rate=0.01,
    )
    found = [row["learning_rate"] for row in run.history]
    per_epoch = run.history[0]["steps"]
    first = 0.01 * per_epoch / (2 * per_epoch + 1)
    assert found == pytest.approx([first, 2 * first, 0.01, 0.01, 0.005, 0.005, 0.0025])
    assert "Learning rate over 7 epochs" in (run.path / "report.html").read_text("utf-8"), (
        "its curve is in the report"
    )
    assert cr.verify(run.path).outcome == "equal bits"


def test_epochs_of_a_loop_of_ones_own_follow_a_plateau() -> None:
    """`epochs` hands the validation losses on; a rate of nothing but noise leaves the loss where it was."""
    inputs, targets = torch.zeros(8, 2), torch.tensor([0, 1] * 4)  # nothing can be learnt
    objective = cr.Objective(nn.Linear(2, 1, bias=False), cr.Binary(["a", "b"]))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=1.0))
    batches = cr.Batches(inputs, targets, 4)
    made = cr.schedule("plateau", steps=40, steps_per_epoch=2, schedule_patience=3)
    found = [step.rate for _ in cr.epochs(step, batches, batches, made)]
    assert found == pytest.approx(
        [1.0] * 4 + [0.1] * 3 + [0.01] * 3 + [1e-3] * 3 + [1e-4] * 3 + [1e-5] * 3 + [1e-6]
    )
    with pytest.raises(SettingError, match="waits for the validation loss to stall, but no rows validate"):
        next(cr.epochs(step, batches, None, made))


@pytest.mark.parametrize(
    ("settings", "more", "said"),
    [
        (
            {"warmup_epochs": 9},
            {"epochs": 5},
            r"a warm-up of 9 epochs \(\d+ updates\) does not fit in a run of 5",
        ),
        (
            {"drop_epochs": 20},
            {"epochs": 8, "schedule": "step"},
            "first drop after 20 epochs, but the run has 8",
        ),
        ({"decay_rate": 0.1}, {"schedule": "step"}, "decay_rate goes with the schedule exponential"),
        ({"drop_factor": -0.5}, {}, "drop_factor must be above 0; got -0.5"),
        ({"decay_rate": -1.0}, {}, "decay_rate must be above 0; got -1"),
        ({"lowest_rate": -1.0}, {}, "lowest_rate must be at least 0; got -1"),
        ({"lowest_rate": 1.0}, {"schedule": "linear"}, "lowest_rate must be below the learning rate"),
        ({}, {"schedule": "plateau", "epochs": 5}, "a plateau is seen after 1 \\+ 10 epochs at the soonest"),
        (
            {},
            {"schedule": "plateau", "validation": 0.0},
            "no rows validate; --validation 0.1 keeps a tenth",
        ),
        (
            {"folds": 3},
            {"schedule": "plateau", "validation": 0.1},
            "the 3 networks that judge few rows train without validation",
        ),
        ({}, {"schedule": "plateau", "patience": 10}, "--patience 10 ends the run before a plateau of 10"),
    ],
)
def test_refused_before_a_run_is_made(
    settings: dict[str, Any], more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=said):
        fit(tmp_path, settings, **more)
    assert not [path for path in tmp_path.iterdir() if path.name != ".cache"]


def test_settings_by_name() -> None:
    with pytest.raises(UnknownNameError, match="no setting is called 'warmup'; did you mean 'warmup_epochs'"):
        cr.fit("iris", settings={"warmup": 2})


@pytest.mark.curriculum("LRS-10")
def test_schedule_and_its_constant_are_settings_that_change_the_training(tmp_path: Path) -> None:
    """What a search can vary is what `--set` takes: by name, within limits, kept in the recipe and felt in training."""
    from chainrule.train.settings import help_text
    from chainrule.train.settings_text import parse_settings

    losses = set()
    for pair in ("decay_rate=0.1", "decay_rate=1", "decay_rate=none"):
        read, _ = parse_settings(["schedule=exponential", "epochs=6", pair], dict)
        run = cr.fit("iris", runs=tmp_path, quiet=True, settings=read)
        assert (run.recipe.settings.schedule, run.recipe.settings.decay_rate) == (
            "exponential",
            read["decay_rate"],
        )
        losses.add(run.history[-1]["train_loss"])
    assert len(losses) == 3
    assert "rate falls as e^(-k t)" in help_text("decay_rate")
    with pytest.raises(SettingError, match="decay_rate takes a number; got 'fast'"):
        parse_settings(["decay_rate=fast"], dict)
