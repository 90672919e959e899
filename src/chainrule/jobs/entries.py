"""A network of a population before it is trained, which others could stand in a stack with it, and how it can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from torch import Tensor

from chainrule.core.errors import SettingError
from chainrule.jobs.material import ReadyRows
from chainrule.jobs.separation import is_perceptron
from chainrule.jobs.workshop import empty_task, is_of_catalogue, make_model
from chainrule.train.dense_chain import dense_chain
from chainrule.train.native import why_not_native
from chainrule.train.native_build import SAVED_IN_STACK, is_compiled, pays, why_no_library
from chainrule.train.native_rule import has_native_rule
from chainrule.train.plan import PROCESSORS, Plan
from chainrule.train.population import Population
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.stacked_memory import why_not_stacked

NATIVE, DENSE, AUTOGRAD, ALONE = "stacked, native", "stacked, dense", "stacked", "alone"
KINDS = {NATIVE: "native", DENSE: "dense", AUTOGRAD: "autograd"}  # of stacks, as `StackTraining` takes them
OWN = (
    "learning_rate", "weight_decay", "l1", "momentum", "beta1", "beta2", "rho", "epsilon", "dropout", "seed",
    "epochs", "schedule", "warmup_epochs", "drop_epochs", "drop_factor", "decay_rate", "schedule_patience",
    "lowest_rate", "cycles", "patience", "stop_tolerance", "stop_on_no_decrease", "plan",
)  # fmt: skip
_SHARED = tuple(field.name for field in fields(Settings) if field.name not in OWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A network to be trained: its recipe and the data made ready, as `fit` has them.

    `rows` stand in place of the training rows of the split, and may repeat some; `weights` say how much each row of the
    data counts, in place of those of the material. Shapes: rows (n,), weights (N,)
    """

    recipe: Recipe
    material: ReadyRows
    rows: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def trains_on(self) -> np.ndarray:
        """The numbers of the rows that it trains on."""
        return self.material.split.train if self.rows is None else self.rows

    @property
    def row_weights(self) -> np.ndarray | None:
        """How much each row counts, None where all count alike."""
        return self.material.weights if self.weights is None else self.weights


def possible_ways(entry: Entry) -> tuple[str, ...]:
    """Return how a network and others like it can be trained, the one that is preferred first."""
    ways = _ways(entry)
    return ways if is_compiled() else tuple(way for way in ways if way != NATIVE)


def compile_if_worth(entries: Sequence[Entry], *, always: bool = False) -> None:
    """Compile what trains chains of dense layers, once for this machine, where these networks alone save half of what that takes.

    `always`: where bits must not depend on what this machine did before.
    """
    if not entries or is_compiled():
        return
    saved = sum(_updates(entry) for entry in entries) * SAVED_IN_STACK / PROCESSORS
    if (always or pays(saved)) and NATIVE in _ways(entries[0]):
        why_no_library()


def _ways(entry: Entry) -> tuple[str, ...]:
    """Return how a network could be trained where there is compiled code."""
    settings, recipe = entry.recipe.settings, entry.recipe
    if settings.augment or settings.pretrain or not is_of_catalogue(recipe) or is_perceptron(recipe):
        return (ALONE,)
    if not isinstance(entry.material.inputs, Tensor):
        return (ALONE,)
    try:
        population = Population([make_model(recipe, empty_task(recipe).units, None)])
    except SettingError:
        return (ALONE,)
    if why_not_stacked(population):
        return AUTOGRAD, ALONE
    assert settings.optimizer
    chain = dense_chain(population.member(0))
    is_native = has_native_rule(settings.optimizer) and why_not_native(chain, empty_task(recipe)) is None
    return (*[NATIVE] * is_native, DENSE, AUTOGRAD, ALONE)


def _updates(entry: Entry) -> int:
    settings, rows = entry.recipe.settings, len(entry.trains_on)
    assert isinstance(settings.batch_size, int) and settings.epochs
    return settings.epochs * -(-rows // min(settings.batch_size, rows))


def way_of(step: str, possible: Sequence[str]) -> str:
    """Return the way by which a population goes as a kind of step does, of those that are possible."""
    return next((way for way, kind in KINDS.items() if kind == step and step != "autograd"), possible[-1])


def kind_alone(possible: Sequence[str]) -> str:
    """Return the kind of step of a network that stands alone, of which these ways are possible."""
    return next((KINDS[way] for way in (NATIVE, DENSE) if way in possible), "autograd")


def alone(entry: Entry) -> Recipe:
    """Return the recipe of a network as if it were trained by itself: on one thread."""
    plan = Plan(device="cpu", threads=1, step=kind_alone(possible_ways(entry)))
    return replace(entry.recipe, plan=plan)


def varied_among(entries: Sequence[Entry]) -> set[str]:
    """Return which settings of their own are not the same for all."""
    own = {name: {getattr(entry.recipe.settings, name) for entry in entries} for name in OWN}
    return {name for name, values in own.items() if len(values) > 1}


def key_of(entry: Entry) -> Any:
    """Return what the networks of a stack share."""
    recipe = entry.recipe
    shared = tuple(getattr(recipe.settings, name) for name in _SHARED)
    of_model = {name: value for name, value in recipe.model_settings.items() if name != "dropout"}
    has_dropout = bool(recipe.model_settings.get("dropout"))  # without it the layer is not there
    return id(entry.material), shared, repr(of_model), has_dropout, len(entry.trains_on)


def form_of(entry: Entry) -> Any:
    """Return what the time of an update depends on: all that the networks of a stack share, but not which rows they are."""
    _, *shared, _ = key_of(entry)
    inputs = entry.material.inputs
    return (*shared, inputs.shape[1:] if isinstance(inputs, Tensor) else None)
