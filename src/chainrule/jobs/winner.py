"""The winner of a search: trained on all rows outside the test, judged there once, and kept as a run as any other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from chainrule.core import signals
from chainrule.core.errors import Interrupted, TrainingFailed
from chainrule.jobs.derived import finish, write_model
from chainrule.jobs.entries import DENSE, Entry, alone, possible_ways
from chainrule.jobs.events import Event, Finished, Said, SearchFinished
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


def how_to_resume(made: Search, folder: SearchFolder) -> str:
    """Say how far a search came, and how to go on with it."""
    done = sum(trial.is_done for trial in made.trials)
    return (
        f"stopped with {done} of {made.way.trials} trials made; they are kept, go on with: chainrule tune --resume "
        f"{folder.run.path}"
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
    recipe, training = _planned(recipe, material, runs)
    with recipe.plan.applied() as device:
        draw_start_(training.step.objective.model, recipe)
        folder.run.write_recipe(recipe.to_json())
        started = time.perf_counter()
        try:
            for _ in training.reports():
                if stop:
                    raise Interrupted(how_to_resume(made, folder), stop.number)
        except TrainingFailed as failure:
            raise TrainingFailed(
                f"the best trial, {best.number}, trained on every fold but not on all rows: {failure} (search kept in "
                f"{folder.run.path})"
            ) from None
        save_run(folder.run, training, material)
        training.restore_best_()
        write_model(folder.run, training.step.objective, material.prepare)
        _judge(training, material)
        search_seconds = time.perf_counter() - began
        fit_seconds = time.perf_counter() - started
        metrics: dict[str, dict[str, float]] = {}

        def again(one: Recipe, rows: Material) -> Training:
            return make_training(one, rows, device)

        for event in finish(folder.run, recipe, material, training, fit_seconds, again):
            if isinstance(event, Finished):
                metrics = event.metrics
            else:
                yield event
    write_search_report(folder, made, metrics.get("test", {}).get(made.metric.name), search_seconds)
    yield SearchFinished(
        run=folder.run.path,
        best={"settings": best.values, "score": best.score},
        trials=len(made.trials),
        networks=sum(len(trial.networks) for trial in made.trials),
        search_seconds=search_seconds,
        metrics=metrics,
    )


def _planned(recipe: Recipe, material: Material, runs: Path) -> tuple[Recipe, Training]:
    """Return the winner's training: as a member of the search was trained where that is a way, else as `fit` plans."""
    settings = recipe.settings
    device = torch.device("cpu")
    entry = Entry(recipe=recipe, material=material)
    if settings.plan == "auto" and settings.device in ("auto", "cpu") and DENSE in possible_ways(entry):
        recipe, _ = alone(entry)
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
