"""Many networks trained on the workers of a cluster: as `PopulationRun` trains them here, with the same bits.

Networks of one shape on the same rows are groups; a worker trains one group at a time, as a stack where there is a way to, and
says what its networks showed. A rung of halving trains its networks from the start: so no worker keeps anything, every rung is
spread over all of them, and a worker that is lost costs the groups that it had. In a search of three rungs that is 20 % more
epochs than going on would take.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Generator, Sequence
from typing import Any

from torch import Tensor

from chainrule.core.errors import RunError, SettingError
from chainrule.jobs.cluster import Cluster, failed
from chainrule.jobs.cluster_task import look_around, pack_rows, train_group
from chainrule.jobs.entries import DENSE, Entry, key_of, possible_ways, varied_among
from chainrule.jobs.networks import Networks, Shown
from chainrule.jobs.population import FEW
from chainrule.train.course import Row

PULSE_SECONDS = 0.2  # between two looks at whether a search goes on
GROUP = 32  # networks that are sent together, at the most
TRIES = 3  # of a group whose workers are lost


class ClusterRun(Networks):
    """Networks under way on a cluster: their workers train them and judge them."""

    def __init__(
        self,
        entries: Sequence[Entry],
        cluster: Cluster,
        *,
        metrics: Sequence[str],
        most: int | None = None,
        varied: Collection[str] = (),
    ) -> None:
        """`varied`: as for `PopulationRun`, which trains deterministically what this does."""
        super().__init__(entries)
        self.cluster = cluster
        self._metrics = list(metrics)
        self._most = most or GROUP
        self._varied = sorted({*varied, *varied_among(entries)})
        self._here = look_around()
        self._epochs = 0  # that `train` was asked for so far
        self._shown: dict[int, Shown] = {}
        self._gone: set[int] = set()
        self._rows: dict[int, Any] = {}
        self._train = cluster.ray.remote(num_cpus=1, max_retries=0)(train_group)

    def train(self, epochs: int | None = None) -> Generator[int, None, None]:
        """Train for so many epochs more, or to the end, and report epochs made (of one network each) as groups are through.

        Closing the iterator stops the workers.
        """
        ray = self.cluster.ray
        end = None if epochs is None else self._epochs + epochs
        self._epochs = end or self._epochs
        self.ready = set()
        under_way = {self._send(group, end): (group, 1) for group in self._groups()}
        try:
            while under_way:
                done, _ = ray.wait(list(under_way), timeout=PULSE_SECONDS)
                for answer in done:
                    group, tried = under_way.pop(answer)
                    try:
                        shown = ray.get(answer)
                    except ray.exceptions.RayTaskError as error:
                        raise failed(error) from error
                    except ray.exceptions.RayError as error:
                        self._lost(group, tried, error)
                        under_way[self._send(group, end)] = group, tried + 1
                        continue
                    yield self._take_up(group, shown)
                yield 0
        finally:
            for answer in under_way:
                with contextlib.suppress(ray.exceptions.RayError):
                    ray.cancel(answer, force=True)

    def leave(self, numbers: Sequence[int]) -> None:
        self._gone |= set(numbers)

    def shown(self, number: int) -> Shown:
        return self._shown.get(number, Shown())

    # ---- groups

    def _groups(self) -> list[list[int]]:
        """Return the numbers of networks in groups of one shape each, so many that every worker has one."""
        alike: dict[Any, list[int]] = {}
        for number, entry in enumerate(self.entries):
            if number not in self._gone:
                alike.setdefault(key_of(entry), []).append(number)
        workers, groups = self.cluster.workers, []
        for numbers in alike.values():
            is_stack = DENSE in possible_ways(self.entries[numbers[0]])
            most = min(self._most, max(FEW, -(-len(numbers) // max(1, workers)))) if is_stack else 1
            parts = -(-len(numbers) // most)
            groups += [
                numbers[k * len(numbers) // parts : (k + 1) * len(numbers) // parts] for k in range(parts)
            ]
        return groups

    def _send(self, group: Sequence[int], epochs: int | None) -> Any:
        """Ask for a group, and return the promise of what it shows."""
        recipes = [json.dumps(self.entries[number].recipe.to_json()) for number in group]
        rows = self._rows_of(self.entries[group[0]])
        return self._train.remote(recipes, rows, epochs, self._metrics, self._varied, self._here)

    def _rows_of(self, entry: Entry) -> Any:
        """Return rows as the cluster has them; they are sent once, and kept by each machine."""
        key = id(entry.material)
        if key not in self._rows:
            if not isinstance(entry.material.inputs, Tensor):
                raise SettingError(
                    "these rows stay on disk (--memory), and a cluster takes rows that are in memory; give more --memory, or "
                    "leave out --cluster"
                )
            self._rows[key] = self.cluster.ray.put(pack_rows(entry.material))
        return self._rows[key]

    def _take_up(self, group: Sequence[int], shown: Sequence[tuple[Row | None, int, str | None]]) -> int:
        """Keep what networks showed, and return how many epochs they have made since the last time."""
        before = sum(self.shown(number).epochs for number in group)
        for number, (row, epochs, failure) in zip(group, shown, strict=True):
            self._shown[number] = Shown(row=row, epochs=epochs, failure=failure)
        self.ready |= set(group)
        return sum(self.shown(number).epochs for number in group) - before

    def _lost(self, group: Sequence[int], tried: int, error: BaseException) -> None:
        """Say that a worker was lost. Raises: RunError for a group that is lost again and again"""
        many = "1 network" if len(group) == 1 else f"{len(group)} networks"
        if tried == TRIES:
            raise RunError(
                f"a group of {many} was lost with its worker {TRIES} times ({type(error).__name__}), as it is where memory runs "
                "out; what is done is kept, go on with fewer workers a machine, or without --cluster"
            ) from error
        self.notes.append(f"a worker was lost; the {many} that it had are trained again by another")
