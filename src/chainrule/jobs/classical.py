"""Classical models of runs: what a recipe says of one, made ready to be fitted, opened and fitted again.

The estimator stands in the checkpoint as the bytes of a .skops file.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from torch import Tensor

from chainrule.catalog import CLASSES
from chainrule.core.errors import RunError, SettingError
from chainrule.core.text import visible
from chainrule.jobs.material import Material
from chainrule.jobs.workshop import make_task
from chainrule.models.classical import build_classical, classical_settings
from chainrule.train.classical import (
    DECIDING_LOSS,
    Classical,
    Fitting,
    decides,
    make_classical,
    question_of,
)
from chainrule.train.estimator_file import read_estimator
from chainrule.train.loop import outputs_of
from chainrule.train.objective import Objective
from chainrule.train.recipe import Recipe, versions_here
from chainrule.train.settings import Settings
from chainrule.train.task import Task

ESTIMATOR = "estimator"  # name of the tensor that holds a .skops file
PACKAGES = {"lightgbm": "lightgbm", "kernel-regression": "statsmodels", "local-regression": "statsmodels"}


def settle_classical(
    settings: Settings, given: dict[str, Any], kind: str
) -> tuple[Settings, dict[str, Any], tuple[str, ...]]:
    """Return settings with nothing left open, those of the model, and what should be said about them.

    Raises: UnknownNameError, SettingError for a setting of the model, or a question that it does not answer
    """
    name = settings.model
    assert name is not None
    of_model = {key: parameter.default for key, parameter in classical_settings(name).items()} | given
    estimator = build_classical(
        name, of_model, question=question_of(kind), seed=settings.seed, class_weight=settings.class_weight
    )
    if kind == "regression" or not decides(estimator):
        return settings, of_model, ()
    said = (
        f"{name} decides by distances to boundaries and gives no probabilities: its answer counts as sure, and log loss, "
        "auc and calibration error are those of its decisions (--set probabilities=true fits probabilities)"
    )
    return settings.filled({"loss": DECIDING_LOSS}), of_model, (said,)


def versions_of(name: str) -> dict[str, str]:
    """Return the version of the package that a model comes from, where it is not one that all runs name."""
    return {PACKAGES[name]: version(PACKAGES[name])} if name in PACKAGES else {}


def versions_there(recipe: Recipe) -> dict[str, str]:
    """Return the versions that a recipe names as they are here."""
    return versions_here() | versions_of(recipe.settings.model or "")


def make_fitting(recipe: Recipe, material: Material) -> Fitting:
    """Put model, task and rows together: the same for a new run, a fold and a repeated one."""
    settings = recipe.settings
    assert settings.model is not None and material.examples.targets is not None
    task = make_task(recipe, material, None)
    model = make_classical(
        settings.model, recipe.model_settings, task, seed=settings.seed, class_weight=settings.class_weight
    )
    return Fitting(Objective(model, task), material.inputs, material.examples.targets, material.split.train)


def open_classical(recipe: Recipe, task: Task, tensors: dict[str, Tensor], where: str) -> Classical:
    """Return the model of a checkpoint. Raises: RunError for a file that holds anything else than such a model"""
    if ESTIMATOR not in tensors:
        raise RunError(f"{where} holds no fitted model")
    try:
        model = make_classical(
            recipe.settings.model or "",
            recipe.model_settings,
            task,
            seed=recipe.settings.seed,
            class_weight=recipe.settings.class_weight,
        )
    except SettingError as error:
        raise RunError(f"{where} does not fit its recipe: {error}") from error
    found = read_estimator(tensors[ESTIMATOR].numpy().tobytes(), where)
    if type(found) is not type(model.estimator) or getattr(found, "n_features_in_", None) != recipe.size:
        raise RunError(f"{where} does not fit its recipe: it holds a {type(found).__name__} of other inputs")
    if question_of(task.kind) == CLASSES:
        _check_classes(found, max(2, task.units), where)
    model.estimator, model.where = found, where
    model.outputs(np.zeros((1, recipe.size)))
    return model


def _check_classes(estimator: Any, units: int, where: str) -> None:
    """See that a model answers classes of its task, in their order. Raises: RunError"""
    found = getattr(estimator, "classes_", None)
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "iu" or not len(found):
        raise RunError(f"{where} is damaged: its model does not say which classes it answers")
    if found[0] < 0 or found[-1] >= units or (np.diff(found) <= 0).any():
        raise RunError(
            f"{where} is damaged: its model answers the classes {visible(found.tolist(), 60)}, of {units} in order"
        )


def repeat(recipe: Recipe, material: Material, saved: Classical) -> float:
    """Fit the model again; return the largest difference between its outputs for all rows and those of the saved one."""
    fitting = make_fitting(recipe, material)
    for _ in fitting.reports():
        pass
    before, again = (outputs_of(model, material.inputs) for model in (saved, fitting.model))
    return float((before - again).abs().max())
