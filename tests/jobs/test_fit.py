"""`fit` and what it leaves: the run folder, resuming, predicting, evaluating, verifying."""

from __future__ import annotations

import inspect
import json
import math
import shutil
import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.core.errors import DataError, RunError, SettingError, ShapeError, TrainingFailed
from chainrule.data.builtin import iris
from chainrule.data.read import read
from chainrule.jobs import fit as fit_job
from chainrule.jobs.events import EpochEnded, Finished, Opened
from chainrule.jobs.fit import run_fit
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.settings import DECLARED, Settings, kinds


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> cr.Run:
    return cr.fit("iris", epochs=30, runs=tmp_path_factory.mktemp("runs"), quiet=True)


def test_arguments_with_the_name_of_a_setting_are_that_setting(monkeypatch):
    """Of the same type and default, unless they take more; and what is said of them reaches the settings."""
    asked = []

    def keep(request):
        asked.append(request.settings)
        raise StopIteration

    monkeypatch.setattr(fit_job, "run_fit", keep)
    parameters = inspect.signature(cr.fit).parameters
    named = [name for name in parameters if name in DECLARED and name not in fit_job.TAKE_MORE]
    assert {"epochs", "learning_rate", "validation", "seed", "l1"} < {*named}
    hints, usual = typing.get_type_hints(cr.fit), Settings()
    of_kind = {bool: True, int: 7, float: 0.25, str: "said"}
    special = {"memory": "1GB", "class_weight": "balanced"}
    for name in named:
        assert parameters[name].default == getattr(usual, name), name
        if name != "batch_size":  # which says that its only word is all
            assert hints[name] == kinds()[name], name
        kind = typing.get_args(kinds()[name])[0] if typing.get_args(kinds()[name]) else kinds()[name]
        value = special.get(name, of_kind[kind])
        with pytest.raises(StopIteration):
            cr.fit("iris", **{name: value}, quiet=True)
        assert asked[-1] == replace(usual, **{name: value})
    with pytest.raises(StopIteration):
        cr.fit("iris", augment="flip,shift", columns={"a": "number"}, loss="mse", model="mlp", quiet=True)
    assert asked[-1] == Settings(augment=("flip", "shift"), columns=("a=number",), loss="mse", model="mlp")


def test_a_run_folder_holds_everything(run):
    names = {p.name for p in run.path.iterdir()}
    assert names == {
        ".lock", "recipe.json", "checkpoint.safetensors", "model.safetensors", "history.csv", "metrics.json", "report.html"
    }  # fmt: skip
    assert run.is_finished
    assert len(run.history) == 30
    assert set(run.metrics) == {"train", "validation", "test"}
    assert run.metrics["test"]["accuracy"] >= 0.85
    recipe = json.loads((run.path / "recipe.json").read_text())
    assert None not in (
        recipe["settings"][k] for k in ("model", "epochs", "batch_size", "optimizer", "learning_rate")
    )
    history = pl.read_csv(run.path / "history.csv")
    assert history["validation_loss"].to_list() == [row["validation_loss"] for row in run.history]


def test_the_saved_model_is_the_best_of_the_second_half(run):
    losses = [row["validation_loss"] for row in run.history]
    state = load_checkpoint(run.folder.checkpoint)[1]
    assert state["best_epoch"] == 16 + int(np.argmin(losses[15:]))
    assert run.metrics["validation"]["loss"] == pytest.approx(min(losses[15:]), rel=1e-6)


def test_evaluate_without_data_is_the_test_metric(run):
    found = run.evaluate()
    assert found["accuracy"] == run.metrics["test"]["accuracy"]
    assert found["loss"] == pytest.approx(run.metrics["test"]["loss"], rel=1e-6)


def test_predict_takes_frames_dicts_and_files_and_gives_the_same(run, tmp_path):
    frame = iris().frame.drop("species")
    file = tmp_path / "new.csv"
    frame.write_csv(file)
    whole = run.predict(frame)
    assert whole.probabilities.shape == (150, 3)
    assert torch.allclose(whole.probabilities.sum(1), torch.ones(150, dtype=torch.float64))
    for other in (
        pd.DataFrame({c: frame[c].to_numpy() for c in frame.columns}),
        file,
        {c: frame[c].to_numpy() for c in frame.columns},
    ):
        assert torch.equal(run.predict(other).probabilities, whole.probabilities)
    assert run.predict(frame[3:4]).names == whole.names[3:4]
    right = np.mean(np.array(whole.names) == np.array(iris().frame["species"].to_list()))
    assert right > 0.85


def test_verify_finds_equal_bits_and_a_changed_weight(run, tmp_path):
    assert cr.verify(run.path).outcome == "equal bits"
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    recipe = json.loads((copy / "recipe.json").read_text())
    recipe["settings"]["learning_rate"] *= 1.5
    (copy / "recipe.json").write_text(json.dumps(recipe))
    verdict = cr.verify(copy)
    assert verdict.outcome == "different"
    assert verdict.first_step == 2  # the first loss comes before the first update


def test_stopped_anywhere_and_resumed_gives_the_same_bits(tmp_path):
    settings = Settings(model="mlp", epochs=6, dropout=0.2, optimizer="nadam")

    def start(name: str) -> Request:
        return Request(data="iris", settings=settings, runs=tmp_path, name=name, checkpoint_seconds=0)

    for _ in run_fit(start("whole")):
        pass
    whole = load_checkpoint(tmp_path / "whole" / "checkpoint.safetensors")
    for stop_after in (1, 5, 9):
        name = f"stopped-{stop_after}"
        for epochs, _ in enumerate(e for e in run_fit(start(name)) if isinstance(e, EpochEnded | Opened)):
            if epochs >= stop_after // 2:
                break
        *_, last = run_fit(Request(resume=tmp_path / name))
        assert isinstance(last, Finished)
        again = load_checkpoint(tmp_path / name / "checkpoint.safetensors")
        assert all(torch.equal(whole[0][k], again[0][k]) for k in whole[0])
        for state in (whole[1], again[1]):
            for row in state["history"]:
                row.pop("seconds", None)
        assert whole[1] == again[1]


def test_early_stopping_waits_and_restores(tmp_path):
    done = cr.fit(
        "wine", epochs=200, patience=3, learning_rate=0.05, schedule="constant", runs=tmp_path, quiet=True
    )
    losses = [row["validation_loss"] for row in done.history]
    assert len(losses) < 200
    assert len(losses) - 1 - int(np.argmin(losses)) == 3
    assert done.metrics["validation"]["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_validation_zero_uses_no_rows_and_keeps_the_last_weights(tmp_path):
    done = cr.fit("iris", epochs=3, validation=0, runs=tmp_path, quiet=True)
    assert done.record["rows"] == {"train": 120, "validation": 0, "test": 30}
    assert "validation" not in done.metrics
    assert "validation_loss" not in done.history[0]


@pytest.mark.curriculum("HPO-09")
def test_no_test_or_validation_row_reaches_training(tmp_path, monkeypatch):
    from chainrule.train.step import AutogradStep

    seen: list[torch.Tensor] = []
    original = AutogradStep.__call__
    monkeypatch.setattr(
        AutogradStep, "__call__", lambda self, x, t: (seen.append(x.clone()), original(self, x, t))[1]
    )
    number = np.arange(200.0)
    frame = pl.DataFrame({"row": number, "other": np.sin(number), "y": np.cos(number) + number / 50})
    kept = {"row": "number"}  # a running number is left out otherwise
    done = cr.fit(frame, target="y", task="regression", columns=kept, epochs=2, runs=tmp_path, quiet=True)
    prepare = done._loaded[1]
    used = torch.cat(seen)[:, 0].double() * prepare.scale[0] + prepare.mean[0]
    rows = set(used.round().int().tolist())
    assert len(rows) == done.record["rows"]["train"] == 140
    assert prepare.mean[0].item() == pytest.approx(np.mean(sorted(rows)))


@pytest.mark.parametrize("model", ["perceptron", "softmax-regression", "mlp"])
def test_models_learn_three_classes(model, tmp_path):
    done = cr.fit("wine", model=model, runs=tmp_path, quiet=True)
    assert done.metrics["test"]["accuracy"] >= 0.9


def test_logistic_regression_and_linear_regression(tmp_path):
    assert (
        cr.fit("breast-cancer", model="logistic-regression", runs=tmp_path, quiet=True).metrics["test"][
            "accuracy"
        ]
        > 0.93
    )
    assert (
        cr.fit("diabetes", model="linear-regression", runs=tmp_path, quiet=True).metrics["test"]["r2"] > 0.35
    )


def test_several_regressions(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 3))
    frame = pd.DataFrame(x, columns=list("abc"))
    frame["p"], frame["q"] = x @ [1, 2, 3] + 5, 100 * x[:, 0]
    done = cr.fit(frame, target="p,q", runs=tmp_path, quiet=True)
    assert done.metrics["test"]["r2"] > 0.95
    values = done.predict(frame[["a", "b", "c"]]).values
    assert values.shape == (300, 2)
    assert np.corrcoef(values[:, 1], frame["q"])[0, 1] > 0.97


def test_own_module_and_own_loss(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 3))
    before = model[0].weight.clone()

    def squared(outputs, targets):
        return (outputs - nn.functional.one_hot(targets, 3)).square().sum(-1)

    done = cr.fit("iris", model=model, loss=squared, epochs=20, learning_rate=0.01, runs=tmp_path, quiet=True)
    assert torch.equal(model[0].weight, before)  # what was handed over is left alone
    assert done.metrics["test"]["accuracy"] > 0.7
    again = cr.load(done.path, model=model)
    assert again.predict(iris().frame.drop("species")).labels.shape == (150,)
    assert cr.verify(done.path, model=model, loss=squared).outcome == "equal bits"
    with pytest.raises(RunError, match="handed over as an object"):
        cr.load(done.path).predict(iris().frame)


def test_arrays_and_map_style_datasets(tmp_path):
    random = np.random.default_rng(1)
    x = random.normal(size=(120, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    done = cr.fit((x, y), epochs=20, runs=tmp_path, quiet=True)
    assert done.metrics["test"]["accuracy"] > 0.8
    assert done.predict(x).labels.shape == (120,)
    assert done.evaluate()["accuracy"] == done.metrics["test"]["accuracy"]
    assert cr.load(done.path, data=(x, y)).evaluate() == done.evaluate()
    with pytest.raises(RunError, match="was in memory"):
        cr.load(done.path).evaluate()
    pairs = [(torch.from_numpy(row), int(label)) for row, label in zip(x, y, strict=True)]

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(pairs)

        def __getitem__(self, i):
            return pairs[i]

    other = cr.fit(Pairs(), epochs=20, runs=tmp_path, quiet=True)
    assert other.metrics == done.metrics


def test_the_network_beats_the_constant_and_says_where_it_stands(run):
    names = [y["name"] for y in run.record["yardsticks"]]
    assert names == ["the largest class alone", "logistic regression", "gradient-boosted trees"]
    best = max(y["metrics"]["accuracy"] for y in run.record["yardsticks"])
    ours = run.metrics["test"]["accuracy"]
    word = "ahead of" if ours > best else "level with" if ours == best else "behind"
    assert word in run.record["verdict"]


def test_a_learning_rate_that_blows_up_names_step_epoch_and_layer(tmp_path):
    with pytest.raises(
        TrainingFailed,
        match=r"not finite at step \d+; first in the (weights|outputs) of layer \d+ \(\w+\) \(epoch \d+\)",
    ) as failure:
        cr.fit("diabetes", optimizer="sgd", learning_rate=1e6, schedule="constant", runs=tmp_path, quiet=True)
    assert failure.value.exit_code == 3
    assert "lower --learning-rate" in str(failure.value)


def test_wrong_outputs_name_both_shapes(tmp_path):
    with pytest.raises(ShapeError, match=r"\(2, 3\) for 2 rows; got \(2, 4\)"):
        cr.fit("iris", model=nn.Linear(4, 4), runs=tmp_path, quiet=True)
    assert list(tmp_path.glob("iris*")) == []


@pytest.mark.parametrize("name", ["recipe.json", "checkpoint.safetensors", "metrics.json"])
def test_a_damaged_file_is_named(run, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    content = bytearray((copy / name).read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 40):
        content[place] ^= 0xFF
    (copy / name).write_bytes(content)
    with pytest.raises(RunError, match=name):
        opened = cr.load(copy)
        opened.predict(iris().frame)
        opened.metrics  # noqa: B018


@pytest.mark.parametrize("name", ["model.safetensors", "history.csv", "metrics.json", "report.html"])
def test_derived_files_come_back_when_missing(run, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    (copy / name).unlink()
    again = cr.fit(resume=copy, quiet=True)
    assert (copy / name).exists()
    assert again.metrics == run.metrics
    if name in ("model.safetensors", "history.csv"):
        assert (copy / name).read_bytes() == (run.path / name).read_bytes()


def test_changed_data_is_refused(tmp_path):
    file = tmp_path / "table.csv"
    frame = iris().frame
    frame.write_csv(file)
    done = cr.fit(file, epochs=2, runs=tmp_path / "runs", quiet=True)
    frame[::-1].write_csv(file)
    with pytest.raises(RunError, match=r"table\.csv has changed since the run was started"):
        cr.verify(done.path)


def test_predicting_for_other_rows_names_what_is_wrong(run):
    with pytest.raises(DataError, match="petal"):
        run.predict(iris().frame.drop("petal width (cm)"))


def test_settings_are_checked_before_anything_is_read(tmp_path):
    with pytest.raises(SettingError, match="--learning-rate must be above 0"):
        cr.fit("iris", learning_rate=-1, runs=tmp_path)
    with pytest.raises(SettingError, match=r"--test 0\.6 and --validation 0\.5 leave no rows"):
        cr.fit("iris", test=0.6, validation=0.5, runs=tmp_path, quiet=True)


def test_the_loop_as_an_iterator():
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    model = cr.build("mlp", inputs=3, units=1, hidden=(8,))
    task = cr.Binary(["no", "yes"])
    step = cr.AutogradStep(
        cr.Objective(model, task), cr.optimizer("adam", model.parameters(), learning_rate=0.05)
    )
    losses = []
    for report in cr.epochs(
        step, cr.Batches(x, y, 16), cr.Batches(x, y, 16), cr.schedule("constant", steps=400)
    ):
        losses.append(report.validation_loss)
        if report.validation["accuracy"] == 1:
            break
    assert losses[-1] < losses[0]
    assert math.isfinite(losses[-1])


def test_fit_seconds_and_peak_rows_are_recorded(run):
    assert 0 < run.record["fit_seconds"] < 60
    assert run.record["rows"] == {"train": 105, "validation": 15, "test": 30}


def test_pictures_from_folders_train_predict_and_resume(tmp_path):
    from PIL import Image

    random = np.random.default_rng(0)
    for name, column in (("left", 3), ("right", 12)):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(24):
            picture = random.integers(0, 60, (16, 16), np.uint8)
            picture[:, column - 2 : column + 2] = 255
            Image.fromarray(picture).save(folder / f"{i}.png")
    done = cr.fit(tmp_path / "pictures", epochs=6, runs=tmp_path / "runs", quiet=True)
    assert done.recipe.settings.model == "lenet"
    assert done.metrics["test"]["accuracy"] == 1
    assert done.predict(tmp_path / "pictures" / "left").names == ["left"] * 24
    assert done.predict(tmp_path / "pictures" / "right" / "3.png").names == ["right"]
    assert cr.verify(done.path).outcome == "equal bits"
    assert Path(done.path / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("data", "loss", "fitting"),
    [
        ("iris", "squared-error", "cross-entropy, focal, perceptron"),
        ("diabetes", "cross-entropy", "squared-error, half-squared-error"),
    ],
)
def test_a_loss_of_another_task_is_refused_with_those_that_fit(data, loss, fitting, tmp_path):
    with pytest.raises(SettingError, match=f"not for .*; those that are: {fitting}"):
        cr.fit(data, loss=loss, runs=tmp_path, quiet=True)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"metric": "r2"},
            "the metric r2 is not for classification into two classes; those that are: accuracy",
        ),
        ({"loss": "squared-error"}, "the loss squared-error is not for classification into two classes"),
    ],
)
def test_what_a_question_has_no_use_for_is_refused_before_anything_is_said_of_the_data(settings, why):
    columns = {"a": [float(i % 7) for i in range(60)], "y": ["yes", "Yes", "Yes"] * 20}
    events = run_fit(Request(data=pl.DataFrame(columns), target="y", settings=Settings(**settings)))
    assert next(events).text.startswith("reading ")
    with pytest.raises(SettingError, match=why):
        next(events)


def test_a_class_weight_that_there_is_not_is_refused_before_reading():
    with pytest.raises(SettingError, match="--class-weight takes balanced; got 'bal'"):
        cr.fit("no such file", class_weight="bal", quiet=True)


@pytest.mark.parametrize(("rows", "settings"), [(300, {"validation": 0}), (30, {})])
def test_patience_without_rows_that_validate_is_said_to_stop_nothing(rows, settings):
    columns = {"a": np.arange(rows) % 7 / 2, "y": np.sqrt(np.arange(rows))}
    source = read(pl.DataFrame(columns))
    notes = [
        prepare_run(Request(data=source, target="y", settings=Settings(patience=p, **settings)), source)[
            0
        ].notes
        for p in (3, None)
    ]
    assert [note for note in notes[0] if note not in notes[1]] == [
        "--patience 3 stops nothing: no rows validate, so that all epochs are made (--validation 0.1 keeps a tenth of "
        "the rows for it)"
    ]


def test_parts_given_apart_are_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, rows in (("a", 30), ("b", 30), ("c", 12)):
        lines = [f"{i},{i % 7},{2 * i + 3 * (i % 7) + rows}" for i in range(rows)]
        (tmp_path / f"{name}.csv").write_text("x,z,y\n" + "\n".join(lines) + "\n" + f"1,2,{ord(name)}\n")
    run = cr.fit(["a.csv", "b.csv"], test_data="c.csv", target="y", epochs=3, quiet=True)
    assert run.recipe.data["test_data"]["path"].endswith("c.csv")
    assert cr.verify(run.path).outcome == "equal bits"
    assert cr.load(run.path).evaluate() == run.metrics["test"] == cr.load(run.path).evaluate("c.csv")
    with pytest.raises(cr.ChainruleError, match=r"--test 0\.3 draws rows for what --test-data gives"):
        cr.fit("a.csv", test_data="c.csv", test=0.3)
    (tmp_path / "c.csv").write_text("x,z,y\n1,2,3\n2,3,4\n")
    with pytest.raises(cr.ChainruleError, match="has changed since the run was started"):
        cr.load(run.path).evaluate()


def test_a_run_on_several_files_is_named_after_their_folder(tmp_path):
    (tmp_path / "sales").mkdir()
    for month in ("feb", "mar"):
        rows = "".join(f"{i},{i * 2 % 7},{i % 5 + i / 10}\n" for i in range(40 if month == "feb" else 60))
        (tmp_path / "sales" / f"{month}.csv").write_text(f"a,b,y\n{rows}")
    runs = tmp_path / "runs"
    several = cr.fit(tmp_path / "sales" / "*.csv", target="y", epochs=1, runs=runs, quiet=True)
    one = cr.fit(tmp_path / "sales" / "feb.csv", target="y", epochs=1, runs=runs, quiet=True)
    assert (several.path.name, one.path.name) == ("sales-mlp-1", "feb-mlp-1")


def test_dropout_of_the_model_settings_is_not_overridden_by_a_suggestion(tmp_path: Path) -> None:
    run = cr.fit("iris", model_settings={"dropout": 0.0}, epochs=1, quiet=True, runs=tmp_path)
    assert run.recipe.model_settings["dropout"] == 0.0
    assert cr.fit("iris", epochs=1, quiet=True, runs=tmp_path).recipe.model_settings["dropout"] == 0.1
