"""From the values of a trial to its networks: one for each fold, and the winner's, on every row but those of the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import ChainruleError, DataError, SettingError
from chainrule.data.splits import Split
from chainrule.jobs.classical import settle_classical
from chainrule.jobs.entries import Entry
from chainrule.jobs.folds import fold_materials, in_fold, needs_validation, with_split
from chainrule.jobs.material import Material, make_material
from chainrule.jobs.preparation import check_question, settle_network
from chainrule.jobs.request import Request, check_initial
from chainrule.jobs.workshop import empty_task, make_model, make_schedule
from chainrule.models import model_settings
from chainrule.train.recipe import Recipe
from chainrule.train.searched import LAYERS
from chainrule.train.settings import SEARCHED, Settings
from chainrule.train.space import Values

USUAL_FOLDS = 5
VALIDATION = 0.1  # of all rows, where patience or another setting waits for their loss


class Candidates:
    """The networks that a search may train. `folds` 1: a single part of the rows judges them all."""

    def __init__(self, request: Request, recipe: Recipe, material: Material, folds: int | None) -> None:
        self.request = request
        self.recipe = recipe
        self.material = material
        self._held_out = request.settings.validation or VALIDATION
        self._materials: dict[bool, list[Material]] = {}
        self._built: dict[str, None] = {}
        self.folds = self._find_folds(folds)

    def entries(self, recipe: Recipe) -> list[Entry]:
        """Return a trial's network for each fold."""
        made = []
        for material in self.materials(recipe):
            is_alike = material.prepare.features == recipe.inputs
            of_fold = recipe if is_alike else in_fold(recipe, material, seed=recipe.settings.seed)
            made.append(Entry(recipe=of_fold, material=material))
        return made

    def materials(self, recipe: Recipe) -> list[Material]:
        """Return the rows of every fold made ready; trials that ask for the same share them."""
        key = needs_validation(recipe.settings)
        if key not in self._materials:
            self._materials[key] = self._divided(recipe, self.folds)
        return self._materials[key]

    def recipe_of(self, values: Values) -> Recipe:
        """Return the recipe of a trial, with nothing left open.

        Raises: ChainruleError for values that do not fit together, or not this data
        """
        settings, of_model = put_in(self.recipe_asked, dict(self.request.model_settings), values)
        request = replace(self.request, settings=settings, model_settings=of_model)
        check_initial(request)
        check_question(request, self.recipe.schema)
        if settings.model in CLASSICAL:
            filled, of_model, _ = settle_classical(settings, of_model, self.recipe.schema.target.kind)
            return replace(self.recipe, settings=filled, model_settings=of_model)
        filled, of_model = settle_network(request, settings, self.recipe.schema, self.material)
        recipe = replace(self.recipe, settings=filled, model_settings=of_model)
        self._check(recipe)
        return recipe

    @property
    def recipe_asked(self) -> Settings:
        """The settings as they were asked for, and how rows are held back."""
        held = self.recipe.settings
        return replace(
            self.request.settings, folds=0, validation=held.validation, test=held.test, model=held.model
        )

    def winner(self, recipe: Recipe, note: str) -> tuple[Recipe, Material]:
        """Return recipe and material of a network that trains on all rows outside the test."""
        validation = self._held_out if needs_validation(recipe.settings) else 0.0
        settings = replace(recipe.settings, validation=validation)
        material = self.material
        if validation != self.recipe.settings.validation:
            material = make_material(material.source, material.examples, recipe.schema, settings)
        made = replace(
            recipe, settings=settings, inputs=material.prepare.features, notes=(*recipe.notes, note)
        )
        return made, material

    def _check(self, recipe: Recipe) -> None:
        """Build what a training is built of, so that what does not fit is refused before anything runs."""
        key = f"{recipe.settings.model} {recipe.model_settings!r}"
        if key not in self._built:
            make_model(recipe, empty_task(recipe).units, None)
            self._built[key] = None
        rows = len(self.materials(recipe)[0].split.train)
        assert isinstance(recipe.settings.batch_size, int)
        make_schedule(recipe.settings, -(-rows // min(recipe.settings.batch_size, rows)))

    def _find_folds(self, asked: int | None) -> int:
        """Return how many folds there are: as asked, or five, or fewer where a class has fewer rows."""
        if asked is not None:
            folds = max(1, asked)
            self._materials[needs_validation(self.recipe.settings)] = self._divided(self.recipe, folds)
            return folds
        for folds in range(USUAL_FOLDS, 1, -1):
            try:
                found = self._divided(self.recipe, folds)
            except (SettingError, DataError):  # of a class that the first of fewer folds may train on
                if folds == 2:
                    raise
                continue
            self._materials[needs_validation(self.recipe.settings)] = found
            return folds
        raise AssertionError("two folds were made or refused")

    def _divided(self, recipe: Recipe, folds: int) -> list[Material]:
        if folds > 1:
            return fold_materials(recipe, self.material, folds=folds, seed=recipe.settings.seed)
        return [self._single(recipe)]

    def _single(self, recipe: Recipe) -> Material:
        """Return the rows with one part held out, which then also ends a training that waits for something."""
        held = self.material
        if not len(held.split.validation):
            settings = replace(recipe.settings, validation=self._held_out)
            held = make_material(held.source, held.examples, recipe.schema, settings)
        split, nothing = held.split, np.empty(0, np.int64)
        waits = needs_validation(recipe.settings)
        validation = split.validation if waits else nothing
        return with_split(
            recipe, held, Split(train=split.train, validation=validation, test=split.validation)
        )


def put_in(
    settings: Settings, of_model: dict[str, Any], values: Mapping[str, Any]
) -> tuple[Settings, dict[str, Any]]:
    """Return settings of the training and of the model with the values of a trial put in."""
    training = {name: value for name, value in values.items() if name in SEARCHED}
    own = {name: value for name, value in values.items() if name not in SEARCHED and name not in LAYERS}
    if any(name in values for name in LAYERS):
        assert settings.model is not None
        usual = hidden_of(settings.model)
        hidden = tuple(of_model.get("hidden", usual)) or usual
        layers, units = values.get("layers", len(hidden)), values.get("units", hidden[0])
        own["hidden"] = (units,) * layers
    return replace(settings, **training), {**of_model, **own}


def hidden_of(model: str) -> tuple[int, ...]:
    """Return the hidden layers that a model has where nothing is said of them; 128 units of one that does not say."""
    usual = model_settings(model)["hidden"].default
    return tuple(usual) if isinstance(usual, tuple | list) and usual else (128,)


def refusal(candidates: Candidates, values: Values) -> tuple[Recipe | None, str | None]:
    """Return the recipe of a trial, or in words why there is none."""
    try:
        return candidates.recipe_of(values), None
    except ChainruleError as error:
        return None, str(error)
