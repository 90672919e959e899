"""Estimators: scikit-learn's own checks, its tools, and what weights of rows mean."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import stats
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import chainrule as cr
from chainrule.core.errors import ChainruleError
from chainrule.train.native_build import is_compiled

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)


def quick(**said: Any) -> cr.NeuralClassifier:
    return cr.NeuralClassifier(
        **{"hidden": (8,), "epochs": 20, "learning_rate": 0.02, "random_state": 0, **said}
    )


@parametrize_with_checks([cr.NeuralClassifier(), cr.NeuralRegressor()])
def test_every_check_of_scikit_learn(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def test_nothing_is_imported_before_its_use() -> None:
    said = (
        "import sys, chainrule; assert not {'torch', 'sklearn'} & set(sys.modules); "
        "found = chainrule.NeuralClassifier(); import sklearn.base; assert isinstance(found, sklearn.base.BaseEstimator)"
    )
    subprocess.run([sys.executable, "-c", said], check=True)


# ---- what is good where nothing is said


def test_defaults_are_good_on_digits_and_diabetes() -> None:
    pictures, numerals = load_digits(return_X_y=True)
    x, xt, y, yt = train_test_split(pictures, numerals, random_state=0, stratify=numerals)
    classifier = cr.NeuralClassifier(random_state=0).fit(x, y)
    assert classifier.score(xt, yt) > 0.97
    assert classifier.n_iter_ == len(classifier.loss_curve_) == len(classifier.history_)
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]
    assert classifier.settings_.batch_size == 64 and classifier.plan_.step in ("native", "dense")
    x, xt, y, yt = train_test_split(*DIABETES, random_state=0)
    assert cr.NeuralRegressor(random_state=0).fit(x, y).score(xt, yt) > 0.3


def test_no_column_is_too_large_or_too_small_to_learn_from() -> None:
    inputs, species = IRIS
    unlike = inputs * [1e6, 1e-6, 1, 1e3] + [1e9, 0, -5, 0]
    assert quick(epochs=100).fit(unlike, species).score(unlike, species) > 0.95
    assert quick(epochs=100, scaling="none").fit(unlike, species).score(unlike, species) < 0.9


def test_the_seed_decides() -> None:
    first, again, other = (
        quick(random_state=seed).fit(*IRIS).decision_function(IRIS[0]) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.allclose(first, other)
    drawn = [quick(random_state=np.random.RandomState(5)).fit(*IRIS).loss_curve_ for _ in range(2)]
    assert drawn[0] == drawn[1]


# ---- weights


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_a_row_of_weight_k_is_that_row_k_times_bit_for_bit(kind: str) -> None:
    """With batches, dropout, early stopping and class weights, where other networks agree only on average."""
    counts = np.random.default_rng(0).integers(0, 4, 150)
    order = np.random.default_rng(1).permutation(counts.sum())
    if kind == "classes":
        (inputs, targets), network = (
            IRIS,
            quick(dropout=0.3, batch_size=16, patience=3, class_weight="balanced"),
        )
    else:
        inputs, targets = DIABETES[0][:150], DIABETES[1][:150]
        network = cr.NeuralRegressor(hidden=8, epochs=20, batch_size=16, dropout=0.3, random_state=0)
    weighted = clone(network).fit(inputs, targets, sample_weight=counts)
    repeated = clone(network).fit(inputs.repeat(counts, 0)[order], targets.repeat(counts)[order])
    assert weighted.history_[0]["train_loss"] == repeated.history_[0]["train_loss"]
    assert np.array_equal(weighted.predict(inputs), repeated.predict(inputs))
    ends = (weighted.network_.module.parameters(), repeated.network_.module.parameters())
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*ends, strict=True))
    assert not np.array_equal(clone(network).fit(inputs, targets).loss_curve_, weighted.loss_curve_)


def test_weights_of_another_scale_are_the_same_weights() -> None:
    weights = np.linspace(0.5, 2, 150)
    ours, theirs = (quick().fit(*IRIS, sample_weight=factor * weights) for factor in (1, 64))
    np.testing.assert_allclose(ours.predict_proba(IRIS[0]), theirs.predict_proba(IRIS[0]), atol=1e-9)


def test_one_row_that_weighs_more_than_all_others_does_not_stop_them_from_learning() -> None:
    inputs, species = IRIS
    weights = np.where(np.arange(150) == 0, 1000.0, 1.0)
    network = quick(epochs=150, weight_decay=0.0).fit(inputs, species, sample_weight=weights)
    assert network.score(inputs, species) > 0.9 and network.predict(inputs[:1]) == species[0]


def test_class_weights_move_the_boundary() -> None:
    random = np.random.default_rng(0)
    inputs = np.concatenate([random.normal(0, 1, (190, 2)), random.normal(1.5, 1, (10, 2))])
    rare = np.arange(200) >= 190
    found = {
        name: quick(epochs=60, class_weight=weight).fit(inputs, rare).predict(inputs).sum()
        for name, weight in (("none", None), ("balanced", "balanced"), ("said", {True: 19.0}))
    }
    assert found["none"] < 10 < found["balanced"]
    assert abs(found["said"] - found["balanced"]) <= 5


# ---- scikit-learn's tools


def test_searches_pipelines_and_folds() -> None:
    pipe = make_pipeline(StandardScaler(), quick())
    grid = {"neuralclassifier__hidden": [(4,), (16, 8)], "neuralclassifier__learning_rate": [1e-3, 3e-2]}
    found = GridSearchCV(pipe, grid, cv=3).fit(*IRIS)
    assert found.best_score_ > 0.8 and len(found.cv_results_["params"]) == 4
    space = {
        "hidden": [4, (8, 8)],
        "learning_rate": stats.loguniform(1e-2, 1e-1),
        "batch_size": stats.randint(8, 64),  # NumPy's own numbers
        "activation": ["tanh", "relu"],
        "settings": [{"clip_norm": 1.0}, None],
    }
    drawn = RandomizedSearchCV(quick(), space, n_iter=4, cv=3, random_state=0, error_score="raise").fit(*IRIS)
    assert drawn.best_score_ > 0.8
    scores = cross_val_score(quick(), *IRIS, params={"sample_weight": np.ones(150)})
    assert scores.mean() > 0.85


def test_a_search_in_several_processes() -> None:
    found = GridSearchCV(quick(), {"hidden": [(2,), (8,)]}, cv=3, n_jobs=2, error_score="raise").fit(*IRIS)
    alone = GridSearchCV(quick(), {"hidden": [(2,), (8,)]}, cv=3, error_score="raise").fit(*IRIS)
    assert found.cv_results_["mean_test_score"].tolist() == alone.cv_results_["mean_test_score"].tolist()


def test_dataframes_give_the_names_of_columns() -> None:
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    species = np.array(["setosa", "versicolor", "virginica"])[IRIS[1]]
    by_array = quick().fit(IRIS[0], species)
    for frame, column in (
        (pd.DataFrame(IRIS[0], columns=names), pd.Series(species)),
        (pl.DataFrame(IRIS[0], schema=names), pl.Series(species)),
    ):
        network = quick().fit(frame, column)
        assert network.feature_names_in_.tolist() == names and network.n_features_in_ == 4
        assert network.classes_.tolist() == ["setosa", "versicolor", "virginica"]
        assert np.array_equal(network.predict(frame), by_array.predict(IRIS[0]))
        with pytest.raises(ValueError, match="feature names should match"):
            network.predict(frame[names[::-1]])


def test_a_fitted_network_is_copied_and_pickled_with_its_answers_alone() -> None:
    classifier = quick(dropout=0.2, activation="leaky-relu:0.2").fit(*IRIS)
    regressor = cr.NeuralRegressor(hidden=8, epochs=5, loss="huber:0.5", random_state=0).fit(*DIABETES)
    for network, rows in ((classifier, IRIS[0]), (regressor, DIABETES[0])):
        packed = pickle.dumps(network)
        again = pickle.loads(packed)  # noqa: S301 - our own bytes of a line before
        assert np.array_equal(again.predict(rows), network.predict(rows))
        assert len(packed) < 20_000 and b"lambda" not in packed


# ---- several values, other models and losses, early stopping


def test_several_values_each_in_its_own_units() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(300, 3))
    values = np.stack([1e4 + 2e3 * inputs[:, 0], 1e-3 * inputs[:, 1] * inputs[:, 2]], 1)
    network = cr.NeuralRegressor(random_state=0).fit(inputs[:200], values[:200])
    assert network.score(inputs[200:], values[200:]) > 0.95
    assert network.predict(inputs).shape == (300, 2)
    assert cr.NeuralRegressor(epochs=1).fit(inputs, values[:, :1]).predict(inputs).shape == (300, 1)
    assert cr.NeuralRegressor(epochs=1).fit(inputs, values[:, 0]).predict(inputs).shape == (300,)
    logs = TransformedTargetRegressor(
        cr.NeuralRegressor(epochs=20, random_state=0), func=np.log, inverse_func=np.exp
    )
    assert logs.fit(inputs, values[:, 0]).score(inputs, values[:, 0]) > 0.9


def test_a_linear_model_a_module_and_a_loss_of_ones_own() -> None:
    assert quick(model="softmax-regression", hidden=None, epochs=200).fit(*IRIS).score(*IRIS) > 0.9
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = quick(model=module, hidden=None, epochs=60).fit(*IRIS)
    assert network.score(*IRIS) > 0.9 and network.plan_.step == "autograd"
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())

    def cubed(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).abs().pow(3).mean(-1)

    values = cr.NeuralRegressor(hidden=8, loss=cubed, epochs=60, learning_rate=0.02, random_state=0).fit(
        *DIABETES
    )
    assert values.score(*DIABETES) > 0.3


def test_a_loss_that_only_decides_has_no_probabilities() -> None:
    network = quick(loss="hinge", settings={"label_smoothing": 0.0}).fit(*IRIS)
    assert not hasattr(network, "predict_proba") and network.decision_function(IRIS[0]).shape == (150, 3)
    assert hasattr(quick(), "predict_proba")
    assert not hasattr(quick(model="perceptron", hidden=None).fit(*IRIS), "predict_proba")


def test_patience_keeps_the_best_epoch_by_rows_that_validate() -> None:
    network = quick(patience=3, epochs=500, learning_rate=0.05).fit(*IRIS)
    assert network.n_iter_ < 500 and network.best_epoch_ == network.n_iter_ - 3
    losses = [row["validation_loss"] for row in network.history_]
    assert int(np.argmin(losses)) + 1 == network.best_epoch_
    assert "validation_loss" not in quick().fit(*IRIS).history_[0]


def test_both_plans_train_alike() -> None:
    dense, plain = (quick(plan=plan, dropout=0.2).fit(*IRIS) for plan in ("auto", "plain"))
    assert (dense.plan_.step, plain.plan_.step) == ("native" if is_compiled() else "dense", "autograd")
    np.testing.assert_allclose(dense.loss_curve_, plain.loss_curve_, rtol=1e-3)


def test_threads_and_the_global_generator_stay_as_they_were() -> None:
    torch.manual_seed(5)
    wanted, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(5)
    quick(epochs=1).fit(*IRIS).predict(IRIS[0])
    assert torch.equal(torch.rand(1), wanted) and torch.get_num_threads() == threads


# ---- what cannot be


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"learning_rate": -1.0}, "must be above 0; got -1"),
        ({"model": "mpl"}, "no model is called 'mpl'; did you mean 'mlp'"),
        ({"settings": {"epochs": 3}}, r"epochs is a parameter of its own: NeuralClassifier\(epochs=…\)"),
        ({"settings": {"clip_nrom": 3}}, "no setting of NeuralClassifier is called 'clip_nrom'; did you mean 'clip_norm'"),
        ({"class_weight": "even"}, "class_weight takes balanced or a dictionary"),
        ({"class_weight": {1: -2.0}}, "class_weight must give every class a positive weight"),
        ({"scaling": "log"}, "scaling takes standard, range, symmetric, none; got 'log'"),
        ({"model": nn.Linear(4, 3)}, "'hidden' cannot be set on a network that was handed over"),
        ({"model": nn.Linear(4, 2), "hidden": None}, r"must give 3 outputs per row for a multi-class task"),
        ({"schedule": "plateau"}, "no rows validate"),
        ({"plan": "fast"}, "--plan takes auto"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ChainruleError, match=message):
        quick(**said).fit(*IRIS)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.full(150, -1.0), "must not be below 0; row 0 has -1"),
        (np.where(IRIS[1] == 1, 1, 0), "at least 2 classes; all rows that count are of one class, 1"),
        (np.ones(149), "inconsistent numbers of samples"),
        (np.full(150, np.nan), "sample_weight contains NaN"),
    ],
)
def test_weights_that_cannot_be(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quick().fit(*IRIS, sample_weight=weights)


def test_numbers_that_are_too_large() -> None:
    inputs = IRIS[0].copy()
    inputs[3, 2] = 1e200
    with pytest.raises(ValueError, match=r"column 2 holds 1e\+200, too large to compute with"):
        quick().fit(inputs, IRIS[1])
