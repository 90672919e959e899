"""The trials of a search: what each tried, what its networks showed, and which is best."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chainrule.train.proposals import Tried
from chainrule.train.space import Values

if TYPE_CHECKING:
    from chainrule.jobs.networks import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What the network of one fold showed after so many epochs, or why it failed. `rung`: of successive halving."""

    trial: int
    fold: int
    epochs: int
    rung: int = 0
    score: float | None = None
    loss: float | None = None
    failure: str | None = None


def network_of(trial: int, fold: int, rung: int, shown: Shown, *, metric: str) -> Network:
    """Return what is kept of a network: what it showed, and why that is no score where it is none."""
    row, failure = shown.row, shown.failure
    score = None if row is None else row.get(metric)
    if failure is None and score is None:
        failure = "its outputs are not finite" if row is None else f"its {metric} is not defined"
    loss = None if row is None or failure else row["loss"]
    if loss is not None and not math.isfinite(loss):
        failure, loss = f"its loss is {loss}", None
    return Network(
        trial=trial,
        fold=fold,
        epochs=shown.epochs,
        rung=rung,
        score=None if failure else score,
        loss=loss,
        failure=failure,
    )


@dataclass(slots=True, kw_only=True)
class Trial:
    """A combination of values. `networks` are those of the highest rung so far; `refused` says why there are none."""

    number: int
    values: Values
    folds: int
    refused: str | None = None
    networks: dict[int, Network] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left to train."""
        return self.refused is not None or len(self.networks) == self.folds

    @property
    def failure(self) -> str | None:
        """Why there is no score: refused, or the first network that failed."""
        if self.refused is not None:
            return self.refused
        return next(
            (one.failure for _, one in sorted(self.networks.items()) if one.failure is not None), None
        )

    @property
    def epochs(self) -> int:
        """The epochs after which it was judged."""
        return max((one.epochs for one in self.networks.values()), default=0)

    @property
    def rung(self) -> int:
        """The rung of successive halving that it came to; 0 elsewhere."""
        return min((one.rung for one in self.networks.values()), default=0)

    @property
    def scores(self) -> list[float]:
        """The score of each fold, once all are there and none failed."""
        if not self.is_done or self.failure is not None:
            return []
        return [self.networks[fold].score or 0.0 for fold in range(self.folds)]

    @property
    def score(self) -> float | None:
        """The mean over the folds, None of a trial that failed or is not done."""
        return sum(self.scores) / len(self.scores) if self.scores else None

    @property
    def spread(self) -> float | None:
        """The standard deviation over the folds, None of a single one."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def loss(self) -> float | None:
        """The mean loss over the folds, which breaks ties."""
        if self.score is None:
            return None
        return sum(self.networks[fold].loss or 0.0 for fold in range(self.folds)) / self.folds

    def add(self, network: Network) -> None:
        """Take up what a network showed; a higher rung counts in place of a lower."""
        known = self.networks.get(network.fold)
        if known is None or known.rung <= network.rung:
            self.networks[network.fold] = network

    def to_json(self) -> dict[str, Any]:
        """Return the trial as rows and records have it."""
        return {
            "trial": self.number,
            "settings": self.values,
            "score": self.score,
            "spread": self.spread,
            "loss": self.loss,
            "epochs": self.epochs,
            "failure": self.failure,
        }


def ranked(trials: Iterable[Trial], *, larger_is_better: bool) -> list[Trial]:
    """Return the trials that have a score, the best first: by rung, score, loss, and then the lower number."""
    sign = -1 if larger_is_better else 1

    def key(trial: Trial) -> tuple[int, float, float, int]:
        assert trial.score is not None and trial.loss is not None
        return -trial.rung, sign * trial.score, trial.loss, trial.number

    return sorted((trial for trial in trials if trial.score is not None), key=key)


def tried(trials: Iterable[Trial], *, larger_is_better: bool) -> list[Tried]:
    """Return what a method needs to know of the trials so far, in their order."""
    sign = -1 if larger_is_better else 1
    return [Tried(one.values, None if one.score is None else sign * one.score) for one in trials]
