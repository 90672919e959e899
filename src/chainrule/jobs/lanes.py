"""What a population runs in: a lane trains one network, or a stack of them, on one core from epoch to epoch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from torch import Tensor

from chainrule.core.errors import SettingError, ShapeError, TrainingFailed
from chainrule.train.checkpoint import part
from chainrule.train.course import Row
from chainrule.train.loop import Report, outputs_of
from chainrule.train.stack_states import MemberOf, joined
from chainrule.train.stack_training import StackTraining
from chainrule.train.training import Training

LET_GO = "its weights were let go"

Judge = Callable[[int, Tensor], Row | None]  # by the number of a network, from its outputs


class Lane(ABC):
    """Networks that are trained in one loop. Their numbers are those of the population.

    A lane may be trained in a copy of this process; `tensors` and `state` say where it stands then, and `restore` takes that
    up here. `judged` are rows that the networks are to be judged on, `judge` says what outputs on them are worth:
    `judgements` are there as soon as the lane is trained.
    Shapes: judged (n,)
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = list(numbers)
        self.judged: Tensor | None = None
        self.judge: Judge | None = None
        self.judgements: dict[int, Row | None] = {}
        self._left: set[int] = set()

    def train(self, until: int | None = None) -> Iterator[int]:
        """Train until so many epochs are made, or to the end; report how many networks each epoch was made for."""
        stay = self.staying
        for number in stay:
            self.judgements.pop(number, None)
        yield from self._train(until)
        self._rest()
        alive = [number for number in stay if self.failure(number) is None]
        if alive and self.judge is not None and self.judged is not None and len(self.judged):
            found = self._outputs(self.judged, alive)
            self.judgements |= {
                number: self.judge(number, found[number]) for number in alive if number in found
            }

    @property
    def staying(self) -> list[int]:
        """The networks that were not taken out."""
        return [number for number in self.numbers if number not in self._left]

    @property
    def is_left(self) -> bool:
        """Whether all its networks were taken out."""
        return self._left >= set(self.numbers)

    def leave(self, numbers: Sequence[int]) -> None:
        """Take networks out: what they have learned stays."""
        self._left |= set(numbers)

    def release(self, numbers: Sequence[int]) -> None:
        """Let go of the weights of networks that are not trained on; their histories stay."""
        self._left |= set(numbers)

    def smaller(self) -> list[Lane]:
        """Return lanes for the networks that are to be trained on: halves of this one, which begin anew.

        This one lets go of them, and keeps what those have learned that were taken out.
        """
        lanes = self._halves(self.staying)
        for lane in lanes:
            lane.judged, lane.judge = self.judged, self.judge
        self.hand_over()
        return lanes

    def hand_over(self) -> None:
        """Let go of the networks that are to be trained on, in other lanes from now on."""
        stay = self.staying
        self.numbers = [number for number in self.numbers if number in self._left]
        self.release(stay)

    def outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
        """Return what some networks answer by the weights that they keep, and maybe others beside them.

        Shapes: rows (n,) -> (n, units) each
        """
        return self._outputs(rows, among)

    @abstractmethod
    def give_up(self, why: str) -> None:
        """Take all networks for failed."""

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
    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of where the lane stands."""

    @abstractmethod
    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take up where a copy of the lane stands."""

    @abstractmethod
    def _train(self, until: int | None) -> Iterator[int]: ...
    @abstractmethod
    def _outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]: ...
    @abstractmethod
    def _halves(self, numbers: list[int]) -> list[Lane]: ...
    @abstractmethod
    def _rest(self) -> None:
        """Let go of memory that training makes anew, and of what only training needs once it is over."""


class StackLane(Lane):
    """A stack as a lane; made when its turn comes, where it is trained."""

    def __init__(self, numbers: Sequence[int], make: Callable[[list[int]], StackTraining]) -> None:
        super().__init__(numbers)
        self._members = list(numbers)  # in the order of the stack
        self._make = make
        self._made: StackTraining | None = None
        self._saved: tuple[dict[str, Tensor], dict[str, Any]] = {}, {}  # of a copy that was trained elsewhere
        self._released: set[int] = set()
        self._failure: str | None = None

    @property
    def stack(self) -> StackTraining:
        """The training of the stack, with the weights that it has by now."""
        if self._made is None:
            assert not self._is_released, LET_GO
            self._made, (tensors, state) = self._make(self._members), self._saved
            if state:
                self._made.restore(state)
                self._made.load_(tensors)
            self._made.leave(self._places(self._left))
            self._made.release(self._places(self._released))
            self._saved = {}, {}
        return self._made

    @property
    def epoch(self) -> int | None:
        """The epochs that all that stay have made and go on from; None where some left the stack, or none has begun."""
        state = self.state()
        places = self._places(self.staying)
        if not state or not set(places) <= set(state["numbers"]) or not self._is_going:
            return None
        return int(state["epoch"])

    @classmethod
    def joined(cls, numbers: Sequence[int], lanes: Sequence[StackLane]) -> StackLane:
        """Return one lane for networks that stay in several, which have made as many epochs."""
        made = cls(numbers, lanes[0]._make)
        made.judged, made.judge = lanes[0].judged, lanes[0].judge
        members: dict[int, MemberOf] = {}
        for lane in lanes:
            tensors, state = lane.tensors(), lane.state()
            members |= {n: MemberOf(tensors, state, lane._members.index(n)) for n in lane.staying}
            made.judgements |= {n: row for n, row in lane.judgements.items() if n in made.numbers}
        made._saved = joined([members[number] for number in made.numbers])
        return made

    def _train(self, until: int | None) -> Iterator[int]:
        if self._failure is None:
            yield from self.stack.train(None if until is None else until - self.stack.epoch)

    def leave(self, numbers: Sequence[int]) -> None:
        super().leave(numbers)
        if self._made is not None:
            self._made.leave(self._places(numbers))

    def _rest(self) -> None:
        if self._made is not None:
            self._made.rest()

    def release(self, numbers: Sequence[int]) -> None:
        super().release(numbers)
        self._released |= set(numbers)
        if self._made is not None:
            self._made.release(self._places(numbers))
        if self._is_released:
            self._saved, self._made = ({}, self.state()), None

    @property
    def _is_going(self) -> bool:
        """Whether there is what further updates need."""
        return any(name.startswith("optimizer/") for name in self.tensors())

    @property
    def _is_released(self) -> bool:
        return self._released >= set(self.numbers)

    def _halves(self, numbers: list[int]) -> list[Lane]:
        middle = (len(numbers) + 1) // 2
        return [StackLane(half, self._make) for half in (numbers[:middle], numbers[middle:]) if half]

    def give_up(self, why: str) -> None:
        self._failure, self._made, self._saved = why, None, ({}, {})

    def _outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
        found = self.stack.kept_outputs(rows, self._places(among))
        self._rest()
        return {number: found[place] for place, number in enumerate(self._members) if place in found}

    def history(self, number: int) -> list[Row]:
        course = self._course(number)
        return course["history"] if course else []

    def best_epoch(self, number: int) -> int | None:
        return self._course(number).get("best_epoch")

    def failure(self, number: int) -> str | None:
        return self._failure or self._course(number).get("failure")

    def _course(self, number: int) -> dict[str, Any]:
        """Return the state of a network's course, nothing where none has begun."""
        place = self._members.index(number)
        if self._made is not None:
            return self._made.courses[place].state()
        return self._saved[1]["courses"][place] if self._saved[1] else {}

    def state_of(self, number: int) -> dict[str, Tensor]:
        assert number not in self._released, LET_GO
        return self.stack.state_of(self._members.index(number))

    def state(self) -> dict[str, Any]:
        return self._saved[1] if self._made is None else self._made.state()

    def tensors(self) -> dict[str, Tensor]:
        return self._saved[0] if self._made is None else self._made.tensors()

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self._made, self._saved = None, (tensors, state)  # what nobody asks for is not read

    def _places(self, numbers: Collection[int]) -> list[int]:
        return [self._members.index(number) for number in numbers]


class AloneLane(Lane):
    """One network, trained as `fit` trains it; made when its turn comes."""

    def __init__(self, number: int, make: Callable[[], Training]) -> None:
        super().__init__([number])
        self._make = make
        self._training: Training | None = None
        self._reports: Iterator[Report] | None = None
        self._saved: tuple[dict[str, Tensor], dict[str, Any]] = {}, {}  # of a copy that was trained elsewhere
        self._failure: str | None = None
        self._is_released = False

    @property
    def training(self) -> Training:
        """The training itself."""
        if self._training is None:
            assert not self._is_released, LET_GO
            self._training = self._make()
            if self._saved[0]:
                self._training.restore(*self._saved)
            self._saved = {}, {}
        return self._training

    def _train(self, until: int | None) -> Iterator[int]:
        end = math.inf if until is None else until
        while self._failure is None and len(self.history(self.numbers[0])) < end:
            try:
                self._reports = self._reports or self.training.reports()
                report = next(self._reports, None)
            except (TrainingFailed, SettingError, ShapeError) as failure:  # what does not fit fails alone
                self._failure = str(failure)
                return
            if report is None:
                return
            if report.ends_epoch:
                yield 1

    def _rest(self) -> None:
        pass

    def release(self, numbers: Sequence[int]) -> None:
        super().release(numbers)
        if numbers:
            number = numbers[0]
            told = {"history": self.history(number), "best_epoch": self.best_epoch(number)}
            self._saved, self._is_released = ({}, told), True
            self._training = self._reports = None

    def _halves(self, numbers: list[int]) -> list[Lane]:
        return [AloneLane(number, self._make) for number in numbers]

    def give_up(self, why: str) -> None:
        self._failure, self._saved = why, ({}, {})
        self._training = self._reports = None

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
        if self._training is None and self._saved[0]:  # of a copy: nothing is made anew to read it
            return part(self._saved[0], "best/") or part(self._saved[0], "model/")
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
