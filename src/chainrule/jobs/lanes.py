"""What a population runs in: a lane trains one network, or a stack of them, on one core from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor

from chainrule.core.errors import SettingError, ShapeError, TrainingFailed
from chainrule.train.course import Row
from chainrule.train.loop import Report, outputs_of
from chainrule.train.stack_training import StackTraining
from chainrule.train.training import Training


class Lane(Protocol):
    """Networks that are trained in one loop. Their numbers are those of the population."""

    numbers: list[int]

    def train(self, epochs: int | None = None) -> Iterator[int]:
        """Train for so many epochs, or to the end; report how many networks each epoch was made for."""

    def leave(self, numbers: Sequence[int]) -> None:
        """Take networks out: what they have learned stays."""

    def outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
        """Return what some networks answer by the weights that they keep, and maybe others beside them.

        Shapes: rows (n,) -> (n, units) each
        """

    def history(self, number: int) -> list[Row]:
        """Return the epochs of a network."""

    def best_epoch(self, number: int) -> int | None:
        """Return the epoch whose weights a network keeps, None where it keeps the last ones."""

    def failure(self, number: int) -> str | None:
        """Return why the training of a network failed, None if it did not."""

    def state_of(self, number: int) -> dict[str, Tensor]:
        """Return the weights that a network keeps."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of where the lane stands, for a copy of it in another process."""

    def state(self) -> dict[str, Any]:
        """Return all else of where it stands, as JSON has it."""

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take up where a copy of the lane stands."""


class StackLane:
    """A stack as a lane."""

    def __init__(self, numbers: Sequence[int], stack: StackTraining) -> None:
        self.numbers = list(numbers)
        self.stack = stack

    def train(self, epochs: int | None = None) -> Iterator[int]:
        yield from self.stack.train(epochs)

    def leave(self, numbers: Sequence[int]) -> None:
        self.stack.leave([self.numbers.index(number) for number in numbers])

    def outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
        found = self.stack.kept_outputs(rows, [self.numbers.index(number) for number in among])
        return {number: found[place] for place, number in enumerate(self.numbers) if place in found}

    def history(self, number: int) -> list[Row]:
        return self.stack.courses[self.numbers.index(number)].history

    def best_epoch(self, number: int) -> int | None:
        return self.stack.courses[self.numbers.index(number)].best_epoch

    def failure(self, number: int) -> str | None:
        return self.stack.courses[self.numbers.index(number)].failure

    def state_of(self, number: int) -> dict[str, Tensor]:
        return self.stack.state_of(self.numbers.index(number))

    def tensors(self) -> dict[str, Tensor]:
        return self.stack.tensors()

    def state(self) -> dict[str, Any]:
        return self.stack.state()

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self.stack.restore(tensors, state)


class AloneLane:
    """One network, trained as `fit` trains it; made when its turn comes."""

    def __init__(self, number: int, make: Callable[[], Training]) -> None:
        self.numbers = [number]
        self._make = make
        self._training: Training | None = None
        self._reports: Iterator[Report] | None = None
        self._saved: tuple[dict[str, Tensor], dict[str, Any]] = {}, {}  # of a copy that was trained elsewhere
        self._failure: str | None = None
        self._has_left = False

    @property
    def training(self) -> Training:
        """The training itself."""
        if self._training is None:
            self._training = self._make()
            if self._saved[0]:
                self._training.restore(*self._saved)
        return self._training

    def train(self, epochs: int | None = None) -> Iterator[int]:
        if self._has_left or self._failure is not None:
            return
        made, end = 0, math.inf if epochs is None else epochs
        while made < end:
            try:
                self._reports = self._reports or self.training.reports()
                report = next(self._reports, None)
            except (TrainingFailed, SettingError, ShapeError) as failure:  # what does not fit fails alone
                self._failure = str(failure)
                return
            if report is None:
                return
            if report.ends_epoch:
                made += 1
                yield 1

    def leave(self, numbers: Sequence[int]) -> None:
        self._has_left = self._has_left or bool(numbers)

    def outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
        training = self.training
        network, latest = training.step.objective.model, None
        if training.best:
            latest = {name: t.clone() for name, t in network.state_dict().items()}
            network.load_state_dict(training.best)
        found = outputs_of(network, training.batches.inputs, rows)
        if latest is not None:
            network.load_state_dict(latest)
        return {self.numbers[0]: found}

    def history(self, number: int) -> list[Row]:
        return self._saved[1].get("history", []) if self._training is None else self._training.history

    def best_epoch(self, number: int) -> int | None:
        return self._saved[1].get("best_epoch") if self._training is None else self._training.best_epoch

    def failure(self, number: int) -> str | None:
        return self._failure

    def state_of(self, number: int) -> dict[str, Tensor]:
        training = self.training
        return training.best or {n: t.clone() for n, t in training.step.objective.model.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        return {} if self._failure is not None else self.training.tensors()

    def state(self) -> dict[str, Any]:
        found = (
            {"history": self.history(self.numbers[0])} if self._failure is not None else self.training.state()
        )
        return {"failure": self._failure, "training": found}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self._failure, self._saved = state["failure"], (tensors, state["training"])
        self._training, self._reports = None, None
