"""`fit`: from data to a trained network in a run folder."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from chainrule.core.device import choose_device
from chainrule.core.errors import RunError
from chainrule.core.memory import low_memory_said
from chainrule.core.text import visible
from chainrule.data.read import read
from chainrule.data.source import Source
from chainrule.jobs import folder as folders
from chainrule.jobs.ensemble_training import plan_of_members, training_of
from chainrule.jobs.ensembles import check_ensemble, network_recipe, trains_apart
from chainrule.jobs.events import Event, Said, Warned
from chainrule.jobs.fit_classical import fit_classical_run
from chainrule.jobs.fit_network import save_run, train_in_folder
from chainrule.jobs.material import Material, make_material, read_again, reading_of
from chainrule.jobs.planning import (
    Planned,
    check_plan,
    is_elsewhere,
    plan_anew,
    plan_for,
    try_compiling,
)
from chainrule.jobs.preparation import about_untrained_layers, prepare_run
from chainrule.jobs.request import (
    Request,
    called,
    check_initial,
    check_loss,
    check_names,
    divided,
    make_request,
)
from chainrule.jobs.run import Run
from chainrule.jobs.show import consume
from chainrule.jobs.workshop import draw_start_, make_training
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.plan import make_plan
from chainrule.train.recipe import Recipe, versions_here
from chainrule.train.settings import DECLARED, Settings
from chainrule.train.settings_text import parse_value
from chainrule.train.task import LossFunction
from chainrule.train.training import Training, Trains

LESS = "a smaller --batch-size or fewer units need less, and closing other programs leaves more"
# Arguments that take more kinds than the settings of these names
TAKE_MORE = {"model", "loss", "augment", "columns"}


def fit(
    data: Any = None,
    *,
    target: str | None = None,
    model: str | nn.Module | None = None,
    model_settings: Mapping[str, Any] | None = None,
    task: str | None = None,
    loss: str | LossFunction | None = None,
    epochs: int | None = None,
    batch_size: int | Literal["all"] | None = None,
    initial: str | None = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    schedule: str | None = None,
    weight_decay: float | None = None,
    l1: float | None = None,
    members: int | None = None,
    ensemble: str | None = None,
    vote: str | None = None,
    dropout: float | None = None,
    label_smoothing: float | None = None,
    clip_norm: float | None = None,
    augment: str | Sequence[str] = (),
    decay_with_loss: bool | None = None,
    validation: float | None = None,
    test: float | None = None,
    split: str = "random",
    folds: int | None = None,
    validation_data: Any = None,
    test_data: Any = None,
    encoding: str | None = None,
    sheet: str | None = None,
    columns: Mapping[str, str] | None = None,
    decimal: str | None = None,
    merge_classes: bool | None = None,
    patience: int | None = None,
    metric: str | None = None,
    class_weight: str | None = None,
    by: str | None = None,
    memory: str | None = None,
    seed: int = 0,
    device: str = "auto",
    plan: str = "auto",
    settings: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    name: str | None = None,
    resume: str | Path | None = None,
    quiet: bool = False,
) -> Run:
    """Train a network on data, judge it on test rows, and keep it in a run folder.

    `data` is a built-in name, a path or a list of them, a pair of arrays (x, y), a dataframe or a map-style dataset;
    `split` is random, time:COLUMN, group:COLUMN, predefined or predefined:COLUMN; `folds` networks judge in place of a
    test set (0: never; without it, where rows are few);
    `validation_data` and `test_data` are the same, for rows that are to validate and to test; `model` a name of the
    catalogue, `package.module:Name`, or a module (which is copied); `loss` a name or any callable on outputs and
    targets. `columns` says what columns are: number, category, boolean, date or ignore. `metric` chooses
    the best epoch and stands in tables; `class_weight` "balanced" makes every class count alike in the loss; `by` names
    a column whose groups are judged apart. `members` networks answer as one: an `ensemble` is deep, bagging, boosting or
    snapshot, its `vote` average, majority or median. `l1` is the strength of an L1 penalty; `augment` names changes of training
    pictures, such as "flip,shift". `settings` are others by name, as --set takes them, such as {"warmup_epochs": 2}. What
    is not given is chosen from the data and stands in the recipe.
    `resume` continues a run, bit for bit on the CPU.
    Raises: ChainruleError for what cannot be done, TrainingFailed if the loss is no longer finite,
    Interrupted (a KeyboardInterrupt) after Ctrl-C with a checkpoint saved
    """
    said = dict(locals())  # all arguments: one that has the name of a setting is that setting
    asked = Settings(
        **{name: said[name] for name in said.keys() & DECLARED.keys() - TAKE_MORE},
        augment=parse_value("augment", augment, tuple[str, ...])
        if isinstance(augment, str)
        else tuple(augment),
        columns=tuple(f"{name}={kind}" for name, kind in (columns or {}).items()),
    )
    request = make_request(
        data,
        asked,
        target=target,
        model=model,
        loss=loss,
        settings=settings,
        model_settings=model_settings,
        runs=runs,
    )
    request = replace(
        request,
        data=divided(data, request.settings, validation_data, test_data),
        name=name,
        resume=None if resume is None else Path(resume),
    )
    finished = consume(run_fit(request), quiet=quiet)
    return Run(finished.run, model=request.model, data=request.data)


def run_fit(request: Request) -> Iterator[Event]:
    """Do what a request asks, and tell of it as it happens."""
    with low_memory_said("the network, with what its training needs,", LESS):
        yield from _begin(request) if request.resume is None else _resume(request)


def _begin(request: Request) -> Iterator[Event]:
    _check(request)
    yield Said(text=f"reading {visible(called(request.data))}")
    reading = reading_of(request.settings, request.target, cache=request.runs / ".cache", track=request.track)
    source = read(request.data, reading)
    began = time.perf_counter()
    recipe, material = prepare_run(request, source)
    yield from (Said(text=note) for note in recipe.notes)
    yield from (Warned(text=warning) for warning in recipe.warnings)
    stem = _stem(request, recipe, source)
    if recipe.is_classical:
        folder = folders.create(request.runs, request.name, stem, recipe.to_json())
        with folder.locked():
            yield from fit_classical_run(recipe, material, folder, began)
    else:
        yield from _begin_network(request, recipe, material, stem, began)


def _check(request: Request) -> None:
    """Refuse what can be refused before any data is read. Raises: ChainruleError"""
    check_ensemble(request)
    check_names(request.settings)
    check_loss(request)
    check_plan(request.settings, request.runs)
    check_initial(request)
    folders.check_place(request.runs, request.name)


def _begin_network(
    request: Request, recipe: Recipe, material: Material, stem: str, began: float
) -> Iterator[Event]:
    """Choose how to run, make the folder and train."""
    device = choose_device(recipe.plan.device)
    first = make_training(network_recipe(recipe), material, device, model=request.model, loss=request.loss)
    untrained = about_untrained_layers(first.step.objective.model)
    yield from (Warned(text=warning) for warning in untrained)
    started = recipe.plan
    if trains_apart(recipe.settings):
        planned = Planned(plan=plan_of_members(recipe, material))
    else:
        planned = yield from _planned(request, network_recipe(recipe), first)
    recipe = replace(recipe, plan=planned.plan, notes=(*recipe.notes, *untrained))
    with recipe.plan.applied():
        training: Trains = first
        if recipe.settings.members is not None or recipe.plan.way != started.way:
            training = training_of(recipe, material, device, model=request.model, loss=request.loss)
        else:  # again, now that the number of threads is settled: the bits of orthogonal weights depend on it
            draw_start_(first.step.objective.model, recipe)
        folder = folders.create(request.runs, request.name, stem, recipe.to_json())
        with folder.locked():
            if recipe.given:
                save_run(folder, training, material)
            yield from train_in_folder(request, recipe, material, training, folder, began, planned)


def _stem(request: Request, recipe: Recipe, source: Source) -> str:
    """Return what a run is called before its number: data, model and the kind of ensemble."""
    model = recipe.settings.model if request.model is None else type(request.model).__name__
    ensemble = "" if recipe.settings.members is None else f"-{recipe.settings.ensemble}"
    return f"{folders.stem_of(source.name, source.origin.get('paths', ()))}-{model}{ensemble}"


def _planned(request: Request, recipe: Recipe, training: Training) -> Generator[Event, None, Planned]:
    """Choose the plan of a new run, and tell of it."""
    planned = plan_for(recipe, training, request.runs)
    yield from (Said(text=detail) for detail in planned.details if request.verbose)
    if planned.prospect is None:
        return planned
    yield Said(text=str(planned.prospect))
    planned = try_compiling(planned, recipe, training)
    yield from (Said(text=note) for note in planned.notes)
    yield from (Said(text=detail) for detail in planned.details if request.verbose)
    return planned


def _resume(request: Request) -> Iterator[Event]:
    assert request.resume is not None
    folder = folders.find(request.resume, request.runs)
    recipe = Recipe.from_json(folder.recipe(), str(folder.path / folders.RECIPE))
    with folder.locked():
        yield Said(text=f"resuming {folder.path}")
        source = read_again(recipe, request.data, folder, track=request.track)
        began = time.perf_counter()
        material = make_material(source, recipe.schema.encode(source), recipe.schema, recipe.settings)
        changed = {k: (v, w) for k, v in recipe.versions.items() if (w := versions_here().get(k)) != v}
        for package, (then, now) in changed.items():
            yield Said(text=f"{package} was {then} when the run was started and is {now}: bits may differ")
        if recipe.is_classical:
            yield from fit_classical_run(recipe, material, folder, began)
            return
        planned = Planned(plan=recipe.plan)
        if is_elsewhere(recipe.plan) and recipe.settings.plan == "auto":
            planned = _plan_here(request, recipe, material)
            yield Said(
                text=f"the plan {recipe.plan.way} was made on {recipe.plan.machine}; on this machine the run goes on by "
                f"{planned.plan}, and its bits may differ from those that the other would have given"
            )
            recipe = replace(recipe, plan=planned.plan)
            folder.write_recipe(recipe.to_json())
        with recipe.plan.applied() as device:
            training = training_of(recipe, material, device, model=request.model, loss=request.loss)
            if folder.checkpoint.exists():
                training.restore(*load_checkpoint(folder.checkpoint))
            elif recipe.given:
                raise RunError(
                    f"{folder.checkpoint} is missing: the start of a model that was handed over is lost"
                )
            yield from train_in_folder(request, recipe, material, training, folder, began, planned)


def _plan_here(request: Request, recipe: Recipe, material: Material) -> Planned:
    """Return the plan of a run that was begun on another machine."""
    plain = replace(recipe, plan=make_plan("plain", recipe.settings.device))
    device = choose_device(plain.plan.device)
    training = make_training(plain, material, device, model=request.model, loss=request.loss)
    return plan_anew(recipe, training)
