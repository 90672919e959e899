"""A classical model in a run folder: the same files, words and commands as a network's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import skops.io
import torch
from sklearn.preprocessing import FunctionTransformer

import chainrule as cr
from chainrule.core.errors import DataError, MissingExtraError, RunError, SettingError, UnknownNameError
from chainrule.jobs.classical import ESTIMATOR
from chainrule.jobs.compare import compare_runs, list_runs
from chainrule.jobs.events import Finished, Said, Warned
from chainrule.jobs.fit import run_fit
from chainrule.jobs.request import Request
from chainrule.jobs.run import Run
from chainrule.train.checkpoint import load_checkpoint, save_checkpoint
from chainrule.train.settings import Settings

STUDY = Path(__file__).parent.parent / "fixtures" / "study.csv"


def fit(tmp_path: Path, data: object = "iris", model: str = "decision-tree", **settings: object) -> Run:
    return cr.fit(data, model=model, runs=tmp_path / "runs", quiet=True, **settings)


def test_a_run_folder_holds_what_that_of_a_network_does(tmp_path: Path) -> None:
    run = fit(tmp_path, model_settings={"depth": 3})
    network = fit(tmp_path, model="softmax-regression", epochs=2)
    files = {path.name for path in run.path.iterdir()}
    assert files ^ {path.name for path in network.path.iterdir()} == {"model.skops", "model.safetensors"}
    assert run.record["rows"] == network.record["rows"]
    ours, theirs = (found.record for found in (run, network))
    assert ours.keys() == theirs.keys()
    assert ours["metrics"]["test"].keys() == theirs["metrics"]["test"].keys()
    assert ours["intervals"]["test"].keys() == theirs["intervals"]["test"].keys()
    assert [y["name"] for y in ours["yardsticks"]] == [y["name"] for y in theirs["yardsticks"]]
    assert ours["yardsticks"][1]["metrics"] == theirs["yardsticks"][1]["metrics"]  # of the same rows
    page = (run.path / "report.html").read_text()
    assert "this model" in page and "this network" not in page and "symbolic" in page
    assert "Training" not in page.split("<nav")[1].split("</nav>")[0]


def test_it_opens_again_and_is_repeated(tmp_path: Path) -> None:
    run = fit(tmp_path, model="random-forest", model_settings={"trees": 10}, seed=3)
    again = cr.load(run.path)
    rows = pl.DataFrame({name: [5.0, 6.0] for name in [c.name for c in run.recipe.schema.columns]})
    assert torch.equal(again.predict(rows).probabilities, run.predict(rows).probabilities)
    assert again.evaluate() == run.metrics["test"]
    assert again.recipe.model_settings["trees"] == 10 and len(again.model.estimator.estimators_) == 10
    found = cr.verify(run.path)
    assert found.outcome == "equal bits" and str(found) == "equal bits: the answers to all 150 rows"
    other = fit(tmp_path, model="random-forest", model_settings={"trees": 10}, seed=4)
    tensors, state = load_checkpoint(other.folder.checkpoint)
    save_checkpoint(run.folder.checkpoint, tensors, state)
    assert cr.verify(run.path).outcome == "different"


def test_resume_finishes_what_a_kill_left(tmp_path: Path) -> None:
    run = fit(tmp_path, model="naive-bayes")
    before = run.metrics
    for name in ("checkpoint.safetensors", "metrics.json", "report.html", "model.skops"):
        (run.path / name).unlink()
    assert cr.fit(resume=run.path, quiet=True).metrics == before
    assert (run.path / "model.skops").exists()


def test_runs_are_listed_and_compared_with_networks(tmp_path: Path) -> None:
    first = fit(tmp_path, model="nearest-neighbours", model_settings={"neighbours": 3})
    second = fit(tmp_path, model="softmax-regression", epochs=2)
    rows = list_runs(tmp_path / "runs")
    assert [(row["model"], row["state"]) for row in rows] == [
        ("nearest-neighbours", "finished"),
        ("softmax-regression", "finished"),
    ]
    found = compare_runs(tmp_path / "runs", [first.path.name, second.path.name])
    assert found.settings["neighbours"] == ["3", "–"]
    assert found.metrics["test accuracy"] == [run.metrics["test"]["accuracy"] for run in (first, second)]


def test_few_rows_are_judged_by_further_models(tmp_path: Path) -> None:
    request = Request(data=STUDY, target="exam", settings=Settings(model="ridge-regression"), runs=tmp_path)
    events = list(run_fit(request))
    said = [event.text for event in events if isinstance(event, Said)]
    assert any(
        "8 rows are few: all of them train the model, and 8 further models judge it" in text for text in said
    )
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.judging["said"] == (
        "leave-one-out: 8 models of the same recipe, each judged on the row that it never saw"
    )
    run = Run(finished.run)
    table = pl.read_csv(STUDY)
    held = [
        cr.fit(
            table.with_row_index("at").filter(pl.col("at") != place).drop("at"), target="exam", model="ridge-regression",
            test=0, validation=0, folds=0, runs=tmp_path / "alone", quiet=True,
        ).predict(table[place : place + 1].drop("exam")).values[0, 0].item()
        for place in range(8)
    ]  # fmt: skip
    errors = np.abs(np.array(held) - table["exam"].to_numpy())
    assert run.metrics["test"]["mae"] == pytest.approx(errors.mean(), rel=1e-4)


def test_several_values_missing_cells_and_words(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    a, kind = random.normal(size=120), random.choice(["x", "y"], 120)
    table = pl.DataFrame({
        "a": [None if i % 7 == 0 else v for i, v in enumerate(a)], "kind": kind,
        "high": a * 50 + 1000 * (kind == "x"), "low": -a,
    })  # fmt: skip
    for model in ("random-forest", "kernel-svm", "gradient-boosting"):
        run = fit(tmp_path, table, model=model, target="high,low")
        assert run.metrics["test"]["r2"] > 0.5
        found = run.predict(pl.DataFrame({"a": [1.0, None], "kind": ["x", "y"]})).values
        assert found.shape == (2, 2) and found[0, 0] > 900 and found[1, 0] < 300


def test_pictures_are_rows_of_pixels(tmp_path: Path) -> None:
    run = fit(tmp_path, "digits", model="nearest-neighbours")
    assert run.metrics["test"]["accuracy"] > 0.95


def test_rows_that_stay_on_disk(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(40_000, 6))
    np.savez(tmp_path / "rows.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))
    run = fit(tmp_path, tmp_path / "rows.npz", memory="1MB", model_settings={"depth": 3})
    assert run.metrics["test"]["accuracy"] > 0.99
    assert cr.load(run.path).evaluate() == run.metrics["test"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"epochs": 3}, "decision-tree is a classical model, fitted in one go, and --epochs is of networks: leave it out"),
        ({"optimizer": "adam", "dropout": 0.1}, "and --optimizer and --dropout are of networks: leave them out"),
        ({"plan": "dense"}, "--plan is of networks"),
        ({"loss": "hinge"}, "--set loss is of networks"),
        ({"device": "cuda"}, "--device is of networks"),
        ({"l1": 0.1}, "--set l1 is of networks"),
        ({"loss": lambda o, t: (o - t).square().sum(-1)}, "a loss of its own, and loss= is of networks: leave it out"),
        ({"settings": {"shuffle": False}}, "--set shuffle is of networks"),
    ],
)  # fmt: skip
def test_what_only_networks_have_is_refused(tmp_path: Path, settings: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        fit(tmp_path, **settings)
    assert said in str(caught.value) and not (tmp_path / "runs" / "iris-decision-tree-1").exists()


@pytest.mark.parametrize(
    ("model", "settings", "error", "said"),
    [
        ("random-forest", {"treess": 5}, UnknownNameError, "no setting of random-forest is called 'treess'; did you mean 'trees'?"),
        ("random-forest", {"seed": 5}, UnknownNameError, "no setting of random-forest is called 'seed'"),
        ("random-forest", {"trees": 0}, SettingError, "trees takes a whole number of at least 1; got 0"),
        ("random-forest", {"trees": 2.5}, SettingError, "trees takes a whole number of at least 1; got 2.5"),
        ("kernel-svm", {"kernel": "rbff"}, SettingError, "kernel takes rbf or polynomial or sigmoid or linear; got 'rbff'"),
        ("kernel-svm", {"C": 0}, SettingError, "C takes a number above 0; got 0"),
        ("bagging", {"share": 1.5}, SettingError, "share takes a number up to 1; got 1.5"),
        ("least-squares", {}, SettingError, "least-squares is not for classes; those that are: nearest-neighbours, naive-bayes"),
        ("nearest-neighbours", {"neighbours": 500}, DataError, "asks 500 neighbours, and 105 rows train it"),
    ],
)  # fmt: skip
def test_what_a_model_cannot_do_is_said(
    tmp_path: Path, model: str, settings: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        fit(tmp_path, model=model, model_settings=settings)
    assert said in str(caught.value)
    assert not list((tmp_path / "runs").glob("iris-*"))


def test_a_model_that_weighs_no_classes_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"naive-bayes cannot weigh classes .*; those that can: penalised-logistic"
    ):
        fit(tmp_path, model="naive-bayes", class_weight="balanced")


def test_class_weights_are_those_of_the_model(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = (np.arange(400) % 10 == 0).astype(int)
    x = random.normal(size=(400, 2)) + y[:, None]
    plain, weighed = (
        fit(tmp_path, (x, y), model="penalised-logistic-regression", class_weight=weight).metrics["test"][
            "recall"
        ]
        for weight in (None, "balanced")
    )
    assert weighed > plain + 0.2


def test_machines_that_only_decide_say_so_and_can_be_calibrated(tmp_path: Path) -> None:
    run = fit(tmp_path, "breast-cancer", model="linear-svm")
    assert any("gives no probabilities" in note for note in run.recipe.notes)
    rows = pl.DataFrame({c.name: [1.0] for c in run.recipe.schema.columns})
    assert set(run.predict(rows).probabilities[0].tolist()) == {0.0, 1.0}
    sure = fit(tmp_path, "breast-cancer", model="linear-svm", model_settings={"probabilities": True})
    assert 0 < sure.predict(rows).probabilities[0, 0] < 1
    assert sure.metrics["test"]["calibration-error"] < 0.1
    assert not any("gives no probabilities" in note for note in sure.recipe.notes)


def test_lightgbm_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(
        MissingExtraError, match=r"needs the package 'lightgbm'.*pip install 'chainrule\[lightgbm\]'"
    ):
        fit(tmp_path, "no such file", model="lightgbm")


def test_a_solver_that_has_not_settled_warns(tmp_path: Path) -> None:
    request = Request(
        data="iris", settings=Settings(model="linear-svm"), model_settings={"C": 1e7}, runs=tmp_path
    )
    warned = [event.text for event in run_fit(request) if isinstance(event, Warned)]
    assert any("the solver of linear-svm was stopped before it had settled" in text for text in warned)


def test_a_folder_that_nothing_was_kept_in_is_taken_away(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"not full rank\. Increase the value of shrinkage \(--set shrinkage=0.1\)"
    ):
        fit(tmp_path, "digits", model="gaussian-discriminant-analysis", model_settings={"covariance": "own"})
    assert not list((tmp_path / "runs").glob("digits-*"))


def test_its_script_is_of_scikit_learn(tmp_path: Path) -> None:
    script = fit(tmp_path).code()
    assert "from sklearn.tree import DecisionTreeClassifier" in script and "chainrule." not in script


def test_build_says_that_it_builds_networks() -> None:
    with pytest.raises(
        SettingError, match="random-forest is a classical model, not a network: chainrule fit"
    ):
        cr.build("random-forest", inputs=2, units=1)


# ---- a checkpoint that somebody has changed


def replaced(run: Run, content: bytes) -> None:
    tensors, state = load_checkpoint(run.folder.checkpoint)
    tensors[ESTIMATOR] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    save_checkpoint(run.folder.checkpoint, tensors, state)


def test_a_foreign_object_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    run = fit(tmp_path)
    replaced(run, skops.io.dumps(FunctionTransformer(exec)))
    with pytest.raises(RunError, match=r"checkpoint.safetensors is refused: it holds builtins.exec"):
        cr.load(run.path).predict(np.zeros((1, 4)))


def test_another_model_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    run, other = fit(tmp_path), fit(tmp_path, model="naive-bayes")
    shutil.copy(other.folder.checkpoint, run.folder.checkpoint)
    with pytest.raises(RunError, match="does not fit its recipe: it holds a GaussianNB"):
        cr.load(run.path).evaluate()


def test_a_recipe_with_settings_that_no_model_has(tmp_path: Path) -> None:
    run = fit(tmp_path)
    recipe = json.loads((run.path / "recipe.json").read_text())
    recipe["model_settings"]["depht"] = 3
    (run.path / "recipe.json").write_text(json.dumps(recipe))
    with pytest.raises((RunError, UnknownNameError), match="depht"):
        cr.load(run.path).evaluate()
