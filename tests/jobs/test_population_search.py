"""PopulationSearchCV is GridSearchCV, only trained side by side: same scores, same tables, same errors."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import chainrule as cr
from chainrule.core.errors import SettingError
from chainrule.jobs import population_memory, population_search
from chainrule.jobs.array_training import Order, Trained

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
GRID = {"learning_rate": [0.003, 0.03], "hidden": [(4,), (8,)]}


def quick(**said: Any) -> cr.NeuralClassifier:
    return cr.NeuralClassifier(**{"hidden": (8,), "epochs": 6, "random_state": 0, **said})


@pytest.fixture(autouse=True)
def trained_later(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """Collect the networks that a search asks for and that were not trained ahead: its refit alone, usually."""
    found: list[Order] = []
    train = population_search.train_on_arrays

    def told(order: Order) -> Trained:
        found.append(order)
        return train(order)

    monkeypatch.setattr(population_search, "train_on_arrays", told)
    return found


def both(
    estimator: Any, grid: Any, data: tuple[Any, Any] = IRIS, fit: dict[str, Any] | None = None, **said: Any
) -> tuple[cr.PopulationSearchCV, GridSearchCV]:
    """Search side by side, and one after another."""
    said = {"cv": 3, **said}
    ours, theirs = (
        kind(clone(estimator), grid, **said).fit(*data, **(fit or {}))
        for kind in (cr.PopulationSearchCV, GridSearchCV)
    )
    return ours, theirs


def check_equal(ours: GridSearchCV, theirs: GridSearchCV, limit: float) -> None:
    """Compare what two searches have found; times differ."""
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, wanted in theirs.cv_results_.items():
        found = ours.cv_results_[name]
        if name.endswith("_time"):
            assert found.shape == wanted.shape and (found >= 0).all()
        elif name.startswith("rank") or name.startswith("param"):
            assert list(found) == list(wanted)
        else:
            np.testing.assert_allclose(found, wanted, atol=limit)
    assert ours.best_params_ == theirs.best_params_ and ours.best_index_ == theirs.best_index_
    assert ours.n_splits_ == theirs.n_splits_ and ours.multimetric_ == theirs.multimetric_


# ---- the same as one after another


def test_classes_are_searched_as_by_gridsearchcv(trained_later: list[Order]) -> None:
    estimator = quick(dropout=0.2, batch_size=16)
    ours, theirs = both(estimator, GRID, scoring="neg_log_loss", return_train_score=True)
    check_equal(ours, theirs, 1e-5)
    assert len(trained_later) == 1  # the refit
    assert np.array_equal(ours.predict_proba(IRIS[0]), theirs.predict_proba(IRIS[0]))
    assert np.array_equal(ours.predict(IRIS[0]), theirs.predict(IRIS[0]))
    assert np.array_equal(ours.decision_function(IRIS[0]), theirs.decision_function(IRIS[0]))
    assert ours.score(*IRIS) == theirs.score(*IRIS)
    assert ours.classes_.tolist() == [0, 1, 2] and ours.n_features_in_ == 4 and ours.refit_time_ > 0


def test_values_are_searched_as_by_gridsearchcv(trained_later: list[Order]) -> None:
    estimator = cr.NeuralRegressor(hidden=(6,), epochs=4, random_state=1)
    grid = {"weight_decay": [0.0, 0.1], "scaling": ["standard", "range"], "random_state": [0, 1]}
    check_equal(*both(estimator, grid, DIABETES, cv=KFold(3, shuffle=True, random_state=0)), 1e-5)
    assert len(trained_later) == 1


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_weights_and_early_stopping_are_those_of_networks_alone(
    kind: str, trained_later: list[Order]
) -> None:
    """Equal rows are one with their weights, rows that validate count by theirs, and heavy rows stand several times."""
    weights = np.where(np.arange(150) % 7 == 0, 12.0, np.linspace(0.5, 2, 150))
    said = {"patience": 2, "validation": 0.2, "epochs": 12, "hidden": (6,), "learning_rate": 0.02}
    if kind == "classes":
        estimator, data, scoring = quick(**said), IRIS, "neg_log_loss"
        grid: dict[str, Any] = {"class_weight": [None, {1: 3.0}], "weight_decay": [0.0, 0.1]}
    else:
        estimator, scoring = cr.NeuralRegressor(**said, random_state=0), "r2"
        data, grid = (DIABETES[0][:150], DIABETES[1][:150]), {"weight_decay": [0.0, 0.1]}
    found = both(estimator, grid, data, {"sample_weight": weights}, scoring=scoring)
    check_equal(*found, 1e-4)
    assert len(trained_later) == 1
    unweighted = cr.PopulationSearchCV(estimator, grid, scoring=scoring, cv=3).fit(*data)
    assert not np.allclose(unweighted.cv_results_["mean_test_score"], found[0].cv_results_["mean_test_score"])


def test_each_fold_is_scaled_by_its_own_training_rows() -> None:
    """A row far away moves what the folds learn that train on it, and of no other."""
    inputs = IRIS[0].copy()
    inputs[0] += 100
    folds = [
        (train + 1, test + 1) for train, test in KFold(3, shuffle=True, random_state=0).split(inputs[1:])
    ]
    folds[:2] = [(np.append(train, 0), test) for train, test in folds[:2]]
    search = cr.PopulationSearchCV(quick(), {"epochs": [6]}, cv=folds, scoring="neg_log_loss")
    told = [clone(search).fit(x, IRIS[1]).cv_results_ for x in (IRIS[0], inputs)]
    moved = [told[0][f"split{k}_test_score"] != told[1][f"split{k}_test_score"] for k in range(3)]
    assert moved == [True, True, False]


def test_several_metrics_groups_frames_and_a_rule_for_the_best() -> None:
    tumours = load_breast_cancer(as_frame=True, return_X_y=True)
    groups = np.arange(len(tumours[1])) % 9

    def simplest(results: dict[str, Any]) -> int:
        return int(np.argmin([params["hidden"] for params in results["params"]]))

    said = {"scoring": ["accuracy", "roc_auc"], "refit": simplest, "cv": GroupKFold(3)}
    ours, theirs = both(quick(epochs=2), {"hidden": [4, 2]}, tumours, {"groups": groups}, **said)
    check_equal(ours, theirs, 1e-4)
    assert ours.best_params_ == {"hidden": 2} and sorted(ours.scorer_) == ["accuracy", "roc_auc"]
    assert ours.feature_names_in_.tolist() == tumours[0].columns.tolist()


def test_a_grid_may_be_a_list_of_grids() -> None:
    grids = [{"hidden": [(4,)]}, {"optimizer": ["sgd"], "learning_rate": [0.1], "activation": ["tanh"]}]
    ours, theirs = both(quick(), grids)
    check_equal(ours, theirs, 1e-9)
    assert ours.cv_results_["param_hidden"].mask.tolist() == [False, True]


def test_folds_drawn_at_random_are_drawn_once(trained_later: list[Order]) -> None:
    search = cr.PopulationSearchCV(quick(random_state=None), GRID, cv=ShuffleSplit(2), refit=False)
    search.fit(*IRIS)
    assert not trained_later and search.n_splits_ == 2
    assert not hasattr(search, "best_estimator_") and search.best_score_ > 0
    seedless = cr.PopulationSearchCV(quick(random_state=None), GRID, cv=2).fit(*IRIS)
    assert seedless.best_estimator_.random_state is None and seedless.estimator.random_state is None


# ---- as scikit-learn's tools expect it


SURE = quick(epochs=15, learning_rate=0.05)
AS_BY_GRIDSEARCHCV = {  # which fails them with the same estimator
    "check_classifiers_one_label_sample_weights": "a fold may have rows of weight zero only for all classes but one",
    "check_supervised_y_no_nan": "folds are drawn before the estimator sees the targets",
}


@parametrize_with_checks(
    [cr.PopulationSearchCV(SURE, {"hidden": [8]}, cv=2, error_score="raise")],
    expected_failed_checks=lambda _: AS_BY_GRIDSEARCHCV,
)
def test_every_check_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_copies_parameters_bytes_and_folds_around_it() -> None:
    search = cr.PopulationSearchCV(quick(), GRID, cv=2, n_jobs=1, scoring="accuracy")
    assert is_classifier(search) and is_regressor(cr.PopulationSearchCV(cr.NeuralRegressor(), {}))
    again = clone(search).set_params(estimator__epochs=3, cv=3)
    assert again.get_params()["estimator__epochs"] == 3 and search.estimator.epochs == 6
    with pytest.raises(NotFittedError):
        search.predict(IRIS[0])
    nested = cross_val_score(search, *IRIS, cv=2)
    assert nested.tolist() == cross_val_score(GridSearchCV(quick(), GRID, cv=2), *IRIS, cv=2).tolist()
    search.fit(pd.DataFrame(IRIS[0], columns=list("abcd")), IRIS[1])
    read = pickle.loads(pickle.dumps(search))  # noqa: S301 - our own bytes
    frame = pd.DataFrame(IRIS[0], columns=list("abcd"))
    assert np.array_equal(read.predict(frame), search.predict(frame))
    assert "_train" not in vars(search.best_estimator_) and "_train" not in vars(search.estimator)


# ---- what cannot be


def test_settings_that_no_network_can_have_leave_the_others_alone() -> None:
    grid = {"hidden": [(4,), (0,)], "schedule": ["constant", "plateau"]}
    with pytest.warns((FitFailedWarning, UserWarning)):
        ours, theirs = both(quick(), grid, error_score=-1.0)
    check_equal(ours, theirs, 1e-9)
    assert (ours.cv_results_["mean_test_score"] == -1).tolist() == [False, True, True, True]


def test_a_network_that_fails_gets_the_error_score_and_its_neighbours_theirs() -> None:
    grid = {"learning_rate": [0.01, 1e30], "optimizer": ["sgd"]}
    with pytest.warns((FitFailedWarning, UserWarning)) as told:
        search = cr.PopulationSearchCV(quick(), grid, cv=2, error_score=-1.0).fit(*IRIS)
    assert any("the loss is not finite" in str(one.message) for one in told)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] > 0 and scores[1] == -1 and search.best_index_ == 0
    with warnings.catch_warnings(), pytest.raises(cr.ChainruleError, match="the loss is not finite"):
        cr.PopulationSearchCV(quick(), grid, cv=2, error_score="raise").fit(*IRIS)
    with pytest.warns(FitFailedWarning, match="learning-rate must be above 0; got -1"):
        found = cr.PopulationSearchCV(quick(), {"learning_rate": [0.01, -1.0]}, cv=2, error_score=0.0).fit(
            *IRIS
        )
    assert found.best_index_ == 0


@pytest.mark.parametrize(
    ("estimator", "grid", "message"),
    [
        (make_pipeline(StandardScaler(), quick()), {}, "got a Pipeline: sklearn.model_selection.GridSearchCV searches any estimator"),
        (quick(), {"model": [nn.Linear(4, 3)], "hidden": [None]}, "a model that is not chainrule's own"),
        (quick(), {"loss": [lambda z, y: z.sum(-1)]}, "a loss that was handed over as a function"),
        (quick(), {"plan": ["bfloat16"]}, "the plan bfloat16, which is for one network"),
        (quick(device="auto"), {}, r"the device auto side by side.*GridSearchCV can"),
    ],
)  # fmt: skip
def test_what_no_population_holds_is_refused(estimator: Any, grid: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        cr.PopulationSearchCV(estimator, grid).fit(*IRIS)


def test_what_became_of_networks_that_memory_is_short_for_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(population_memory, "available_bytes", lambda: 50_000)
    search = cr.PopulationSearchCV(quick(), GRID, cv=3, refit=False).fit(*IRIS)
    assert any(" of memory are for those under way: " in note for note in search.notes_)
    assert capsys.readouterr().out == ""
    search.set_params(verbose=1).fit(*IRIS)
    assert capsys.readouterr().out.startswith("\n".join(search.notes_))
