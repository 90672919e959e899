"""The page of a search: the winner first, every figure drawn, nothing from data obeyed."""

from __future__ import annotations

from typing import Any

import pytest

from chainrule.report.search_page import SearchSummary, ShownTrial, search_page
from chainrule.report.search_plots import Axis
from chainrule.train.search_importance import find_importance
from chainrule.train.space import Choices, Range, Space

SPACE = Space(
    {
        "learning_rate": Range(low=1e-4, high=1e-1, is_log=True),
        "optimizer": Choices(("sgd", "<b>adam")),
        "hidden": Choices(((8,), (8, 4))),
        "weight_decay": Choices((0.0, 1e-4, 1e-2)),
    }
)


def summary(count: int = 40, **changes: Any) -> SearchSummary:
    tried = [SPACE.at([(k * step % count) / count for step in (7, 11, 13, 17)]) for k in range(count)]
    scores: list[float | None] = [
        0.9 + 0.05 * (values["optimizer"] != "sgd") + 0.01 * values["learning_rate"] for values in tried
    ]
    scores[3] = None
    shown = [
        ShownTrial(number=k, values=tried[k], score=scores[k], spread=0.01, epochs=5, failure=None if scores[k] else "it <i>diverged")
        for k in sorted(range(count), key=lambda k: -(scores[k] or 0.0))
    ]  # fmt: skip
    found = [(v, s) for v, s in zip(tried, scores, strict=True) if s is not None]
    importance = find_importance(SPACE, [v for v, _ in found], [s for _, s in found])
    known: dict[str, Any] = {} if importance is None else {"shares": importance.shares, "together": importance.together, "means": importance.means}  # fmt: skip
    made = {
        "data": "iris", "model": "mlp", "method": "random", "metric": "accuracy", "larger_is_better": True, "folds": 3,
        "rows": {"train": 120, "test": 30}, "trials": shown, "tried": tried, "scores": scores, "rung_epochs": None,
        "test_score": 0.93, "networks": 120, "search_seconds": 3.0, **known,
    }  # fmt: skip
    return SearchSummary(**{**made, **changes})


def test_the_page_says_who_won_and_by_which_rows() -> None:
    text = search_page(summary()).render()
    best = summary().trials[0]
    assert f"Trial {best.number} of 40 is best" in text
    assert "judged once on 30 test rows, which the search never saw" in text and "0.93" in text
    assert text.count("<svg") == 4
    assert "<b>adam" not in text and "&lt;b&gt;adam" in text
    assert "1 without a score" in text and "it &lt;i&gt;diverged" in text
    assert search_page(summary()).render() == text


def test_the_page_of_few_trials_and_one_setting() -> None:
    values = [{"learning_rate": rate} for rate in (0.1, 0.01)]
    trials = [
        ShownTrial(number=k, values=v, score=1.5 + k, spread=None, epochs=2, failure=None)
        for k, v in enumerate(values)
    ]
    made = summary(trials=trials, tried=values, scores=[1.5, 2.5], larger_is_better=False, metric="mae", folds=1, shares={}, means={}, rung_epochs=2)  # fmt: skip
    text = search_page(made).render()
    assert text.count("<svg") == 2 and "scores after the first rung, 2 epochs" in text
    assert "What matters" not in text and "How settings go together" not in text


def test_importance_finds_the_setting_that_counts() -> None:
    found = find_importance(SPACE, summary().tried, [float(v["optimizer"] == "sgd") for v in summary().tried])
    assert found is not None and found.shares["optimizer"] > 0.9
    assert found.together + sum(found.shares.values()) == pytest.approx(1)
    low, high = (mean for _, mean in sorted(found.means["optimizer"]))
    assert low < 0.1 and high > 0.9
    assert find_importance(SPACE, summary().tried, [1.0] * 40) is None
    assert find_importance(SPACE, summary().tried[:3], [1.0, 2.0, 3.0]) is None


def test_axes_of_settings() -> None:
    assert Axis.of("units", [16, 64, 32]).is_log
    assert Axis.of("dropout", [0.1, 0.2]) == Axis(name="dropout", is_log=False)
    assert Axis.of("weight_decay", [0.01, 0.0, 1e-4]).names == ("0", "0.0001", "0.01")
    assert Axis.of("hidden", [(8,), None, (8, 4)]).place((8, 4)) == 2
