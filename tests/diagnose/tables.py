"""Tables made for the checks, and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from chainrule.data.source import Source
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.train.settings import Settings


def patients(rows: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Return honest columns and a target 'ill' that they hint at: three in ten are ill."""
    random = np.random.default_rng(seed)
    ill = random.random(rows) < 0.3
    return {
        "age": np.round(random.normal(50, 12, rows) + 6 * ill),
        "pressure": np.round(random.normal(120, 10, rows) + 8 * ill, 1),
        "city": random.choice(["Bern", "Genf", "Basel"], rows),
        "ill": np.where(ill, "yes", "no"),
    }


def houses(rows: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Return honest columns and a target 'price' that they explain in part."""
    random = np.random.default_rng(seed)
    area, rooms = random.uniform(30, 200, rows), random.integers(1, 7, rows).astype(float)
    return {
        "area": area,
        "rooms": rooms,
        "city": random.choice(["Bern", "Genf", "Basel"], rows),
        "price": 2000 * area + 30_000 * rooms + random.normal(0, 60_000, rows),
    }


def said_of(columns: dict[str, Any], target: str, task: str | None = None, **settings: Any) -> list[str]:
    """Return the warnings that `fit` would give for a table."""
    return said_of_source(table(columns), target, task=task, **settings)


def said_of_source(source: Source, target: str | None = None, **settings: Any) -> list[str]:
    request = Request(data=source, target=target, settings=Settings(**settings))
    return list(prepare_run(request, source)[0].warnings)


def table(columns: dict[str, Any]) -> Source:
    return Source(name="t.csv", origin={"kind": "dataframe"}, frame=pl.DataFrame(columns, strict=False))


def where(condition: np.ndarray, value: Any, other: Any = None) -> list[Any]:
    """Return `value` (or its elements) where the condition holds, else the other."""
    values = value if isinstance(value, list | np.ndarray) else [value] * len(condition)
    return [v if c else other for c, v in zip(condition.tolist(), values, strict=True)]
