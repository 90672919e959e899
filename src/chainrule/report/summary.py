"""What a run's page shows, as plain values: the report room knows no engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.train.metrics import Answers

# Yardsticks that need no inputs
MEAN_ALONE, LARGEST_CLASS_ALONE = "the mean alone", "the largest class alone"
TO_SAVE_TIME = ", to save time"  # ends the note of a yardstick that was cut short


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the network: its name, its kind, the shape that it puts out, its number of parameters."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """A simpler model on the same rows: its test metrics, seconds, and what was left out to keep it short."""

    name: str
    metrics: dict[str, float]
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A test row worth a look, with its truth and prediction as text; a picture (C, H, W) or its cells."""

    row: str
    truth: str
    prediction: str
    certainty: float | None = None
    picture: np.ndarray | None = None
    cells: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """How much worse the metric gets when the cells of a column are shuffled: mean and deviation over the repeats."""

    column: str
    mean: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Influences:
    """The columns that were looked at, the largest first, on so many rows of a part; and how many there are in all."""

    metric: str
    part: str
    rows: int
    columns: list[Influence]
    columns_in_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """How the network does on the rows of one group."""

    name: str
    rows: int
    is_small: bool
    metrics: dict[str, float]
    intervals: dict[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFigures:
    """A member of an ensemble alone: its metrics, its share of the vote, and its weighted error in boosting."""

    metrics: dict[str, float]
    share: float
    error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The members of an ensemble on a part of the split, all `together`, and the first of them as they are `growing`."""

    kind: str
    vote: str
    metric: str
    part: str
    together: dict[str, float]
    members: list[MemberFigures]
    growing: list[float | None]
    said: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Everything on a run's page.

    `history` has one row per epoch with epoch, train_loss, learning_rate and, with a validation set,
    validation_loss and validation_<metric>. `metric` is the one that matters most. `intervals` are of the metrics of
    a part, `groups` are by the column `by`.
    Shapes: confusion (classes, classes), rows are the truth; predicted and true (test rows, values)
    """

    name: str
    folder: str
    question: str
    metric: str
    data: dict[str, str]
    columns: list[tuple[str, str, str]]
    notes: list[str]
    rows: dict[str, int]
    layers: list[Layer]
    history: list[dict[str, float]]
    best_epoch: int | None
    metrics: dict[str, dict[str, float]]
    yardsticks: list[Yardstick]
    verdict: str
    settings: dict[str, str]
    versions: dict[str, str]
    plan: str
    fit_seconds: float
    command: str
    warnings: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    confusion: np.ndarray | None = None
    worst: list[Example] = field(default_factory=list)
    value_names: list[str] = field(default_factory=list)
    predicted: np.ndarray | None = None
    true: np.ndarray | None = None
    intervals: dict[str, dict[str, Sequence[float]]] = field(default_factory=dict)
    answers: Answers | None = None
    influences: Influences | None = None
    what: str = "rows"  # or pictures
    held_out: bool = False  # whether the test rows are all rows, each held out by networks of their own
    called: str = "network"  # or model
    about: dict[str, str] = field(default_factory=dict)  # a model that has no layers
    ensemble: Members | None = None
    by: str = ""
    groups: list[GroupFigures] = field(default_factory=list)
