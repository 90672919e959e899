"""What the tests of `chainrule code` share: a table with something of everything, and running a script."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from chainrule.data.batches import Batches
from chainrule.data.read import read
from chainrule.jobs import folder as folders
from chainrule.jobs.derived import write_model
from chainrule.jobs.material import reading_of
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.run import Run
from chainrule.jobs.workshop import make_training
from chainrule.train.loop import evaluate
from chainrule.train.plan import Plan
from chainrule.train.settings import Settings

CONFIG = Path(__file__).parents[2] / "pyproject.toml"


def houses(path: Path, rows: int = 160) -> Path:
    """Write a table with numbers, missing cells, truth values, categories and dates."""
    random = np.random.default_rng(0)
    area, rooms = random.uniform(30, 200, rows).round(1), random.integers(1, 7, rows)
    city, garden = random.choice(["Bern", "Basel", "Chur"], rows), random.choice(["yes", "no"], rows)
    sold = np.datetime64("2020-01-01") + random.integers(0, 1500, rows)
    age = [str(a) if a % 7 else "" for a in random.integers(0, 100, rows)]
    price = (2 * area + 10 * rooms + 40 * (city == "Bern") + random.normal(0, 15, rows)).round(1)
    columns = {
        "area": area,
        "rooms": rooms,
        "age": age,
        "city": city,
        "garden": garden,
        "sold": sold.astype(str),
    }
    pl.DataFrame({**columns, "price": price, "rent": (price / 30).round(2)}).write_csv(path)
    return path


class Trained(NamedTuple):
    """A run, and the metrics of its parts."""

    run: Run
    metrics: dict[str, dict[str, float]]


def train(
    data: Any, runs: Path, *, target: str | None = None, model_settings: Any = None, **settings: Any
) -> Trained:
    """Train for a few epochs and keep what a script is compared with; the report and simpler models are left out."""
    request = Request(
        data=data, target=target, settings=Settings(**{"epochs": 4, **settings}), model_settings=model_settings or {}
    )  # fmt: skip
    recipe, material = prepare_run(request, read(data, reading_of(request.settings, target)))
    recipe = replace(recipe, plan=Plan(device="cpu", threads=1))
    folder = folders.create(runs, "run", "run", recipe.to_json())
    with recipe.plan.applied() as device:
        training = make_training(recipe, material, device)
        for _ in training.reports():
            pass
        training.restore_best_()
        objective = training.step.objective
        write_model(folder, objective, material.prepare)
        metrics = {
            part: evaluate(objective, replace_rows(training.batches, material.rows(part)))
            for part in ("train", "validation", "test")
            if len(material.rows(part))
        }
    return Trained(Run(folder.path), metrics)


def replace_rows(batches: Batches, rows: np.ndarray) -> Batches:
    """Return batches of other rows of the same data."""
    return Batches(batches.inputs, batches.targets, 1, rows=torch.from_numpy(rows))


def check(trained: Trained, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a run's script and compare weights to the bit, and the figures that it prints; returns the script."""
    script = trained.run.code()
    check_layout(script)
    found, printed = run_script(script, trained.run.path, capsys)
    compare(trained.run.path, trained.metrics, found, printed)
    return script


def compare(
    folder: Path, metrics: dict[str, dict[str, float]], found: dict[str, Tensor], printed: dict[str, str]
) -> None:
    """Compare what a script saved and printed with its run."""
    saved = load_file(folder / "model.safetensors")
    wanted = {name.removeprefix("model/"): t for name, t in saved.items() if name.startswith("model/")}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert printed, "the script says nothing"
    for name, value in printed.items():
        part, _, metric = name.partition(" ")
        assert value == f"{metrics[part][metric]:.6g}", name


def check_layout(script: str) -> None:
    """See that a script imports nothing of chainrule and is laid out as ruff wants it."""
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
            assert not any(name.startswith("chainrule") for name in names)
    for command in (["format", "--diff"], ["check", "--ignore", "T20"]):
        ruff = [
            sys.executable,
            "-m",
            "ruff",
            *command,
            "--config",
            str(CONFIG),
            "--stdin-filename",
            "script.py",
            "-",
        ]
        ended = subprocess.run(
            ruff, input=script, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def run_script(
    script: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Run a script here; returns the weights that it saved and the figures that it printed by part and name."""
    path = folder / "script.py"
    path.write_text(script, encoding="utf-8")
    threads = torch.get_num_threads()
    capsys.readouterr()
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    return load_file(folder / "script.safetensors"), dict(
        re.findall(r"^((?:train|validation|test) \S+): (\S+)$", printed, re.M)
    )
