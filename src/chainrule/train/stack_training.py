"""Training a stack: networks of one architecture on the same data, each in its own way, in one loop."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from chainrule.nn.noise import Noise
from chainrule.optim.rules import optimizer
from chainrule.optim.schedules import Schedule
from chainrule.train.checkpoint import part, under
from chainrule.train.course import Course
from chainrule.train.loop import watch
from chainrule.train.member import Member
from chainrule.train.population import Population
from chainrule.train.stack_rows import StackOrder, StackRows
from chainrule.train.stacked_native import StackedNativeStep
from chainrule.train.stacked_rule import bind_rule, varied_strengths
from chainrule.train.stacked_step import Bind, Bound, StackedAutogradStep, StackedDenseStep, StackedStep
from chainrule.train.task import Task

STEPS: dict[str, Callable[..., StackedStep]] = {
    "native": StackedNativeStep,
    "dense": StackedDenseStep,
    "autograd": StackedAutogradStep,
}


class StackTraining:
    """Members on the rows of one tensor, trained together; each is what it would be alone.

    Members have equally many rows and one batch size, so that their updates fall together. Those that are over leave the
    stack when no more than half are left. Where backprop is written out, a member's bits are the same wherever it stands
    in the stack, on one thread.
    """

    def __init__(
        self,
        members: Sequence[Member],
        task: Task,
        inputs: Tensor,
        targets: Tensor,
        *,
        batch_size: int,
        optimizer: str,
        penalty: str | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        decay_with_loss: bool = False,
        kind: str = "dense",
        varied: Collection[str] = (),
    ) -> None:
        """`kind` is `native`, compiled code, or `dense`, backprop written out, both for chains of dense layers, or `autograd`.

        `varied` are hyper-parameters that differ among networks that might stand in this stack, but do not.
        """
        self.members = list(members)
        self._varied = {*varied, *varied_strengths(members)}
        self.courses: list[Course] = [member.new_course() for member in members]
        self.task = task
        self.inputs = inputs.flatten(1) if inputs.dim() > 2 else inputs
        self.targets = targets
        self.batch_size = batch_size
        self.epoch = 0
        self._optimizer, self._penalty, self._make = optimizer, penalty, STEPS[kind]
        self._around = {"clip_norm": clip_norm, "clip_value": clip_value, "decay_with_loss": decay_with_loss}
        self._best: dict[int, dict[str, Tensor]] = {}
        self._last: dict[int, dict[str, Tensor]] = {}  # of members that have left
        self._released: set[int] = set()
        for member in members:
            Noise(member.network, member.seed)  # gives every noisy layer the seed that it has alone
        self._place(list(range(len(members))), Population([member.network for member in members]))

    def _place(self, numbers: list[int], population: Population) -> None:
        """Make the stack of the members with these numbers."""
        self._numbers = numbers
        placed = [self.members[number] for number in numbers]
        self._order = StackOrder(placed, self.inputs, self.targets, self.batch_size)
        bind = functools.partial(bind_rule, placed, self._varied, self._optimizer, self._penalty)
        self.step = self._make_step(population, bind)

    def _make_step(self, population: Population, bind: Bind) -> StackedStep:
        return self._make(population, self.task, bind, **self._around)

    @property
    def steps_per_epoch(self) -> int:
        """The number of updates in an epoch."""
        return len(self._order)

    @property
    def going(self) -> list[int]:
        """The numbers of the members that are not over."""
        return [number for number in self._numbers if not self.courses[number].is_over]

    def train(self, epochs: int | None = None) -> Iterator[int]:
        """Train for so many epochs, or to the end; report after each for how many members it was made."""
        end = math.inf if epochs is None else self.epoch + epochs
        self.task.train()
        while self.epoch < end and (going := self.going):
            self._make_room(going)
            self._train_epoch(going)
            self.epoch += 1
            yield len(going)

    def trial(self) -> Iterator[int]:
        """Make the updates of the first epoch, one by one and again and again, and report each: to see how long they take."""
        factors = _factors([member.schedule for member in self.members], range(self.steps_per_epoch))
        for batches in itertools.repeat(self._rows()):
            for place, batch in enumerate(batches.batches()):
                self.step.prepare(place, factors[place])
                self.step(*batch)
                yield place

    def leave(self, numbers: Sequence[int]) -> None:
        """Take members out of the stack: what they have learned stays."""
        stay = [number for number in self._numbers if number not in set(numbers)]
        if stay == self._numbers:
            return
        for number in self._numbers:
            if number not in stay:
                self._last[number] = self._state_of(number)
        if stay and self.going:
            self._compact(stay)
        elif not stay:
            self._numbers = []

    def rest(self) -> None:
        """Let go of memory that an update makes anew; once all members are over, of what only updates need."""
        if self._numbers:
            self.step.rest(is_over=not self.going)

    def release(self, numbers: Sequence[int]) -> None:
        """Let go of the weights of members that nobody asks for again; their courses stay."""
        self._released |= set(numbers)
        for number in numbers:
            self._best.pop(number, None)
            self._last.pop(number, None)
        if self._numbers and set(self._numbers) <= self._released:
            self._numbers = []
            del self.step

    def state_of(self, number: int) -> dict[str, Tensor]:
        """Return the weights of a member: those of its best epoch, or its last ones."""
        if number in self._best:
            return self._best[number]
        return self._last[number] if number in self._last else self._state_of(number)

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor that the rest of the training, and what is asked of it then, depend on."""
        found: dict[str, Tensor] = {}
        if self._numbers:
            found |= under("stack/", self.step.population.stack.state_dict())
        if self.going:
            found |= under("optimizer/", self.step.optimizer.tensors())
            if self.step.running_losses is not None:
                found["running_losses"] = self.step.running_losses
        for name, kept in (("best", self._best), ("last", self._last)):
            for number, weights in kept.items():
                found |= under(f"{name}/{number}/", weights)
        return found

    def state(self) -> dict[str, Any]:
        """Return the position and every member's course, as JSON has them."""
        courses = [course.state() for course in self.courses]
        return {"epoch": self.epoch, "numbers": self._numbers, "courses": courses}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where another training of the same members stands; its tensors are to be loaded before it goes on."""
        for course, one in zip(self.courses, state["courses"], strict=True):
            course.restore(one)
        self.epoch = state["epoch"]
        stay = state["numbers"]
        if stay and stay != self._numbers:
            self._compact(stay)
        self._numbers = stay

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Put the tensors of another training of the same members in place of those here."""
        for name, kept in (("best", self._best), ("last", self._last)):
            kept.clear()
            of_all = part(tensors, f"{name}/")
            for number in sorted({int(key.split("/")[0]) for key in of_all}):
                kept[number] = part(of_all, f"{number}/")
        if self._numbers:
            self.step.population.stack.load_state_dict(part(tensors, "stack/"))
        if self.going:
            self.step.optimizer.load_(part(tensors, "optimizer/"))
            self.step.running_losses = tensors.get("running_losses")

    def outputs(self, rows: Tensor) -> dict[int, Tensor]:
        """Return what every member that stands in the stack answers to rows, by its latest weights. Shapes: rows (n,)."""
        return dict(zip(self._numbers, self.step.outputs(self.inputs[rows]), strict=True))

    def kept_outputs(self, rows: Tensor, among: Sequence[int] | None = None) -> dict[int, Tensor]:
        """Return what members answer by the weights that they keep: of the best epoch, or the last. Shapes: rows (n,)

        Without `among` it is every member.
        """
        wanted = list(range(len(self.members))) if among is None else list(among)
        if not self._best and set(wanted) <= set(self._numbers):
            return self.outputs(rows)
        networks = []
        for number in wanted:
            networks.append(copy.deepcopy(self.members[number].network))
            networks[-1].load_state_dict(self.state_of(number))
        members = len(networks)
        reader = self._make_step(
            Population(networks),
            lambda p: Bound("sgd", optimizer("sgd", p, learning_rate=1.0, members=members)),
        )
        return dict(zip(wanted, reader.outputs(self.inputs[rows]), strict=True))

    def _state_of(self, number: int) -> dict[str, Tensor]:
        return self.step.population.state_of(self._numbers.index(number))

    def _make_room(self, going: list[int]) -> None:
        if 2 * len(going) <= len(self._numbers):
            self.leave([number for number in self._numbers if number not in set(going)])

    def _compact(self, stay: list[int]) -> None:
        """Make a smaller stack that goes on where this one stands."""
        places = torch.tensor([self._numbers.index(number) for number in stay])
        old, population = self.step, self.step.population
        state = old.optimizer.tensors()
        self._place(stay, Population([population.member(place) for place in places.tolist()]))
        many = len(population)
        taken = {name: t[places] if t.dim() and not name.endswith("/updates") and len(t) == many else t for name, t in state.items()}  # fmt: skip
        self.step.optimizer.load_(taken)
        if old.running_losses is not None:
            self.step.running_losses = old.running_losses[places]

    def _train_epoch(self, going: list[int]) -> None:
        self._began = time.perf_counter()
        schedules = [self._schedule(number) for number in self._numbers]
        first = self.epoch * self.steps_per_epoch
        factors = _factors(schedules, range(first, first + self.steps_per_epoch))
        rows = self._rows()
        self._end_epoch(set(going), self.step.epoch(rows, first, factors), rows.sizes)

    def _schedule(self, number: int) -> Schedule:
        """Return the schedule of a member as it stands."""
        schedule = self.members[number].schedule
        return (
            schedule.after(self.courses[number].validation_losses)
            if schedule.watches_validation
            else schedule
        )

    def _rows(self) -> StackRows:
        """Return the rows of the epoch, in the order of each member."""
        return self._order.rows(self.epoch)

    def _end_epoch(self, going: set[int], losses: Tensor, rows: list[int]) -> None:
        """Take up the epoch for every member that is not over. Shapes: losses (members, updates)."""
        shares = torch.tensor(rows, dtype=torch.float64) / sum(rows)
        means = (losses.double() * shares).sum(1).tolist()
        seconds = (time.perf_counter() - self._began) / len(going)  # of one network
        measured = self._measured(going)
        rates = self.step.rates.tolist()
        for place, number in enumerate(self._numbers):
            if number not in going:
                continue
            course = self.courses[number]
            if not math.isfinite(means[place]):
                first = int((~losses[place].isfinite()).nonzero()[0])
                course.failure = (
                    f"the loss is not finite at step {self.epoch * self.steps_per_epoch + first + 1}"
                )
                continue
            steps = (self.epoch + 1) * self.steps_per_epoch
            row = {
                "epoch": self.epoch + 1,
                "steps": steps,
                "train_loss": means[place],
                "learning_rate": rates[place],
            }
            if course.add(row, measured.get(number), seconds):
                self._best[number] = self._state_of(number)

    def _measured(self, going: set[int]) -> dict[int, dict[str, float]]:
        """Return what the validation rows of each member show."""
        found: dict[int, dict[str, float]] = {}
        of_rows: dict[int, list[int]] = {}  # members by their validation rows: one tensor for many
        for number in going:
            rows = self.members[number].validation
            if rows is not None:
                of_rows.setdefault(id(rows), []).append(number)
        for numbers in of_rows.values():
            rows = self.members[numbers[0]].validation
            assert rows is not None
            outputs = self.outputs(rows)
            for number in numbers:
                weights = _unequal(self.members[number].weights, rows)
                found[number] = watch(self.task, outputs[number], self.targets[rows], weights)
        return found


def _unequal(weights: Tensor | None, rows: Tensor) -> Tensor | None:
    """Return the weights of rows, None where each is 1. Shapes: weights (N,), rows (n,) -> (n,)."""
    found = None if weights is None else weights[rows]
    return None if found is None or bool((found == 1).all()) else found


def _factors(schedules: Sequence[Schedule], updates: range) -> Tensor:
    """Return the factor on the rate of every member at some updates. Shapes: -> (updates, members)."""
    of_each = {id(schedule): schedule for schedule in schedules}
    known = {key: [schedule(number) for number in updates] for key, schedule in of_each.items()}
    return torch.tensor([known[id(schedule)] for schedule in schedules], dtype=torch.float64).T.contiguous()
