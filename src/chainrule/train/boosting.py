"""Boosting: rows that a member gets wrong weigh more for the next one, and a member with fewer errors has more to say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Boost:
    """What a member showed: its weighted error, what its word counts (α), and the weights of the next round.

    `is_useless`: no better than chance, so that boosting ends without it. Shapes: weights (N,), 1 together
    """

    error: float
    say: float
    weights: np.ndarray
    is_useless: bool

    @property
    def is_perfect(self) -> bool:
        """Whether no row is left to be learned."""
        return self.error == 0


def boost_classes(weights: np.ndarray, wrong: np.ndarray, classes: int) -> Boost:
    """Return what becomes of the weights of rows after a member answered some of them wrongly.

    ε is the weight of the wrong rows, α = ½ ln((1 − ε)/ε) + ½ ln(K − 1); wrong rows are multiplied by e^α, the others by
    e^−α, and all are divided by their sum. Without errors α is that of half a row.
    Shapes: weights (N,), 1 together; wrong (N,) bool
    Source: Freund and Schapire 1997; for K classes Zhu et al. 2009 (SAMME), whose α is twice this one
    >>> found = boost_classes(np.full(4, 0.25), np.array([True, False, False, False]), 2)
    >>> round(found.error, 6), round(found.say, 6), found.weights.round(6).tolist()
    (0.25, 0.549306, [0.5, 0.166667, 0.166667, 0.166667])
    """
    error = float(weights[wrong].sum())
    counted = min(max(error, 0.5 / len(weights)), 1 - 0.5 / len(weights))
    say = 0.5 * (math.log((1 - counted) / counted) + math.log(classes - 1))
    raised = weights * np.exp(np.where(wrong, say, -say))
    return Boost(
        error=error, say=say, weights=raised / raised.sum(), is_useless=error >= 1 - 1 / classes - 1e-12
    )


def boost_values(weights: np.ndarray, errors: np.ndarray) -> Boost:
    """Return what becomes of the weights of rows after a member missed their values by so much.

    The loss L of a row is its error divided by the largest, ε the weighted mean of L, β = ε/(1 − ε); weights are
    multiplied by β^(1 − L), and the member's word counts ln(1/β) in a weighted median.
    Shapes: weights (N,), 1 together; errors (N,), none below 0
    Source: Drucker 1997 (AdaBoost.R2, linear loss). Differs: weights stand in the loss instead of drawing rows by them.
    """
    largest = float(errors.max())
    losses = errors / largest if largest else errors
    error = float((weights * losses).sum())
    counted = min(max(error, 0.5 / len(weights)), 1 - 0.5 / len(weights))
    beta = counted / (1 - counted)
    lowered = weights * beta ** (1 - losses)
    return Boost(
        error=error, say=-math.log(beta), weights=lowered / lowered.sum(), is_useless=error >= 0.5 - 1e-12
    )
