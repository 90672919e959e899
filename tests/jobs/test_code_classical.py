"""Scripts of classical models: plain scikit-learn that ends with the model of the run, and its figures."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import skops.io
import torch

from chainrule.catalog import CLASSES, CLASSICAL, VALUES
from chainrule.core.errors import RunError
from chainrule.data.read import read
from chainrule.jobs import folder as folders
from chainrule.jobs.classical import make_fitting
from chainrule.jobs.material import reading_of
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.run import Run
from chainrule.train.classical import Fitting, decides
from chainrule.train.estimator_schema import TRUSTED
from chainrule.train.loop import judge, outputs_of
from chainrule.train.settings import Settings
from tests.jobs.scripts import check_layout, houses

OUTSIDE = ("kernel-regression", "local-regression")  # of ours, over statsmodels


class Fitted(NamedTuple):
    """A run that holds its recipe alone, and the model that it fits."""

    run: Run
    fitting: Fitting
    metrics: dict[str, float]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return houses(tmp_path / "houses.csv")


def fitted(
    data: Any, runs: Path, *, target: str | None = None, model_settings: Any = None, **settings: Any
) -> Fitted:
    request = Request(
        data=data, target=target, settings=Settings(**settings), model_settings=model_settings or {}
    )
    recipe, material = prepare_run(request, read(data, reading_of(request.settings, target)))
    folder = folders.create(runs, "run", "run", recipe.to_json())
    fitting = make_fitting(recipe, material)
    for _ in fitting.reports():
        pass
    rows = material.split.test
    outputs = outputs_of(fitting.model, material.inputs, torch.from_numpy(rows))
    task = fitting.objective.task
    return Fitted(Run(folder.path), fitting, judge(task, outputs, task.encode(fitting.targets[rows])))


def check(made: Fitted, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the script: the figures are those of the run, and the model that it saves answers all rows alike."""
    script = made.run.code()
    check_layout(script)
    file = folder / "script.py"
    file.write_text(script, encoding="utf-8")
    capsys.readouterr()
    names = runpy.run_path(str(file), run_name="__main__")
    said = dict(re.findall(r"^test ([\w-]+): (\S+)$", capsys.readouterr().out, re.MULTILINE))
    # the run has its targets in float32 where it judges
    assert said and {name: made.metrics[name] for name in said} == pytest.approx(
        {name: float(value) for name, value in said.items()}, rel=2e-5, abs=1e-6
    )
    estimator = skops.io.load(file.with_suffix(".skops"), trusted=list(TRUSTED))
    inputs = names["load"]()[0]
    ours = made.fitting.model.estimator
    answer = (
        "decision_function"
        if decides(ours)
        else "predict_proba"
        if hasattr(ours, "predict_proba")
        else "predict"
    )
    assert np.array_equal(getattr(estimator, answer)(inputs), getattr(ours, answer)(inputs))
    return script


@pytest.mark.parametrize(
    ("target", "model"),
    [("city", name) for name, entry in CLASSICAL.items() if CLASSES in entry.questions]
    + [
        ("price", name)
        for name, entry in CLASSICAL.items()
        if VALUES in entry.questions and name not in OUTSIDE
    ],
)
def test_every_model_is_written(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, model: str
) -> None:
    check(fitted(table, tmp_path, target=target, model=model, seed=3), tmp_path, capsys)


def test_ties_of_two_classes_count_as_in_the_run(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fitted(
        table, tmp_path, target="garden", model="nearest-neighbours", model_settings={"neighbours": 2}
    )
    assert ">=" in check(made, tmp_path, capsys)


@pytest.mark.parametrize(
    ("target", "model", "settings", "written"),
    [
        (
            "city",
            "random-forest",
            {"trees": 7, "depth": 3, "inputs_per_split": 0.5},
            "max_depth=3, max_features=0.5",
        ),
        ("garden", "kernel-svm", {"kernel": "polynomial", "probabilities": True}, 'kernel="poly"'),
        ("price", "ridge-regression", {"degree": 2}, "PolynomialFeatures(include_bias=False)"),
        ("city", "bagging", {"trees": 5, "depth": 2}, "DecisionTreeClassifier(max_depth=2"),
    ],
)
def test_settings_of_models_are_written(
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    target: str,
    model: str,
    settings: Any,
    written: str,
) -> None:
    made = fitted(table, tmp_path, target=target, model=model, model_settings=settings, metric=None)
    assert written in check(made, tmp_path, capsys)


def test_weights_of_classes_and_the_metric_of_the_run_are_written(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fitted(table, tmp_path, target="city", model="decision-tree", class_weight="balanced", metric="f1")
    script = check(made, tmp_path, capsys)
    assert 'class_weight="balanced"' in script and "f1_score" in script


def test_a_model_that_scikit_learn_lacks_is_refused(table: Path, tmp_path: Path) -> None:
    made = fitted(table, tmp_path, target="price", model="kernel-regression")
    with pytest.raises(RunError, match="its model kernel-regression is none of scikit-learn's"):
        made.run.code()
