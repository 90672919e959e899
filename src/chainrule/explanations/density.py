"""How dense rows lie, each judged by a model that never saw it, and which rows are far from all others.

Shapes: rows x (N, directions); log_density (N,)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.explanations.grouping import find_groups
from chainrule.models.unsupervised import GAUSSIAN_MIXTURE, KERNEL_DENSITY, Method, kernel_density, scott

FOLDS = 5
WIDTHS = (0.2, 0.3, 0.45, 0.65, 1.0, 1.5, 2.2)  # times Scott's bandwidth
UNUSUAL = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """Log-densities of rows that were held out, in natural units of the prepared columns.

    `gaussian` is what a single Gaussian reaches on the same rows. `course` is the mean log-likelihood of the fitted rows
    after each round of expectation and maximisation, for mixtures.
    """

    method: Method
    estimator: Any  # fitted to all rows
    log_density: np.ndarray
    gaussian: float
    why: str
    directions: int
    course: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The mean log-density of held-out rows."""
        return float(self.log_density.mean())

    def lowest(self, most: int = UNUSUAL) -> list[int]:
        """Return the rows of the lowest log-density, the lowest first."""
        found: list[int] = np.argsort(self.log_density, kind="stable")[:most].tolist()
        return found


def find_density(
    x: np.ndarray,
    method: Method = GAUSSIAN_MIXTURE,
    clusters: int | None = None,
    number: float | None = None,
    seed: int = 0,
) -> Density:
    """Fit a density, and judge each row by one that was fitted without its fold. Copies of a row are in one fold."""
    _, copies = np.unique(x, axis=0, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(int(copies.max()) + 1)[copies.reshape(-1)] % FOLDS
    fit: Callable[[np.ndarray], Any]
    if method is KERNEL_DENSITY:
        width, why = _bandwidth(x, fold, number)
        fit = lambda rows: kernel_density(rows, width)  # noqa: E731
    else:
        groups = find_groups(x, GAUSSIAN_MIXTURE, clusters, seed=seed)
        size = int(groups.estimator.n_components)
        why = f"{size} Gaussian{'s' * (size > 1)}" + (
            ", as asked for" if clusters else ", where BIC is lowest"
        )
        fit = lambda rows: GAUSSIAN_MIXTURE(rows, size=min(size, len(rows)), seed=seed)  # noqa: E731
    whole = fit(x)
    return Density(
        method=method,
        estimator=whole,
        log_density=_held_out(x, fold, fit),
        gaussian=float(_held_out(x, fold, lambda rows: GAUSSIAN_MIXTURE(rows, size=1, seed=seed)).mean()),
        why=why,
        directions=x.shape[1],
        course=tuple(float(value) for value in getattr(whole, "lower_bounds_", ())),
    )


def _held_out(x: np.ndarray, fold: np.ndarray, fit: Callable[[np.ndarray], Any]) -> np.ndarray:
    """Return each row's log-density under a model fitted to the other folds."""
    found = np.empty(len(x))
    for part in np.unique(fold):
        inside = fold == part
        found[inside] = fit(x[~inside] if (~inside).any() else x).score_samples(x[inside])
    return found


def _bandwidth(x: np.ndarray, fold: np.ndarray, number: float | None) -> tuple[float, str]:
    """Return a bandwidth, and why: without one that is given, the best of several for rows that are held out."""
    if number is not None:
        return number, f"bandwidth {number:g} (asked for)"
    scores = {
        width: float(_held_out(x, fold, lambda rows, width=width: kernel_density(rows, width)).mean())  # type: ignore[misc]
        for width in (factor * scott(x) for factor in WIDTHS)
    }
    best = max(scores, key=lambda width: scores[width])
    return best, f"bandwidth {best:.3g}: of {len(scores)} tried, rows held out are most likely under it"
