"""Cross-validation as users call it: the same figures as networks trained one by one, for networks and classical models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_wine
from typer.testing import CliRunner

import chainrule as cr
from chainrule.apps.cli import app
from chainrule.core.errors import DataError, SettingError, TrainingFailed
from chainrule.core.seeds import mix
from chainrule.data.read import read
from chainrule.data.reading import Reading
from chainrule.jobs import population_memory
from chainrule.jobs.cross_validate import run_cross_validation
from chainrule.jobs.entries import Entry, alone
from chainrule.jobs.folds import fold_materials, in_fold
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import draw_start_, make_training
from chainrule.report.cross_validation import CrossValidation
from chainrule.train.loop import judge, outputs_of
from chainrule.train.settings import Settings

QUICK = {"epochs": 4, "batch_size": 32}


def cross_validated(data: object, **options: object) -> CrossValidation:
    return cr.cross_validate(data, quiet=True, **options)  # type: ignore[arg-type]


@pytest.mark.curriculum("HPO-07")
def test_scores_are_those_of_networks_trained_one_by_one() -> None:
    found = cross_validated("iris", model="mlp", folds=3, repeats=2, settings=QUICK, seed=4)
    settings = Settings(model="mlp", test=0.0, validation=0.0, folds=0, seed=4, **QUICK)  # type: ignore[arg-type]
    recipe, material = prepare_run(
        Request(data="iris", settings=settings), read("iris", Reading(target=None))
    )
    for number, of_fold in enumerate(fold_materials(recipe, material, folds=3, repeats=2, seed=4)):
        own = alone(Entry(recipe=in_fold(recipe, of_fold, seed=mix(4, "fold", number)), material=of_fold))
        with own.plan.applied() as device:
            training = make_training(own, of_fold, device)
            draw_start_(training.step.objective.model, own)
            list(training.reports())
        task = training.step.objective.task
        outputs = outputs_of(
            training.step.objective.model, of_fold.inputs, torch.from_numpy(of_fold.split.test)
        )
        expected = judge(task, outputs, task.encode(of_fold.examples.targets[of_fold.split.test]))  # type: ignore[index]
        metrics = found.folds[number].metrics
        assert metrics is not None and metrics["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-9)
        assert metrics["log-loss"] == pytest.approx(expected["log-loss"], rel=1e-4)
    assert found.mean == pytest.approx(np.mean(found.scores())) and len(found.scores()) == 6
    assert found.interval[0] < found.mean < found.interval[1]


@pytest.mark.curriculum("HPO-08")
def test_five_folds_of_twenty_rows_in_words_and_numbers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = {"a": random.normal(size=20), "b": random.normal(size=20), "kind": ["x", "y"] * 10}
    pl.DataFrame(rows).write_csv(tmp_path / "twenty.csv")
    found = cross_validated(str(tmp_path / "twenty.csv"), target="kind", settings=QUICK)
    assert [(fold.train, fold.held_out) for fold in found.folds] == [(16, 4)] * 5
    assert found.rows == 20 and found.base == pytest.approx(0.5)
    assert found.mean == pytest.approx(sum(found.scores()) / 5)


@pytest.mark.curriculum("TOO-08")
def test_the_folds_are_drawn_with_one_v_per_column() -> None:
    found = cross_validated("iris", folds=5, settings={"epochs": 1})
    drawn = [found.places(fold).split() for fold in found.folds]
    assert len(drawn) == 5 and all(row.count("V") == 1 for row in drawn)
    assert all(column.count("V") == 1 for column in zip(*drawn, strict=True))
    lines = found.text().splitlines()
    assert sum("V T T T T" in line for line in lines) == sum("T T T T V" in line for line in lines) == 1


def test_a_classical_model_is_judged_as_scikit_learn_judges_it() -> None:
    found = cross_validated("wine", model="nearest-neighbours")
    assert found.is_classical and len(found.scores()) == 5
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_wine(return_X_y=True)
    theirs = cross_val_score(make_pipeline(StandardScaler(), KNeighborsClassifier()), x, y, cv=5)
    assert found.mean == pytest.approx(theirs.mean(), abs=0.03) and found.base == pytest.approx(
        71 / 178, abs=0.01
    )


def test_values_are_judged_by_r2_beside_the_mean_alone() -> None:
    found = cross_validated("diabetes", model="ridge-regression", folds=4)
    assert found.metric == "r2" and 0.4 < found.mean < 0.55 and abs(found.base or 1) < 0.05
    assert "the mean alone" in found.headline() and found.spreads["rmse"].low > 0


def test_the_command_prints_a_page_and_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["cross-validate", "iris", "--epochs", "2", "--folds", "3"]
    result = CliRunner().invoke(app, [*asked, "--json"])
    last = json.loads(result.stdout.splitlines()[-1])
    assert result.exit_code == 0 and last["event"] == "cross-validation" and len(last["per_fold"]) == 3
    assert last["deviation"] == pytest.approx(
        np.std([one["metrics"]["accuracy"] for one in last["per_fold"]], ddof=1)
    )
    page = (tmp_path / "cross-validate-iris-mlp.html").read_text("utf-8")
    assert (
        "V T T" in CliRunner().invoke(app, asked).stdout
        and "Nadeau" in page
        and "chainrule cross-validate iris" not in page
    )


def test_patience_gets_a_validation_part_in_each_fold() -> None:
    found = cross_validated("iris", folds=5, settings={"epochs": 3, "patience": 2})
    assert [(fold.train, fold.validation, fold.held_out) for fold in found.folds] == [(108, 12, 30)] * 5


def test_folds_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingError, match="--folds 60 needs 60 different rows of every class"):
        cross_validated("iris", folds=60)


def test_what_is_found_is_told() -> None:
    request = Request(data="iris", settings=Settings(model="mlp", test=0.2, epochs=1))
    said = [getattr(event, "text", "") for event in run_cross_validation(request, folds=3, repeats=1)]
    assert "30 test rows are in no fold" in said


def test_patience_that_each_fold_has_rows_for_is_not_called_useless() -> None:
    request = Request(data="iris", settings=Settings(model="mlp", patience=2, epochs=1))
    said = [getattr(event, "text", "") for event in run_cross_validation(request, folds=3, repeats=1)]
    assert not any("stops nothing" in text for text in said)


def test_a_network_that_diverges_everywhere_ends_with_the_reason() -> None:
    settings = {**QUICK, "optimizer": "sgd", "learning_rate": 1e18, "model": "linear-regression"}
    with pytest.raises(TrainingFailed, match=r"could be trained on 0 of 5 folds.*fold 1: "):
        cross_validated("diabetes", settings=settings)


def test_a_fold_of_one_class_has_no_auc(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = {"shop": np.repeat(np.arange(8), 6), "a": random.normal(size=48), "b": random.normal(size=48)}
    rows["kind"] = (rows["shop"] < 3).astype(int)
    pl.DataFrame(rows).write_csv(tmp_path / "shops.csv")
    settings = {"split": "group:shop", "metric": "auc", "task": "classification"}
    with pytest.raises(DataError, match="auc is not defined for the rows held out in fold"):
        cross_validated(
            str(tmp_path / "shops.csv"), target="kind", folds=8, settings=settings, model="naive-bayes"
        )


def test_an_ensemble_is_judged_as_one_model() -> None:
    found = cross_validated("wine", folds=3, settings={**QUICK, "members": 3, "ensemble": "bagging"})
    (alone, together) = (
        cross_validated("wine", folds=3, settings={**QUICK, **own}) for own in ({}, {"members": 2})
    )
    assert len(found.scores()) == 3 and found.settings["members"] == 3 and 0.5 < found.mean <= 1
    assert "3 ensembles of 3 networks" in found.about() and "3 networks" in alone.about()
    assert alone.scores("log-loss") != together.scores("log-loss")


@pytest.mark.parametrize("ending", ["html", "png", "svg", "json"])
def test_it_is_saved_as_its_ending_says(ending: str, tmp_path: Path) -> None:
    found = cross_validated("iris", model="naive-bayes", folds=3)
    begins = {"html": b"<!doctype html>", "png": b"\x89PNG", "svg": b"<?xml", "json": b"{"}
    assert found.save(tmp_path / f"found.{ending}").read_bytes().startswith(begins[ending])


def test_what_became_of_networks_that_memory_is_short_for_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["cross-validate", "iris", "--model", "mlp", "--folds", "4", "--epochs", "2"]
    free = CliRunner().invoke(app, asked).stdout.splitlines()
    monkeypatch.setattr(population_memory, "available_bytes", lambda: 100_000)
    short = CliRunner().invoke(app, asked).stdout.splitlines()
    told = [line for line in short if " of memory are for those under way: " in line]
    assert told and told[0].startswith("a network takes ") and not any("under way" in line for line in free)
    (figures,) = [line for line in free if line.startswith("accuracy ")]
    assert figures in short
