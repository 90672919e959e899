"""Everything that a run depends on, decided before anything is trained."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from chainrule.catalog import CLASSICAL
from chainrule.catalog import load as load_named
from chainrule.core.errors import SettingError
from chainrule.data.division import columns_that_divide
from chainrule.data.schema import Schema, find_schema
from chainrule.data.source import Source
from chainrule.diagnose.before import warnings
from chainrule.jobs.classical import settle_classical, versions_of
from chainrule.jobs.ensembles import settle_ensemble
from chainrule.jobs.groups import check_column
from chainrule.jobs.held_out import check_rows, hold_back, way_announced
from chainrule.jobs.material import Material, make_material
from chainrule.jobs.planning import check_plan
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import check_settings, hyperparameters
from chainrule.models import check_setting, model_settings
from chainrule.models.classical import KIND, build_classical, classical_settings
from chainrule.nn.activations import Activate
from chainrule.optim.rules import check_hyperparameters
from chainrule.train.recipe import Recipe, versions_here
from chainrule.train.searched import Searched, find_searched
from chainrule.train.settings import Settings
from chainrule.train.suggestions import Question, suggest, suggest_model
from chainrule.train.task import Task, build_task

EPOCHS_OF_ONE_UPDATE = 200  # at least, where each makes a single update


def prepare_run(request: Request, source: Source) -> tuple[Recipe, Material]:
    """Decide everything that a run depends on, before anything is trained."""
    settings = request.settings
    check_rows(len(source), source.name, None)
    dividing = columns_that_divide(source, settings.split, settings.columns)
    schema, found = find_schema(
        source,
        target=request.target,
        task=settings.task,
        columns=(*settings.columns, *(f"{name}=ignore" for name in dividing)),
        decimal=settings.decimal,
        merge_classes=settings.merge_classes,
    )
    check_question(request, schema)
    if settings.by is not None:
        check_column(source, settings.by)
    examples = schema.encode(source)
    settings = hold_back(settings, len(examples), is_divided=source.fixed_split is not None)
    check_rows(len(examples), source.name, settings.folds)
    material = make_material(source, examples, schema, settings)
    about: tuple[str, ...] = ()
    if settings.model in CLASSICAL:
        given = dict(request.model_settings)
        filled, of_model, about = settle_classical(settings, given, schema.target.kind)
    else:
        filled, of_model = settle_network(request, settings, schema, material)
    recipe = Recipe(
        data={
            **source.origin,
            "name": source.name,
            "target": request.target,
            "fingerprint": source.fingerprint(),
        },
        schema=schema,
        settings=filled,
        model_settings=of_model,
        inputs=material.prepare.features,
        plan=check_plan(settings, request.runs),
        versions=versions_here() | versions_of(filled.model or ""),
        notes=(
            *source.notes,
            *found.notes,
            *dividing.values(),
            *examples.notes,
            *material.notes,
            *_about_few_rows(settings, material),
            *_about_patience(settings, material),
            *about,
        ),
        warnings=(
            *found.warnings,
            *warnings(source, schema, examples, material.split, material.copies, filled),
        ),
        command=request.command or "",
        given=tuple(k for k, v in (("model", request.model), ("loss", request.loss)) if v is not None),
    )
    return recipe, material


def settle_network(
    request: Request, settings: Settings, schema: Schema, material: Material
) -> tuple[Settings, dict[str, Any]]:
    """Return the settings of a network's training with nothing left open, and those of the network itself."""
    question = Question(
        kind=schema.target.kind,
        rows=len(material.split.train),
        inputs=material.prepare.features,
        is_pictures=schema.is_pictures,
    )
    name = settings.model or ("" if request.model is not None else suggest_model(question))
    return settle(
        settings,
        question,
        name,
        request.model_settings,
        model=request.model,
        has_own_loss=request.loss is not None,
    )


def settle(
    asked: Settings,
    question: Question,
    name: str,
    of_model: Mapping[str, Any],
    *,
    model: nn.Module | None = None,
    has_own_loss: bool = False,
) -> tuple[Settings, dict[str, Any]]:
    """Return the settings of the training and those of the model with nothing left open; what was asked for stays.

    `name` is that of a model, and empty for a `model` that was handed over.
    Raises: SettingError for hyper-parameters that the update rule does not have, or dropout that the model does not have
    """
    chosen, suggested = suggest(name, question, asked)
    if has_own_loss:
        chosen.pop("label_smoothing", None)  # which is part of cross-entropy
    accepted = set(load_model_settings(name)) if name else set()
    if asked.dropout is None and "dropout" not in accepted:
        chosen.pop("dropout", None)
    elif asked.dropout is None and "dropout" in of_model:
        chosen["dropout"] = of_model["dropout"]
    filled = asked.filled({**chosen, "model": name or type(model).__name__})
    filled = _with_batches(filled, asked, question.rows)
    filled = settle_ensemble(filled, question.kind)
    assert filled.optimizer is not None
    check_hyperparameters(filled.optimizer, hyperparameters(filled))
    kept = {**{k: v for k, v in suggested.items() if k in accepted}, **of_model}
    return filled, check_settings(filled, kept, accepted) if name else kept


def check_question(request: Request, schema: Schema) -> None:
    """Refuse a loss, a metric, weights of classes or an augmentation that the data has no use for. Raises: SettingError"""
    target, settings = schema.target, request.settings
    if settings.augment and not schema.is_pictures:
        raise SettingError(
            f"augment ({','.join(settings.augment)}) changes pictures, and these rows are none: leave it out"
        )
    task = build_task(
        target.kind,
        target.classes or target.names,
        request.loss or settings.loss,
        label_smoothing=settings.label_smoothing or 0.0,
        metric=settings.metric,
        class_weight=settings.class_weight,
    )
    if settings.label_smoothing and not getattr(task, "label_smoothing", 0.0):
        raise SettingError(
            f"label_smoothing {settings.label_smoothing:g} moves the target of a cross-entropy, the loss of classes when no "
            f"other is asked for; this run has {_called_loss(request, task)}: leave label_smoothing out"
        )


def _called_loss(request: Request, task: Task) -> str:
    return "a loss of its own" if request.loss is not None else request.settings.loss or task.default_loss


def _with_batches(settings: Settings, asked: Settings, rows: int) -> Settings:
    """Put the number of training rows where a batch is all of them: as asked, and what gradient descent means."""
    is_said = asked.batch_size is not None
    if asked.batch_size != "all" and (is_said or asked.optimizer != "gradient-descent"):
        return settings
    assert settings.epochs is not None
    return replace(
        settings, batch_size=rows, epochs=asked.epochs or max(settings.epochs, EPOCHS_OF_ONE_UPDATE)
    )


def _about_few_rows(settings: Settings, material: Material) -> tuple[str, ...]:
    if not settings.folds:
        return ()
    return (way_announced(settings.folds, material, "model" if settings.model in CLASSICAL else "network"),)


def _about_patience(settings: Settings, material: Material) -> tuple[str, ...]:
    if settings.patience is None or len(material.split.validation):
        return ()
    return (
        f"--patience {settings.patience} stops nothing: no rows validate, so that all epochs are made "
        "(--validation 0.1 keeps a tenth of the rows for it)",
    )


def about_untrained_layers(model: nn.Module) -> tuple[str, ...]:
    """Say which layers cannot learn, because an activation behind them passes no gradient back."""
    stopped, weighted = 0, 0
    for layer in model.modules():
        weighted += isinstance(layer, nn.Linear | nn.Conv2d)
        if isinstance(layer, Activate) and not layer.activation.is_trainable:
            stopped, name = weighted, layer.activation.name
    if not stopped:
        return ()
    which = "layer before it keeps its" if stopped == 1 else f"{stopped} layers before it keep their"
    return (
        f"the derivative of {name} is 0, so that gradient descent cannot train through it: the {which} starting weights, "
        "and only what follows learns (--set activation=sigmoid, tanh or relu trains all)",
    )


def load_model_settings(name: str) -> dict[str, Any]:
    """Return the settings of a model with their types."""
    kind, settings = ("model", model_settings) if name not in CLASSICAL else (KIND, classical_settings)
    hints = typing.get_type_hints(_annotated(load_named(kind, name)))
    return {k: hints.get(k, str) for k in settings(name)}


def searched_of(name: str) -> dict[str, Searched]:
    """Return every setting that can be searched with a model: its own, and of a network those of its training."""
    own = load_model_settings(name)
    if name not in CLASSICAL:
        return find_searched(own, partial(check_setting, name))

    def check(key: str, value: Any) -> None:
        build_classical(name, {key: value}, question=CLASSICAL[name].questions[0])

    weighs = "class_weight" in inspect.signature(load_named(KIND, name)).parameters
    return find_searched(own, check, ("class_weight",) * weighs)


def _annotated(builder: Any) -> Any:
    return inspect.getattr_static(builder, "__init__") if isinstance(builder, type) else builder
