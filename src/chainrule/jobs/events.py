"""What a job tells while it works: plain values, shown by a terminal, printed as JSON, or ignored."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A sentence for the user."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A sentence that the user should act on."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Training begins, or goes on, in this folder."""

    run: Path
    rows: dict[str, int]
    model: str
    parameters: int
    epochs: int
    steps: int
    step: int
    plan: str
    metric: str
    settings: dict[str, Any] = field(default_factory=dict)
    members: int | None = None  # of an ensemble whose members are trained apart


@dataclass(frozen=True, slots=True)
class Stepped:
    """So many updates are made; told some times a second."""

    step: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """One row of the history."""

    row: dict[str, float]
    is_best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTrained:
    """A member of an ensemble is trained: its number, counted from 1, its last epoch, and what boosting says of it."""

    member: int
    members: int
    row: dict[str, float]
    error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """One of the networks that judge few rows trains, or has answered for the rows that it never saw."""

    network: int
    networks: int
    is_trained: bool
    called: str = "network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The run is complete; everything is on disk.

    `intervals` are those of `judged_on`: test, or validation without test rows. `base_rate` is the score of answering
    every row alike; `second` is the class that precision and recall are about where there are two; `judging` says how
    the figures of few rows came about, where networks that held them out stand for the test.
    """

    run: Path
    metrics: dict[str, dict[str, float]]
    epochs: int
    best_epoch: int | None
    fit_seconds: float
    rows: dict[str, int]
    plan: str
    verdict: str
    judged_on: str = "test"
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    base_rate: float | None = None
    second: str | None = None
    judging: dict[str, Any] | None = None
    ensemble: dict[str, Any] | None = None  # what its members are worth alone, and how they differ


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOpened:
    """A search begins, or goes on, in this folder: so many trials of one network for each fold."""

    run: Path
    rows: dict[str, int]
    model: str
    method: str
    trials: int
    folds: int
    metric: str
    space: dict[str, Any]
    done: int = 0  # trials that an earlier process made
    workers: int | None = None  # of a cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """So much of the search is made, in epochs of one network; told some times a second."""

    made: int
    epochs: int
    workers: int | None = None  # that the cluster has now


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial has its score, or failed. `best` is the best score so far; `epochs` those after which it was judged."""

    trial: int
    settings: dict[str, Any]
    score: float | None
    spread: float | None
    epochs: int
    failure: str | None
    best: float | None
    is_best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFinished:
    """The search is over and the winner is an ordinary run: `best` has its settings and its score over the folds.

    `metrics` are those of the winner, trained anew on all rows but those of the test.
    """

    run: Path
    best: dict[str, Any]
    trials: int
    networks: int
    search_seconds: float
    metrics: dict[str, dict[str, float]]


Event = (
    Said
    | Warned
    | Opened
    | Stepped
    | EpochEnded
    | MemberTrained
    | HeldOut
    | Finished
    | SearchOpened
    | Searched
    | TrialEnded
    | SearchFinished
)
