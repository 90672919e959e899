"""From labelled pairs to a network that is tested once, after everything else is decided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import chainrule
from chainrule.jobs.run import Run
from chainrule.train.checkpoint import load_checkpoint

Fit = Callable[..., Run]


def saved(run: Run) -> dict[str, torch.Tensor]:
    return load_checkpoint(run.folder.checkpoint)[0]


@pytest.mark.curriculum("WRK-01")
def test_supervised_workflow_on_the_study_table(fit: Fit, fixtures: Path) -> None:
    """Eight students: five train, one validates, two test."""
    table = fixtures / "study.csv"
    tried = [
        fit(
            table,
            target="exam",
            model="mlp",
            model_settings={"hidden": (4,)},
            epochs=60,
            learning_rate=rate,
            weight_decay=0.0,
            decay_with_loss=False,
            validation=0.1,
            test=0.2,
            seed=1,
        )
        for rate in (1e-6, 0.03)
    ]
    for run in tried:
        # Collect and preprocess: scaled by training rows. Head and loss: one linear unit, squared error.
        assert run.record["rows"] == {"train": 5, "validation": 1, "test": 2}
        assert run.recipe.schema.target.kind == "regression"
        assert (run.model[0].in_features, run.model[-1].out_features) == (3, 1)
        assert saved(run)["prepare/mean"].shape == (3,)
        # Initialise: both started from the same weights. Train and validate: a row per epoch.
        assert len(run.history) == 60
        assert {"train_loss", "validation_loss"} <= run.history[0].keys()
    slow, fast = tried
    assert fast.history[-1]["train_loss"] < 0.5 * fast.history[0]["train_loss"]
    assert slow.history[-1]["train_loss"] > 0.99 * slow.history[0]["train_loss"]
    # Tune by the validation row, then test, once.
    chosen = min(tried, key=lambda run: min(row["validation_loss"] for row in run.history))
    assert chosen is fast
    tested = chosen.evaluate()
    assert tested == pytest.approx(chosen.metrics["test"]) and tested["mae"] < 60
    assert chosen.predict(table).values.shape == (8, 1)
    assert chainrule.verify(chosen.path).outcome == "equal bits"


def parts_of(run: Run, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    from chainrule.data.read import read
    from chainrule.jobs.material import make_material

    source, schema = read((x, y)), run.recipe.schema
    split = make_material(source, schema.encode(source), schema, run.recipe.settings).split
    return {"train": split.train, "validation": split.validation, "test": split.test}


@pytest.mark.curriculum("HPO-09")
@pytest.mark.parametrize("is_classes", [False, True], ids=["values", "classes"])
def test_test_rows_never_reach_the_fit(fit: Fit, is_classes: bool) -> None:
    """Whatever the test rows hold, the network is the same to the last bit; validation rows choose when to stop."""
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 3))
    y = (x[:, 0] > 0).astype(int) if is_classes else x @ [1.0, -2, 0.5] + random.normal(size=60)
    settings = {"model": "mlp", "model_settings": {"hidden": (8,)}, "epochs": 15, "learning_rate": 0.05}
    first = fit((x, y), **settings)
    parts = parts_of(first, x, y)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(60)), "every row has one role"

    def changed(part: str) -> Run:
        other_x, other_y = x.copy(), y.copy()
        other_x[parts[part]] = 1000 + random.normal(size=(len(parts[part]), 3))
        if not is_classes:  # which rows test depends on the classes, so these stay
            other_y[parts[part]] = -1e6
        return fit((other_x, other_y), **settings)

    with_other_test, with_other_validation, with_other_training = map(
        changed, ("test", "validation", "train")
    )
    assert all(torch.equal(tensor, saved(with_other_test)[name]) for name, tensor in saved(first).items())
    assert with_other_test.metrics["test"] != first.metrics["test"]
    assert with_other_test.metrics["validation"] == first.metrics["validation"]
    # Validation rows move no weight; they choose which epoch's weights are kept.
    ours, theirs = saved(first), saved(with_other_validation)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if not name.startswith("best/"))
    assert [row["validation_loss"] for row in with_other_validation.history] != [
        row["validation_loss"] for row in first.history
    ]
    assert not torch.equal(saved(with_other_training)["model/0.weight"], ours["model/0.weight"])


@pytest.mark.curriculum("HPO-09")
def test_validation_rows_stop_the_training_early(fit: Fit) -> None:
    """On noise the validation loss only rises: training ends `patience` epochs after its best."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 10)), random.normal(size=60)
    run = fit((x, y), model="mlp", epochs=200, patience=3, learning_rate=0.01, weight_decay=0.0)
    losses = [row["validation_loss"] for row in run.history]
    assert len(losses) < 200
    best = run.record["best_epoch"]
    assert losses[best - 1] == min(losses) and len(losses) == best + 3


@pytest.mark.curriculum("TOO-02")
def test_modules_of_torch_are_taken_as_they_are(fit: Fit) -> None:
    """The tutorial's network, Flatten and a stack of Linear and ReLU, as a user writes it."""

    class NeuralNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flatten = nn.Flatten()
            self.linear_relu_stack = nn.Sequential(
                nn.Linear(8 * 8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear_relu_stack(self.flatten(x))

    network = NeuralNetwork()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    run = fit("digits", model=network, epochs=10, learning_rate=3e-3)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items()), (
        "a copy is trained"
    )
    assert run.metrics["test"]["accuracy"] > 0.8
    opened = chainrule.load(run.path, model=network)
    x = np.random.default_rng(0).integers(0, 17, (5, 1, 8, 8)).astype(np.uint8)
    assert opened.evaluate() == pytest.approx(run.metrics["test"])
    assert len(opened.predict(x).names) == 5
    # And the other way round: what chainrule builds is a torch.nn.Sequential whose layers can be called one by one.
    built = chainrule.build("mlp", inputs=(1, 8, 8), units=10, hidden=(32, 32))
    assert isinstance(built, nn.Sequential) and isinstance(built[1], nn.Linear)
    pictures = torch.randn(3, 1, 8, 8)
    by_hand = pictures
    for layer in built:
        by_hand = layer(by_hand)
    assert torch.equal(by_hand, built(pictures)) and by_hand.shape == (3, 10)


def test_run_of_a_module_predicts_at_once(fit: Fit) -> None:
    """Who hands over a module and gets a Run back need not hand it over again."""
    x, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30.0)
    run = fit((x, y), model=nn.Linear(3, 1), epochs=2)
    assert run.predict(x).values.shape == (30, 1)


@pytest.mark.curriculum("GEN-14")
def test_history_has_a_row_per_epoch(fit: Fit) -> None:
    run = fit("iris", epochs=6)
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5, 6]
    for row in run.history:
        assert {"train_loss", "validation_loss", "validation_accuracy", "learning_rate"} <= row.keys()
    best = run.record["best_epoch"]
    assert run.history[best - 1]["validation_loss"] == min(row["validation_loss"] for row in run.history)
    assert (run.path / "history.csv").read_text().count("\n") == 7
