"""`cross-validate`: what a model is worth on data, by models of the same recipe that are each judged on rows they never saw."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import DataError, TrainingFailed
from chainrule.core.text import visible
from chainrule.data.read import read
from chainrule.jobs.ensembles import check_ensemble
from chainrule.jobs.events import Event, Said, Warned
from chainrule.jobs.fold_scores import FoldScores, base_scores, score_folds, spread_of_scores
from chainrule.jobs.folds import fold_materials
from chainrule.jobs.material import Material, reading_of
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request, called, check_initial, check_names, make_request
from chainrule.jobs.show import Terminal, returned
from chainrule.jobs.workshop import empty_task
from chainrule.report.cross_validation import CrossValidation, Fold
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings

USUAL_FOLDS = 5
FEWEST_JUDGED = 2
VALIDATION = (
    0.1  # said of a material, so that nobody hears that nothing validates: each fold draws its own tenth
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Data made ready for folds: the recipe on all rows, and the material of every fold, round after round."""

    recipe: Recipe
    material: Material
    materials: Sequence[Material]
    folds: int
    repeats: int


def cross_validate(
    data: Any,
    *,
    target: str | None = None,
    model: str | None = None,
    model_settings: Mapping[str, Any] | None = None,
    folds: int = USUAL_FOLDS,
    repeats: int = 1,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    runs: str | Path = "runs",
    quiet: bool = False,
) -> CrossValidation:
    """Train a model on all folds but one, judge it on the one that is left out, and so on in turn.

    `data`, `target`, `model` (a name) and `settings` are as in `fit`. Classes are in every fold in proportion; copies of a
    row, and rows of a group with the setting split="group:COLUMN", are held out together. `repeats` divides the rows anew so
    many times. All rows are in the folds, unless the data has test rows of its own or the setting test keeps some out.
    The same seed gives the same folds and figures.
    Raises: ChainruleError for what cannot be done
    """
    request = make_request(
        data,
        Settings(seed=seed),
        target=target,
        model=model,
        settings=settings,
        model_settings=model_settings,
        runs=runs,
    )
    terminal = None if quiet else Terminal()
    if terminal is not None:
        request = replace(request, track=terminal.track)
    return returned(run_cross_validation(request, folds=folds, repeats=repeats), terminal)


def run_cross_validation(
    request: Request, *, folds: int, repeats: int
) -> Generator[Event, None, CrossValidation]:
    """Do what a request asks, and tell of it as it happens."""
    folded = yield from prepare_folds(request, folds=folds, repeats=repeats)
    name = folded.recipe.settings.model
    assert name is not None
    found = score_folds(name, folded.recipe, folded.materials, track=request.track)
    yield from (Said(text=text) for text in found.notes)
    _check_judged(found, empty_task(folded.recipe).metric)
    yield from (Warned(text=text) for text in found.warnings)
    yield from (Warned(text=f"{text}; the figures are of the other folds") for text in found.failures)
    return _result(folded, found)


def prepare_folds(request: Request, *, folds: int, repeats: int) -> Generator[Event, None, Folded]:
    """Read the data, settle what is left open and divide the rows into folds, telling what is found.

    Raises: ChainruleError for data, settings or folds that do not fit
    """
    check_names(request.settings)
    check_initial(request)
    check_ensemble(request)
    yield Said(text=f"reading {visible(called(request.data))}")
    reading = reading_of(request.settings, request.target, cache=request.runs / ".cache", track=request.track)
    source = read(request.data, reading)
    settings = replace(
        request.settings,
        folds=0,
        test=request.settings.test or 0.0,
        validation=0.0,  # each fold draws its own, where something waits for it
    )
    whole = replace(request, settings=settings)
    recipe, material = prepare_run(whole, source)
    materials = fold_materials(recipe, material, folds=folds, repeats=repeats, seed=recipe.settings.seed)
    yield from (Said(text=note) for note in recipe.notes if not note.startswith("--patience"))
    if kept := len(material.split.test):
        yield Said(text=f"{kept:,} test row{' is' if kept == 1 else 's are'} in no fold")
    yield from (Warned(text=text) for text in recipe.warnings)
    return Folded(recipe=recipe, material=material, materials=materials, folds=folds, repeats=repeats)


def _check_judged(found: FoldScores, metric: str) -> None:
    """Refuse scores that no spread can be taken of. Raises: TrainingFailed, or DataError for a metric that folds lack"""
    judged = sum(row is not None for row in found.rows)
    if judged < FEWEST_JUDGED:
        why = next(iter(found.failures), "answers are not finite")
        raise TrainingFailed(
            f"{found.name} could be trained on {judged} of {len(found.rows)} folds, and a spread takes {FEWEST_JUDGED}: {why}"
        )
    lacking = [k for k, row in enumerate(found.rows, 1) if row is not None and metric not in row]
    if lacking:
        raise DataError(
            f"{metric} is not defined for the rows held out in fold {lacking[0]}, which are all of one class; take fewer "
            "--folds, or another --metric"
        )


def _result(folded: Folded, found: FoldScores) -> CrossValidation:
    recipe, materials = folded.recipe, folded.materials
    judged = [(row, material) for row, material in zip(found.rows, materials, strict=True) if row is not None]
    names = [name for name in judged[0][0] if len(found.scores(name)) == len(judged)]
    metric = empty_task(recipe).metric
    return CrossValidation(
        data=recipe.data["name"],
        model=found.name,
        metric=metric,
        is_classical=found.name in CLASSICAL,
        spreads={
            name: spread_of_scores(found.scores(name), name, materials) for name in names if len(judged) > 1
        },
        base=base_scores(recipe, materials, metric),
        folds=tuple(
            Fold(
                repeat=number // folded.folds + 1,
                number=number % folded.folds + 1,
                train=len(material.split.train),
                validation=len(material.split.validation),
                held_out=len(material.split.test),
                metrics=row,
            )
            for number, (row, material) in enumerate(zip(found.rows, materials, strict=True))
        ),
        failures=found.failures,
        seconds=found.seconds,
        settings=said_settings(recipe),
        what="pictures" if folded.material.prepare.is_pictures else "rows",
    )


def said_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that matter to a reader: those of the model, and of a network's training."""
    names = (
        "members", "ensemble", "vote", "optimizer", "learning_rate", "batch_size", "epochs", "schedule", "weight_decay", "patience", "class_weight", "scaling",
    )  # fmt: skip
    of_training = {name: getattr(recipe.settings, name) for name in names}
    return {
        **recipe.model_settings,
        **{k: v for k, v in of_training.items() if v is not None},
        "seed": recipe.settings.seed,
    }
