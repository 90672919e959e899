"""From a recipe to a training run: the same road for a new run, a resumed one and a repeated one."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.catalog import MODELS
from chainrule.core.errors import DataError, RunError, SettingError
from chainrule.core.seeds import mix
from chainrule.core.text import listed, visible
from chainrule.data.augmentation import Augmentation
from chainrule.data.batches import Batches
from chainrule.data.division import Division, division_notes, find_division
from chainrule.data.duplicates import copies_said, duplicate_groups
from chainrule.data.prepare import Prepare
from chainrule.data.prepared import PreparedRows, prepared_rows
from chainrule.data.read import named_by, read
from chainrule.data.reading import Reading
from chainrule.data.schema import Examples
from chainrule.data.source import Source
from chainrule.data.splits import Split, split_rows
from chainrule.data.store import StoredRows, find_store
from chainrule.data.target import check_rows_of_classes
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.separation import is_perceptron, margin_watch
from chainrule.models import build
from chainrule.nn.initial import STANDARD, initialise_
from chainrule.optim.penalties import penalty_of
from chainrule.optim.rules import HYPERPARAMETERS, optimizer
from chainrule.optim.schedules import Plateau, Schedule, schedule
from chainrule.train.metrics import metric_named
from chainrule.train.objective import Objective, check_outputs, check_smallest_batch
from chainrule.train.pretraining import check_can_pretrain, pretrain_
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.step import AutogradStep
from chainrule.train.stopping import Stopping
from chainrule.train.task import Classification, LossFunction, Regression, Task, build_task
from chainrule.train.training import Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Data made ready for a network: rows as tensors, and the preparation and task that were fitted on the way."""

    source: Source
    examples: Examples
    split: Split
    prepare: Prepare
    inputs: Tensor | PreparedRows
    kind: str
    copies: np.ndarray  # a group number per row; equal rows share one
    notes: tuple[str, ...] = ()  # how the rows came to be divided

    def rows(self, part: str) -> np.ndarray:
        """Return the row numbers of a part of the split: train, validation or test."""
        found: np.ndarray = getattr(self.split, part)
        return found


def make_material(source: Source, examples: Examples, recipe_schema: Any, settings: Settings) -> Material:
    """Split, and fit the preparation on the training rows."""
    assert examples.targets is not None and settings.test is not None and settings.validation is not None
    if examples.numbers.dtype.kind not in "fiub":
        raise DataError(f"{source.name}: inputs must be numbers; got {examples.numbers.dtype}")
    target = recipe_schema.target
    if (
        target.classes
        and source.fixed_split is None
        and (settings.test or settings.validation or settings.folds)
    ):
        check_rows_of_classes(target, examples.targets, source)
    copies = duplicate_groups(examples, recipe_schema)
    division = find_division(source, examples.rows, settings.split, copies)
    split = split_rows(
        len(examples),
        classes=examples.targets if target.classes else None,
        class_names=target.classes,
        where=f"{source.name}: the target {listed(list(target.names))}: ",
        test=settings.test,
        validation=settings.validation,
        seed=settings.seed,
        division=division,
    )
    prepare = Prepare(recipe_schema).fit(examples, split.train, settings.scaling)
    return Material(
        source=source,
        examples=examples,
        split=split,
        prepare=prepare,
        inputs=model_inputs(prepare, examples, source),
        kind=target.kind,
        copies=copies,
        notes=_said(division, split, recipe_schema.is_pictures),
    )


def _said(division: Division, split: Split, is_pictures: bool) -> tuple[str, ...]:
    """Say how the rows came to be divided."""
    assert division.copies is not None
    copies = copies_said(division.copies, "pictures" if is_pictures else "rows", division.fixed)
    return (*filter(None, [copies]), *division_notes(division, split.parts()))


def model_inputs(prepare: Prepare, examples: Examples, source: Source) -> Tensor | PreparedRows:
    """Return what the model takes: on disk and prepared batch by batch where it takes more memory than it may."""
    if isinstance(examples.numbers, StoredRows):
        return PreparedRows(prepare, examples)
    return prepared_rows(prepare, examples, math.inf if source.store is None else source.store.most_bytes)


def make_task(recipe: Recipe, material: Material, loss: LossFunction | None) -> Task:
    """Build the task of a recipe; the scaling of values is fitted on the training rows."""
    task = empty_task(recipe, loss)
    assert material.examples.targets is not None
    targets = material.examples.targets[material.split.train]
    if isinstance(task, Regression):
        task.fit(targets)
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

    A module that was handed over starts from the weights that it came with, on a copy.
    """
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


def draw_start_(network: nn.Module, recipe: Recipe) -> None:
    """Draw the starting weights of a network of the catalogue; one from outside keeps those that it came with."""
    if recipe.settings.model in MODELS and "model" not in recipe.given:
        initialise_(network, recipe.settings.seed, recipe.settings.initial or STANDARD)


def make_training(
    recipe: Recipe,
    material: Material,
    device: torch.device,
    *,
    model: nn.Module | None = None,
    loss: LossFunction | None = None,
) -> Training:
    """Put model, task, optimizer, batches and schedule together.

    Raises: ShapeError if the model's outputs do not fit the task
    """
    settings = recipe.settings
    assert (
        settings.batch_size
        and settings.epochs
        and settings.optimizer
        and settings.learning_rate
        and settings.schedule
    )
    if recipe.given and "loss" in recipe.given and loss is None:
        raise RunError(
            "this run's loss was handed over as an object; hand it over again: cr.fit(..., loss=…, resume=…)"
        )
    task = make_task(recipe, material, loss)
    network = make_model(recipe, task.units, model)
    assert material.examples.targets is not None
    inputs, targets = material.inputs.to(device), task.encode(material.examples.targets).to(device)
    train, validation = (
        _batches(inputs, targets, material.rows(part), settings) for part in ("train", "validation")
    )
    assert train is not None
    if settings.augment:
        train.augmentation = Augmentation(settings.augment, seed=settings.seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        was_training = network.training
        check_outputs(network.eval(), task, material.inputs[:2])
        network.train(was_training)
    check_smallest_batch(network, len(train.rows), train.batch_size, material.inputs[:1])
    objective = Objective(network, task).to(device)
    penalty, weight_decay = penalty_of(
        network.parameters(),
        settings.optimizer,
        l1=settings.l1 or 0.0,
        weight_decay=settings.weight_decay or 0.0,
        penalty=settings.penalty,
    )
    rule = optimizer(
        settings.optimizer,
        network.parameters(),
        learning_rate=settings.learning_rate,
        weight_decay=weight_decay,
        **hyperparameters(settings),
    )
    is_ours = recipe.settings.model in MODELS and "model" not in recipe.given
    step = AutogradStep(
        objective,
        rule,
        seed=settings.seed,
        clip_norm=settings.clip_norm,
        clip_value=settings.clip_value,
        penalty=penalty,
        decay_with_loss=bool(settings.decay_with_loss),
        reseeds=not is_ours,
    )
    metric = None if settings.metric is None else metric_named(settings.metric)
    rate = make_schedule(settings, len(train))
    look = margin_watch(objective, train) if is_perceptron(recipe) else None
    start = None
    if settings.pretrain:
        check_can_pretrain(network)
        start = functools.partial(pretrain_, network, train, epochs=settings.pretrain, seed=settings.seed)
    stopping = Stopping(tolerance=settings.stop_tolerance, on_no_decrease=bool(settings.stop_on_no_decrease))
    return Training(step, train, validation, rate, settings.patience, metric, look, stopping, start)


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


def check_same_data(recipe: Recipe, source: Source) -> None:
    """See that the data is what the run was started on. Raises: RunError."""
    if source.fingerprint() != recipe.data["fingerprint"]:
        raise RunError(
            f"the data {visible(source.name)} has changed since the run was started (its content has another hash); "
            "put the old file back, or start a new run"
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


def reading_of(
    settings: Settings,
    target: str | None,
    cache: Path | None = None,
    track: Callable[..., Any] | None = None,
) -> Reading:
    """Return how data is read, as the settings have it."""
    return Reading(
        target=target,
        encoding=settings.encoding,
        sheet=settings.sheet,
        picture_size=settings.picture_size,
        cache=cache,
        track=track,
        store=None if cache is None else find_store(cache, settings.memory),
    )


def read_again(
    recipe: Recipe, data: Any, folder: RunFolder, track: Callable[..., Any] | None = None
) -> Source:
    """Read a run's data as it was read for training; `data` is what was in memory then.

    Raises: RunError if it has changed, or was in memory and is not given
    """
    reading = reading_of(
        recipe.settings, recipe.data["target"], cache=folder.path.parent / ".cache", track=track
    )
    source = read(_origin_of(recipe) if data is None else data, reading)
    check_same_data(recipe, source)
    return source


def _origin_of(recipe: Recipe) -> Any:
    """Return what `read` takes to read a run's data again.

    Raises: RunError for data that was handed over in memory
    """
    again = named_by(recipe.data)
    if again is None:
        raise RunError(
            f"this run's data ({recipe.data['name']}) was in memory; hand it over again: cr.fit(data, resume=…) or "
            "cr.load(run, data=…)"
        )
    return again
