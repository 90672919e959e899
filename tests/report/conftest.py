"""Summaries of runs, small and fixed, for the tests of pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chainrule.report.summary import Example, Layer, RunSummary, Yardstick

Make = Callable[..., RunSummary]


def _history(epochs: int, metric: str) -> list[dict[str, float]]:
    return [
        {
            "epoch": float(e),
            "train_loss": 2.0 * 0.8**e,
            "validation_loss": 2.2 * 0.85**e + 0.05,
            f"validation_{metric}": 1 - 0.7 * 0.85**e,
            "learning_rate": 0.1 / e,
        }
        for e in range(1, epochs + 1)
    ]


def _bare(**changes: Any) -> RunSummary:
    layers = [
        Layer(name="0", kind="Linear", output_shape=(8,), parameters=72),
        Layer(name="1", kind="Linear", output_shape=(2,), parameters=18),
    ]
    plain = RunSummary(
        name="run-1",
        folder="runs/run-1",
        question="which class",
        metric="accuracy",
        data={"source": "made up"},
        columns=[("age", "number", "0 to 9"), ("town", "category", "3 values")],
        notes=["one row had no target"],
        rows={"train": 60, "validation": 20, "test": 20},
        layers=layers,
        history=_history(12, "accuracy"),
        best_epoch=11,
        metrics={s: {"loss": 0.1, "accuracy": 0.9} for s in ("train", "validation", "test")},
        yardsticks=[
            Yardstick(name="logistic regression", metrics={"accuracy": 0.85}, seconds=0.2),
            Yardstick(name="always the first class", metrics={"accuracy": 0.5}, seconds=0.00001),
        ],
        verdict="The network is worth its time.",
        settings={"optimizer": "adam"},
        versions={"chainrule": "0.1.0"},
        plan="plain",
        fit_seconds=1.5,
        command="chainrule fit made-up --seed 0",
    )
    return replace(plain, **changes)


def _classes(names: list[str], **changes: Any) -> RunSummary:
    random = np.random.default_rng(0)
    counts = np.eye(len(names), dtype=np.int64) * 9 + random.integers(0, 2, (len(names), len(names)))
    worst = [
        Example(
            row=f"row {i}",
            truth=names[0],
            prediction=names[-1],
            certainty=0.9 - 0.1 * i,
            picture=random.random((1, 8, 8)),
        )
        for i in range(3)
    ]
    return _bare(**{"classes": names, "confusion": counts, "worst": worst, **changes})


def _values(names: list[str], rows: int = 40, **changes: Any) -> RunSummary:
    random = np.random.default_rng(1)
    true = random.normal(50, 10, (rows, len(names)))
    metrics = {s: {"loss": 9.0, "r2": 0.75, "rmse": 3.0} for s in ("train", "validation", "test")}
    own = {
        "metric": "r2",
        "history": _history(12, "r2"),
        "metrics": metrics,
        "rows": {"train": 100, "validation": 20, "test": rows},
        "yardsticks": [
            Yardstick(name="linear", metrics={"r2": 0.8, "rmse": 2.9}, seconds=0.1, note="no cross terms")
        ],
        "value_names": names,
        "true": true,
        "predicted": true + random.normal(0, 3, true.shape),
        "worst": [Example(row="row 7", truth="50", prediction="61", cells={"age": "8", "town": "Ulm"})],
    }
    return _bare(**{**own, **changes})


@pytest.fixture
def bare() -> Make:
    """Make a summary without rows to look at."""
    return _bare


@pytest.fixture
def classes() -> Make:
    """Make a summary of a classification with these classes."""
    return _classes


@pytest.fixture
def values() -> Make:
    """Make a summary of a regression with these values."""
    return _values
