"""What a population runs in: a lane trains one network, or a stack of them, on one core from epoch to epoch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from chainrule.core.errors import SettingError, ShapeError, TrainingFailed
from chainrule.train.checkpoint import part, under
from chainrule.train.course import Course, Row
from chainrule.train.loop import Report, outputs_of
from chainrule.train.stack_training import StackTraining
from chainrule.train.training import Training


class Lane(ABC):
    """Networks that are trained in one loop. Their numbers are those of the population.

    A lane may be trained in a copy of this process; `tensors` and `state` say where it stands then, and `restore` takes that
    up here. `judged` are rows that the networks are to be judged on: their outputs are there as soon as the lane is trained.
    Shapes: judged (n,)
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = list(numbers)
        self.judged: Tensor | None = None
        self._answers: dict[int, Tensor] = {}

    def train(self, epochs: int | None = None) -> Iterator[int]:
        """Train for so many epochs, or to the end; report how many networks each epoch was made for."""
        self._answers = {}
        yield from self._train(epochs)
        if self.judged is not None and len(self.judged):
            alive = [number for number in self.numbers if self.failure(number) is None]
            self._answers = self._outputs(self.judged, alive) if alive else {}

    def outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
        """Return what some networks answer by the weights that they keep, and maybe others beside them.

        Shapes: rows (n,) -> (n, units) each
        """
        if rows is self.judged and set(among) <= set(self._answers):
            return self._answers
        return self._outputs(rows, among)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of where the lane stands."""
        answers = {str(number): outputs for number, outputs in self._answers.items()}
        return {**under("own/", self._tensors()), **under("answers/", answers)}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take up where a copy of the lane stands."""
        self._answers = {int(number): outputs for number, outputs in part(tensors, "answers/").items()}
        self._restore(part(tensors, "own/"), state)

    @abstractmethod
    def leave(self, numbers: Sequence[int]) -> None:
        """Take networks out: what they have learned stays."""

    @abstractmethod
    def history(self, number: int) -> list[Row]:
        """Return the epochs of a network."""

    @abstractmethod
    def best_epoch(self, number: int) -> int | None:
        """Return the epoch whose weights a network keeps, None where it keeps the last ones."""

    @abstractmethod
    def failure(self, number: int) -> str | None:
        """Return why the training of a network failed, None if it did not."""

    @abstractmethod
    def state_of(self, number: int) -> dict[str, Tensor]:
        """Return the weights that a network keeps."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return all of where the lane stands but the tensors, as JSON has it."""

    @abstractmethod
    def _train(self, epochs: int | None) -> Iterator[int]: ...
    @abstractmethod
    def _outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]: ...
    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]: ...
    @abstractmethod
    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None: ...


class StackLane(Lane):
    """A stack as a lane."""

    def __init__(self, numbers: Sequence[int], stack: StackTraining) -> None:
        super().__init__(numbers)
        self._stack = stack
        self._unread: dict[str, Tensor] = {}  # of a copy that was trained elsewhere

    @property
    def stack(self) -> StackTraining:
        """The training of the stack, with the weights that it has by now."""
        if self._unread:
            tensors, self._unread = self._unread, {}
            self._stack.load_(tensors)
        return self._stack

    def _train(self, epochs: int | None) -> Iterator[int]:
        yield from self.stack.train(epochs)

    def leave(self, numbers: Sequence[int]) -> None:
        self.stack.leave([self.numbers.index(number) for number in numbers])

    def _outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
        found = self.stack.kept_outputs(rows, [self.numbers.index(number) for number in among])
        return {number: found[place] for place, number in enumerate(self.numbers) if place in found}

    def history(self, number: int) -> list[Row]:
        return self._course(number).history

    def best_epoch(self, number: int) -> int | None:
        return self._course(number).best_epoch

    def failure(self, number: int) -> str | None:
        return self._course(number).failure

    def _course(self, number: int) -> Course:
        return self._stack.courses[self.numbers.index(number)]

    def state_of(self, number: int) -> dict[str, Tensor]:
        return self.stack.state_of(self.numbers.index(number))

    def state(self) -> dict[str, Any]:
        return self.stack.state()

    def _tensors(self) -> dict[str, Tensor]:
        return self.stack.tensors()

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self._stack.restore(state)
        self._unread = tensors  # what nobody asks for is not read


class AloneLane(Lane):
    """One network, trained as `fit` trains it; made when its turn comes."""

    def __init__(self, number: int, make: Callable[[], Training]) -> None:
        super().__init__([number])
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

    def _train(self, epochs: int | None) -> Iterator[int]:
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

    def _outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
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

    def _tensors(self) -> dict[str, Tensor]:
        return {} if self._failure is not None else self.training.tensors()

    def state(self) -> dict[str, Any]:
        found = (
            {"history": self.history(self.numbers[0])} if self._failure is not None else self.training.state()
        )
        return {"failure": self._failure, "training": found}

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self._failure, self._saved = state["failure"], (tensors, state["training"])
        self._training, self._reports = None, None
