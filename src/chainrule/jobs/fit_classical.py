"""Fit a classical model in a run folder: the road of networks from the data to the report, in one go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, fields

import numpy as np
import torch

from chainrule.core import signals
from chainrule.core.errors import DataError, Interrupted, StorageError
from chainrule.core.files import write_atomic
from chainrule.jobs import folder as folders
from chainrule.jobs.classical import ESTIMATOR, make_fitting
from chainrule.jobs.derived import finish
from chainrule.jobs.events import Event, Finished, Opened, Warned
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.material import Material
from chainrule.train.checkpoint import save_checkpoint, under
from chainrule.train.classical import Fitting
from chainrule.train.estimator_file import estimator_bytes
from chainrule.train.recipe import Recipe
from chainrule.train.training import State


def fit_classical_run(recipe: Recipe, material: Material, folder: RunFolder, began: float) -> Iterator[Event]:
    """Fit the model of a recipe, keep it and judge it.

    Raises: DataError for rows that it cannot be fitted to; a folder that holds nothing but the recipe is then taken away
    """
    settings = recipe.settings
    fitting = make_fitting(recipe, material)
    assert settings.model is not None
    yield Opened(
        run=folder.path, rows=material.split.counts(), model=settings.model, parameters=0, epochs=0, steps=0, step=0,
        plan=str(recipe.plan), metric=fitting.objective.task.metric,
        settings={f.name: getattr(settings, f.name) for f in fields(settings)},
    )  # fmt: skip
    with signals.held_back() as stop:
        try:
            for _ in fitting.reports():
                pass
        except DataError:
            folder.discard()
            raise
        save_classical_run(folder, fitting, material)
        seconds = time.perf_counter() - began
        yield from (Warned(text=text) for text in fitting.model.notes)
        for event in finish(folder, recipe, material, fitting, seconds, make_fitting):
            yield event
            if stop and not isinstance(event, Finished):
                raise Interrupted(
                    f"stopped by {signals.said(stop.number)}; the model is fitted and saved, what is missing of its report "
                    f"comes with: chainrule fit --resume {folder.path}",
                    stop.number,
                )


def save_classical_run(folder: RunFolder, fitting: Fitting, material: Material) -> None:
    """Write checkpoint and estimator of a model that is fitted. Raises: StorageError"""
    content = estimator_bytes(fitting.model.estimator)
    tensors = {
        ESTIMATOR: torch.from_numpy(np.frombuffer(content, np.uint8).copy()),
        **under("prepare/", material.prepare.state_dict()),
        **under("task/", fitting.objective.task.state_dict()),
    }
    state = State(step=1, steps=1, is_finished=True, best_epoch=None, best_cost=None, history=())
    try:
        save_checkpoint(folder.checkpoint, tensors, asdict(state))
        write_atomic(folder.path / folders.ESTIMATOR, content)
    except StorageError as error:
        raise StorageError(f"{error}; free some space, then: chainrule fit --resume {folder.path}") from error
