"""Few rows: all train, each is judged by networks that never saw it, and the words say so."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console
from torch import nn

import chainrule as cr
from chainrule.core import signals
from chainrule.core.errors import DataError, Interrupted, SettingError
from chainrule.data.prepare import Prepare
from chainrule.data.splits import Split
from chainrule.jobs import held_out, show
from chainrule.jobs.events import Finished, HeldOut, Said
from chainrule.jobs.fit import run_fit
from chainrule.jobs.folds import with_split
from chainrule.jobs.material import Material, make_material, read_again
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import make_training
from chainrule.train.settings import Settings

STUDY = Path(__file__).parent.parent / "fixtures" / "study.csv"


def request(tmp_path, data=STUDY, target="exam", **settings):
    chosen = Settings(**{"model": "mlp", "epochs": 40, **settings})
    return Request(data=data, target=target, settings=chosen, runs=tmp_path, model_settings={"hidden": (8,)})


def few(rows=30, seed=0):
    random = np.random.default_rng(seed)
    a = random.normal(size=rows)
    return pl.DataFrame(
        {
            "a": a,
            "b": random.normal(size=rows),
            "y": np.where(a + 0.3 * random.normal(size=rows) > 0, "yes", "no"),
        }
    )


@pytest.mark.curriculum("DAT-06", "WRK-01")
def test_the_study_table_is_judged_by_leaving_one_out(tmp_path):
    """Eight students: all train the network that is kept; eight others each predict the one that they never saw."""
    events = list(run_fit(request(tmp_path, optimizer="adam", learning_rate=0.02, weight_decay=0.0)))
    assert [e.network for e in events if isinstance(e, HeldOut) and e.is_trained] == list(range(1, 9))
    said = [e.text for e in events if isinstance(e, Said)]
    assert (
        "8 rows are few: all of them train the network, and 8 further networks judge it, each on the row that it did not "
        "train on (--test 0.2 holds a fifth back instead)"
    ) in said
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.rows == {"train": 8, "validation": 0, "test": 0}
    record = json.loads((finished.run / "metrics.json").read_text())
    assert (record["judging"]["method"], record["judging"]["networks"]) == ("leave-one-out", 8)
    exam = pl.read_csv(STUDY)["exam"].to_numpy().astype(float)
    # Each is predicted by the mean of the seven others: the constant's error is 8/7 of the deviation.
    constant = record["yardsticks"][0]
    assert constant["metrics"]["mae"] == pytest.approx(np.abs(exam - exam.mean()).mean() * 8 / 7)
    assert record["metrics"]["train"]["mae"] < record["metrics"]["test"]["mae"] < 60
    assert set(record["intervals"]["test"]) >= {"r2", "mae"}
    assert finished.judged_on == "test"
    assert finished.intervals == {k: tuple(v) for k, v in record["intervals"]["test"].items()}
    page = (finished.run / "report.html").read_text()
    assert "leave-one-out: 8 networks of the same recipe, each judged on the row that it never saw" in page
    assert "8 held-out rows" in page
    run = cr.load(finished.run)
    assert run.evaluate() == record["metrics"]["test"]
    assert run.notes == (
        "the run kept no test rows; leave-one-out: 8 networks of the same recipe, each judged on the row that it never saw",
    )
    assert cr.verify(finished.run).outcome == "equal bits"


def test_the_figures_are_those_of_networks_trained_by_hand(tmp_path):
    """The network of fold 3 is the one of a recipe with its seed, on seven rows: its error is in the mean."""
    asked = request(tmp_path)
    finished = list(run_fit(asked))[-1]
    recipe = cr.load(finished.run).recipe
    source = read_again(recipe, None, cr.load(finished.run).folder)
    material = make_material(source, recipe.schema.encode(source), recipe.schema, recipe.settings)
    errors = []
    for fold in held_out._folds(material, 8, recipe.settings.seed):
        split = Split(train=fold.train, validation=fold.train[:0], test=fold.held_out)
        of_fold = with_split(recipe, material, split)
        assert of_fold.prepare.mean.tolist() == pytest.approx(
            material.examples.numbers[fold.train].mean(0).tolist()
        )
        settings = {**recipe.to_json()["settings"], "seed": held_out.mix(0, "fold", fold.number)}
        own = type(recipe)(
            **{
                **{n: getattr(recipe, n) for n in recipe.__slots__},
                "settings": Settings(**{**settings, "columns": ()}),
            }
        )
        training = make_training(own, of_fold, torch.device("cpu"))
        list(training.reports())
        task = training.step.objective.task
        assert task.mean.item() == pytest.approx(material.examples.targets[fold.train].mean())
        outputs = training.step.objective.model.eval()(of_fold.inputs[fold.held_out])
        errors.append(
            abs(task.decode(outputs).values.item() - material.examples.targets[fold.held_out].item())
        )
    assert finished.metrics["test"]["mae"] == pytest.approx(np.mean(errors), rel=1e-5)


@pytest.mark.curriculum("HPO-09")
@pytest.mark.parametrize("rows", [30, 200])
def test_rows_that_judge_never_reach_a_fit(tmp_path, monkeypatch, rows):
    """Preparation, scaling of targets, network and yardsticks: each is recorded with the rows that it was fitted on."""
    import sklearn.ensemble
    import sklearn.linear_model

    frame = few(rows).with_columns(y=pl.col("a") * 3 + pl.col("b"))
    seen: list[set[float]] = []  # the targets of what was fitted; every row has its own

    def spy(kind, name, targets_of):
        real = getattr(kind, name)
        monkeypatch.setattr(
            kind, name, lambda self, *a, **k: (seen.append(targets_of(self, *a)), real(self, *a, **k))[1]
        )

    truth = frame["y"].to_numpy()
    spy(Prepare, "fit", lambda self, examples, chosen, *_: set(examples.targets[chosen, 0]))
    spy(cr.Regression, "fit", lambda self, values, *_: set(values[:, 0]))
    spy(sklearn.linear_model.Ridge, "fit", lambda self, x, y, *_: set(np.ravel(y)))
    spy(sklearn.ensemble.HistGradientBoostingRegressor, "fit", lambda self, x, y, *_: set(np.ravel(y)))
    judged: list[set[float]] = []
    for module in ("chainrule.jobs.yardstick", "chainrule.jobs.held_out"):
        name = {"chainrule.jobs.yardstick": "_answers", "chainrule.jobs.held_out": "_trained"}[module]
        real = getattr(__import__(module, fromlist=["x"]), name)

        def note(*a, real=real, **k):
            material = next(x for x in a if isinstance(x, Material))
            judged.append((set(truth[material.split.test]), len(seen)))
            return real(*a, **k)

        monkeypatch.setattr(f"{module}.{name}", note)
    list(run_fit(request(tmp_path, data=frame, target="y")))
    assert len(judged) == (2 if rows == 200 else 3 * 20)
    at = 0
    for held, until in judged:
        if rows == 200:
            assert all(not held & fitted for fitted in seen)
        else:  # what was fitted since the last judging belongs to this fold, the first of all to the kept network
            assert all(not held & fitted for fitted in seen[max(at, 2) : until])
            at = until


def test_interrupted_while_judging_goes_on_to_the_same_figures(tmp_path):
    whole = list(run_fit(request(tmp_path / "whole")))[-1]
    events = run_fit(request(tmp_path / "cut"))
    with pytest.raises(
        Interrupted, match=r"the network is trained and saved, what is missing of its report comes with"
    ):
        for event in events:
            if isinstance(event, HeldOut) and event.is_trained and event.network == 3:
                signals.signal.raise_signal(signals.signal.SIGINT)
    folder = tmp_path / "cut" / whole.run.name
    assert not (folder / "metrics.json").exists()
    again = list(run_fit(Request(resume=folder, runs=tmp_path / "cut")))[-1]
    assert again.metrics == whole.metrics and again.intervals == whole.intervals
    for name in ("checkpoint.safetensors", "model.safetensors"):
        one, other = (cr.load(run).model.state_dict() for run in (whole.run, folder))
        assert all(torch.equal(one[key], other[key]) for key in one), name
    assert {p.name for p in folder.iterdir()} == {p.name for p in whole.run.iterdir()}


def test_more_rows_are_judged_in_rounds(tmp_path):
    finished = list(run_fit(request(tmp_path, data=few(), target="y", learning_rate=0.03)))[-1]
    judging = json.loads((finished.run / "metrics.json").read_text())["judging"]
    assert (judging["method"], judging["networks"], judging["rounds"]) == ("5-fold cross-validation", 20, 4)
    assert finished.metrics["test"]["accuracy"] > 0.6


def test_what_is_said_about_test_rows_is_done(tmp_path):
    for given in ({"test": 0.3}, {"validation": 0.2}, {"split": "time:b"}):
        finished = list(run_fit(request(tmp_path, data=few(), target="y", **given)))[-1]
        assert finished.judging is None and finished.rows["test"] >= 6
    finished = list(run_fit(request(tmp_path, data=few(80), target="y", folds=4)))[-1]
    assert finished.judging["method"] == "4-fold cross-validation" and finished.rows["train"] == 80
    with pytest.raises(SettingError, match="--set folds takes 2 or more"):
        list(run_fit(request(tmp_path, data=few(), target="y", folds=1)))


@pytest.mark.parametrize("rows", [1, 2])
def test_too_few_rows_for_anything(tmp_path, rows):
    table = pl.DataFrame({"a": [1.0, 2.0][:rows], "y": [1.5, 2.5][:rows]})
    with pytest.raises(
        DataError, match=f"has {rows} rows? with a target, too few to learn from and to judge by; at least 3"
    ):
        list(run_fit(request(tmp_path, data=table, target="y")))
    assert not any(tmp_path.iterdir())


def test_three_rows_are_judged(tmp_path):
    table = pl.DataFrame({"a": [1.0, 2.0, 4.0], "y": [1.5, 2.5, 3.0]})
    finished = list(run_fit(request(tmp_path, data=table, target="y")))[-1]
    assert finished.judging["networks"] == 3


def test_a_module_of_ones_own_takes_the_same_inputs_in_every_fold(tmp_path):
    frame = few(12).with_columns(a=pl.when(pl.int_range(12) == 5).then(None).otherwise("a"))
    run = cr.fit(frame, target="y", model=nn.Linear(3, 1), epochs=5, runs=tmp_path, quiet=True)
    assert run.record["judging"]["networks"] == 12


def test_the_printed_figures_have_two_digits(tmp_path, capsys):
    cr.fit(few(12), target="y", epochs=5, runs=tmp_path)
    printed = capsys.readouterr().out
    assert "leave-one-out: 12 networks of the same recipe" in printed
    line = next(text for text in printed.splitlines() if text.startswith("held out: "))
    right = int(line.split()[2])
    assert line.startswith(f"held out: {right} of 12 right · accuracy ")
    assert "held-out accuracy" in printed


def test_metrics_that_are_missing_come_back(tmp_path):
    finished = list(run_fit(request(tmp_path)))[-1]
    shutil.copytree(finished.run, tmp_path / "copy")
    (tmp_path / "copy" / "metrics.json").unlink()
    list(run_fit(Request(resume=tmp_path / "copy", runs=tmp_path)))
    assert cr.load(tmp_path / "copy").metrics == cr.load(finished.run).metrics


def test_a_file_hears_how_far_the_judging_is(monkeypatch):
    """Where no bar can move a line says so every five seconds, the last network's end is told by the figures."""
    told, clock = io.StringIO(), iter(range(0, 60, 2))
    monkeypatch.setattr(show.time, "perf_counter", lambda: next(clock))
    events = [HeldOut(network=1 + i, networks=8, is_trained=True) for i in range(8)]
    list(show.Terminal(Console(file=told, soft_wrap=True)).show(events))
    assert told.getvalue().splitlines() == [f"{i} of 8 networks that judge are trained" for i in (4, 7)]
