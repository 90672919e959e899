"""Many classical models of a search, fitted one after another, and told of as a population of networks is."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from chainrule.core.errors import DataError, TrainingFailed
from chainrule.jobs.entries import Entry
from chainrule.jobs.fold_scores import few_threads, fit_on_fold, judge_fold
from chainrule.jobs.material import Material
from chainrule.jobs.networks import Networks, Shown


class ClassicalRun(Networks):
    """Models under way. Each is judged on the rows held out as soon as it is fitted, and then given up."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__(entries)
        self._shown: dict[int, Shown] = {}

    def train(self, epochs: int | None = None) -> Generator[int, None, None]:
        """Fit all that are left, and report each. They have no epochs: `epochs` says nothing."""
        for number, entry in enumerate(self.entries):
            if number in self.ready:
                continue
            material = entry.material
            assert isinstance(material, Material)
            with few_threads(material):
                try:
                    row = judge_fold(fit_on_fold(entry.recipe, material), material)
                    self._shown[number] = Shown(row=row)
                except (DataError, TrainingFailed) as error:
                    self._shown[number] = Shown(failure=str(error))
            self.ready.add(number)
            yield 1

    def shown(self, number: int) -> Shown:
        return self._shown.get(number, Shown())
