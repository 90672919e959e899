"""From the entries of a population to what trains them; what several share is made once."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.core.errors import TrainingFailed
from chainrule.core.memory import is_out_of_memory
from chainrule.jobs.entries import ALONE, KINDS, OWN, Entry, alone, varied_among
from chainrule.jobs.workshop import (
    draw_start_,
    hyperparameters,
    make_model,
    make_schedule,
    make_task,
    make_training,
)
from chainrule.train.member import Member
from chainrule.train.member_bytes import Load, MemberBytes, bytes_of_member
from chainrule.train.metrics import metric_named
from chainrule.train.stack_training import StackTraining
from chainrule.train.stopping import Stopping
from chainrule.train.task import Task
from chainrule.train.training import Training

TRIED, UPDATES = 8, 5  # members and updates that a way is tried with


class EntryTrainings:
    """Makes trainings of entries, by their numbers."""

    def __init__(self, entries: Sequence[Entry], varied: Collection[str] = ()) -> None:
        """`varied`: what differs among these and others that are trained at another time."""
        self.entries = list(entries)
        self._varied = {*varied, *varied_among(entries)}
        self._tasks: dict[Any, tuple[Task, Tensor]] = {}
        self._starts: dict[Any, nn.Module] = {}
        self._shared: dict[Any, Any] = {}
        self._turn = threading.Lock()  # what several share is made once

    def fastest(self, numbers: list[int], ways: Sequence[str]) -> str:
        """Return the way by which an update of one network takes least, on copies of some."""
        some = numbers[:TRIED]
        seconds = least_seconds({way: self.updates(some, way) for way in ways})
        of_one = {way: took / (1 if way == ALONE else len(some)) for way, took in seconds.items()}
        return min(ways, key=of_one.__getitem__)

    def updates(self, numbers: list[int], way: str) -> Iterator[object]:
        """Make updates of copies of networks, one by one."""
        if way == ALONE:
            return self.alone(numbers[0]).reports()
        return self.stack(numbers, way).trial()

    def alone(self, number: int) -> Training:
        """Return the training of a single network, on one thread."""
        entry = self.entries[number]
        recipe = alone(entry)
        training = make_training(
            recipe, entry.material, torch.device("cpu"), rows=entry.rows, weights=entry.weights
        )
        draw_start_(training.step.objective.model, recipe)
        return training

    def stack(self, numbers: list[int], way: str) -> StackTraining:
        """Return the training of networks that stand in one stack. Lanes may ask side by side."""
        with self._turn:
            return self._stack(numbers, way)

    def _stack(self, numbers: list[int], way: str) -> StackTraining:
        first = self.entries[numbers[0]].recipe.settings
        task, targets = self.task(numbers[0])
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
            kind=KINDS[way],
            varied=self._varied,
        )

    def bytes_of(self, number: int, way: str, judged: str | None = None) -> MemberBytes:
        """Return how much memory a network takes, trained in a way, and judged on a part of its split afterwards."""
        entry = self.entries[number]
        settings, split = entry.recipe.settings, entry.material.split
        assert isinstance(settings.batch_size, int) and settings.optimizer
        rows = len(entry.trains_on)
        load = Load(
            optimizer=settings.optimizer,
            hyperparameters={k: v for k, v in hyperparameters(settings).items() if v is not None},
            batch=min(settings.batch_size, rows),
            rows=rows,
            judged=len(split.validation) + (0 if judged is None else len(entry.material.rows(judged))),
            is_weighted=entry.row_weights is not None,
            keeps_best=len(split.validation) > 0,
        )
        row = entry.material.inputs.index_select(0, torch.zeros(1, dtype=torch.int64))
        return bytes_of_member(self._pattern(number), row, load, kind=KINDS.get(way, "autograd"))

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
        settings, units = recipe.settings, self.task(number)[0].units
        key = (
            settings.model,
            repr(recipe.model_settings),
            units,
            repr(recipe.inputs),
            settings.seed,
            settings.initial,
        )
        if key not in self._starts:
            network = copy.deepcopy(self._pattern(number))
            draw_start_(network, recipe)
            self._starts[key] = network
        return self._starts[key]

    def _pattern(self, number: int) -> nn.Module:
        """Return a network of the same architecture."""
        recipe = self.entries[number].recipe
        units = self.task(number)[0].units
        kind = recipe.settings.model, repr(recipe.model_settings), units, repr(recipe.inputs)
        if kind not in self._starts:
            self._starts[kind] = make_model(recipe, units, None)
        return self._starts[kind]

    def truth(self, number: int, part: str) -> tuple[Task, Tensor]:
        """Return the task of a network, and its targets on a part of its split."""
        task, targets = self.task(number)
        material = self.entries[number].material
        key = "truth", id(targets), id(material), part
        if key not in self._shared:
            self._shared[key] = targets[torch.from_numpy(material.rows(part))]
        return task, self._shared[key]

    def task(self, number: int) -> tuple[Task, Tensor]:
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


def least_seconds(ways: dict[str, Iterator[object]]) -> dict[str, float]:
    """Return the least seconds that an update takes by each way, taken in turn; infinity for one that fails."""
    found = dict.fromkeys(ways, math.inf)
    for turn in range(UPDATES):
        for way, updates in ways.items():
            began = time.perf_counter()
            try:
                if next(updates, None) is None:  # a run of few updates is through
                    continue
            except TrainingFailed:
                continue
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                continue
            if turn:  # the first makes memory
                found[way] = min(found[way], time.perf_counter() - began)
    return found
