"""How a run is judged: intervals, base rates, yardsticks, class weights, and what is shown of them."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.core.errors import SettingError
from chainrule.jobs import yardstick
from chainrule.jobs.compare import compare_runs, list_runs
from chainrule.jobs.events import Finished
from chainrule.jobs.fit import run_fit
from chainrule.jobs.predict import evaluate_on
from chainrule.jobs.request import Request
from chainrule.jobs.show import Terminal, epoch_line, figures
from chainrule.jobs.standing import base_rate, verdict
from chainrule.report.summary import Yardstick
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.metrics import metrics_for
from chainrule.train.settings import Settings
from chainrule.train.task import Binary, Regression


def rare(rows: int = 600) -> pl.DataFrame:
    """Return a table in which one row of twenty is of the second class, by chance and two columns."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 2))
    chance = 1 / (1 + np.exp(4.2 - 1.5 * x[:, 0] - x[:, 1]))
    return pl.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "state": np.where(random.random(rows) < chance, "sick", "fit")}
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    cr.fit(rare(), target="state", epochs=8, name="plain", runs=folder, quiet=True)
    cr.fit(rare(), target="state", epochs=8, name="weighed", class_weight="balanced", metric="balanced-accuracy",
           runs=folder, quiet=True)  # fmt: skip
    cr.fit("diabetes", epochs=8, name="values", metric="mae", runs=folder, quiet=True)
    return folder


def test_every_test_figure_has_an_interval(runs: Path) -> None:
    for name, kind in (("plain", "binary"), ("values", "regression")):
        record = json.loads((runs / name / "metrics.json").read_text())
        figures = record["metrics"]["test"]
        assert list(figures) == ["loss", *metrics_for(kind)]
        assert all(isinstance(value, float) for value in figures.values())
        assert list(record["intervals"]) == ["test"] and set(record["intervals"]["test"]) == set(figures)
        for figure, (low, high) in record["intervals"]["test"].items():
            assert low <= figures[figure] <= high
        for one in record["yardsticks"]:
            assert set(one["metrics"]) == set(metrics_for(kind))


def test_constant_yardstick_is_the_base_rate(runs: Path) -> None:
    record = json.loads((runs / "plain" / "metrics.json").read_text())
    constant = record["yardsticks"][0]["metrics"]
    share = constant["accuracy"]
    assert share > 0.9
    assert constant["balanced-accuracy"] == constant["auc"] == 0.5
    assert constant["precision"] == constant["recall"] == constant["f1"] == 0
    assert constant["average-precision"] == pytest.approx(1 - share)
    assert constant["calibration-error"] < 0.05, "it is as sure as the class is frequent"


def test_class_weights_find_more_of_the_rare_class(runs: Path) -> None:
    plain, weighed = (cr.load(runs / name, data=rare()) for name in ("plain", "weighed"))
    assert weighed.metrics["test"]["recall"] > plain.metrics["test"]["recall"]
    assert weighed.metrics["test"]["balanced-accuracy"] > plain.metrics["test"]["balanced-accuracy"]
    assert weighed.metrics["test"]["accuracy"] < plain.metrics["test"]["accuracy"]
    weights = load_checkpoint(weighed.folder.checkpoint)[0]["task/class_weights"]
    assert weights[1] > 8 * weights[0]
    assert "task/class_weights" not in load_checkpoint(plain.folder.checkpoint)[0]
    assert cr.verify(weighed.path, data=rare()).outcome == "equal bits"
    assert weighed.evaluate()["loss"] == pytest.approx(weighed.metrics["test"]["loss"], rel=1e-6)
    loss, log_loss = (weighed.metrics["test"][name] for name in ("loss", "log-loss"))
    assert loss != pytest.approx(log_loss), "the loss is weighted, the metric is not"
    report = (weighed.path / "report.html").read_text("utf-8")
    assert "classes weigh as --class-weight balanced says" in report


def test_class_weights_are_for_classes(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--class-weight is for classes; this target holds values"):
        cr.fit("diabetes", class_weight="balanced", runs=tmp_path, quiet=True)


def test_importance_stands_in_the_record(runs: Path) -> None:
    found = json.loads((runs / "values" / "metrics.json").read_text())["importance"]
    assert found["metric"] == "mae" and found["part"] == "test" and found["columns_in_all"] == 10
    assert {one["column"] for one in found["columns"][:3]} & {"bmi", "s5"}
    means = [one["mean"] for one in found["columns"]]
    assert means == sorted(means, reverse=True)


def test_without_test_rows_the_validation_rows_are_judged(tmp_path: Path) -> None:
    run = cr.fit("iris", epochs=3, test=0.0, by="species", runs=tmp_path, quiet=True)
    assert list(run.record["intervals"]) == ["validation"]
    assert run.record["importance"]["part"] == run.record["groups"]["part"] == "validation"
    alone = cr.fit("iris", epochs=3, test=0.0, validation=0.0, by="species", runs=tmp_path, quiet=True)
    assert alone.record["intervals"] == {} and "importance" not in alone.record
    assert list_runs(tmp_path)[0]["metric"] == "validation accuracy"


def test_tables_use_the_metric_and_its_direction(runs: Path) -> None:
    rows = {row["run"]: (row["metric"], row["value"]) for row in list_runs(runs)}
    assert rows["plain"][0] == "test accuracy" and rows["weighed"][0] == "test balanced-accuracy"
    assert rows["values"] == ("test mae", cr.load(runs / "values").metrics["test"]["mae"])
    found = compare_runs(runs, ["plain", "weighed"])
    for name, smaller in (("test recall", False), ("test log-loss", True), ("test loss", True)):
        values = found.metrics[name]
        assert found.best[name] == values.index(min(values) if smaller else max(values)), name


@pytest.mark.parametrize(
    ("metric", "ours", "theirs", "said"),
    [
        ("mae", 3.0, [9.0, 4.0], "test MAE 3, ahead of every yardstick: mean at 9, ridge at 4"),
        ("mae", 5.0, [9.0, 4.0], "test MAE 5, behind ridge at 4; mean at 9"),
        ("mae", 4.0, [9.0, 4.0], "test MAE 4, level with ridge at 4; mean at 9"),
        ("r2", 0.5, [0.0, 0.4], "test R² 0.5, ahead of every yardstick: mean at 0, ridge at 0.4"),
        ("r2", 0.3, [0.0, 0.4], "test R² 0.3, behind ridge at 0.4; mean at 0"),
    ],
)
def test_verdict_knows_what_is_better(metric: str, ours: float, theirs: list[float], said: str) -> None:
    task = Regression(["y"])
    task.judge_by_(metric)
    rivals = [
        Yardstick(name=n, metrics={metric: v}, seconds=0)
        for n, v in zip(("mean", "ridge"), theirs, strict=True)
    ]
    assert verdict(task, {metric: ours}, rivals) == said
    assert base_rate(rivals, metric) == theirs[0]


def test_verdict_names_yardsticks_that_were_cut_short() -> None:
    rivals = [
        Yardstick(name="the mean alone", metrics={"r2": -0.00062}, seconds=0),
        Yardstick(name="ridge regression", metrics={"r2": 0.3}, seconds=0),
        Yardstick(name="trees", metrics={"r2": 0.2}, seconds=2, note="on 100 of 900 training rows, 5 of 100 rounds, to save time"),
    ]  # fmt: skip
    task = Regression(["y"])
    assert verdict(task, {"r2": 0.12345}, rivals) == (
        "test R² 0.123, behind ridge regression at 0.3; the mean alone at -0.00062, trees at 0.2 "
        "(cut short: on 100 of 900 training rows, 5 of 100 rounds)"
    )
    assert verdict(task, {"r2": -0.01}, rivals[:1]) == "test R² -0.01, behind the mean alone at -0.00062"


def test_verdict_without_a_figure() -> None:
    task = Binary(["a", "b"])
    task.judge_by_("auc")
    rivals = [Yardstick(name="constant", metrics={"accuracy": 1.0}, seconds=0)]
    assert (
        verdict(task, {"accuracy": 1.0}, rivals)
        == "the test rows do not define auc: they are all of one class"
    )
    assert verdict(task, {}, []).startswith("no test rows") and base_rate([], "auc") is None


# ---- what is shown


def test_figures_are_a_few_short_lines() -> None:
    metrics = {"loss": 0.1462, "accuracy": 0.94736, "precision": 0.9, "auc": 0.99996, "log-loss": 0.14621}
    intervals = {"accuracy": (0.9013, 0.9821)}
    assert figures(metrics, intervals, "accuracy", base_rate=0.3684, second="malignant") == [
        "accuracy 0.947 (95 % interval 0.90 to 0.98; base rate 0.368)",
        "loss 0.146 · auc 0.999",
        "of class 'malignant': precision 0.9",
    ]
    assert figures({"loss": 1.0}, {}, "auc") == [
        "auc is not defined: these rows are all of one class",
        "loss 1",
    ]
    assert (
        figures({"loss": 2.0, "mae": 1234.5}, {}, "mae", base_rate=2345.6)[0]
        == "mae 1234 (the mean alone 2346)"
    )


def test_terminal_shows_the_metric_with_its_interval_and_the_base_rate(tmp_path: Path) -> None:
    from rich.console import Console

    told = io.StringIO()
    console = Console(file=told, highlight=False, soft_wrap=True)
    request = Request(
        data=rare(), target="state", runs=tmp_path, settings=Settings(epochs=2, metric="balanced-accuracy")
    )
    for event in Terminal(console).show(run_fit(request)):
        if isinstance(event, Finished):
            assert event.second == "sick" and event.base_rate == 0.5 and event.judged_on == "test"
    text = told.getvalue()
    assert re.search(r"^ epoch +loss +validation +balanced-accuracy$", text, re.M)
    assert re.search(
        r"^test: balanced-accuracy 0\.\d+ \(95 % interval 0\.\d+ to [01]\.\d+; base rate 0\.5\)$", text, re.M
    )
    assert re.search(r"^  of class 'sick': precision", text, re.M)
    last = text[text.index("test: ") : text.index("report: ")].splitlines()
    assert max(map(len, last)) < 160


def test_epoch_without_the_metric_is_shown() -> None:
    row = {"epoch": 1, "train_loss": 0.5, "validation_loss": 0.25}
    assert epoch_line(row, "auc", is_best=True) == "     1     0.5000      0.2500       nan *"


def test_evaluate_prints_the_same_figures(runs: Path) -> None:
    judged, text, _ = evaluate_on("values", None, runs)
    record = json.loads((runs / "values" / "metrics.json").read_text())
    assert {k: v for k, v in judged.items() if k in record["metrics"]["test"]} == pytest.approx(
        record["metrics"]["test"]
    )
    assert judged["intervals"] == {k: pytest.approx(v) for k, v in record["intervals"]["test"].items()}
    assert judged["rows"] == 88
    assert re.match(r"mae [\d.]+ \(95 % interval [\d.]+ to [\d.]+; the mean alone [\d.]+\)\nloss", text)
    other = evaluate_on("values", "diabetes", runs)
    assert other[0]["rows"] == 442 and "alone" not in other[1], (
        "the yardsticks saw only the run's own test rows"
    )


def test_very_many_training_rows_are_judged_by_what_is_cheap(monkeypatch, tmp_path: Path) -> None:
    full = cr.fit("iris", epochs=2, runs=tmp_path, quiet=True)
    monkeypatch.setattr("chainrule.jobs.derived.MOST_TO_RANK", 100)
    brief = cr.fit("iris", epochs=2, runs=tmp_path, quiet=True)
    assert list(brief.metrics["train"]) == ["loss", "accuracy"]
    assert full.metrics["train"]["accuracy"] == brief.metrics["train"]["accuracy"]
    assert brief.metrics["test"] == full.metrics["test"] and "auc" in full.metrics["train"]


def test_scikit_learn_is_loaded_before_the_clock_of_the_yardsticks_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = []
    monkeypatch.delitem(sys.modules, "sklearn.ensemble", raising=False)
    monkeypatch.setattr(yardstick, "answer_alike", lambda *_: None)
    monkeypatch.setattr(
        yardstick.time, "perf_counter", lambda: read.append("sklearn.ensemble" in sys.modules) or 0.0
    )
    next(yardstick.answer_yardsticks(None, None, 2.0))
    assert read and all(read)
