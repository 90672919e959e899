"""Training an ensemble: members side by side, or one after the other where each depends on those before it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.core.errors import RunError, TrainingFailed
from chainrule.core.text import visible
from chainrule.data.prepared import PreparedRows
from chainrule.jobs.ensembles import BAGGING, BOOSTING, bag, network_recipe, trains_apart
from chainrule.jobs.entries import Entry, compile_if_worth, kind_alone, possible_ways
from chainrule.jobs.material import Material
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.snapshots import SnapshotTraining
from chainrule.jobs.workshop import is_of_catalogue, make_model, make_task, make_training
from chainrule.models.ensemble import Ensemble
from chainrule.optim.penalties import Penalty
from chainrule.train.boosting import Boost, boost_classes, boost_values
from chainrule.train.checkpoint import part
from chainrule.train.course import Row
from chainrule.train.loop import Report
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan
from chainrule.train.recipe import Recipe
from chainrule.train.task import LossFunction
from chainrule.train.training import MemberState, Trains, check_state


class EnsembleTraining:
    """The members of an ensemble under way. A report that ends an epoch ends a member: the one called `latest`.

    What is saved are the members that are trained; those under way begin anew, and end with the same bits.
    """

    penalty: Penalty | None = None  # each member has its own
    best_epoch: int | None = None

    def __init__(self, recipe: Recipe, material: Material) -> None:
        self.recipe = recipe
        self.material = material
        self.task = make_task(recipe, material, None)
        self.number = 0
        self.latest = 0
        self.reason: str | None = None
        self.members: dict[int, MemberState] = {}
        rows = len(material.split.train)
        self.row_weights = np.full(rows, 1 / rows)  # of boosting, for the next member
        self._states: dict[int, dict[str, Tensor]] = {}
        self._seconds = 0.0
        self._made: Objective | None = None

    @property
    def objective(self) -> Objective:
        """The ensemble with its task; `restore_best_` puts the weights of its members there."""
        if self._made is None:
            self._made = Objective(make_model(self.recipe, self.task.units, None), self.task)
        return self._made

    @property
    def inputs(self) -> Tensor | PreparedRows:
        """All rows as the members take them."""
        return self.material.inputs

    @property
    def count(self) -> int:
        """How many members were asked for."""
        assert self.recipe.settings.members is not None
        return self.recipe.settings.members

    @property
    def steps_per_epoch(self) -> int:
        """The updates of an epoch of one member."""
        rows, size = len(self.material.split.train), self.recipe.settings.batch_size
        assert isinstance(size, int)
        return -(-rows // min(size, rows))

    @property
    def steps(self) -> int:
        """The updates of all members."""
        assert self.recipe.settings.epochs is not None
        return self.count * self.recipe.settings.epochs * self.steps_per_epoch

    @property
    def highest_rate(self) -> float:
        """The learning rate at its highest."""
        assert self.recipe.settings.learning_rate is not None
        return self.recipe.settings.learning_rate

    @property
    def is_finished(self) -> bool:
        """Whether all members are trained, or boosting has come to its end."""
        return len(self.members) == self.count or self.reason is not None

    @property
    def history(self) -> list[Row]:
        """The mean over the members of each epoch."""
        courses = [member.history for _, member in sorted(self.members.items())]
        longest = max(map(len, courses), default=0)
        found = []
        for place in range(longest):
            mean = _mean([course[place] for course in courses if len(course) > place])
            epoch = {"epoch": place + 1, "steps": (place + 1) * self.steps_per_epoch}
            found.append({**epoch, **mean, "seconds": self._seconds / longest})
        return found

    # ---- training

    def reports(self) -> Generator[Report, None, None]:
        """Train the members that are missing, and put all together. Raises: TrainingFailed naming the member"""
        one_by_one = self.recipe.settings.ensemble == BOOSTING
        while not self.is_finished:
            missing = [number for number in range(self.count) if number not in self.members]
            yield from self._train(missing[:1] if one_by_one else missing)
        self.restore_best_()

    def _train(self, numbers: Sequence[int]) -> Generator[Report, None, None]:
        """Train members side by side, and keep each as it comes to its end."""
        entries = [self._entry(number) for number in numbers]
        # Others draw from one generator in their turn
        cores = None if is_of_catalogue(entries[0].recipe) else 1
        run = PopulationRun(entries, cores=cores, is_deterministic=True, step=entries[0].recipe.plan.step)
        began, before, kept = time.perf_counter(), self._seconds, set[int]()
        with closing(run.train()) as made:
            for epochs in itertools.chain(made, [0]):  # once more for those that came to their end last
                self.number += epochs * self.steps_per_epoch
                yield self._report(ends_member=False)
                for place in sorted(run.ready - kept):
                    kept.add(place)
                    self._seconds = before + time.perf_counter() - began
                    self._keep(numbers[place], run, place)
                    yield self._report(ends_member=True)

    def _entry(self, number: int) -> Entry:
        settings = self.recipe.settings
        rows = bag(self.recipe, self.material, number) if settings.ensemble == BAGGING else None
        weights = None
        if settings.ensemble == BOOSTING:
            train = self.material.split.train
            weights = np.ones(len(self.material.examples))
            weights[train] = self.row_weights * len(train)  # of mean 1: steps are as long as without
        return Entry(
            recipe=network_recipe(self.recipe, number), material=self.material, rows=rows, weights=weights
        )

    def _keep(self, number: int, run: PopulationRun, place: int) -> None:
        """Take up a member that is trained; of boosting, one that is better than chance."""
        if failure := run.failure(place):
            raise TrainingFailed(f"member {number + 1} of {self.count}: {failure}")
        error, say = None, 1.0
        if self.recipe.settings.ensemble == BOOSTING:
            boost = self._boost(dict(run.outputs("train"))[place])
            self.reason = _why_it_ends(boost, number, self.count)
            if boost.is_useless and number:
                return
            error, say = boost.error, 1.0 if boost.is_useless else boost.say
            self.row_weights = boost.weights
        self.members[number] = MemberState(history=tuple(run.history(place)), error=error, say=say)
        self._states[number] = run.state_of(place)
        self.latest = number

    def _boost(self, outputs: Tensor) -> Boost:
        """Return what a member shows on the training rows. Shapes: outputs (n, units)"""
        assert self.material.examples.targets is not None
        true = self.material.examples.targets[self.material.split.train]
        answered = self.task.decode(outputs)
        if answered.labels is not None:
            return boost_classes(self.row_weights, answered.labels.numpy() != true, len(answered.classes))
        assert answered.values is not None
        spread = true.std(0)
        missed = np.abs(answered.values.numpy() - true) / np.where(spread > 0, spread, 1.0)
        return boost_values(self.row_weights, missed.mean(1))

    def _report(self, *, ends_member: bool) -> Report:
        return Report(self.number, len(self.members), torch.zeros(()), 0, ends_member)

    # ---- what is kept

    def restore_best_(self) -> None:
        """Put the members together, with what their words count."""
        ensemble = self.objective.model
        assert isinstance(ensemble, Ensemble)
        ensemble.shorten_(len(self.members))
        for member, number in zip(ensemble.members, sorted(self._states), strict=True):
            member.load_state_dict(self._states[number])
        ensemble.give_shares_([self.members[number].say for number in sorted(self.members)])

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights of the members that are trained, and what boosting weighs the rows with."""
        says = torch.tensor([self.members[n].say for n in sorted(self.members)], dtype=torch.float64)
        losses = [row["train_loss"] for _, member in sorted(self.members.items()) for row in member.history]
        return {
            **{
                f"model/members.{number}.{name}": tensor
                for number, state in sorted(self._states.items())
                for name, tensor in state.items()
            },
            "model/shares": says / says.sum(),
            "losses": torch.tensor(losses, dtype=torch.float32),
            "row_weights": torch.from_numpy(self.row_weights),
        }

    def state(self) -> dict[str, Any]:
        """Return the members that are trained, with their histories."""
        return {
            "step": self._updates(),
            "steps": self.steps,
            "is_finished": self.is_finished,
            "best_epoch": None,
            "best_cost": None,
            "history": self.history,
            "members": {str(number): asdict(member) for number, member in sorted(self.members.items())},
            "reason": self.reason,
        }

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take up a saved run: members that it has are not trained again. Raises: RunError"""
        state = check_state(state, "the checkpoint")
        members = {
            int(number): found for number, found in (state.get("members") or {}).items() if number.isdigit()
        }
        self.members = {
            number: MemberState(
                history=tuple(found["history"]), error=found.get("error"), say=found.get("say", 1.0)
            )
            for number, found in sorted(members.items())
        }
        self._states = {number: part(tensors, f"model/members.{number}.") for number in self.members}
        try:
            assert isinstance(self.objective.model, Ensemble)
            for state_of_one in self._states.values():
                self.objective.model.members[0].load_state_dict(state_of_one)
            self.row_weights = tensors["row_weights"].numpy()
        except (RuntimeError, KeyError) as error:
            raise RunError(f"the checkpoint does not fit the recipe: {visible(error)}") from error
        self.reason = state.get("reason")
        self.number = self._updates()
        self._seconds = sum(row["seconds"] for row in state["history"])

    def _updates(self) -> int:
        """The updates of the members that are trained."""
        return sum(len(member.history) for member in self.members.values()) * self.steps_per_epoch


def plan_of_members(recipe: Recipe, material: Material) -> Plan:
    """Return the plan of members that are trained side by side."""
    entry = Entry(recipe=network_recipe(recipe), material=material)
    compile_if_worth([entry] * (recipe.settings.members or 1))
    possible = possible_ways(entry)
    step = kind_alone(possible)
    return Plan(
        device="cpu", threads=1, step=step, reason="members are trained side by side, each on one core"
    )


def training_of(
    recipe: Recipe,
    material: Material,
    device: torch.device,
    *,
    model: nn.Module | None = None,
    loss: LossFunction | None = None,
) -> Trains:
    """Return what trains a recipe: one network, the members of an ensemble, or the stages of one training."""
    if trains_apart(recipe.settings):
        return EnsembleTraining(recipe, material)
    training = make_training(network_recipe(recipe), material, device, model=model, loss=loss)
    if recipe.settings.members is None:
        return training
    return SnapshotTraining(training, make_model(recipe, training.objective.task.units, model))


def _mean(rows: Sequence[Row]) -> Row:
    names = [n for n in rows[0] if n not in ("epoch", "steps", "seconds") and all(n in row for row in rows)]
    return {name: sum(row[name] for row in rows) / len(rows) for name in names}


def _why_it_ends(boost: Boost, number: int, count: int) -> str | None:
    """Say why boosting ends with a member, None if it goes on."""
    if boost.is_useless:
        kept = f"the {number} before it are the ensemble" if number else "it stays alone"
        return (
            f"boosting ended at member {number + 1} of {count}: on the rows as they weigh, its error of {boost.error:.3g} is "
            f"no better than chance; {kept}"
        )
    if boost.is_perfect and number + 1 < count:
        return (
            f"boosting ended after member {number + 1} of {count}: it makes no mistake on the training rows, so that no row "
            "can weigh more; a smaller network or fewer epochs leave mistakes to learn from (--set hidden=4, --epochs 10)"
        )
    return None
