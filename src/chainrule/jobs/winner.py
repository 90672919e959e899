"""The winner of a search: trained on all rows outside the test, judged there once, and kept as a run as any other."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from chainrule.catalog import CLASSICAL
from chainrule.core import signals
from chainrule.core.errors import DataError, Interrupted, TrainingFailed
from chainrule.jobs.classical import make_fitting
from chainrule.jobs.derived import finish, write_model
from chainrule.jobs.entries import DENSE, Entry, alone, possible_ways
from chainrule.jobs.events import Event, Finished, Said, SearchFinished, Warned
from chainrule.jobs.fit_classical import save_classical_run
from chainrule.jobs.fit_network import save_run
from chainrule.jobs.material import Material
from chainrule.jobs.planning import plan_for
from chainrule.jobs.search import Search
from chainrule.jobs.search_folder import SearchFolder
from chainrule.jobs.search_report import write_search_report
from chainrule.jobs.search_trials import Trial
from chainrule.jobs.workshop import draw_start_, make_training
from chainrule.train.loop import judge, outputs_of
from chainrule.train.recipe import Recipe
from chainrule.train.training import Training

Metrics = dict[str, dict[str, float]]  # part -> metric -> value
Kept = tuple[Metrics, float]  # and the seconds from data in memory to the winner judged


def how_to_resume(made: Search, folder: SearchFolder) -> str:
    """Say how far a search came, and how to go on with it."""
    done = sum(trial.is_done for trial in made.trials)
    beside = "" if made.cluster is None else f" --cluster {made.cluster.address}"
    return (
        f"stopped with {done} of {made.way.trials} trials made; they are kept, go on with: chainrule tune --resume "
        f"{folder.run.path}{beside}"
    )


def refit(
    runs: Path, made: Search, folder: SearchFolder, began: float, stop: signals.Stop
) -> Iterator[Event]:
    """Train the winner on all rows outside the test, and make it a run as any other."""
    best = made.ranking[0]
    assert best.score is not None
    recipe, material = made.candidates.winner(made.recipe_of(best), _note(made, best))
    yield Said(
        text=f"training the best, trial {best.number}, on all {len(material.split.train):,} rows outside the test"
    )
    try:
        if recipe.settings.model in CLASSICAL:
            metrics, search_seconds = yield from _fit(recipe, material, folder, began)
        else:
            recipe, training = _planned(recipe, material, runs)
            metrics, search_seconds = yield from _train(recipe, material, training, made, folder, began, stop)
    except (DataError, TrainingFailed) as failure:
        raise type(failure)(
            f"the best trial, {best.number}, trained on every fold but not on all rows: {failure} (search kept in "
            f"{folder.run.path})"
        ) from None
    write_search_report(folder, made, metrics.get("test", {}).get(made.metric.name), search_seconds)
    yield SearchFinished(
        run=folder.run.path,
        best={"settings": best.values, "score": best.score},
        trials=len(made.trials),
        networks=sum(len(trial.networks) for trial in made.trials),
        search_seconds=search_seconds,
        metrics=metrics,
    )


def _train(
    recipe: Recipe,
    material: Material,
    training: Training,
    made: Search,
    folder: SearchFolder,
    began: float,
    stop: signals.Stop,
) -> Generator[Event, None, Kept]:
    """Train a network, keep it and judge it."""
    with recipe.plan.applied() as device:
        draw_start_(training.step.objective.model, recipe)
        folder.run.write_recipe(recipe.to_json())
        started = time.perf_counter()
        for _ in training.reports():
            if stop:
                raise Interrupted(how_to_resume(made, folder), stop.number)
        save_run(folder.run, training, material)
        training.restore_best_()
        write_model(folder.run, training.step.objective, material.prepare)
        _judge(training, material)
        ended = time.perf_counter()

        def again(one: Recipe, rows: Material) -> Training:
            return make_training(one, rows, device)

        events = finish(folder.run, recipe, material, training, ended - started, again)
        return (yield from _metrics_of(events)), ended - began


def _fit(
    recipe: Recipe, material: Material, folder: SearchFolder, began: float
) -> Generator[Event, None, Kept]:
    """Fit a classical model, keep it and judge it."""
    folder.run.write_recipe(recipe.to_json())
    started = time.perf_counter()
    fitting = make_fitting(recipe, material)
    for _ in fitting.reports():
        pass
    save_classical_run(folder.run, fitting, material)
    ended = time.perf_counter()
    yield from (Warned(text=text) for text in fitting.model.notes)
    events = finish(folder.run, recipe, material, fitting, ended - started, make_fitting)
    return (yield from _metrics_of(events)), ended - began


def _metrics_of(events: Iterator[Event]) -> Generator[Event, None, Metrics]:
    """Hand events on, but for the last, and return its metrics."""
    metrics: Metrics = {}
    for event in events:
        if isinstance(event, Finished):
            metrics = event.metrics
        else:
            yield event
    return metrics


def _planned(recipe: Recipe, material: Material, runs: Path) -> tuple[Recipe, Training]:
    """Return the winner's training: as a member of the search was trained where that is a way, else as `fit` plans."""
    settings = recipe.settings
    device = torch.device("cpu")
    entry = Entry(recipe=recipe, material=material)
    if settings.plan == "auto" and settings.device in ("auto", "cpu") and DENSE in possible_ways(entry):
        recipe = alone(entry)
        return recipe, make_training(recipe, material, device)
    training = make_training(recipe, material, device)
    recipe = replace(recipe, plan=plan_for(recipe, training, runs).plan)
    return recipe, make_training(recipe, material, torch.device(recipe.plan.device))


def _judge(training: Training, material: Material) -> dict[str, float]:
    """Judge the winner on the test rows."""
    objective, rows = training.step.objective, torch.from_numpy(material.rows("test"))
    assert material.examples.targets is not None
    outputs = outputs_of(objective.model, training.batches.inputs, rows)
    targets = objective.task.encode(material.examples.targets[rows.numpy()])
    return judge(objective.task, outputs, targets.to(outputs.device), [objective.task.metric])


def _note(made: Search, best: Trial) -> str:
    how = f"{best.folds}-fold cross-validation" if best.folds > 1 else "held-out rows"
    return (
        f"its settings were chosen among {len(made.trials)} trials by {how}, where it had {made.metric.name} "
        f"{best.score:.4f} (search/report.html)"
    )
