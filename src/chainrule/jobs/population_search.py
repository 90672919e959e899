"""A grid search with scikit-learn's interface, whose networks are trained side by side.

All networks of the grid, settings times folds, are trained first, as one population. Then scikit-learn's own search goes
over the same grid and folds, and each `fit` in it finds its network ready: scores, ranks, errors and the refit are
scikit-learn's own.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import _safe_indexing, indexable

from chainrule.catalog import MODELS
from chainrule.core.errors import SettingError, TrainingFailed
from chainrule.jobs.array_training import (
    ArrayRows,
    Order,
    Trained,
    array_recipe,
    choose_plan,
    make_ready,
    train_on_arrays,
    trained_network,
)
from chainrule.jobs.entries import Entry
from chainrule.jobs.estimator_base import NeuralEstimator
from chainrule.jobs.population import CORES, PopulationRun
from chainrule.jobs.workshop import make_task, make_training
from chainrule.train.course import Row
from chainrule.train.plan import Plan
from chainrule.train.recipe import Recipe


class PopulationSearchCV(GridSearchCV):  # type: ignore[misc]
    """GridSearchCV for NeuralClassifier and NeuralRegressor, which trains settings times folds as one population.

    Parameters, attributes and methods are those of scikit-learn's GridSearchCV, and scores are the same to rounding: put
    in its place, it is only faster. Each fold is scaled by its own training rows. `n_jobs` is how many cores train side by
    side, all without; `pre_dispatch` has no effect. `mean_fit_time` is a network's share of the time that its stack took.
    `notes_` say what became of networks that memory was short for; `verbose` prints them too.
    Without a `random_state` one seed is drawn for all networks. What a population cannot hold, such as a pipeline or a
    module of one's own, is refused: GridSearchCV searches it.

    >>> from sklearn.datasets import load_iris
    >>> from chainrule import NeuralClassifier
    >>> grid = {"hidden": [(4,), (8,)], "learning_rate": [0.003, 0.03]}
    >>> network = NeuralClassifier(epochs=40, random_state=0)
    >>> search = PopulationSearchCV(network, grid, cv=3).fit(*load_iris(return_X_y=True))
    >>> bool(search.best_score_ > 0.8), len(search.cv_results_["params"])
    (True, 4)
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> PopulationSearchCV:  # noqa: N803
        """Train all networks of the grid, score them, and fit the best settings on all rows.

        `params` may hold sample_weight and groups. Raises: SettingError, a ValueError, for what GridSearchCV must search
        """
        _check_estimator(self.estimator)
        X, y = indexable(X, y)  # noqa: N806
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        folds = list(cv.split(X, y, params.pop("groups", None)))
        seeded = clone(self.estimator)
        if seeded.random_state is None:
            seeded.random_state = int(np.random.default_rng().integers(2**31))
        ahead = TrainedAhead()
        keys = [
            [ahead.add(order) for order in _orders(seeded, self.param_grid, rows)]
            for rows in _training_rows(folds, X, y, params.get("sample_weight"))
        ]
        notes = ahead.train(self._cores())
        for note in notes if self.verbose else ():
            print(note)  # noqa: T201 - as GridSearchCV prints what it does
        seeded._train = ahead
        said = {**self.get_params(deep=False), "estimator": seeded, "cv": folds, "n_jobs": None}
        self._adopt(GridSearchCV(**said).fit(X, y, **params))
        del seeded._train  # scorers hold on to the estimator
        self.notes_ = notes
        self._tell_times(np.array([[ahead.seconds(key) for key in of_fold] for of_fold in keys]))
        return self

    def _cores(self) -> int:
        return CORES if self.n_jobs is None or self.n_jobs < 0 else max(1, self.n_jobs)

    def _adopt(self, found: GridSearchCV) -> None:
        """Take over what a finished search has found."""
        self.__dict__.update({name: value for name, value in vars(found).items() if name.endswith("_")})
        if hasattr(self, "best_estimator_"):
            self.best_estimator_.__dict__.pop("_train")
            if self.estimator.random_state is None and "random_state" not in self.best_params_:
                self.best_estimator_.random_state = None

    def _tell_times(self, seconds: np.ndarray) -> None:
        """Say how long networks took that were trained ahead. Shapes: seconds (folds, settings), NaN for others"""
        for name, times in (("mean", seconds.mean(0)), ("std", seconds.std(0))):
            known = self.cv_results_[f"{name}_fit_time"]
            self.cv_results_[f"{name}_fit_time"] = np.where(np.isnan(times), known, times)


class TrainedAhead:
    """Networks that are trained side by side before anybody asks for them. Called with an order, it hands one over."""

    def __init__(self) -> None:
        self._ready: dict[Hashable, ArrayRows] = {}
        self._entries: dict[Hashable, Entry] = {}
        self._plans: dict[Hashable, Plan] = {}
        self._run: PopulationRun | None = None

    def add(self, order: Order | None) -> Hashable | None:
        """Take an order for `train`; return what it is kept under, None for one that cannot be carried out."""
        if order is None:
            return None
        _check_order(order)
        key = _key(order)
        if key not in self._entries:
            try:
                ready = self._make_ready(order)
                recipe = array_recipe(order, ready)
                recipe = replace(recipe, plan=self._plan(recipe, ready))
            except (ValueError, TypeError):  # the search meets it again, and tells
                return None
            self._entries[key] = Entry(recipe=recipe, material=ready)
        return key

    def train(self, cores: int) -> tuple[str, ...]:
        """Train all networks, and return what there is to say of it."""
        self._run = PopulationRun(list(self._entries.values()), cores=cores)
        for _ in self._run.train():
            pass
        return tuple(dict.fromkeys(self._run.notes))

    def seconds(self, key: Hashable | None) -> float:
        """Return how long a network took, its share of what its stack took; NaN without a key."""
        return math.nan if key is None else sum(row["seconds"] for row in self._history(key))

    def __call__(self, order: Order) -> Trained:
        """Hand over the network of an order; one that is not there is trained now. Raises: TrainingFailed"""
        key = _key(order)
        if key not in self._entries:
            return train_on_arrays(order)
        assert self._run is not None
        number, entry = self._numbers[key], self._entries[key]
        if failure := self._run.failure(number):
            raise TrainingFailed(failure)
        recipe, rows = entry.recipe, entry.material
        assert isinstance(rows, ArrayRows)
        return Trained(
            network=trained_network(self._run.network(number), make_task(recipe, rows, None), recipe),
            scaling=rows.scaling,
            settings=recipe.settings,
            plan=recipe.plan,
            history=self._run.history(number),
            best_epoch=self._run.best_epoch(number),
        )

    @functools.cached_property
    def _numbers(self) -> dict[Hashable, int]:
        return {key: number for number, key in enumerate(self._entries)}

    def _history(self, key: Hashable) -> list[Row]:
        assert self._run is not None
        return self._run.history(self._numbers[key])

    def _plan(self, recipe: Recipe, ready: ArrayRows) -> Plan:
        """Return the plan of a network, which can be trained; those that differ in plain numbers are alike in this."""
        alike = replace(recipe.settings, learning_rate=1.0, weight_decay=None, l1=None, seed=0)
        key = id(ready), repr(alike), repr(recipe.model_settings)
        if key not in self._plans:
            objective = make_training(recipe, ready, torch.device("cpu")).objective
            self._plans[key] = replace(
                choose_plan(objective, recipe.settings, ready.inputs.shape[1]), threads=1
            )
        return self._plans[key]

    def _make_ready(self, order: Order) -> ArrayRows:
        """Make rows ready, the same for all networks that are trained on them: those can share a stack."""
        key = _key_of_rows(order)
        if key not in self._ready:
            self._ready[key] = make_ready(order)
        return self._ready[key]


def _training_rows(folds: Iterable[tuple[np.ndarray, np.ndarray]], *parts: Any) -> Iterator[list[Any]]:
    """Give inputs, targets and weights of the rows that train, fold by fold."""
    for train, _ in folds:
        yield [None if part is None else _safe_indexing(part, train) for part in parts]


def _orders(estimator: NeuralEstimator, grid: Any, rows: Sequence[Any]) -> Iterator[Order | None]:
    """Give the networks of a grid for the rows of a fold; None for settings that cannot be, which `fit` refuses."""
    for said in ParameterGrid(grid):
        try:
            yield clone(estimator).set_params(**clone(said, safe=False)).order(*rows)
        except (ValueError, TypeError):
            yield None


def _check_estimator(estimator: Any) -> None:
    """Refuse what is not one network with its rows. Raises: SettingError"""
    if not isinstance(estimator, NeuralEstimator):
        raise SettingError(
            f"PopulationSearchCV trains a NeuralClassifier or a NeuralRegressor; got a {type(estimator).__name__}: "
            "sklearn.model_selection.GridSearchCV searches any estimator, pipelines too"
        )


def _check_order(order: Order) -> None:
    """Refuse a network that no population can hold. Raises: SettingError"""
    asked, why = order.asked, ""
    if order.model is not None or asked.model not in MODELS:
        why = "a model that is not chainrule's own"
    elif order.loss is not None:
        why = "a loss that was handed over as a function"
    elif asked.device != "cpu":
        why = f"the device {asked.device}"
    elif asked.plan != "auto":
        why = f"the plan {asked.plan}, which is for one network"
    if why:
        raise SettingError(
            f"PopulationSearchCV cannot train {why} side by side with others; sklearn.model_selection.GridSearchCV can"
        )


def _key(order: Order) -> Hashable:
    """Return the same for orders of the same network, and for no others."""
    return _key_of_rows(order), repr(order.asked), repr(sorted(order.of_model.items()))


def _key_of_rows(order: Order) -> Hashable:
    """Return the same for orders whose rows are made ready alike."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (order.inputs, order.targets, order.weights, order.class_weight):
        digest.update(b"-" if array is None else repr((array.shape, array.dtype)).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    seed = order.asked.seed if order.validation else None  # draws the rows that validate
    return digest.digest(), order.target, order.asked.scaling, order.validation, seed
