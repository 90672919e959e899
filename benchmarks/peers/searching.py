"""What every side of a search is asked, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Search:
    """A grid of learning rates and L2 penalties under k folds, for a network of dense layers trained with Adam."""

    hidden: tuple[int, ...]
    rates: list[float]
    decays: list[float]
    folds: int
    epochs: int
    batch_size: int
    cores: int

    @property
    def networks(self) -> int:
        """How many networks the search trains, without the winner's last training."""
        return len(self.rates) * len(self.decays) * self.folds


@dataclass(frozen=True)
class Found:
    """The best mean score over the folds, its settings, and the refitted winner's way of predicting."""

    score: float
    rate: float
    decay: float
    predict: Callable[[np.ndarray], np.ndarray]
