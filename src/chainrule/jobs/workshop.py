"""From a recipe to a training run: the same road for a new run, a resumed one and a repeated one."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.catalog import MODELS
from chainrule.core.errors import PlanError, RunError, SettingError
from chainrule.core.seeds import mix
from chainrule.data.augmentation import Augmentation
from chainrule.data.batches import Batches
from chainrule.data.prepared import PreparedRows
from chainrule.jobs.material import ReadyRows
from chainrule.jobs.separation import is_perceptron, margin_watch
from chainrule.models import build
from chainrule.models.ensemble import Ensemble
from chainrule.nn.initial import STANDARD, initialise_
from chainrule.nn.losses import loss as loss_named
from chainrule.optim.penalties import penalty_of
from chainrule.optim.rules import HYPERPARAMETERS, Rule, optimizer
from chainrule.optim.schedules import Plateau, Schedule, schedule
from chainrule.train.dense_chain import why_not_dense
from chainrule.train.dense_step import DenseStep
from chainrule.train.metrics import metric_named
from chainrule.train.native_step import NativeStep
from chainrule.train.objective import Objective, check_outputs, check_smallest_batch
from chainrule.train.pretraining import check_can_pretrain, pretrain_
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.step import AutogradStep, RuleStep
from chainrule.train.stopping import Stopping
from chainrule.train.task import Classification, LossFunction, Regression, Task, build_task
from chainrule.train.training import Training


def make_task(recipe: Recipe, material: ReadyRows, loss: LossFunction | None) -> Task:
    """Build the task of a recipe; the scaling of values is fitted on the training rows."""
    if "loss" in recipe.given and loss is None:
        raise RunError(
            "this run's loss was handed over as an object; hand it over again: cr.fit(..., loss=…, resume=…)"
        )
    task = empty_task(recipe, loss)
    train = material.rows("train")
    targets = material.targets[train]
    if isinstance(task, Regression):
        task.fit(targets, None if material.weights is None else material.weights[train])
    elif isinstance(task, Classification) and recipe.settings.class_weight:
        task.weigh_(targets)
    return task


def empty_task(recipe: Recipe, loss: LossFunction | None = None) -> Task:
    """Build the task of a recipe with nothing fitted: for a saved one."""
    target = recipe.schema.target
    names = target.classes or target.names
    settings = recipe.settings
    return build_task(
        target.kind,
        names,
        loss or settings.loss,
        label_smoothing=settings.label_smoothing or 0.0,
        metric=settings.metric,
        class_weight=settings.class_weight,
    )


def make_model(recipe: Recipe, units: int, given: nn.Module | None) -> nn.Module:
    """Build the network with its starting weights, a pure function of the seed.

    A module that was handed over starts from the weights that it came with, on a copy. Of an ensemble all members
    are as the first one starts.
    """
    if recipe.settings.members is not None:
        return _make_ensemble(recipe, recipe.settings.members, units, given)
    if given is not None:
        return copy.deepcopy(given)
    if "model" in recipe.given:
        raise RunError(
            "this run's model was handed over as an object; hand it over again: cr.fit(..., model=…, resume=…)"
        )
    name = recipe.settings.model
    assert name is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(recipe.settings.seed, "model"))
        model = build(name, inputs=recipe.inputs, units=units, **recipe.model_settings)
    draw_start_(model, recipe)
    return model


def _make_ensemble(recipe: Recipe, members: int, units: int, given: nn.Module | None) -> Ensemble:
    settings = recipe.settings
    first = make_model(replace(recipe, settings=replace(settings, members=None)), units, given)
    return Ensemble(
        [first, *(copy.deepcopy(first) for _ in range(members - 1))],
        kind=recipe.schema.target.kind,
        vote=settings.vote or "average",
        only_decides=settings.loss is not None and loss_named(settings.loss).only_decides,
    )


def draw_start_(network: nn.Module, recipe: Recipe) -> None:
    """Draw the starting weights of a network of the catalogue; one from outside keeps those that it came with."""
    if is_of_catalogue(recipe):
        initialise_(network, recipe.settings.seed, recipe.settings.initial or STANDARD)


def is_of_catalogue(recipe: Recipe) -> bool:
    """Whether a run's network is one of chainrule's own: it draws from no global generator."""
    return recipe.settings.model in MODELS and "model" not in recipe.given


def make_training(
    recipe: Recipe,
    material: ReadyRows,
    device: torch.device,
    *,
    model: nn.Module | None = None,
    loss: LossFunction | None = None,
    rows: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Training:
    """Put model, task, optimizer, batches and schedule together.

    `rows` are trained on in place of the training rows, by which the task is fitted all the same; `weights` say how much each
    row counts, in place of those of the material.
    Shapes: rows (n,), weights (N,)
    Raises: ShapeError if the model's outputs do not fit the task; SettingError for the recipe of an ensemble
    """
    settings = recipe.settings
    if settings.members is not None:
        raise SettingError(
            f"this is about one network, and the settings ask for an ensemble of {settings.members}; leave out members, or "
            "name a run of one network"
        )
    task = make_task(recipe, material, loss)
    network = make_model(recipe, task.units, model)
    inputs, targets = material.inputs.to(device), task.encode(material.targets).to(device)
    train, validation = (
        _batches(inputs, targets, chosen, settings)
        for chosen in (material.rows("train") if rows is None else rows, material.rows("validation"))
    )
    assert train is not None
    weights = material.weights if weights is None else weights
    if weights is not None:
        train.weights = torch.from_numpy(weights).float().to(device)
        if validation is not None:
            validation.weights = None if (weights[material.rows("validation")] == 1).all() else train.weights
    if settings.augment:
        train.augmentation = Augmentation(settings.augment, seed=settings.seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        was_training = network.training
        check_outputs(network.eval(), task, material.inputs[:2])
        network.train(was_training)
    check_smallest_batch(network, len(train.rows), train.batch_size, material.inputs[:1])
    objective = Objective(network, task).to(device)
    return Training(
        make_step(recipe, objective),
        train,
        validation,
        make_schedule(settings, len(train)),
        settings.patience,
        metric=None if settings.metric is None else metric_named(settings.metric),
        look=margin_watch(objective, train) if is_perceptron(recipe) else None,
        stopping=Stopping(
            tolerance=settings.stop_tolerance, on_no_decrease=bool(settings.stop_on_no_decrease)
        ),
        start=_make_start(network, train, settings),
    )


def make_step(recipe: Recipe, objective: Objective) -> RuleStep:
    """Bind update rule, penalties, clipping and noise to a network on its device, in the step that the plan names.

    Raises: SettingError for a plan that does not apply
    """
    settings, network = recipe.settings, objective.model
    assert settings.optimizer and settings.learning_rate and isinstance(settings.batch_size, int)
    penalty, weight_decay = penalty_of(
        network.parameters(),
        settings.optimizer,
        l1=settings.l1 or 0.0,
        weight_decay=settings.weight_decay or 0.0,
        penalty=settings.penalty,
    )
    name, rate = settings.optimizer, settings.learning_rate

    def make_rule(parameters: Iterable[nn.Parameter]) -> Rule:
        return optimizer(
            name, parameters, learning_rate=rate, weight_decay=weight_decay, **hyperparameters(settings)
        )

    around: dict[str, Any] = {
        "seed": settings.seed,
        "clip_norm": settings.clip_norm,
        "clip_value": settings.clip_value,
        "penalty": penalty,
        "decay_with_loss": bool(settings.decay_with_loss),
    }
    lower = torch.bfloat16 if recipe.plan.precision == "bfloat16" else None
    if recipe.plan.step == "dense":
        if reason := why_not_dense(objective):
            raise SettingError(f"--plan dense does not apply: {reason}; --plan plain runs any network")
        return DenseStep(objective, make_rule, precision=lower, **around)
    if recipe.plan.step == "native":
        try:
            return NativeStep(objective, make_rule, name, **around)
        except (SettingError, PlanError) as reason:
            text = f"--plan native does not apply: {reason}; --plan plain runs any network"
            raise type(reason)(text) from None
    try:
        return AutogradStep(
            objective,
            make_rule(network.parameters()),
            reseeds=not is_of_catalogue(recipe),
            precision=lower,
            channels_last=recipe.plan.layout == "channels-last",
            winograd=recipe.plan.convolutions == "winograd",
            compiled_rows=settings.batch_size if recipe.plan.compiled else None,
            **around,
        )
    except PlanError as reason:
        text = f"--plan {recipe.plan.way} does not apply: {reason}; --plan plain runs any network"
        raise PlanError(text) from None


def _make_start(network: nn.Module, train: Batches, settings: Settings) -> Callable[[], None] | None:
    """Return what is done once before the first update: pre-training, if any was asked for."""
    if not settings.pretrain:
        return None
    check_can_pretrain(network)
    return functools.partial(pretrain_, network, train, epochs=settings.pretrain, seed=settings.seed)


def make_schedule(settings: Settings, steps_per_epoch: int) -> Schedule:
    """Build the schedule of a run. Raises: SettingError for one that does not fit the run"""
    assert settings.epochs and settings.learning_rate and settings.schedule
    made = schedule(
        settings.schedule,
        steps=settings.epochs * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
        learning_rate=settings.learning_rate,
        warmup_epochs=settings.warmup_epochs,
        drop_epochs=settings.drop_epochs,
        drop_factor=settings.drop_factor,
        decay_rate=settings.decay_rate,
        schedule_patience=settings.schedule_patience,
        lowest_rate=settings.lowest_rate,
        cycles=settings.cycles,
    )
    if not isinstance(made.shape, Plateau):
        return made
    if settings.patience and settings.metric is None and settings.patience <= made.shape.schedule_patience:
        raise SettingError(
            f"--patience {settings.patience} ends the run before a plateau of {made.shape.schedule_patience} epochs can lower "
            "the rate; take a larger --patience, or a smaller schedule_patience"
        )
    if settings.folds:
        raise SettingError(
            f"the schedule plateau waits for the validation loss to stall, but the {settings.folds} networks that judge few "
            "rows train without validation; --set folds=0 --validation 0.1 keeps a tenth of the rows for it"
        )
    return made


def hyperparameters(settings: Settings) -> dict[str, Any]:
    """Return what an update rule takes beside rate and decay; None: the rule's default."""
    return {name: getattr(settings, name) for name in HYPERPARAMETERS}


def _batches(
    inputs: Tensor | PreparedRows, targets: Tensor, rows: np.ndarray, settings: Settings
) -> Batches | None:
    if not len(rows):
        return None
    assert isinstance(settings.batch_size, int)
    return Batches(
        inputs,
        targets,
        settings.batch_size,
        rows=torch.from_numpy(rows),
        shuffle=settings.shuffle,
        seed=settings.seed,
    )


def check_settings(settings: Settings, model_settings: dict[str, Any], accepted: set[str]) -> dict[str, Any]:
    """Give the model the settings that are also its own (dropout). Raises: SettingError if it has none of that name."""
    if settings.dropout is None:
        return model_settings
    if "dropout" not in accepted:
        if settings.dropout == 0:
            return model_settings
        raise SettingError(f"the model {settings.model} has no dropout (models with dropout: mlp)")
    return {**model_settings, "dropout": settings.dropout}
