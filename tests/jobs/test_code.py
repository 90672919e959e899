"""Scripts of `chainrule code` against the runs that they were written from: weights to the bit, figures as printed."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chainrule.catalog import ACTIVATIONS, INITIALS, NORMALISATIONS, OPTIMIZERS, SCHEDULES
from chainrule.core.errors import RunError
from chainrule.jobs.code_judging import metric_of_classes
from chainrule.jobs.code_text import Part, Source, import_lines, join
from chainrule.train.metrics import measure
from chainrule.train.task import build_task
from tests.jobs.scripts import check, check_layout, houses, train


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return houses(tmp_path / "houses.csv")


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS.keys() - {"simple-nadam"}))
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_optimizers(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], optimizer: str, weight_decay: float
) -> None:
    check(train(table, tmp_path, target="price", optimizer=optimizer, weight_decay=weight_decay), capsys)


@pytest.mark.parametrize(
    ("optimizer", "hyper"),
    [
        ("momentum", {"momentum": 0.5}),
        ("nesterov", {"momentum": 0.5}),
        ("nesterov", {"momentum": 0.0}),
        ("adagrad", {"epsilon": 1e-3}),
        ("adadelta", {"rho": 0.95, "epsilon": 1e-4}),
        ("rmsprop", {"rho": 0.99, "epsilon": 1e-3}),
        ("adam", {"beta1": 0.8}),
        ("adamw", {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3}),
        ("nadam", {"beta2": 0.9}),
    ],
    ids=str,
)
def test_hyperparameters(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], optimizer: str, hyper: dict[str, float]
) -> None:
    script = check(train(table, tmp_path, target="price", optimizer=optimizer, **hyper), capsys)
    assert all(repr(value) in script for value in hyper.values())


def test_an_optimizer_that_torch_does_not_have_is_refused(table: Path, tmp_path: Path) -> None:
    run = train(table, tmp_path, target="price", optimizer="simple-nadam").run
    with pytest.raises(
        RunError, match=r"written as a script: torch.optim does not have its optimizer, simple-nadam"
    ):
        run.code()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], schedule: str) -> None:
    epochs = {"epochs": 13} if schedule == "plateau" else {}
    check(train(table, tmp_path, target="price", schedule=schedule, **epochs), capsys)


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "constant", "warmup_epochs": 1.5},
        {"schedule": "step", "drop_factor": 0.5},
        {"schedule": "step", "drop_epochs": 2, "drop_factor": 0.5},
        {"schedule": "step", "drop_epochs": 1, "warmup_epochs": 1},
        {"schedule": "exponential", "decay_rate": 0.3, "warmup_epochs": 0.5},
        {"schedule": "exponential", "warmup_epochs": 2},
        {"schedule": "cosine", "warmup_epochs": 0, "lowest_rate": 1e-4},
        {"schedule": "cosine", "lowest_rate": 1e-3},
        {"schedule": "linear", "warmup_epochs": 1, "lowest_rate": 1e-3},
        {"schedule": "plateau", "schedule_patience": 1, "learning_rate": 0.5, "epochs": 8},
        {"schedule": "plateau", "schedule_patience": 2, "metric": "mae", "drop_factor": 0.3, "lowest_rate": 0.1, "learning_rate": 0.3, "epochs": 8},
    ],
    ids=str,
)  # fmt: skip
def test_settings_of_schedules(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, Any]
) -> None:
    check(train(table, tmp_path, target="price", **settings), capsys)


def test_warm_up_into_a_plateau_is_refused(table: Path, tmp_path: Path) -> None:
    run = train(table, tmp_path, target="price", schedule="plateau", warmup_epochs=1, epochs=13).run
    with pytest.raises(RunError, match="a warm-up into the schedule plateau is not yet supported in scripts"):
        run.code()


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "linear:-0.5", "leaky-relu:0.2", "elu:0.5"])
def test_activations(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], activation: str
) -> None:
    model = {"hidden": (8, 5), "activation": (activation, "tanh")}
    check(train(table, tmp_path, target="price", model="mlp", model_settings=model), capsys)


@pytest.mark.parametrize("initial", [*INITIALS, "normal:0.3", "constant:-0.1", "orthogonal:1.5"])
def test_initials(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], initial: str) -> None:
    check(train(table, tmp_path, target="price", model="mlp", initial=initial), capsys)


@pytest.mark.parametrize("normalisation", ["batch", "layer", "group", "group:4"])
@pytest.mark.parametrize(
    "settings", [{}, {"dropout": 0.2}, {"batch_size": 37}, {"batch_size": 37, "dropout": 0.2}], ids=str
)
def test_normalisations(
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    normalisation: str,
    settings: dict[str, Any],
) -> None:
    model = {"hidden": (16, 8), "normalisation": normalisation}
    run = train(table, tmp_path, target="price", model="mlp", model_settings=model, **settings)
    script = check(run, capsys)
    alone = normalisation == "batch" and settings.get("batch_size") == 37
    assert ("one row alone has no spread" in script) == alone
    assert ("running statistics" in script) == (normalisation == "batch")


@pytest.mark.parametrize("target", ["price", "price,rent", "garden", "city"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_tasks(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, dropout: float
) -> None:
    run = train(table, tmp_path, target=target, dropout=dropout, model_settings={"hidden": (16, 8)})
    script = check(run, capsys)
    assert ("Dropout" in script) == bool(dropout)
    assert (("isnan" in script) and "LABEL_SMOOTHING" in script) or target in ("price", "price,rent")


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("perceptron", "garden"),
        ("perceptron", "city"),
        ("linear-regression", "price"),
        ("linear-regression", "price,rent"),
        ("logistic-regression", "garden"),
        ("softmax-regression", "city"),
        ("mlp", "price"),
    ],
)
def test_models(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, target: str
) -> None:
    check(train(table, tmp_path, target=target, model=model), capsys)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_lenet(tmp_path: Path, capsys: pytest.CaptureFixture[str], activation: str, pooling: str) -> None:
    data = tmp_path / "pictures.npz"
    random = np.random.default_rng(0)
    np.savez(data, x=random.integers(0, 256, (90, 14, 12), dtype=np.uint8), y=np.arange(90) % 3)
    model = {"activation": activation, "pooling": pooling}
    script = check(train(data, tmp_path, model="lenet", epochs=2, model_settings=model), capsys)
    assert "nn.Conv2d(1, 6, kernel_size=5, padding=2)" in script


def test_lenet_with_other_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "pictures.npz"
    random = np.random.default_rng(0)
    np.savez(data, x=random.integers(0, 256, (90, 14, 14), dtype=np.uint8), y=np.arange(90) % 3)
    model = {
        "filters": 4,
        "convolutions": 2,
        "filter_size": (4, 3),
        "stride": (2, 1),
        "padding": 1,
        "hidden": (9,),
    }
    script = check(train(data, tmp_path, model="lenet", epochs=2, model_settings=model), capsys)
    assert "nn.Conv2d(1, 4, kernel_size=4, stride=2, padding=1)" in script


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("batch_size", [21, 31])
def test_normalised_lenet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], normalisation: str, batch_size: int
) -> None:
    data = tmp_path / "pictures.npz"
    random = np.random.default_rng(0)
    np.savez(data, x=random.integers(0, 256, (90, 14, 12), dtype=np.uint8), y=np.arange(90) % 3)
    model = {"normalisation": normalisation}
    check(train(data, tmp_path, model="lenet", epochs=2, batch_size=batch_size, model_settings=model), capsys)


@pytest.mark.parametrize(
    "augment",
    [("flip",), ("shift", "flip-vertical"), ("shift:0.3",), ("crop",), ("flip", "crop:0.6")],
    ids=str,
)
def test_augmentation(tmp_path: Path, capsys: pytest.CaptureFixture[str], augment: tuple[str, ...]) -> None:
    data = tmp_path / "pictures.npz"
    random = np.random.default_rng(0)
    np.savez(data, x=random.integers(0, 256, (90, 14, 12), dtype=np.uint8), y=np.arange(90) % 3)
    script = check(train(data, tmp_path, epochs=2, augment=augment), capsys)
    assert script.count("augment(inputs[batch], epoch, place)") == 1, "in training alone"


@pytest.mark.parametrize(
    ("target", "loss"),
    [("price", "half-squared-error"), ("price,rent", "half-squared-error"), ("price", "absolute-error"),
     ("price,rent", "absolute-error"), ("garden", "perceptron"), ("city", "perceptron"), ("garden", "binary-cross-entropy"),
     ("price", "huber"), ("price,rent", "huber:0.5"), ("price", "log-cosh"), ("garden", "focal"), ("city", "focal:1.5"),
     ("garden", "hinge"), ("city", "hinge"), ("garden", "squared-hinge"), ("city", "squared-hinge")],
)  # fmt: skip
def test_losses(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, loss: str
) -> None:
    check(train(table, tmp_path, target=target, loss=loss), capsys)


@pytest.mark.parametrize(
    "settings",
    [
        {"clip_norm": 0.5},
        {"clip_norm": 0.5, "weight_decay": 0.0},
        {"clip_value": 0.01},
        {"clip_value": 0.01, "clip_norm": 0.05, "penalty": "coupled"},
        {"l1": 0.01},
        {"l1": 0.01, "weight_decay": 0.0, "optimizer": "adam"},
        {"l1": 0.01, "weight_decay": 0.1, "optimizer": "momentum", "decay_with_loss": False},
        {"penalty": "coupled"},
        {"penalty": "coupled", "decay_with_loss": False, "l1": 0.01},
        {"penalty": "decoupled", "optimizer": "sgd", "l1": 0.1, "weight_decay": 0.1},
        {"penalty": "decoupled", "optimizer": "rmsprop", "weight_decay": 0.1, "decay_with_loss": False},
        {"penalty": "decoupled", "l1": 0.1, "schedule": "constant"},
        {"decay_with_loss": False},
        {"decay_with_loss": True, "optimizer": "sgd", "weight_decay": 0.1},
        {"patience": 1, "epochs": 12},
        {"validation": 0.0},
        {"test": 0.0},
        {"validation": 0.0, "test": 0.0},
        {"seed": 12345},
        {"batch_size": 1000},
        {"batch_size": "all", "epochs": 4},
        {"shuffle": False},
        {"epochs": 1},
    ],
    ids=str,
)
def test_settings(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, Any]
) -> None:
    check(train(table, tmp_path, target="price", **settings), capsys)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("target", ["garden", "city"])
def test_label_smoothing(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, smoothing: float
) -> None:
    script = check(train(table, tmp_path, target=target, label_smoothing=smoothing), capsys)
    assert ("LABEL_SMOOTHING" in script) == bool(smoothing)


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.0}, {"loss": "perceptron"}], ids=str)
@pytest.mark.parametrize("target", ["garden", "city"])
def test_class_weights(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, settings: dict[str, Any]
) -> None:
    script = check(train(table, tmp_path, target=target, class_weight="balanced", **settings), capsys)
    assert "CLASS_WEIGHTS = [" in script


CLASS_METRICS = ["accuracy", "balanced-accuracy", "precision", "recall", "f1", "auc"]


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("target", ["garden", "city"])
@pytest.mark.parametrize("metric", CLASS_METRICS)
def test_metrics_of_classes(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, metric: str, patience: Any
) -> None:
    """Few validation rows give many ties between epochs."""
    script = check(train(table, tmp_path, target=target, metric=metric, patience=patience, epochs=12), capsys)
    assert f'cost = (-measured["{metric}"], measured["loss"])' in script


@pytest.mark.parametrize("target", ["price", "price,rent"])
@pytest.mark.parametrize("metric", ["r2", "mae", "rmse"])
def test_metrics_of_values(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, metric: str
) -> None:
    check(train(table, tmp_path, target=target, metric=metric, epochs=12), capsys)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("metric", CLASS_METRICS[1:])
def test_metrics_have_the_bits_of_the_run(tmp_path: Path, metric: str, classes: int) -> None:
    """Where epochs tie, the last bit of a quotient would decide between them."""
    part, random = Part().uses("numpy as np", "torch"), np.random.default_rng(0)
    value = metric_of_classes(part, metric, is_binary=classes == 2)
    part.functions.append(f"def score(outputs, targets, labels):\n    return {value}")
    file = tmp_path / "score.py"
    file.write_text("\n\n".join([import_lines(part.imports), *part.functions]))
    score = runpy.run_path(str(file))["score"]
    for _ in range(200):
        rows = int(random.integers(2 * classes, 60))
        targets = torch.from_numpy(random.permutation(np.arange(rows) % classes))
        outputs = torch.from_numpy(random.integers(-3, 4, (rows, classes if classes > 2 else 1))).float()
        task = build_task("binary" if classes == 2 else "multi-class", tuple("abcd"[:classes]), None)
        answers = task.answers(outputs, targets)
        found = score(outputs, targets, torch.tensor(answers.labels))
        assert float(found) == measure(answers, [metric])[metric]


def test_a_metric_that_no_script_computes_is_refused(table: Path, tmp_path: Path) -> None:
    run = train(table, tmp_path, target="city", metric="calibration-error").run
    with pytest.raises(
        RunError, match=r"the metric calibration-error is not yet supported in scripts \(those that are: "
    ):
        run.code()


NETS = """
from torch import nn


class Normed(nn.Module):
    def __init__(self, inputs: int, units: int, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2))
        self.last = nn.Linear(width, units)

    def forward(self, x):
        return self.last(self.layers(x))
"""


def test_a_model_of_ones_own_is_imported(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets_of_mine.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    model = {"model": "nets_of_mine:Normed", "model_settings": {"width": 5}, "epochs": 3}
    script = check(train(table, tmp_path, target="price", **model), capsys)
    assert "from nets_of_mine import Normed" in script and "Normed(inputs=" in script


@pytest.mark.parametrize("length", [60, 83, 84, 85, 92, 93, 94, 100, 101, 200])
def test_long_paths_are_laid_out_too(length: int) -> None:
    path = Path("/" + "d" * (length - 1))
    part = Part().uses("pathlib:Path")
    part.setting("DATA", path)
    part.setting("FILES", [path, path / "other"])
    part.setting("PARTS", {path: "train", Source(f'Path("{path}/other")'): "validation"})
    part.function(
        """
        def main():
            print(DATA, FILES, PARTS)
        """
    )
    check_layout(join("Paths.", [part]))
