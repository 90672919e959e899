"""Train one recipe on every fold and judge it by the rows held out: networks side by side, others in turn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import ChainruleError, DataError, TrainingFailed
from chainrule.core.seeds import mix
from chainrule.core.units import show_seconds
from chainrule.jobs.classical import make_fitting
from chainrule.jobs.ensemble_training import training_of
from chainrule.jobs.entries import Entry
from chainrule.jobs.folds import in_fold
from chainrule.jobs.material import Material
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.workshop import make_task
from chainrule.jobs.yardstick import answer_alike
from chainrule.train.course import Row
from chainrule.train.loop import judge, outputs_of
from chainrule.train.metrics import measure, metric_named, metrics_for
from chainrule.train.objective import Objective
from chainrule.train.recipe import Recipe
from chainrule.train.significance import Spread, spread_of

Track = Callable[..., Any]  # items, their number and what they are, shown as a bar
FIRST_LOOK = 0.1  # of the time that a model may take, before it is forecast how much it needs
REHEARSED = 2000  # training rows from which a classical model first tries few of them, where time is limited
MANY_NUMBERS = 1_000_000  # in the training rows, from which a classical model takes several threads
PARTS = (16, 4)  # of the training rows: a sixteenth, a quarter


class TooSlowError(Exception):
    """A model needs more time than it may take; the message says how much."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"would take about {show_seconds(seconds)} for all folds")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldScores:
    """What a model showed on the rows of each fold: metrics, None where its training failed; seconds of all
    trainings; `warnings` are those of solvers, `notes` what was said of how networks were trained."""

    name: str
    rows: tuple[Row | None, ...]
    failures: tuple[str, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def scores(self, metric: str) -> list[float]:
        """Return a metric fold by fold, of those that have it."""
        return [row[metric] for row in self.rows if row is not None and metric in row]


def score_folds(
    name: str,
    recipe: Recipe,
    materials: Sequence[Material],
    *,
    track: Track | None = None,
    most_seconds: float = math.inf,
) -> FoldScores:
    """Train a recipe on each fold, with a seed for each, and judge it by the rows held out.

    Raises: ChainruleError for a model that does not fit the rows; TooSlowError where it needs more than `most_seconds`
    """
    own = [
        in_fold(recipe, material, seed=mix(recipe.settings.seed, "fold", number))
        for number, material in enumerate(materials)
    ]
    in_turn = recipe.settings.model in CLASSICAL or recipe.settings.members is not None
    train = _train_in_turn if in_turn else _train_networks
    return train(name, own, materials, track or _untracked, most_seconds)


def base_scores(recipe: Recipe, materials: Sequence[Material], metric: str) -> float | None:
    """Return the mean score of answering every row alike, by what the training rows of each fold hold."""
    found = []
    for material in materials:
        task = make_task(recipe, material, None)
        _, answers = answer_alike(material, task)
        found.append(measure(answers, metrics_for(task.kind)).get(metric))
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def spread_of_scores(scores: Sequence[float], metric: str, materials: Sequence[Material]) -> Spread:
    """Sum up a metric of the folds of these materials."""
    is_larger_better = metric != "loss" and metric_named(metric).larger_is_better
    lowest = -math.inf if metric == "r2" else 0.0
    return spread_of(
        scores,
        share=share_of(materials),
        rows=len(np.unique(np.concatenate([one.split.test for one in materials]))),
        lowest=lowest,
        highest=1.0 if is_larger_better or metric == "calibration-error" else math.inf,
    )


def share_of(materials: Sequence[Material]) -> float:
    """Return held-out rows over rows that train or validate, over all folds."""
    held_out = sum(len(one.split.test) for one in materials)
    return held_out / sum(len(one.split.train) + len(one.split.validation) for one in materials)


def _train_networks(
    name: str, recipes: Sequence[Recipe], materials: Sequence[Material], track: Track, most_seconds: float
) -> FoldScores:
    began = time.perf_counter()
    entries = [Entry(recipe=r, material=m) for r, m in zip(recipes, materials, strict=True)]
    run = PopulationRun(entries, judged="test")
    epochs = sum(recipe.settings.epochs or 0 for recipe in recipes)
    with closing(run.train()) as training:
        ticks = _in_time(_ticks(training), epochs, began, most_seconds)
        for _ in track(ticks, epochs, f"{name}: epochs"):
            pass
    seconds = time.perf_counter() - began
    shown = [run.shown(number) for number in range(len(recipes))]
    return FoldScores(
        name=name,
        rows=tuple(one.row for one in shown),
        failures=tuple(f"fold {k + 1}: {one.failure}" for k, one in enumerate(shown) if one.failure),
        seconds=seconds,
        notes=tuple(dict.fromkeys(run.notes)),
    )


def _train_in_turn(
    name: str, recipes: Sequence[Recipe], materials: Sequence[Material], track: Track, most_seconds: float
) -> FoldScores:
    if is_classical := recipes[0].settings.model in CLASSICAL:
        make_fitting(recipes[0], materials[0])  # loads what it needs, which is no part of its time
    rows: list[Row | None] = []
    failures: list[str] = []
    warnings: set[str] = set()
    judging = 0.0

    def fit_all() -> Iterator[int]:
        nonlocal judging
        for number, (recipe, material) in enumerate(zip(recipes, materials, strict=True)):
            try:
                objective = (fit_on_fold if is_classical else _ensemble)(recipe, material)
            except (DataError, TrainingFailed) as error:
                rows.append(None)
                failures.append(f"fold {number + 1}: {error}")
            else:
                fitted_at = time.perf_counter()
                warnings.update(getattr(objective.model, "notes", ()))
                rows.append(judge_fold(objective, material))
                judging += time.perf_counter() - fitted_at
            yield number

    with few_threads(materials[0]):
        if is_classical and most_seconds < math.inf:
            _rehearse(recipes[0], materials[0], len(recipes), most_seconds)
        began = time.perf_counter()
        ticks = _in_time(fit_all(), len(recipes), began, most_seconds)
        for _ in track(ticks, len(recipes), f"{name}: folds"):
            pass
        seconds = time.perf_counter() - began - judging
    return FoldScores(
        name=name,
        rows=tuple(rows),
        failures=tuple(failures),
        seconds=seconds,
        warnings=tuple(sorted(warnings)),
    )


def fit_on_fold(recipe: Recipe, material: Material) -> Objective:
    """Fit a classical model to the training rows of a fold."""
    fitting = make_fitting(recipe, material)
    estimator = fitting.model.estimator
    if _is_small(material) and "n_jobs" in estimator.get_params():
        estimator.set_params(n_jobs=1)
    for _ in fitting.reports():
        pass
    return fitting.objective


def _ensemble(recipe: Recipe, material: Material) -> Objective:
    """Train the members of an ensemble, and put them together."""
    training = training_of(recipe, material, torch.device("cpu"))
    for _ in training.reports():
        pass
    training.restore_best_()
    return training.objective


def _is_small(material: Material) -> bool:
    """Whether training rows are so few that several threads would wait for each other longer than they work."""
    return len(material.split.train) * material.inputs[0].numel() < MANY_NUMBERS


def few_threads(material: Material) -> AbstractContextManager[Any]:
    """Compute on one thread inside the block where rows are few."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1) if _is_small(material) else nullcontext()


def judge_fold(objective: Objective, material: Material) -> Row | None:
    """Return loss and metrics on the rows held out, None where its answers are not finite."""
    outputs = outputs_of(objective.model, material.inputs, torch.from_numpy(material.split.test))
    if not bool(torch.isfinite(outputs).all()):
        return None
    assert material.examples.targets is not None
    return judge(
        objective.task, outputs, objective.task.encode(material.examples.targets[material.split.test])
    )


def _rehearse(recipe: Recipe, material: Material, fits: int, most_seconds: float) -> None:
    """Fit parts of the rows, and from how the time grows forecast what all folds need. Raises: TooSlowError"""
    train = material.split.train
    if len(train) < REHEARSED:
        return
    order = np.random.Generator(np.random.PCG64(0)).permutation(train)
    taken: list[float] = []
    for part in PARTS:
        few = replace(material.split, train=np.sort(order[: len(train) // part]))
        began = time.perf_counter()
        try:
            fit_on_fold(recipe, replace(material, split=few))
        except ChainruleError:
            return
        taken.append(time.perf_counter() - began)
        growth = 1.0 if len(taken) == 1 else float(np.clip(math.log(taken[1] / taken[0], 4), 0.5, 3.0))
        if (forecast := fits * taken[-1] * part**growth) > most_seconds:
            raise TooSlowError(forecast)


def _ticks(reports: Iterable[int]) -> Iterator[int]:
    """Tick once for each epoch that is reported; one that is taken back and made again ticks no second time.

    >>> list(_ticks([2, 1, -3, 3, 1]))
    [1, 2, 3, 4]
    """
    told = made = 0
    for more in reports:
        made += more
        while told < made:
            told += 1
            yield told


def _in_time(ticks: Iterable[int], total: int, began: float, most_seconds: float) -> Iterator[int]:
    """Hand ticks on while there is time for the others. Raises: TooSlowError with a forecast"""
    for done, tick in enumerate(ticks, 1):
        yield tick
        passed = time.perf_counter() - began
        forecast = passed / done * total
        if done < total and passed > FIRST_LOOK * most_seconds and forecast > most_seconds:
            raise TooSlowError(forecast)


def _untracked(items: Iterable[int], total: int, what: str) -> Iterable[int]:
    return items
