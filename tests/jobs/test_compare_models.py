"""Models under the same folds: the ranking, what differs, what is left out, and that nothing is learnt for free."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.apps.cli import app
from chainrule.core.errors import ChainruleError, SettingError, UnknownNameError
from chainrule.jobs import fold_scores, population_memory
from chainrule.jobs.compare_models import run_comparison
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.request import Request
from chainrule.report.model_comparison import ModelComparison
from chainrule.train.classical import fit_classical
from chainrule.train.settings import Settings
from chainrule.train.significance import holm, resampled_t_test
from chainrule.train.task import build_task

QUICK = {"epochs": 5}


@pytest.fixture(scope="module")
def on_wine() -> ModelComparison:
    """Four models, one of which hears only of one input at a time and no more than one question."""
    models = ["naive-bayes", "mlp", "linear-svm", "adaboost"]
    return cr.compare("wine", models=models, folds=4, repeats=3, settings=QUICK, seed=2, quiet=True)


def test_a_model_has_the_scores_that_it_has_alone(on_wine: ModelComparison) -> None:
    for name in ("mlp", "naive-bayes"):
        settings = QUICK if name == "mlp" else {}
        alone = cr.cross_validate(
            "wine", model=name, folds=4, repeats=3, settings=settings, seed=2, quiet=True
        )
        (found,) = [one for one in on_wine.models if one.name == name]
        assert list(found.scores) == alone.scores() and found.spread == alone.spreads["accuracy"]


def test_the_ranking_and_its_tests_are_of_these_scores(on_wine: ModelComparison) -> None:
    means = [np.mean(one.scores) for one in on_wine.models]
    assert means == sorted(means, reverse=True) and len(on_wine.models) == 4 and len(on_wine.pairs) == 6
    by_name = {one.name: one for one in on_wine.models}
    plain = [
        resampled_t_test(by_name[p.one].scores, by_name[p.other].scores, 45 / 133) for p in on_wine.pairs
    ]
    assert [p.p for p in on_wine.pairs] == pytest.approx(plain, rel=0.05, abs=1e-9)
    assert [p.corrected for p in on_wine.pairs] == holm([p.p for p in on_wine.pairs])
    assert set(on_wine.ties()) == {
        p.other for p in on_wine.pairs if p.one == on_wine.best.name and p.corrected >= 0.05
    }


@pytest.mark.curriculum("GEN-15")
def test_it_says_what_differs_and_what_may_be_concluded(on_wine: ModelComparison) -> None:
    text = on_wine.text()
    differ = sum(p.is_significant for p in on_wine.pairs)
    assert f"{differ} of 6 pairs differ significantly" in text
    assert (
        "No free lunch (Wolpert): averaged over all targets" in text
        and "rows like those of wine" in text
        and "the largest class alone" in text
    )
    page = on_wine.page().render()
    assert "Nadeau and Bengio 2003" in page and "Holm 1979" in page and 'id="intervals' in page


def test_models_of_values_are_ranked_by_the_smaller_error() -> None:
    found = cr.compare(
        "diabetes", models=["least-squares", "decision-tree"], metric="mae", quiet=True, folds=3
    )
    assert [one.name for one in found.models] == ["least-squares", "decision-tree"]
    assert found.models[0].spread.mean < found.models[1].spread.mean < (found.base or 0)


def test_progress_stays_below_the_whole_where_epochs_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is told where memory runs out: what a group has made is taken back, and made again in halves."""
    train, bars = PopulationRun.train, []

    def halved(self: PopulationRun, epochs: int | None = None) -> Iterator[int]:
        made = list(train(self, epochs))
        yield from (made[0], -made[0], *made)

    def track(items: Iterable[int], total: int, what: str) -> Iterator[int]:
        bars.append([what, 0, total])
        for item in items:
            bars[-1][1] += 1
            yield item

    monkeypatch.setattr(PopulationRun, "train", halved)
    request = Request(data="iris", settings=Settings(epochs=4), track=track)
    asked = {"models": ["mlp", "softmax-regression"], "metric": None, "folds": 3, "repeats": 1}
    list(run_comparison(request, **asked, budget_seconds=60.0))
    assert bars[-2:] == [["mlp: epochs", 12, 12], ["softmax-regression: epochs", 12, 12]]


def test_what_does_not_fit_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.jobs import compare_models

    few = ("least-squares", "lenet", "naive-bayes", "decision-tree", "logistic-regression")
    monkeypatch.setattr(compare_models, "_names", lambda asked: list(few))
    found = cr.compare("iris", quiet=True, folds=3)
    assert {one.name for one in found.models} == {"naive-bayes", "decision-tree"}
    said = {one.name: one.why for one in found.left_out}
    assert said["least-squares"] == "is made for regression" and "needs pictures" in said["lenet"]
    assert said["logistic-regression"] == "is made for classification into two classes"


def test_every_model_that_fits_is_in_the_list() -> None:
    from chainrule.catalog import CLASSICAL, MODELS
    from chainrule.jobs.compare_models import _names

    assert set(_names([])) == set(CLASSICAL) | {name for name, one in MODELS.items() if one.is_trainable}


def test_a_model_that_takes_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = fold_scores.make_fitting

    def slow(recipe: object, material: object) -> object:
        fitting = fit(recipe, material)  # type: ignore[arg-type]
        if fitting.model.name == "decision-tree":
            reports = fitting.reports

            def waits() -> Iterator[None]:
                time.sleep(1.0)
                yield from reports()

            fitting.reports = waits  # type: ignore[method-assign]
        return fitting

    monkeypatch.setattr(fold_scores, "make_fitting", slow)
    models = ["naive-bayes", "decision-tree"]
    found = cr.compare("iris", models=models, folds=10, budget_seconds=5.0, quiet=True)
    assert [one.name for one in found.models] == ["naive-bayes"]
    assert found.left_out[0].name == "decision-tree" and "--budget-seconds" in found.left_out[0].why


def test_a_network_that_takes_too_long_is_stopped_on_the_way() -> None:
    """To its end it would take many minutes."""
    settings = {"epochs": 100_000}
    found = cr.compare(
        "iris", models=["naive-bayes", "mlp"], budget_seconds=4.0, settings=settings, quiet=True
    )
    assert [one.name for one in found.models] == ["naive-bayes"]
    assert "would take about" in found.left_out[0].why


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"models": ["mlp", "random-forrest"]}, UnknownNameError, "random-forest"),
        ({"models": ["mlp"]}, SettingError, "--models takes two models or more"),
        ({"models": ["mlp", "least-squares"]}, SettingError, "least-squares is made for regression"),
        ({"metric": "rmse"}, SettingError, "--metric rmse is not for classification into several classes"),
        ({"budget_seconds": 0.0}, SettingError, "--budget-seconds must be above 0"),
        ({"folds": 70}, SettingError, "--folds 70 needs 70 different rows of every class"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    asked: dict[str, object], error: type[ChainruleError], said: str
) -> None:
    with pytest.raises(error, match=said):
        cr.compare("iris", quiet=True, **asked)  # type: ignore[arg-type]


def test_the_command_takes_data_or_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["compare", "iris", "--models", "naive-bayes,decision-tree", "--folds", "3"]
    result = CliRunner().invoke(app, [*asked, "--json"])
    last = json.loads(result.stdout.splitlines()[-1])
    assert (
        last["event"] == "model-comparison"
        and len(last["models"]) == 2
        and (tmp_path / "compare-iris.html").exists()
    )
    for name in ("one", "two"):
        cr.fit("iris", model="naive-bayes", name=name, quiet=True)
    of_runs = CliRunner().invoke(app, ["compare", "one", "two", "--json"])
    assert json.loads(of_runs.stdout)["event"] == "comparison"
    assert CliRunner().invoke(app, ["compare", "one", "--json"]).exit_code == 0
    assert CliRunner().invoke(app, [*asked, "--quiet"]).stdout == ""


@pytest.mark.curriculum("GEN-15")
@pytest.mark.parametrize("name", ["nearest-neighbours", "decision-tree", "naive-bayes"])
def test_no_model_beats_another_over_all_targets(name: str) -> None:
    """Four rows of three bits train, four are judged; over all 2⁸ targets each model is right on half of those it never saw."""
    rows = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    order = np.random.default_rng(0).permutation(8)
    train, unseen = order[:4], order[4:]
    task = build_task("binary", ("no", "yes"))
    settings = {"neighbours": 1} if name == "nearest-neighbours" else {}
    by_training: dict[tuple[int, ...], np.ndarray] = {}
    right = []
    for target in itertools.product([0, 1], repeat=8):
        y = np.array(target)
        seen = tuple(y[train])
        if seen not in by_training:
            model = fit_classical(name, settings, rows[train], y[train], task)
            labels = model.answers(rows[unseen], y[unseen]).labels
            assert labels is not None
            by_training[seen] = labels
        right.append(np.mean(by_training[seen] == y[unseen]))
    assert np.mean(right) == pytest.approx(0.5, abs=1e-12) and np.ptp(right) == 1.0


def test_what_became_of_networks_that_memory_is_short_for_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(population_memory, "available_bytes", lambda: 100_000)
    asked = ["compare", "iris", "--models", "mlp,naive-bayes", "--folds", "4", "--epochs", "2"]
    told = [line for line in CliRunner().invoke(app, asked).stdout.splitlines() if "under way" in line]
    assert told and all(line.startswith("mlp: a network takes ") for line in told)
