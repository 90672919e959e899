"""Many classical models of a search, fitted one after another, and told of as a population of networks is."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence

from chainrule.core.errors import DataError, TrainingFailed
from chainrule.jobs.entries import Entry
from chainrule.jobs.fold_scores import few_threads, fit_on_fold, judge_fold
from chainrule.jobs.material import Material
from chainrule.train.course import Row


class ClassicalRun:
    """Models under way. Each is judged on the rows held out as soon as it is fitted, and then given up."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)
        self.ready: set[int] = set()
        self.notes: list[str] = []
        self._rows: dict[int, Row | None] = {}
        self._failures: dict[int, str] = {}

    def train(self, epochs: int | None = None) -> Generator[int, None, None]:
        """Fit all that are left, and report each. They have no epochs: `epochs` says nothing."""
        for number, entry in enumerate(self.entries):
            if number in self.ready:
                continue
            material = entry.material
            assert isinstance(material, Material)
            with few_threads(material):
                try:
                    self._rows[number] = judge_fold(fit_on_fold(entry.recipe, material), material)
                except (DataError, TrainingFailed) as error:
                    self._failures[number] = str(error)
            self.ready.add(number)
            yield 1

    def leave(self, numbers: Sequence[int]) -> None:
        """Take models out; nothing is left of one that is fitted."""

    def release(self, numbers: Sequence[int]) -> None:
        """Let go of models: nothing is left of one that is fitted."""

    @property
    def keeps_all(self) -> bool:
        """Whether memory holds all from one part of the training to the next: of a model nothing but its figures is kept."""
        return True

    def judge(
        self,
        part: str = "test",
        *,
        among: Collection[int] | None = None,
        metrics: Sequence[str] | None = None,
    ) -> list[Row | None]:
        """Return loss and metrics on the rows held out, whatever is asked for; None for one that failed or is not fitted."""
        return [
            self._rows.get(number) if among is None or number in among else None
            for number in range(len(self.entries))
        ]

    def epochs(self, number: int) -> int:
        """Return how many epochs it had: it has none."""
        return 0

    def failure(self, number: int) -> str | None:
        """Return why a model could not be fitted, None if it could."""
        return self._failures.get(number)
