"""The page about search spaces: its files are spaces that run, and its table is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.jobs.preparation import load_model_settings
from chainrule.train.search_defaults import default_space

PAGE = (Path(__file__).resolve().parents[2] / "docs/spaces.md").read_text("utf-8")


def block(kind: str) -> str:
    return next(iter(re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)))


def test_the_file_of_the_page_runs(tmp_path: Path) -> None:
    space = tmp_path / "space.toml"
    space.write_text(block("toml"))
    found = cr.tune("iris", model="mlp", space=space, trials=4, epochs=1, folds=2, runs=tmp_path, quiet=True)
    assert [trial.failure for trial in found.trials] == [None] * 4
    assert set(found.best["settings"]) == {
        "hidden",
        "learning_rate",
        "weight_decay",
        "dropout",
        "activation",
    }


def test_the_convolutions_of_the_page_run(tmp_path: Path) -> None:
    space = tmp_path / "space.json"
    space.write_text(block("json"))
    pictures = np.random.default_rng(0).integers(0, 255, (40, 14, 14), dtype=np.uint8)
    found = cr.tune((pictures, np.arange(40) % 2), model="lenet", space=space, trials=12, epochs=1, folds=2, runs=tmp_path, quiet=True)  # fmt: skip
    fitting = [trial for trial in found.trials if trial.failure is None]
    assert fitting and len({trial.values["filters"] for trial in fitting}) > 1
    for trial in found.trials:
        assert trial.failure is None or "fit" in trial.failure or "lenet needs" in trial.failure


@pytest.mark.parametrize(
    ("listed", "model"),
    [
        ("`mlp`", "mlp"),
        ("`lenet`", "lenet"),
        ("`perceptron`", "perceptron"),
        ("any other network", "softmax-regression"),
        ("`random-forest`", "random-forest"),
        ("`gradient-boosting`, `lightgbm`", "lightgbm"),
        ("`kernel-svm`", "kernel-svm"),
    ],
)
def test_the_table_names_what_is_searched(listed: str, model: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {listed} |"))
    said = re.findall(r"`(\w+)`", row.split("|")[2])
    assert said == list(default_space(model, (), load_model_settings(model)))
