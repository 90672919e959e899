"""Training on arrays in memory, without a run folder: what estimators do."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.core.errors import DataError, SettingError
from chainrule.data.batches import Batches
from chainrule.data.columns import LARGEST, too_large
from chainrule.data.distinct import WeightedRows
from chainrule.data.prepare import SCALINGS
from chainrule.data.schema import Schema
from chainrule.data.splits import split_rows
from chainrule.data.target import Target
from chainrule.jobs.preparation import settle
from chainrule.jobs.workshop import make_model, make_schedule, make_step
from chainrule.models import build
from chainrule.train.course import Row
from chainrule.train.dense_chain import why_not_dense
from chainrule.train.loop import outputs_of
from chainrule.train.metrics import metric_named
from chainrule.train.objective import Objective, check_outputs, check_smallest_batch
from chainrule.train.plan import ONE_THREAD_BELOW, Plan, make_plan, multiply_adds
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.stopping import Stopping
from chainrule.train.suggestions import Question
from chainrule.train.task import Classification, LossFunction, Regression, Task, build_task
from chainrule.train.training import Training

ONE_THREAD = Plan(device="cpu", threads=1)  # small work waits for other threads longer than it takes
VALIDATION = 0.1  # share of the rows that validates where patience waits for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What is subtracted from each column, and what it is divided by then: infinite where it does not vary."""

    centre: np.ndarray
    scale: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = (inputs - self.centre) / self.scale
        return scaled


def fit_scaling(rows: WeightedRows, way: str) -> Scaling:
    """Take from rows how their columns are scaled, as `scaling` of the settings has it.

    Raises: SettingError for another way; DataError for numbers that are too large to compute with
    """
    if way not in SCALINGS:
        raise SettingError(f"scaling takes {', '.join(SCALINGS)}; got {way!r}")
    inputs = rows.inputs
    low, high = inputs.min(0), inputs.max(0)
    largest = np.maximum(-low, high)
    if (largest > LARGEST).any():
        column = int(largest.argmax())
        raise DataError(f"column {column} holds {too_large(float(largest[column]))}")
    mean = rows.weights @ inputs / rows.weights.sum()
    if way == "standard":
        centre, scale = mean, np.sqrt(rows.weights @ np.square(inputs - mean) / rows.weights.sum())
    elif way == "none":
        centre, scale = np.zeros_like(mean), np.ones_like(mean)
    else:
        centre = low if way == "range" else (low + high) / 2
        scale = (high - low) / (1 if way == "range" else 2)
    varies = (low < high) & (scale > 0)
    return Scaling(centre=np.where(varies, centre, mean), scale=np.where(varies, scale, np.inf))


class TrainedNetwork:
    """A network that answers rows; outputs are taken in float64, so that a row's do not hang on the rows beside it.

    One of the catalogue is copied and stored as its name, its settings and its weights.
    """

    def __init__(
        self, module: nn.Module, task: Task, name: str = "", settings: Mapping[str, Any] | None = None
    ) -> None:
        self.module = module.double().eval().requires_grad_(False)
        self.task = task.eval()
        self.name = name
        self.settings = dict(settings or {})

    def outputs(self, inputs: np.ndarray) -> Tensor:
        """Return the outputs for prepared rows. Shapes: (N, D) float64 -> (N, units)."""
        work = len(inputs) * sum(p.numel() for p in self.module.parameters())
        with ONE_THREAD.applied() if work < ONE_THREAD_BELOW else nullcontext():
            return outputs_of(self.module, torch.from_numpy(inputs))

    def __getstate__(self) -> dict[str, Any]:
        state = {
            "kind": self.task.kind,
            "names": _names(self.task),
            "task": _as_arrays(self.task),
            "name": self.name,
            "settings": self.settings,
        }
        return {**state, **({"weights": _as_arrays(self.module)} if self.name else {"module": self.module})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        module = state.get("module") or _rebuilt(
            state["name"], state["settings"], _as_tensors(state["weights"])
        )
        task = _reading(state["kind"], state["names"], _as_tensors(state["task"]))
        self.__init__(module, task, state["name"], state["settings"])  # type: ignore[misc]


def _names(task: Task) -> tuple[str, ...]:
    if isinstance(task, Regression):
        return task.names
    assert isinstance(task, Classification)
    return task.classes


def _reading(kind: str, names: Sequence[str], buffers: Mapping[str, Tensor]) -> Task:
    """Return a task for reading outputs alone: its loss is the usual one of its kind."""
    task = build_task(kind, names)
    task.load_state_dict(dict(buffers))
    return task


def _rebuilt(name: str, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """Build a network by its name and give it weights, in float64."""
    with torch.random.fork_rng(devices=[]):
        module = build(name, **settings).double()
    module.load_state_dict(dict(weights))
    return module


def _as_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def _as_tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.tensor(value) for name, value in arrays.items()}


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
    task = _reading(objective.task.kind, _names(objective.task), objective.task.state_dict())
    if "model" in recipe.given:
        return TrainedNetwork(apart, task)
    settings = {"inputs": recipe.inputs, "units": task.units, **recipe.model_settings}
    return TrainedNetwork(apart, task, recipe.settings.model or "", settings)
