"""How much each setting of a search matters: the variance of scores that it alone explains.

A forest of regression trees learns the score from the settings; over the whole space the variance of what it expects is
split up, as in functional ANOVA (Hutter, Hoos, Leyton-Brown 2014, "An efficient approach for assessing hyperparameter
importance"). Differs: means over the space are taken over draws from it, and what settings do together is one share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.seeds import mix
from chainrule.train.space import Choices, Range, Space, Values

FEWEST = 8  # trials with a score, below which nothing is said
TREES = 64
DRAWS = 256  # combinations over which means are taken
PLACES = 17  # of a setting at which its own mean is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What settings explain: `shares` of the variance by each alone; `means` are (value, expected score) along each."""

    shares: dict[str, float]
    means: dict[str, list[tuple[Any, float]]]

    @property
    def together(self) -> float:
        """The share that no setting explains alone."""
        return max(0.0, 1.0 - sum(self.shares.values()))


def find_importance(space: Space, tried: Sequence[Values], scores: Sequence[float]) -> Importance | None:
    """Return what each setting explains of the scores; None of too few trials, or where all scores are equal."""
    if len(scores) < FEWEST or len(set(scores)) < 2:
        return None
    from sklearn.ensemble import RandomForestRegressor

    rows = np.array([_row(space, values) for values in tried])
    forest = RandomForestRegressor(n_estimators=TREES, min_samples_leaf=2, random_state=0, n_jobs=1)
    forest.fit(rows, np.array(scores))
    count = len(space.settings)
    drawn = [
        space.at([mix(0, "importance", k, place) / 2**63 for place in range(count)]) for k in range(DRAWS)
    ]
    background = np.array([_row(space, values) for values in drawn])
    total = float(forest.predict(background).var())
    shares, means = {}, {}
    for place, (name, part) in enumerate(space.settings.items()):
        values = _places(part)
        moved = np.repeat(background[None], len(values), 0)
        moved[:, :, place] = np.array([_number(part, value) for value in values])[:, None]
        expected = forest.predict(moved.reshape(-1, count)).reshape(len(values), -1).mean(1)
        shares[name] = float(expected.var() / total) if total > 0 else 0.0
        means[name] = list(zip(values, map(float, expected), strict=True))
    # Draws are finite: the parts may add up to a little more than the whole
    most = max(1.0, sum(shares.values()))
    return Importance(shares={name: share / most for name, share in shares.items()}, means=means)


def _places(part: Choices | Range) -> list[Any]:
    if part.values is not None and len(part.values) <= PLACES:
        return list(part.values)
    return list(dict.fromkeys(part.at((k + 0.5) / PLACES) for k in range(PLACES)))


def _row(space: Space, values: Mapping[str, Any]) -> list[float]:
    return [_number(part, values[name]) for name, part in space.settings.items()]


def _number(part: Choices | Range, value: Any) -> float:
    """Return a value as trees take it: numbers as they are, others by their place in the list."""
    if isinstance(part, Range):
        return float(value)
    is_numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in part.values)
    return float(value) if is_numeric else float(part.values.index(value))
