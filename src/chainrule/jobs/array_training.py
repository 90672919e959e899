"""Training on arrays in memory, without a run folder: what estimators do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.data.distinct import WeightedRows, distinct_rows
from chainrule.data.schema import Schema
from chainrule.data.splits import Split, split_rows
from chainrule.data.target import Target
from chainrule.jobs.preparation import settle
from chainrule.jobs.trained_network import ONE_THREAD, Scaling, TrainedNetwork, fit_scaling, names_of, reading
from chainrule.jobs.workshop import make_model, make_task, make_training
from chainrule.train.course import Row
from chainrule.train.dense_chain import why_not_dense
from chainrule.train.native_build import is_compiled
from chainrule.train.native_step import why_not_native_step
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan, make_plan, multiply_adds
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.suggestions import Question
from chainrule.train.task import LossFunction, Task

VALIDATION = 0.1  # share of the rows that validates where patience waits for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A network that is asked for: rows as they came, settings of the training, and those of the model.

    `model` and `loss` are those that were handed over as objects.
    Shapes: inputs (N, D), targets (N,) or (N, values), weights (N,), class_weight (classes,)
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    target: Target
    asked: Settings
    of_model: Mapping[str, Any]
    model: nn.Module | None = None
    loss: LossFunction | None = None
    class_weight: np.ndarray | None = None

    @property
    def validation(self) -> float:
        """The share of the rows that validates."""
        share = self.asked.validation
        if share is None:
            return VALIDATION if self.asked.patience else 0.0
        return share


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayRows:
    """Rows of arrays made ready, as `jobs.material.ReadyRows` has them: first those that train, then those that validate.

    Weights are 1 on average over the rows that train, so that gradients are as long as without.
    """

    inputs: Tensor
    targets: np.ndarray
    split: Split
    weights: np.ndarray | None
    scaling: Scaling

    def rows(self, part: str) -> np.ndarray:
        """Return the row numbers of a part of the split: train, validation or test."""
        return self.split.parts()[part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training on arrays leaves behind."""

    network: TrainedNetwork
    scaling: Scaling
    settings: Settings
    plan: Plan
    history: list[Row]
    best_epoch: int | None


def train_on_arrays(order: Order) -> Trained:
    """Train a network on rows: the same rows, settings and seed give the same network."""
    ready = make_ready(order)
    recipe = array_recipe(order, ready)
    task = make_task(recipe, ready, order.loss)
    objective = Objective(make_model(recipe, task.units, order.model), task)
    with recipe.plan.applied():
        recipe = replace(recipe, plan=choose_plan(objective, recipe.settings, ready.inputs.shape[1]))
    with recipe.plan.applied() as device:
        training = make_training(recipe, ready, device, model=order.model, loss=order.loss)
        for _ in training.reports():
            pass
        training.restore_best_()
    network = objective.model  # of memory of its own: training has tied the other's weights together
    network.load_state_dict(training.objective.model.state_dict())
    return Trained(
        network=trained_network(network, training.objective.task, recipe),
        scaling=ready.scaling,
        settings=recipe.settings,
        plan=recipe.plan,
        history=training.history,
        best_epoch=training.best_epoch,
    )


def make_ready(order: Order) -> ArrayRows:
    """Put equal rows together, divide them, and scale them by those that train. Raises: SettingError; DataError"""
    rows = distinct_rows(order.inputs, order.targets, order.weights)
    train, validation = _divide(rows, order)
    scaling = fit_scaling(train, order.asked.scaling)
    if order.class_weight is not None:
        train, validation = (part.weighed(order.class_weight[part.targets]) for part in (train, validation))
    train = train.spread()
    ready = train.followed_by(validation)
    weights = ready.weights / train.weights.mean()
    numbers = np.arange(len(ready))
    return ArrayRows(
        inputs=torch.from_numpy(scaling(ready.inputs)).float(),
        targets=ready.targets,
        split=Split(train=numbers[: len(train)], validation=numbers[len(train) :], test=numbers[:0]),
        weights=None if (weights == 1).all() else weights,
        scaling=scaling,
    )


def array_recipe(order: Order, ready: ArrayRows) -> Recipe:
    """Return the recipe of a network for rows made ready, with nothing left open but the plan."""
    width = ready.inputs.shape[1]
    question = Question(
        kind=order.target.kind, rows=len(ready.rows("train")), inputs=width, is_pictures=False
    )
    name = "" if order.model is not None else order.asked.model or "mlp"
    settings, own = settle(
        order.asked, question, name, order.of_model, model=order.model, has_own_loss=order.loss is not None
    )
    return Recipe(
        data={},
        schema=Schema(shape=(width,), target=order.target),
        settings=settings,
        model_settings=own,
        inputs=width,
        plan=ONE_THREAD,
        versions={},
        given=tuple(k for k, v in (("model", order.model), ("loss", order.loss)) if v is not None),
    )


def choose_plan(objective: Objective, settings: Settings, width: int) -> Plan:
    """Return the plan that was asked for; auto is explicit backprop where it applies, else plain: nothing is measured."""
    assert isinstance(settings.batch_size, int)
    work = multiply_adds(objective.model, torch.zeros(2, width)) // 2 * settings.batch_size
    plan = make_plan(settings.plan, settings.device, work)
    if settings.plan == "auto" and plan.device == "cpu" and why_not_dense(objective) is None:
        is_native = is_compiled() and why_not_native_step(objective) is None
        step, reason = ("native", "compiled code") if is_native else ("dense", "explicit backprop")
        plan = replace(plan, step=step, reason=f"{reason} applies")
    return plan


def trained_network(network: nn.Module, task: Task, recipe: Recipe) -> TrainedNetwork:
    """Return a network that has learnt as one that answers rows."""
    reader = reading(task.kind, names_of(task), task.state_dict())
    if "model" in recipe.given:
        return TrainedNetwork(network, reader)
    settings = {"inputs": recipe.inputs, "units": task.units, **recipe.model_settings}
    return TrainedNetwork(network, reader, recipe.settings.model or "", settings)


def _divide(rows: WeightedRows, order: Order) -> tuple[WeightedRows, WeightedRows]:
    """Return the rows that train and those that validate, class by class. Raises: SettingError; DataError"""
    if not order.validation:
        return rows, rows.only(np.arange(0))
    split = split_rows(
        len(rows),
        classes=rows.targets if order.target.classes else None,
        class_names=order.target.classes,
        test=0.0,
        validation=order.validation,
        seed=order.asked.seed,
    )
    return rows.only(split.train), rows.only(split.validation)
