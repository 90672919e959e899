"""k-fold cross-validation of a run's rows: each fold's data made ready as if its held-out rows did not exist.

Only rows that may train are divided, those of training and of validation; the test rows are in no fold. What a network
showed on held-out rows can therefore choose between settings, and the test rows still say what the choice is worth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import SettingError
from chainrule.core.memory import memory_bytes
from chainrule.core.seeds import mix
from chainrule.core.text import listed, visible
from chainrule.core.units import show_bytes
from chainrule.data.division import Division, find_division
from chainrule.data.duplicates import join_groups
from chainrule.data.folds import Fold, draw_folds, folds_by_time, latest_rows
from chainrule.data.prepare import Prepare
from chainrule.data.split_checks import refuse_untrained
from chainrule.data.splits import Split
from chainrule.jobs.material import Material, model_inputs
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings

FEWEST_FOLDS = 2
ROOM = 0.5  # of the memory, for the prepared rows of all folds
TENTH = 10  # folds of the training rows, of which one validates where something waits for its loss


def fold_materials(
    recipe: Recipe, material: Material, *, folds: int, repeats: int = 1, seed: int = 0
) -> list[Material]:
    """Return the material of every fold, round after round: the other folds train, the held-out one is the test.

    Classes are in every fold in proportion; copies of a row and rows of a group (`--split group:COLUMN`) are held out
    together. With `--split time:COLUMN` rows are cut into stretches of time, and each but the first is held out by what
    trained on all before it. A tenth of the training rows (by time the latest) validates where patience, a plateau or a
    metric needs it, else none.
    Raises: SettingError for folds that the rows cannot fill; DataError for a class that no fold can train
    """
    rows = np.sort(np.concatenate([material.split.train, material.split.validation]))
    classes = None if material.kind == "regression" else _targets(material)[rows]
    division = find_division(material.source, material.examples.rows, recipe.settings.split, material.copies)
    if division.times is None:
        drawn = _drawn(recipe, material, division, rows, classes, folds=folds, repeats=repeats, seed=seed)
    else:
        drawn = _by_time(recipe, material, division, rows, folds=folds, repeats=repeats)
    found = []
    for fold, train, validation in drawn:
        if classes is not None:
            refuse_untrained(train, classes, recipe.schema.target.classes, f"fold {fold.number + 1}: ")
        split = Split(train=rows[train], validation=rows[validation], test=rows[fold.held_out])
        found.append(with_split(recipe, material, split))
    return found


def needs_validation(settings: Settings) -> bool:
    """Whether training looks at validation rows: to stop, to lower the rate, or to choose the best epoch."""
    if settings.model in CLASSICAL:
        return False
    return settings.patience is not None or settings.schedule == "plateau" or settings.metric is not None


def with_split(recipe: Recipe, material: Material, split: Split) -> Material:
    """Prepare the rows by what the training rows of another split hold, and nothing else."""
    prepare = Prepare(recipe.schema).fit(material.examples, split.train, recipe.settings.scaling)
    if (
        "model" in recipe.given
    ):  # it takes so many inputs: which columns have missing cells is known from all rows
        prepare.tells_missing.copy_(material.prepare.tells_missing)
    inputs = model_inputs(prepare, material.examples, material.source)
    return replace(material, split=split, prepare=prepare, inputs=inputs)


def in_fold(recipe: Recipe, material: Material, *, seed: int) -> Recipe:
    """Return the recipe of a network on the material of a fold, which may have fewer inputs than all rows give."""
    settings = replace(recipe.settings, seed=seed, folds=0)
    return replace(recipe, inputs=material.prepare.features, settings=settings)


# A fold, and of its rows those that train and that validate
Parted = Iterator[tuple[Fold, np.ndarray, np.ndarray]]


def _drawn(
    recipe: Recipe,
    material: Material,
    division: Division,
    rows: np.ndarray,
    classes: np.ndarray | None,
    *,
    folds: int,
    repeats: int,
    seed: int,
) -> Parted:
    """Give folds drawn by chance."""
    has_groups = division.groups is not None
    units = (material.copies if division.groups is None else join_groups(division.groups, material.copies))[
        rows
    ]
    _check(folds, repeats, units, classes, recipe, has_groups=has_groups)
    _check_room(material, folds * repeats)
    for fold in draw_folds(units, classes, folds, rounds=repeats, seed=seed, are_uneven=has_groups):
        train, validation = fold.train, fold.train[:0]
        if needs_validation(recipe.settings):
            of_training = None if classes is None else classes[train]
            inner = draw_folds(
                units[train],
                of_training,
                min(TENTH, len(np.unique(units[train]))),
                rounds=1,
                seed=mix(seed, "validation", fold.number),
                are_uneven=has_groups,
            )[0]
            train, validation = train[inner.train], train[inner.held_out]
        yield fold, train, validation


def _by_time(
    recipe: Recipe, material: Material, division: Division, rows: np.ndarray, *, folds: int, repeats: int
) -> Parted:
    """Give folds of which each trains on what came before its held-out rows, and validates on the latest of that."""
    assert division.times is not None
    times, copies, column = division.times[rows], material.copies[rows], visible(division.column)
    _check_counts(folds, repeats)
    if repeats > 1:
        raise SettingError(
            f"by the time in '{column}' rows are divided in one way; leave out --repeats {repeats}"
        )
    moments = len(np.unique(times))
    if folds >= moments:
        raise SettingError(
            f"--folds {folds} by time needs {folds + 1} different times, one before the first fold; column '{column}' of "
            f"{visible(recipe.data['name'])} has {moments} outside the test: {_advice(moments - 1)}"
        )
    _check_room(material, folds)
    for fold in folds_by_time(times, copies, folds):
        train, validation = fold.train, fold.train[:0]
        if needs_validation(recipe.settings):
            inner = latest_rows(times[train], copies[train], 1 / TENTH)
            train, validation = train[inner.train], train[inner.held_out]
        if not len(train):
            raise SettingError(
                f"fold {fold.number + 1}: every row before it by the time in '{column}' has a copy in it, so that none can "
                "train; take fewer --folds"
            )
        yield fold, train, validation


def _check(
    folds: int,
    repeats: int,
    units: np.ndarray,
    classes: np.ndarray | None,
    recipe: Recipe,
    *,
    has_groups: bool,
) -> None:
    """Refuse folds that some class, or all rows together, cannot fill. Raises: SettingError with the numbers."""
    _check_counts(folds, repeats)
    what = "groups" if has_groups else "different rows"
    name, many = visible(recipe.data["name"]), len(np.unique(units))
    if folds > many:
        raise SettingError(
            f"--folds {folds} needs as many {what}; {name} has {many} outside the test: {_advice(many)}"
        )
    if classes is None or has_groups:
        return
    of_class = {number: len(np.unique(units[classes == number])) for number in np.unique(classes).tolist()}
    rarest = min(of_class, key=lambda number: of_class[number])
    fewest = of_class[rarest]
    if folds > fewest:
        said = listed([recipe.schema.target.classes[rarest]])
        rows = "1 row" if fewest == 1 else f"{fewest} {what}"
        raise SettingError(
            f"--folds {folds} needs {folds} different rows of every class, one for each fold; the class {said} of {name} has "
            f"{rows} outside the test: {_advice(fewest)}"
        )


def _check_counts(folds: int, repeats: int) -> None:
    if folds < FEWEST_FOLDS:
        raise SettingError(f"--folds takes {FEWEST_FOLDS} or more; got {folds}")
    if repeats < 1:
        raise SettingError(f"--repeats takes 1 or more; got {repeats}")


def _check_room(material: Material, folds: int) -> None:
    """Refuse folds whose rows, made ready for each, the memory does not hold. Raises: SettingError"""
    there = memory_bytes()
    if there is None or not isinstance(material.inputs, Tensor):
        return
    wanted = folds * material.inputs.nbytes
    if wanted > ROOM * there:
        raise SettingError(
            f"{folds} folds, each with rows prepared by its own training part, take {show_bytes(wanted)}; this machine has "
            f"{show_bytes(there)} of memory: take fewer --folds or --repeats"
        )


def _advice(most: int) -> str:
    if most < FEWEST_FOLDS:
        return "add rows, or remove or merge the class"
    return f"take --folds {most}{' or fewer' if most > FEWEST_FOLDS else ''}, or add rows"


def _targets(material: Material) -> np.ndarray:
    assert material.examples.targets is not None
    return material.examples.targets
