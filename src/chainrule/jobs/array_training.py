"""Training on arrays in memory, without a run folder: what estimators do."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.data.batches import Batches
from chainrule.data.distinct import WeightedRows
from chainrule.data.schema import Schema
from chainrule.data.splits import split_rows
from chainrule.data.target import Target
from chainrule.jobs.preparation import settle
from chainrule.jobs.trained_network import ONE_THREAD, Scaling, TrainedNetwork, fit_scaling, names_of, reading
from chainrule.jobs.workshop import make_model, make_schedule, make_step
from chainrule.train.course import Row
from chainrule.train.dense_chain import why_not_dense
from chainrule.train.metrics import metric_named
from chainrule.train.objective import Objective, check_outputs, check_smallest_batch
from chainrule.train.plan import Plan, make_plan, multiply_adds
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.stopping import Stopping
from chainrule.train.suggestions import Question
from chainrule.train.task import LossFunction, Regression, Task, build_task
from chainrule.train.training import Training

VALIDATION = 0.1  # share of the rows that validates where patience waits for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training on arrays leaves behind."""

    network: TrainedNetwork
    scaling: Scaling
    settings: Settings
    plan: Plan
    history: list[Row]
    best_epoch: int | None


def train_on_arrays(
    rows: WeightedRows,
    target: Target,
    asked: Settings,
    of_model: dict[str, Any],
    *,
    model: nn.Module | None = None,
    loss: LossFunction | None = None,
    class_weight: np.ndarray | None = None,
) -> Trained:
    """Train a network on rows: the same rows, settings and seed give the same network.

    `model` and `loss` are those that were handed over as objects. Shapes: class_weight (classes,)
    """
    train, validation = _divide(rows, target, asked)
    scaling = fit_scaling(train, asked.scaling)
    if class_weight is not None:
        train = train.weighed(class_weight[train.targets])
        validation = validation and validation.weighed(class_weight[validation.targets])
    train, width = train.spread(), rows.inputs.shape[1]
    question = Question(kind=target.kind, rows=len(train), inputs=width, is_pictures=False)
    name = "" if model is not None else asked.model or "mlp"
    settings, own = settle(asked, question, name, of_model, model=model, has_own_loss=loss is not None)
    task = _make_task(target, settings, loss, train)
    recipe = Recipe(
        data={},
        schema=Schema(shape=(width,), target=target),
        settings=settings,
        model_settings=own,
        inputs=width,
        plan=ONE_THREAD,
        versions={},
        given=tuple(k for k, v in (("model", model), ("loss", loss)) if v is not None),
    )
    objective = Objective(make_model(recipe, task.units, model), task)
    apart = copy.deepcopy(objective.model)  # training ties weights to memory of its own
    with recipe.plan.applied():
        recipe = replace(recipe, plan=choose_plan(objective, settings, width))
    with recipe.plan.applied() as device:
        batches = [
            None if part is None else _batches(part, scaling, task, settings, device)
            for part in (train, validation)
        ]
        training = _make_training(recipe, objective.to(device), *batches)
        for _ in training.reports():
            pass
        training.restore_best_()
    return Trained(
        network=_trained_network(apart, objective, recipe),
        scaling=scaling,
        settings=settings,
        plan=recipe.plan,
        history=training.history,
        best_epoch=training.best_epoch,
    )


def _divide(rows: WeightedRows, target: Target, asked: Settings) -> tuple[WeightedRows, WeightedRows | None]:
    """Return the rows that train and those that validate, class by class. Raises: SettingError; DataError"""
    share = asked.validation
    if share is None:
        share = VALIDATION if asked.patience else 0.0
    if not share:
        return rows, None
    split = split_rows(
        len(rows),
        classes=rows.targets if target.classes else None,
        class_names=target.classes,
        test=0.0,
        validation=share,
        seed=asked.seed,
    )
    return rows.only(split.train), rows.only(split.validation)


def _make_task(target: Target, settings: Settings, loss: LossFunction | None, train: WeightedRows) -> Task:
    task = build_task(
        target.kind,
        target.classes or target.names,
        loss or settings.loss,
        label_smoothing=settings.label_smoothing or 0.0,
        metric=settings.metric,
    )
    if isinstance(task, Regression):
        task.fit(train.targets, train.weights)
    return task


def choose_plan(objective: Objective, settings: Settings, width: int) -> Plan:
    """Return the plan that was asked for; auto is explicit backprop where it applies, else plain: nothing is measured."""
    assert isinstance(settings.batch_size, int)
    work = multiply_adds(objective.model, torch.zeros(2, width)) // 2 * settings.batch_size
    plan = make_plan(settings.plan, settings.device, work)
    if settings.plan == "auto" and plan.device == "cpu" and why_not_dense(objective) is None:
        plan = replace(plan, step="dense", reason="explicit backprop applies")
    return plan


def _batches(
    rows: WeightedRows,
    scaling: Scaling,
    task: Task,
    settings: Settings,
    device: torch.device,
) -> Batches:
    """Prepare rows. Their weights are on average 1, so that gradients are as long as without."""
    assert isinstance(settings.batch_size, int)
    weights = rows.weights / rows.weights.mean()
    return Batches(
        torch.from_numpy(scaling(rows.inputs)).float().to(device),
        task.encode(rows.targets).to(device),
        settings.batch_size,
        weights=None if (weights == 1).all() else torch.from_numpy(weights).float().to(device),
        seed=settings.seed,
    )


def _make_training(
    recipe: Recipe, objective: Objective, train: Batches | None, validation: Batches | None
) -> Training:
    """Put step, batches and schedule together. Raises: ShapeError if the model does not fit; SettingError"""
    assert train is not None and isinstance(train.inputs, Tensor)
    settings = recipe.settings
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        was_training = objective.model.training
        check_outputs(objective.model.eval(), objective.task, train.inputs[:2])
        objective.model.train(was_training)
    check_smallest_batch(objective.model, len(train.rows), train.batch_size, train.inputs[:1])
    return Training(
        make_step(recipe, objective),
        train,
        validation,
        make_schedule(settings, len(train)),
        settings.patience,
        metric=None if settings.metric is None else metric_named(settings.metric),
        stopping=Stopping(
            tolerance=settings.stop_tolerance, on_no_decrease=bool(settings.stop_on_no_decrease)
        ),
    )


def _trained_network(apart: nn.Module, objective: Objective, recipe: Recipe) -> TrainedNetwork:
    """Put what was learnt into a copy of the network from before training."""
    apart.load_state_dict(objective.model.state_dict())
    task = reading(objective.task.kind, names_of(objective.task), objective.task.state_dict())
    if "model" in recipe.given:
        return TrainedNetwork(apart, task)
    settings = {"inputs": recipe.inputs, "units": task.units, **recipe.model_settings}
    return TrainedNetwork(apart, task, recipe.settings.model or "", settings)
