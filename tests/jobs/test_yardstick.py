"""Simpler models: the same optimum in fewer numbers, and no more time than they were given."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge

import chainrule as cr
from chainrule.jobs import yardstick


@pytest.fixture
def wide() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thirty rows of 400 features, far from zero and of unlike size; other rows; three classes."""
    random = np.random.default_rng(0)
    x = (random.normal(size=(50, 400)) * random.uniform(0.1, 3, 400) + 7).astype(np.float32)
    return x[:30], x[30:], np.arange(30) % 3


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weights", [None, "balanced"])
def test_logistic_regression_of_wide_rows_has_the_same_optimum(wide, classes: int, weights) -> None:
    x, others, y = wide
    y = np.where(y < classes, y, 0)
    reduce = yardstick._in_row_space(x)
    assert reduce(x).shape == (30, 29), "one less than rows, by the centre"

    def fit(features):
        return LogisticRegression(max_iter=10_000, tol=1e-10, class_weight=weights).fit(features, y)

    whole, reduced = fit(x.astype(np.float64)), fit(reduce(x))
    assert np.allclose(whole.predict_proba(others), reduced.predict_proba(reduce(others)), atol=1e-4)


def test_ridge_regression_of_wide_rows_has_the_same_optimum(wide) -> None:
    x, others, y = wide
    reduce = yardstick._in_row_space(x)
    whole = Ridge(alpha=1.0).fit(x.astype(np.float64), y).predict(others)
    assert np.allclose(whole, Ridge(alpha=1.0).fit(reduce(x), y).predict(reduce(others)), atol=1e-5)


def test_copies_among_wide_rows_leave_the_optimum(wide) -> None:
    x, others, y = wide
    x, y = np.concatenate([x, x[:5]]), np.concatenate([y, y[:5]])
    reduce = yardstick._in_row_space(x)
    whole = Ridge(alpha=1.0).fit(x.astype(np.float64), y).predict(others)
    assert np.allclose(whole, Ridge(alpha=1.0).fit(reduce(x), y).predict(reduce(others)), atol=1e-5)


def test_wide_rows_that_are_all_equal_leave_one_feature_of_zeros() -> None:
    x = np.full((4, 9), 3.5, np.float32)
    assert yardstick._in_row_space(x)(x).tolist() == [[0.0]] * 4


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_logistic_regression_makes_the_iterations_that_it_has_time_for(monkeypatch) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(200, 20)) * 10.0 ** np.arange(-10, 10), np.arange(200) % 2
    clock = iter([0.0, 1.0] * 3)  # an iteration takes a second
    monkeypatch.setattr(yardstick.time, "perf_counter", lambda: next(clock))
    model, note = yardstick._logistic(x, y, None, ends=6.0)
    assert note == "5 of 100 iterations, to save time" and model.n_iter_.max() == 5
    model, note = yardstick._logistic(x, y, None, ends=0.5)
    assert note == "1 of 100 iterations, to save time"
    model, note = yardstick._logistic(x, y, None, ends=math.inf)
    assert note == "" and model.n_iter_.max() > 5


def test_few_large_pictures_are_told_apart_by_few_numbers(monkeypatch, tmp_path: Path) -> None:
    """Photos of 64 × 64 have 12,288 features; a logistic regression on those took six seconds a fold."""
    random, widths = np.random.default_rng(0), []
    fit = LogisticRegression.fit
    monkeypatch.setattr(
        LogisticRegression, "fit", lambda self, x, y: widths.append(x.shape) or fit(self, x, y)
    )
    for i in range(10):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    run = cr.fit(tmp_path / "photos", epochs=1, model="mlp", runs=tmp_path / "runs", quiet=True)
    assert run.recipe.inputs == (3, 64, 64) and set(widths) == {(9, 8)}
    assert [y["name"] for y in run.record["yardsticks"]][1:] == ["logistic regression"]
    assert run.record["judging"]["said"].endswith("each judged on the picture that it never saw")
    page = (run.path / "report.html").read_text("utf-8")
    assert "10 held-out pictures" in page and "held-out rows" not in page
