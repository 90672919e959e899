"""Steps of several kinds timed in turn on the same batches, so that what disturbs one disturbs all."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping

import torch

from chainrule.data.batches import Batch, Batches
from chainrule.train.layer_times import LayerWatch, faster_half
from chainrule.train.machine import now
from chainrule.train.step import RuleStep

LEAST_STEPS, MOST_STEPS = 8, 400
STILL = 0.0  # factor on the learning rate: everything of an update is done, and no weight moves


class TimedSteps:
    """Makes steps in turn and keeps their seconds. Of those of a name `seconds` gives the mean of the faster half."""

    def __init__(self, steps: Mapping[str, RuleStep], device: torch.device) -> None:
        self.steps = steps
        self.device = device
        self.taken: dict[str, list[float]] = {}

    def warm_up(self, batch: Batch) -> None:
        """Make a few steps of each kind that do not count."""
        for step in self.steps.values():
            step.objective.train()
            for _ in range(3):
                self._make(step, batch)

    def run(self, batches: Iterator[Batch], few_rows: int, watch: LayerWatch | None) -> None:
        """Fetch a batch and make a step of each kind on it, one on a few of its rows, and one that is watched."""
        began = now(self.device)
        batch = next(batches)
        self._keep("fetch", now(self.device) - began)
        for name, step in self.steps.items():
            self._keep(name, self._make(step, batch))
        first = next(iter(self.steps.values()))
        self._keep("few", self._make(first, tuple(part[:few_rows] for part in batch)))
        if watch is not None:
            with watch.watching():
                self._make(first, batch)

    def seconds(self, name: str) -> float:
        """Return the usual seconds of a step, or of "fetch" and "few"."""
        return statistics.fmean(faster_half(self.taken[name], key=float))

    def _make(self, step: RuleStep, batch: Batch) -> float:
        began = now(self.device)
        step.prepare(0, STILL)
        step(*batch)
        return now(self.device) - began

    def _keep(self, name: str, seconds: float) -> None:
        self.taken.setdefault(name, []).append(seconds)


def full_batches(batches: Batches) -> Iterator[Batch]:
    """Give batches without end, all of one size."""
    for epoch in itertools.count():
        for batch in batches.epoch(epoch):
            if len(batch[0]) == batches.batch_size:
                yield batch
