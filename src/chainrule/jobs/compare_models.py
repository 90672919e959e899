"""`compare DATA`: every model that fits the data, under the same folds, and which differences are more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrule.catalog import CLASSICAL, MODELS
from chainrule.core.errors import ChainruleError, SettingError, unknown_name
from chainrule.core.units import show_figure, show_seconds
from chainrule.jobs.classical import settle_classical, versions_of
from chainrule.jobs.cross_validate import USUAL_FOLDS, Folded, prepare_folds
from chainrule.jobs.events import Event, Said, Warned
from chainrule.jobs.fold_scores import (
    FoldScores,
    TooSlowError,
    base_scores,
    score_folds,
    share_of,
    spread_of_scores,
)
from chainrule.jobs.preparation import settle_network
from chainrule.jobs.request import Request, make_request
from chainrule.jobs.show import Terminal, returned
from chainrule.jobs.workshop import empty_task, make_model
from chainrule.report.model_comparison import LeftOut, ModelComparison, ModelScore, Pair
from chainrule.report.standing import larger_is_better
from chainrule.train.classical import question_of
from chainrule.train.metrics import QUESTIONS, metrics_for
from chainrule.train.recipe import Recipe
from chainrule.train.settings import OF_ANY_MODEL, Settings
from chainrule.train.significance import holm, resampled_t_test

BUDGET_SECONDS = 60.0  # for all folds of a model
NETWORK = "neural network"
ONLY = {  # networks of one layer, and the kind of task that they are made for
    "perceptron": ("binary", "multi-class"),
    "linear-regression": ("regression",),
    "logistic-regression": ("binary",),
    "softmax-regression": ("multi-class",),
}


def compare(
    data: Any,
    *,
    target: str | None = None,
    models: Sequence[str] = (),
    metric: str | None = None,
    folds: int = USUAL_FOLDS,
    repeats: int = 1,
    budget_seconds: float = BUDGET_SECONDS,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    runs: str | Path = "runs",
    quiet: bool = False,
) -> ModelComparison:
    """Judge every model of the catalogue that fits the data, or the `models` named, by the same folds.

    Each has the settings that `fit` would choose; `settings` are others by name, and those of networks' training reach
    networks alone. `metric` ranks. A model that needs more than `budget_seconds` for all folds is left out, and said.
    The same seed gives the same folds and scores.
    Raises: ChainruleError for what cannot be done
    """
    request = make_request(data, Settings(seed=seed), target=target, settings=settings, runs=runs)
    terminal = None if quiet else Terminal()
    if terminal is not None:
        request = replace(request, track=terminal.track)
    job = run_comparison(
        request, models=models, metric=metric, folds=folds, repeats=repeats, budget_seconds=budget_seconds
    )
    return returned(job, terminal)


def run_comparison(
    request: Request,
    *,
    models: Sequence[str],
    metric: str | None,
    folds: int,
    repeats: int,
    budget_seconds: float,
) -> Generator[Event, None, ModelComparison]:
    """Do what a request asks, and tell of each model as it is judged."""
    names = _names(models)
    if not 0 < budget_seconds < math.inf:
        raise SettingError(f"--budget-seconds must be above 0; got {budget_seconds:g}")
    folded = yield from prepare_folds(request, folds=folds, repeats=repeats)
    ranked_by = _metric(metric, folded.recipe)
    recipes, left_out = _recipes(names, request, folded, are_asked_for=bool(models))
    yield Said(
        text=f"{len(recipes)} models fit; each may take {show_seconds(budget_seconds)} for its {len(folded.materials)} folds "
        "(--budget-seconds)"
    )
    found: list[FoldScores] = []
    for place, (name, recipe) in enumerate(recipes.items(), 1):
        try:
            scores = score_folds(
                name, recipe, folded.materials, track=request.track, most_seconds=budget_seconds
            )
        except TooSlowError as slow:
            more = math.ceil(1.5 * slow.seconds / 10) * 10
            why = f"{slow}, more than {show_seconds(budget_seconds)} (--budget-seconds {more} lets it)"
        except ChainruleError as error:
            why = str(error)
        else:
            yield from (Said(text=f"{name}: {text}") for text in scores.notes)
            why = _why_not_ranked(scores, ranked_by, len(folded.materials))
        if why:
            left_out.append(LeftOut(name, why))
            yield Said(text=f"{name}: left out, {why}")
            continue
        found.append(scores)
        yield from (Warned(text=text) for text in scores.warnings)
        mean = sum(scores.scores(ranked_by)) / len(folded.materials)
        yield Said(
            text=f"{name}: {ranked_by} {show_figure(mean)} in {show_seconds(scores.seconds)} ({place} of {len(recipes)})"
        )
    if not found:
        raise SettingError(
            f"no model could be judged: {'; '.join(f'{one.name}: {one.why}' for one in left_out[:3])}"
        )
    return _ranked(folded, found, ranked_by, left_out)


def _names(asked: Sequence[str]) -> list[str]:
    """Return the models to judge: those asked for, else all that are trained. Raises: UnknownNameError, SettingError"""
    known = [*CLASSICAL, *(name for name, entry in MODELS.items() if entry.is_trainable)]
    for name in asked:
        if name not in known:
            raise unknown_name("model", name, known)
    if len(set(asked)) == 1:
        raise SettingError(
            f"--models takes two models or more, with commas between; got {asked[0]} alone (chainrule cross-validate judges one)"
        )
    return list(dict.fromkeys(asked)) or known


def _metric(asked: str | None, recipe: Recipe) -> str:
    """Return the metric that ranks. Raises: SettingError for one that the task does not have"""
    kind = recipe.schema.target.kind
    if asked is not None and asked not in metrics_for(kind):
        raise SettingError(
            f"--metric {asked} is not for {QUESTIONS[kind]}; those that are: {', '.join(metrics_for(kind))}"
        )
    return asked or empty_task(recipe).metric


def _recipes(
    names: Sequence[str], request: Request, folded: Folded, *, are_asked_for: bool
) -> tuple[dict[str, Recipe], list[LeftOut]]:
    """Return a recipe for each model that fits, and why others do not.

    Raises: ChainruleError if one does not fit that was asked for by name
    """
    recipes: dict[str, Recipe] = {}
    left_out: list[LeftOut] = []
    kind = folded.recipe.schema.target.kind
    for name in names:
        try:
            _check_question(name, kind)
            recipes[name] = _recipe(name, request, folded)
        except ChainruleError as error:
            if are_asked_for:
                raise
            left_out.append(LeftOut(name, str(error).removeprefix(f"{name} ")))
    return recipes, left_out


def _check_question(name: str, kind: str) -> None:
    """Refuse a model that is made for another kind of task. Raises: SettingError"""
    if name in CLASSICAL:
        questions = CLASSICAL[name].questions
        kinds: Sequence[str] = [one for one in QUESTIONS if question_of(one) in questions]
    else:
        kinds = ONLY.get(name, tuple(QUESTIONS))
    if kind not in kinds:
        raise SettingError(f"{name} is made for {' and '.join(QUESTIONS[one] for one in kinds)}")


def _recipe(name: str, request: Request, folded: Folded) -> Recipe:
    """Settle a model as `fit` would. Raises: ChainruleError if it does not fit the data"""
    held, schema = folded.recipe.settings, folded.recipe.schema
    settings = replace(request.settings, model=name, folds=0, test=held.test, validation=held.validation)
    if name in CLASSICAL:
        settings = Settings(**{field: getattr(settings, field) for field in OF_ANY_MODEL})
        filled, of_model, _ = settle_classical(settings, {}, schema.target.kind)
    else:
        own = replace(request, settings=settings)
        filled, of_model = settle_network(own, settings, schema, folded.material)
    recipe = replace(
        folded.recipe,
        settings=filled,
        model_settings=of_model,
        versions=folded.recipe.versions | versions_of(name),
    )
    if name not in CLASSICAL:
        make_model(recipe, empty_task(recipe).units, None)
    return recipe


def _why_not_ranked(found: FoldScores, metric: str, folds: int) -> str:
    if len(found.scores(metric)) == folds:
        return ""
    return next(iter(found.failures), f"{metric} is not defined in every fold")


def _ranked(
    folded: Folded, found: Sequence[FoldScores], metric: str, left_out: Sequence[LeftOut]
) -> ModelComparison:
    """Rank the models, and test every pair by the scores of the same folds."""
    materials = folded.materials
    spreads = {one.name: spread_of_scores(one.scores(metric), metric, materials) for one in found}
    sign = -1 if larger_is_better(metric) else 1
    ranked = sorted(found, key=lambda one: sign * spreads[one.name].mean)
    couples = list(itertools.combinations(ranked, 2))
    share = share_of(materials)
    plain = [resampled_t_test(one.scores(metric), other.scores(metric), share) for one, other in couples]
    pairs = tuple(
        Pair(one.name, other.name, spreads[one.name].mean - spreads[other.name].mean, p, corrected)
        for (one, other), p, corrected in zip(couples, plain, holm(plain), strict=True)
    )
    return ModelComparison(
        data=folded.recipe.data["name"],
        metric=metric,
        models=tuple(
            ModelScore(
                one.name,
                CLASSICAL[one.name].family if one.name in CLASSICAL else NETWORK,
                spreads[one.name],
                tuple(one.scores(metric)),
                one.seconds,
            )
            for one in ranked
        ),
        pairs=pairs,
        base=base_scores(folded.recipe, materials, metric),
        folds=folded.folds,
        repeats=folded.repeats,
        rows=sum(len(one.split.test) for one in materials[: folded.folds]),
        left_out=tuple(left_out),
    )
