"""Many networks trained at once, each as `fit` would train it alone: stacks where they can be, on every core.

Networks of one shape, on the same data, whose updates fall together, are a stack; what differs from one to the next is
listed in `OWN`. Stacks and single networks are lanes: each runs on one core from beginning to end, so that the result
depends neither on how many cores there are nor on which lane comes first.
"""

from __future__ import annotations

import copy
import functools
import math
import os
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields, replace
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError, TrainingFailed
from chainrule.jobs.lanes import AloneLane, Lane, StackLane, one_thread
from chainrule.jobs.material import ReadyRows
from chainrule.jobs.separation import is_perceptron
from chainrule.jobs.workshop import (
    draw_start_,
    empty_task,
    hyperparameters,
    is_of_catalogue,
    make_model,
    make_schedule,
    make_task,
    make_training,
)
from chainrule.train.course import Row
from chainrule.train.loop import judge
from chainrule.train.member import Member
from chainrule.train.metrics import metric_named
from chainrule.train.plan import Plan
from chainrule.train.population import Population
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.stack_training import StackTraining
from chainrule.train.stacked_memory import why_not_stacked
from chainrule.train.stopping import Stopping
from chainrule.train.task import Task
from chainrule.train.training import Training

OWN = (
    "learning_rate", "weight_decay", "l1", "momentum", "beta1", "beta2", "rho", "epsilon", "dropout", "seed",
    "epochs", "schedule", "warmup_epochs", "drop_epochs", "drop_factor", "decay_rate", "schedule_patience",
    "lowest_rate", "cycles", "patience", "stop_tolerance", "stop_on_no_decrease", "plan",
)  # fmt: skip
MOST = 32  # members of a stack: their weights and layers then stay in a core's own cache
FEW = 4  # members, at the least, for which one more stack pays
TRIED, UPDATES = 8, 5  # members and updates that a way is tried with
DENSE, AUTOGRAD, ALONE = "stacked, dense", "stacked", "alone"
CORES = os.cpu_count() or 1
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


class PopulationRun:
    """Networks under way. `for made in run.train()` trains them all; each is then judged, and gives its weights."""

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        cores: int | None = None,
        most: int = MOST,
        is_deterministic: bool = False,
        ways: Sequence[str] | None = None,
    ) -> None:
        """`most` is how many members a stack may have; `cores` how many lanes run side by side.

        Networks that are alike go the way that is fastest in a few updates on copies of them. `ways` are those of an
        earlier population of the same networks: bits are the same then. `is_deterministic`: nothing is measured, and a
        network that stands alone goes the way of a stack too, where its bits do not depend on how many others there are.
        """
        self.entries = list(entries)
        self.cores = cores or CORES
        self._tasks: dict[Any, tuple[Task, Tensor]] = {}
        self._starts: dict[Any, nn.Module] = {}
        self._shared: dict[Any, Any] = {}
        self.lanes: list[Lane] = []
        self._lane_of: dict[int, Lane] = {}
        self.ready: set[int] = set()  # networks whose lane has come to the end of the latest `train`
        self.ways = [] if ways is None else list(ways)
        for place, alike in enumerate(self._alike()):
            if ways is None:
                self.ways.append(self._way(alike, is_deterministic))
            way = self.ways[place]
            for numbers in self._parts(alike, 1 if way == ALONE else most):
                lane = self._alone(numbers[0]) if way == ALONE else self._stack(numbers, way)
                self.lanes.append(lane)
                self._lane_of |= dict.fromkeys(numbers, lane)
        self.lanes.sort(key=lambda lane: lane.numbers[0])  # those that were given first are ready first

    def train(self, epochs: int | None = None) -> Generator[int, None, None]:
        """Train for so many epochs each, or to the end, and report epochs made (of one network each) as they come.

        Closing the iterator stops every lane at its next epoch.
        """
        told: SimpleQueue[int] = SimpleQueue()
        asked_to_stop = False
        self.ready = set()

        def run(lane: Lane) -> None:
            with one_thread():
                for made in lane.train(epochs):
                    told.put(made)
                    if asked_to_stop:
                        return

        with ThreadPoolExecutor(self.cores) as pool:
            lanes: dict[Future[None], Lane] = {pool.submit(run, lane): lane for lane in self.lanes}
            waiting = set(lanes)
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=0.05, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                        self.ready |= set(lanes[future].numbers)
                    while not told.empty():
                        yield told.get()
            finally:
                asked_to_stop = True
                for future in waiting:
                    future.cancel()

    def leave(self, numbers: Sequence[int]) -> None:
        """Take networks out: they train no further, and what they have learned stays."""
        for lane in self.lanes:
            own = [number for number in numbers if self._lane_of[number] is lane]
            if own:
                lane.leave(own)

    def judge(
        self,
        part: str = "test",
        *,
        among: Collection[int] | None = None,
        metrics: Sequence[str] | None = None,
    ) -> list[Row | None]:
        """Return loss and metrics of networks on a part of their split; None for one that failed or has no such rows.

        Without `among` and `metrics` it is every network, and every metric of its task.
        """
        found: list[Row | None] = [None] * len(self.entries)
        for number, outputs in self.outputs(part, among=among):
            task, targets = self._task(number)
            rows = torch.from_numpy(self.entries[number].material.rows(part))
            with one_thread():
                found[number] = judge(task, outputs, targets[rows], metrics)
        return found

    def outputs(
        self, part: str = "test", *, among: Collection[int] | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """Give the outputs of every network that has not failed on a part of its split. Shapes: (n, units) each."""
        for lane in self.lanes:
            wanted = [k for k in lane.numbers if (among is None or k in among) and lane.failure(k) is None]
            rows = torch.from_numpy(self.entries[lane.numbers[0]].material.rows(part))
            if not len(rows) or not wanted:
                continue
            with one_thread():
                found = lane.outputs(rows, wanted)
            for number in wanted:
                if number in found and bool(torch.isfinite(found[number]).all()):
                    yield number, found[number]

    def history(self, number: int) -> list[Row]:
        """Return the epochs of a network."""
        return self._lane_of[number].history(number)

    def best_epoch(self, number: int) -> int | None:
        """Return the epoch whose weights a network keeps, None where it keeps the last ones."""
        return self._lane_of[number].best_epoch(number)

    def failure(self, number: int) -> str | None:
        """Return why the training of a network failed, None if it did not."""
        return self._lane_of[number].failure(number)

    def network(self, number: int) -> nn.Module:
        """Return a network with the weights that it keeps."""
        recipe = self.entries[number].recipe
        made = make_model(recipe, self._task(number)[0].units, None)
        made.load_state_dict(self.state_of(number))
        return made.eval()

    def state_of(self, number: int) -> dict[str, Tensor]:
        """Return the weights that a network keeps, by the names that it has for them."""
        return self._lane_of[number].state_of(number)

    # ---- lanes

    def _alike(self) -> list[list[int]]:
        """Return the numbers of the networks that could stand in one stack, in the order of their first ones."""
        found: dict[Any, list[int]] = {}
        for number, entry in enumerate(self.entries):
            found.setdefault(_key(entry), []).append(number)
        return list(found.values())

    def _way(self, numbers: list[int], is_deterministic: bool) -> str:
        """Return how networks that are alike are trained."""
        possible = possible_ways(self.entries[numbers[0]])
        if is_deterministic:
            return DENSE if DENSE in possible else ALONE
        if len(possible) == 1 or len(numbers) == 1:
            return ALONE
        some = numbers[:TRIED]
        with one_thread():
            seconds = least_seconds({way: self._updates(some, way) for way in possible})
        of_one = {way: took / (1 if way == ALONE else len(some)) for way, took in seconds.items()}
        return min(possible, key=of_one.__getitem__)

    def _updates(self, numbers: list[int], way: str) -> Iterator[object]:
        """Make updates of copies of networks, one by one."""
        if way == ALONE:
            return self._alone_training(numbers[0]).reports()
        return self._stack_training(numbers, way).trial()

    def _parts(self, numbers: list[int], most: int) -> list[list[int]]:
        """Return networks in stacks of nearly equal size: at most so many each, and as many stacks as there are cores."""
        parts = max(-(-len(numbers) // most), min(self.cores, len(numbers) // FEW))
        return [part.tolist() for part in np.array_split(np.array(numbers), parts)]

    def _alone(self, number: int) -> Lane:
        return AloneLane(number, functools.partial(self._alone_training, number))

    def _alone_training(self, number: int) -> Training:
        entry = self.entries[number]
        recipe, material = alone(entry)
        training = make_training(recipe, material, torch.device("cpu"), weights=entry.weights)
        draw_start_(training.step.objective.model, recipe)
        return training

    def _stack(self, numbers: list[int], way: str) -> Lane:
        return StackLane(numbers, self._stack_training(numbers, way))

    def _stack_training(self, numbers: list[int], way: str) -> StackTraining:
        first = self.entries[numbers[0]].recipe.settings
        task, targets = self._task(numbers[0])
        inputs = self.entries[numbers[0]].material.inputs
        assert isinstance(inputs, Tensor) and isinstance(first.batch_size, int) and first.optimizer
        return StackTraining(
            [self._member(number) for number in numbers],
            copy.copy(task),  # its mode changes while rows are judged, and other lanes are training
            inputs,
            targets,
            batch_size=first.batch_size,
            optimizer=first.optimizer,
            penalty=first.penalty,
            clip_norm=first.clip_norm,
            clip_value=first.clip_value,
            decay_with_loss=bool(first.decay_with_loss),
            is_dense=way == DENSE,
        )

    def _member(self, number: int) -> Member:
        entry = self.entries[number]
        settings, rows, weights = entry.recipe.settings, entry.trains_on, entry.row_weights
        assert settings.learning_rate is not None and isinstance(settings.batch_size, int)
        per_epoch = -(-len(rows) // min(settings.batch_size, len(rows)))
        validation = entry.material.split.validation
        return Member(
            network=self._start(number),
            rows=self._once("rows", rows),
            validation=self._once("rows", validation) if len(validation) else None,
            weights=None if weights is None else torch.from_numpy(weights).float(),
            schedule=self._schedule(number, per_epoch),
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay or 0.0,
            l1=settings.l1 or 0.0,
            hyperparameters={k: v for k, v in hyperparameters(settings).items() if v is not None},
            seed=settings.seed,
            shuffle=settings.shuffle,
            patience=settings.patience,
            metric=None if settings.metric is None else metric_named(settings.metric),
            stopping=Stopping(
                tolerance=settings.stop_tolerance, on_no_decrease=bool(settings.stop_on_no_decrease)
            ),
        )

    def _once(self, kind: str, rows: np.ndarray) -> Tensor:
        """Return row numbers as a tensor, the same one for the same rows: members that share them share batches."""
        found: Tensor = self._shared.setdefault((kind, id(rows)), torch.from_numpy(rows))
        return found

    def _schedule(self, number: int, per_epoch: int) -> Any:
        settings = self.entries[number].recipe.settings
        key = "schedule", per_epoch, *(getattr(settings, name) for name in OWN if name not in ("weight_decay", "l1", "dropout", "seed", "plan"))  # fmt: skip
        if key not in self._shared:
            self._shared[key] = make_schedule(settings, per_epoch)
        return self._shared[key]

    def _start(self, number: int) -> nn.Module:
        """Return the network with its starting weights; those that start alike are one.

        A network is built once and copied: drawing the weights of each anew costs less than building it.
        """
        recipe = self.entries[number].recipe
        settings = recipe.settings
        units = self._task(number)[0].units
        kind = settings.model, repr(recipe.model_settings), units, repr(recipe.inputs)
        key = *kind, settings.seed, settings.initial
        if key not in self._starts:
            if kind not in self._starts:
                self._starts[kind] = make_model(recipe, units, None)
            network = copy.deepcopy(self._starts[kind])
            draw_start_(network, recipe)
            self._starts[key] = network
        return self._starts[key]

    def _task(self, number: int) -> tuple[Task, Tensor]:
        """Return the task of a network, and its targets as the loss takes them."""
        entry = self.entries[number]
        settings = entry.recipe.settings
        key = (
            id(entry.material),
            settings.loss,
            settings.label_smoothing,
            settings.class_weight,
            settings.metric,
        )
        if key not in self._tasks:
            task = make_task(entry.recipe, entry.material, None)
            self._tasks[key] = task, task.encode(entry.material.targets)
        return self._tasks[key]


def possible_ways(entry: Entry) -> tuple[str, ...]:
    """Return how a network and others like it can be trained, the one that is preferred first."""
    settings, recipe = entry.recipe.settings, entry.recipe
    if settings.augment or settings.pretrain or not is_of_catalogue(recipe) or is_perceptron(recipe):
        return (ALONE,)
    if not isinstance(entry.material.inputs, Tensor):
        return (ALONE,)
    try:
        population = Population([make_model(recipe, empty_task(recipe).units, None)])
    except SettingError:
        return (ALONE,)
    return (AUTOGRAD, ALONE) if why_not_stacked(population) else (DENSE, AUTOGRAD, ALONE)


def least_seconds(ways: dict[str, Iterator[object]]) -> dict[str, float]:
    """Return the least seconds that an update takes by each way, taken in turn; infinity for one that fails."""
    found = dict.fromkeys(ways, math.inf)
    for turn in range(UPDATES):
        for way, updates in ways.items():
            began = time.perf_counter()
            try:
                next(updates, None)
            except TrainingFailed:
                continue
            if turn:  # the first makes memory
                found[way] = min(found[way], time.perf_counter() - began)
    return found


def alone(entry: Entry) -> tuple[Recipe, ReadyRows]:
    """Return recipe and material of a network as if it were trained by itself: on one thread."""
    plan = Plan(device="cpu", threads=1, step="dense" if DENSE in possible_ways(entry) else "autograd")
    material = entry.material if entry.rows is None else entry.material.training_on(entry.rows)
    return replace(entry.recipe, plan=plan), material


def _key(entry: Entry) -> Any:
    """Return what the networks of a stack share."""
    recipe = entry.recipe
    shared = tuple(getattr(recipe.settings, name) for name in _SHARED)
    of_model = {name: value for name, value in recipe.model_settings.items() if name != "dropout"}
    has_dropout = bool(recipe.model_settings.get("dropout"))  # without it the layer is not there
    return id(entry.material), shared, repr(of_model), has_dropout, len(entry.trains_on)
