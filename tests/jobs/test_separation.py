"""A perceptron is honest: it says whether a straight boundary separates the rows, with margin and last mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.diagnose import separability
from chainrule.jobs.events import EpochEnded, Event, Finished, Said, Warned
from chainrule.jobs.fit import run_fit
from chainrule.jobs.request import Request
from chainrule.train.settings import Settings

A, B = [0, 0, 1, 1], [0, 1, 0, 1]
AS_TAUGHT: dict[str, Any] = {
    "shuffle": False,
    "initial": "zeros",
    "scaling": "none",
    "test": 0.0,
    "validation": 0.0,
}


def events(tmp_path: Path, answers: list[int], **settings: Any) -> list[Event]:
    chosen = Settings(model="perceptron", **{**AS_TAUGHT, **settings})
    data = {"a": A, "b": B, "fires": answers}
    return list(run_fit(Request(data=data, target="fires", settings=chosen, runs=tmp_path, name="run")))


def separation(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "metrics.json").read_text("utf-8"))["separation"]
    return found


@pytest.mark.curriculum("NEU-10")
def test_or_is_learned_as_taught(tmp_path: Path) -> None:
    """From zero, in the order 00, 01, 10, 11, at the rate 1: the fourth epoch makes no mistake, w = (1, 1), b = −1."""
    told = events(tmp_path, [0, 1, 1, 1], epochs=4)
    run = cr.load(tmp_path / "run", data={"a": A, "b": B, "fires": [0, 1, 1, 1]})
    assert [weights.flatten().tolist() for weights in run.model.parameters()] == [[1, 1], [-1]]
    assert [row["train_mistakes"] for row in run.history][2:] == [0, 0]
    assert separation(run.path)["last_mistake"] == 3 and separation(run.path)["is_separable"]
    said = next(e.text for e in told if isinstance(e, Said) and "boundary" in e.text)
    assert "the last mistake was made in epoch 3, and the nearest row lies 0 from it" in said
    assert not any(isinstance(event, Warned) for event in told)
    assert run.predict({"a": A, "b": B}).labels.tolist() == [0, 1, 1, 1], "a sum of 0 fires"


def test_labels_of_minus_one_and_one_give_the_same_weights(tmp_path: Path) -> None:
    """t = (s + 1) / 2: the set-up's ±1 and the rule's 0 and 1 are one (E03)."""
    events(tmp_path, [-1, 1, 1, 1], epochs=4)
    run = cr.load(tmp_path / "run")
    assert [weights.flatten().tolist() for weights in run.model.parameters()] == [[1, 1], [-1]]
    assert run.predict({"a": A, "b": B}).names == ["-1", "1", "1", "1"]


@pytest.mark.curriculum("NEU-13", "NEU-10")
@pytest.mark.parametrize("folds", [0, 4])
def test_xor_is_said_to_be_beyond_it(tmp_path: Path, folds: int) -> None:
    told = events(tmp_path, [0, 1, 1, 0], epochs=25, folds=folds)
    warned = [event.text for event in told if isinstance(event, Warned)]
    assert len(warned) == 1
    assert warned[0].startswith("the perceptron does not separate the classes after 25 epochs: in epoch ")
    assert "they are not linearly separable, as a linear program proves" in warned[0]
    assert told.index(next(e for e in told if isinstance(e, Warned))) < len(told) - 1
    assert isinstance(told[-1], Finished)
    found, history = separation(tmp_path / "run"), [e.row for e in told if isinstance(e, EpochEnded)]
    assert found["is_separable"] is False and found["last_mistake"] is None
    assert all(row["train_mistakes"] > 0 for row in history)
    assert found["margin"] == max(row["train_margin"] for row in history) <= 0
    assert f"{found['mistakes']} of 4 training rows" in warned[0]
    report = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "not linearly separable, as a linear program proves" in report


def test_the_margin_is_that_of_the_weights(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 3))
    y = (x @ [1.0, -2.0, 0.5] > 0.3).astype(int)
    run = cr.fit((x, y), model="perceptron", test=0, validation=0, folds=0, runs=tmp_path, quiet=True)
    found = separation(run.path)
    assert found["is_separable"] and found["mistakes"] == 0 and 1 <= found["last_mistake"] < 50
    layer = run.model[0]
    inputs = torch.from_numpy((x - x.mean(0)) / x.std(0)).float()
    apart = (2 * torch.from_numpy(y) - 1) * layer(inputs)[:, 0] / layer.weight.norm()
    assert found["margin"] == pytest.approx(apart.min().item(), rel=1e-3)
    last = found["last_mistake"]
    mistakes = [row["train_mistakes"] for row in run.history]
    assert not any(mistakes[last - 1 :]) and (last == 1 or mistakes[last - 2])


def test_a_run_that_is_taken_up_again_says_the_same(tmp_path: Path) -> None:
    run = cr.fit("iris", model="perceptron", epochs=2, runs=tmp_path, quiet=True)
    found = separation(run.path)
    (run.path / "metrics.json").unlink()
    cr.fit(resume=run.path, quiet=True)
    assert separation(run.path) == found
    assert cr.verify(run.path).outcome == "equal bits"


def test_what_more_epochs_would_find_is_said(tmp_path: Path) -> None:
    """Two epochs of iris: a boundary exists that the perceptron has not found yet."""
    run = cr.fit("iris", model="perceptron", epochs=2, runs=tmp_path, quiet=True)
    found = separation(run.path)
    assert found["is_separable"] is True and found["last_mistake"] is None
    assert "a straight boundary exists, as a linear program shows (its margin is 0.0" in found["said"]
    assert found["said"].endswith("more --epochs find it")


def test_where_it_is_not_decided_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separability, "MOST_NUMBERS", 20)
    events(tmp_path, [0, 1, 1, 0], epochs=5)
    found = separation(tmp_path / "run")
    assert found["is_separable"] is None
    assert (
        "whether more epochs could is not known, because the linear program that decides it would"
        in found["said"]
    )


def test_other_models_and_losses_say_nothing(tmp_path: Path) -> None:
    for settings in (
        {"model": "logistic-regression"},
        {"model": "perceptron", "loss": "binary-cross-entropy"},
    ):
        data = {"a": A, "b": B, "fires": [0, 1, 1, 0]}
        run = cr.fit(
            data, target="fires", epochs=2, test=0, validation=0, runs=tmp_path, quiet=True, **settings
        )
        assert "separation" not in json.loads((run.path / "metrics.json").read_text("utf-8"))
        assert "train_margin" not in run.history[0]
