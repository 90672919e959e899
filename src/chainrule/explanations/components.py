"""Few numbers per row instead of many: how many to keep, what they are made of, how much they hold.

Shapes: rows x (N, features); coordinates (N, components); loadings (components, features)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.errors import SettingError
from chainrule.models.unsupervised import FACTOR_ANALYSIS, PCA, Method

KEPT = 0.9  # share of the variance that components hold where nothing else is said
MOST = 50  # principal components that are looked for
MOST_FACTORS = 8
FOLDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Rows in few numbers. `loadings` are correlations of columns with components, `directions` unit vectors in columns.

    `shares` of the variance, the first component first, beyond those that are kept. `misfit` is the largest
    difference between the correlations of two columns and what the factors make of them (factor analysis alone).
    """

    method: Method
    estimator: Any
    coordinates: np.ndarray
    loadings: np.ndarray
    shares: np.ndarray
    why: str
    misfit: float | None = None

    @property
    def count(self) -> int:
        """How many components are kept."""
        return int(self.coordinates.shape[1])


def find_components(
    x: np.ndarray, method: Method = PCA, components: int | None = None, seed: int = 0
) -> Components:
    """Reduce rows. Raises: SettingError for more components than rows or columns allow"""
    most = min(len(x) - 1, x.shape[1])
    if components is not None and components > most:
        raise SettingError(
            f"--components {components} asks for more than {len(x):,} rows of {x.shape[1]:,} numbers have: at most {most}"
        )
    return _factors(x, components, seed) if method is FACTOR_ANALYSIS else _principal(x, components, seed)


def _principal(x: np.ndarray, components: int | None, seed: int) -> Components:
    size = max(components or 0, min(MOST, len(x) - 1, x.shape[1]))
    fitted = PCA(x, size=size, seed=seed)
    shares = np.nan_to_num(fitted.explained_variance_ratio_)
    enough = int(np.searchsorted(np.cumsum(shares), KEPT - 1e-9)) + 1
    count = components or min(max(2, enough), size)
    held = float(shares[:count].sum())
    of = f"{count} of {x.shape[1]:,} principal components hold {100 * held:.1f} % of the variance"
    if components is not None:
        why = f"{of} ({components} were asked for)"
    elif enough > size:
        why = f"{of}; more than {size} are not looked for"
    elif enough < 2:
        why = f"{of}, the first alone {100 * float(shares[0]):.1f} %; two make a map"
    else:
        why = f"{of}: the fewest that hold {100 * KEPT:.0f} %"
    turn = _signs(fitted.components_)
    # Of these rows, as those of columns
    deviations = np.sqrt(fitted.explained_variance_ * (len(x) - 1) / len(x))
    return Components(
        method=PCA,
        estimator=fitted,
        coordinates=fitted.transform(x)[:, :count] * turn[:count],
        loadings=_correlations(x, fitted.components_ * (deviations * turn)[:, None])[:count],
        shares=shares,
        why=why,
    )


def _factors(x: np.ndarray, components: int | None, seed: int) -> Components:
    count, why = (
        (components, f"{components} factors, as asked for")
        if components
        else _how_many(x[:, x.std(0) > 0], seed)
    )
    varies = x.std(0) > 0
    seen = x[:, varies]
    fitted = FACTOR_ANALYSIS(seen, size=count, seed=seed)
    order = np.argsort(-np.square(fitted.components_).sum(1), kind="stable")
    turn = _signs(fitted.components_[order])
    weights = np.zeros((len(order), x.shape[1]))
    weights[:, varies] = fitted.components_[order] * turn[:, None]
    spread = seen.std(0)
    apart = np.abs(np.corrcoef(seen, rowvar=False) - fitted.get_covariance() / np.outer(spread, spread))
    np.fill_diagonal(apart, 0)
    return Components(
        method=FACTOR_ANALYSIS,
        estimator=fitted,
        coordinates=fitted.transform(seen)[:, order] * turn,
        loadings=_correlations(x, weights),
        shares=np.square(weights).sum(1) / float(x.var(0).sum()),
        why=why,
        misfit=float(apart.max()),
    )


def _how_many(x: np.ndarray, seed: int) -> tuple[int, str]:
    """Choose the number of factors: the fewest under which rows held out are as likely as under the best number.

    As likely: the mean difference of their log-densities is below its standard error.
    """
    most = max(1, min(MOST_FACTORS, x.shape[1] // 2, len(x) // FOLDS - 1))
    fold = np.random.default_rng(seed).permutation(len(x)) % FOLDS
    held = {count: _held_out(x, fold, count, seed) for count in range(1, most + 1)}
    top = max(held, key=lambda count: held[count].mean())
    best = next(count for count in held if _is_as_likely(held[count], held[top]))
    count = min(max(2, best), min(len(x) - 1, x.shape[1]))
    said = "1 factor" if best == 1 else f"{best} factors"
    why = (
        f"{said}, of 1 to {most}: the fewest under which rows held out are as likely as they get "
        f"(log-density {held[best].mean():.2f} per row)"
    ).replace(" -", " −")
    return count, why + ("; two make a map" if best < count else "")


def _held_out(x: np.ndarray, fold: np.ndarray, count: int, seed: int) -> np.ndarray:
    parts = [
        FACTOR_ANALYSIS(x[fold != part], size=count, seed=seed).score_samples(x[fold == part])
        for part in range(FOLDS)
    ]
    return np.concatenate(parts)


def _is_as_likely(densities: np.ndarray, best: np.ndarray) -> bool:
    less = best - densities
    return bool(less.mean() <= less.std() / np.sqrt(len(less)))


def _signs(directions: np.ndarray) -> np.ndarray:
    """Return the sign per direction that makes its largest entry positive: else it would be left to rounding."""
    largest = np.abs(directions).argmax(1)
    return np.where(directions[np.arange(len(directions)), largest] < 0, -1.0, 1.0)


def _correlations(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weights over the deviations of their columns; 0 where a column does not vary."""
    spread = x.std(0)
    found: np.ndarray = np.divide(weights, spread, out=np.zeros_like(weights), where=spread > 1e-9)
    return found
