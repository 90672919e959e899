"""What every classical model of the catalogue promises. A new entry inherits every check."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import Any

import numpy as np
import pytest

from chainrule.catalog import CLASSES, CLASSICAL, FAMILIES, VALUES
from chainrule.core.errors import RunError, SettingError, UnknownNameError
from chainrule.jobs.classical import PACKAGES
from chainrule.jobs.preparation import load_model_settings
from chainrule.models.classical import build_classical, classical_settings
from chainrule.train.classical import FittedModel, fit_classical
from chainrule.train.estimator_file import estimator_bytes, read_estimator
from chainrule.train.task import Regression, build_task

CASES = [
    (name, kind, units)
    for name, entry in CLASSICAL.items()
    for question, kind, units in (
        (CLASSES, "binary", 2),
        (CLASSES, "multi-class", 3),
        (VALUES, "regression", 1),
        (VALUES, "regression", 2),
    )
    if question in entry.questions
]
each_model = pytest.mark.parametrize("name", CLASSICAL)
each_case = pytest.mark.parametrize(("name", "kind", "units"), CASES)


def rows(kind: str, units: int, count: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Blobs of classes, or smooth values, of three inputs."""
    random = np.random.default_rng(seed)
    if kind == "regression":
        x = random.normal(size=(count, 3))
        return x, np.stack([x[:, 0] * 3 + 100, np.sin(x[:, 1])], 1)[:, :units]
    y = np.arange(count) % units
    return random.normal(size=(count, 3)) + 3 * np.eye(3)[y], y.astype(np.int64)


def skip_without(name: str) -> None:
    """Leave out what an extra brings that is not installed."""
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])


def fitted(name: str, kind: str, units: int, x: np.ndarray, y: np.ndarray, **settings: Any) -> FittedModel:
    skip_without(name)
    task = build_task(kind, [str(i) for i in range(units)])
    if isinstance(task, Regression):
        task.fit(y)
    return fit_classical(name, settings, x, y, task, seed=3)


@functools.cache
def fitted_once(name: str, kind: str, units: int) -> FittedModel:
    """The model of a case, fitted to `rows(kind, units)`; all tests look at the same one and change nothing in it."""
    return fitted(name, kind, units, *rows(kind, units))


@pytest.mark.curriculum("CML-34")
@each_model
def test_it_carries_one_of_the_five_tags(name: str) -> None:
    entry = CLASSICAL[name]
    assert FAMILIES == ("numerical function", "parametric", "instance-based", "symbolic", "aggregation")
    assert FAMILIES.count(entry.family) == 1
    assert isinstance(entry.is_linear, bool)
    assert entry.questions and set(entry.questions) <= {CLASSES, VALUES}


@each_case
def test_it_learns(name: str, kind: str, units: int) -> None:
    x, y = rows(kind, units)
    found = fitted_once(name, kind, units).answers(x, y)
    if kind == "regression":
        assert found.values is not None and found.values.shape == y.shape
        assert np.corrcoef(found.values[:, 0], y[:, 0])[0, 1] > 0.9
        return
    assert found.labels is not None and found.probabilities is not None
    assert (found.labels == y).mean() > 0.9
    assert found.probabilities.shape == (len(x), units)
    assert found.probabilities.sum(1) == pytest.approx(np.ones(len(x)))


@each_case
def test_it_answers_as_its_estimator(name: str, kind: str, units: int) -> None:
    new, true = rows(kind, units, 40, seed=1)
    model = fitted_once(name, kind, units)
    found, said = model.answers(new, true), model.model.estimator.predict(new)
    if kind == "regression":
        assert isinstance(model.task, Regression)
        scaled = said.reshape(len(new), -1) * model.task.scale.numpy() + model.task.mean.numpy()
        assert found.values == pytest.approx(scaled, rel=1e-12)
    else:
        assert found.labels is not None
        ties = np.ptp(np.sort(found.probabilities, 1)[:, -2:], 1) == 0
        assert (found.labels == said)[~ties].all()


@each_case
def test_its_file_gives_the_same_answers(name: str, kind: str, units: int) -> None:
    x, _ = rows(kind, units)
    model = fitted_once(name, kind, units).model
    again = copy.copy(model)
    again.estimator = read_estimator(estimator_bytes(model.estimator), "here")
    assert again.estimator is not model.estimator
    assert np.array_equal(again.outputs(x), model.outputs(x))


@each_case
def test_a_seed_gives_the_same_model(name: str, kind: str, units: int) -> None:
    x, y = rows(kind, units)
    again = fitted(name, kind, units, x, y)
    assert np.array_equal(again.model.outputs(x), fitted_once(name, kind, units).model.outputs(x))


@pytest.mark.parametrize(("name", "kind", "units"), [case for case in CASES if case[1] == "multi-class"])
def test_a_class_without_training_rows_is_the_last_to_be_answered(name: str, kind: str, units: int) -> None:
    x, y = rows(kind, units)
    model = fitted(name, kind, 4, x[y != 1], y[y != 1])
    found = model.answers(x, y)
    assert found.probabilities is not None and found.probabilities.shape == (len(x), 4)
    assert set(found.labels) <= {0, 2}
    assert np.isfinite(model.model.outputs(x)).all()


@each_model
def test_settings_have_types_defaults_and_near_names(name: str) -> None:
    skip_without(name)
    hints = load_model_settings(name)
    assert hints.keys() == classical_settings(name).keys()
    for parameter in classical_settings(name).values():
        assert parameter.default is not inspect.Parameter.empty
    with pytest.raises(UnknownNameError, match=f"no setting of {name} is called 'zzz'"):
        build_classical(name, {"zzz": 1}, question=CLASSICAL[name].questions[0])


@each_model
def test_a_question_that_it_does_not_answer_is_refused(name: str) -> None:
    for question in {CLASSES, VALUES} - set(CLASSICAL[name].questions):
        with pytest.raises(
            SettingError, match=f"{name} is not for {question}; those that are: nearest-neigh"
        ):
            build_classical(name, {}, question=question)


@pytest.mark.parametrize(
    ("name", "kind", "units"),
    [case for case in CASES if case[0] in ("decision-tree", "bagging", "random-forest", "gradient-boosting", "kernel-svm")],
)  # fmt: skip
def test_rows_of_other_inputs_do_not_fit_its_file(name: str, kind: str, units: int) -> None:
    """Compiled trees and machines are not asked for inputs that rows do not have."""
    model = copy.copy(fitted_once(name, kind, units).model)
    model.estimator, model.where = read_estimator(estimator_bytes(model.estimator), "here"), "here"
    with pytest.raises(RunError, match="here is damaged: its model does not answer"):
        model.outputs(rows(kind, units)[0][:, :1])
