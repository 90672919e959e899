"""Permutation importance: how much worse a network gets when the cells of one column are shuffled among the rows.

Source: Breiman 2001, section 10; Fisher, Rudin, Dominici 2019. The column keeps its values and loses what they say
about a row. Columns that say the same share their importance: shuffling one leaves the other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.core.seeds import mix
from chainrule.data.prepare import Prepare
from chainrule.data.schema import Schema
from chainrule.train.loop import outputs_of
from chainrule.train.metrics import measure, metric_named
from chainrule.train.objective import Objective

REPEATS = 10
MOST_ROWS = 1000  # drawn where there are more: shuffling is noisier than a thousand rows
SHARE, LEAST_SECONDS = 0.05, 0.15  # of the network's time; and what it may take in any case


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much the metric gets worse without a column: mean and standard deviation over the repeats."""

    column: str
    mean: float
    spread: float
    repeats: int

    def to_json(self) -> dict[str, Any]:
        """Return the importance as it stands in metrics.json."""
        return {"column": self.column, "mean": self.mean, "spread": self.spread, "repeats": self.repeats}


def measure_importance(
    objective: Objective,
    places: dict[str, list[int]],
    inputs: Tensor,
    targets: Tensor,
    metric: str,
    seconds: float,
) -> list[Importance]:
    """Shuffle one column after the other, all of them once, then again while there is time; the largest come first.

    `places` are the inputs that each column became. Columns for which there was no time are not there.
    Shapes: inputs (N, features), targets as `losses` takes them
    """
    sign = 1 if metric_named(metric).larger_is_better else -1
    whole = _score(objective, inputs, targets, metric)
    if whole is None:
        return []
    ends = time.perf_counter() + seconds
    lost: dict[str, list[float]] = {name: [] for name in places}
    for repeat in range(REPEATS):
        for name, units in places.items():
            if time.perf_counter() > ends:
                break
            random = np.random.Generator(np.random.PCG64(mix(0, "importance", name, repeat)))
            shuffled = inputs.clone()
            order = torch.from_numpy(random.permutation(len(inputs))).to(inputs.device)
            shuffled[:, units] = inputs[order][:, units]
            score = _score(objective, shuffled, targets, metric)
            if score is not None:
                lost[name].append(sign * (whole - score))
    found = [
        Importance(column=name, mean=float(np.mean(v)), spread=float(np.std(v)), repeats=len(v))
        for name, v in lost.items()
        if v
    ]
    return sorted(found, key=lambda one: -one.mean)


def _score(objective: Objective, inputs: Tensor, targets: Tensor, metric: str) -> float | None:
    answers = objective.task.answers(outputs_of(objective.model, inputs), targets)
    return measure(answers, [metric]).get(metric)


def drawn_rows(rows: np.ndarray) -> np.ndarray:
    """Return at most `MOST_ROWS` of some rows, always the same ones."""
    if len(rows) <= MOST_ROWS:
        return rows
    random = np.random.Generator(np.random.PCG64(mix(0, "importance")))
    return np.sort(random.permutation(rows)[:MOST_ROWS])


def column_places(
    schema: Schema, prepare: Prepare, names: tuple[str, ...] | None = None
) -> dict[str, list[int]]:
    """Return which inputs of the network each source column became; nothing for pictures.

    `names` name the features of an array; without them they are counted.
    """
    if prepare.is_pictures or len(prepare.columns) != 1:
        return {}
    tells = prepare.tells_missing.tolist()
    count = len(tells)
    flags = {number: count + place for place, number in enumerate(np.flatnonzero(tells).tolist())}
    if not schema.columns:
        titles = (
            names if names is not None and len(names) == count else tuple(str(i + 1) for i in range(count))
        )
        return {title: [i, *([flags[i]] if i in flags else [])] for i, title in enumerate(titles)}
    places: dict[str, list[int]] = {}
    number, unit = 0, count + len(flags)
    for column in schema.columns:
        if column.kind == "category":
            size = len(column.values) + 1
            places[column.name] = list(range(unit, unit + size))
            unit += size
            continue
        own = range(number, number + len(column.numbers))
        places[column.name] = [*own, *(flags[i] for i in own if i in flags)]
        number += len(own)
    return places
