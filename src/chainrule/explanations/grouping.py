"""Clusters of rows: how many there are and why, which row is in which, how well they agree with a target.

Shapes: rows x (N, features); labels (N,), 0 is the largest cluster
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.core.errors import SettingError
from chainrule.models.unsupervised import (
    GAUSSIAN_MIXTURE,
    K_MEANS,
    NEIGHBOURS,
    SPECTRAL_CLUSTERING,
    Method,
    neighbour_graph,
)

MOST = 10  # clusters that are tried
CRITERIA = {K_MEANS.name: "silhouette", SPECTRAL_CLUSTERING.name: "eigengap", GAUSSIAN_MIXTURE.name: "BIC"}
ROUNDING = 1e-9  # of eigenvalues that should be 0
COMPARED = 2000  # rows on which silhouettes are taken: each is compared with every other
# Silhouettes: below there is hardly any structure (Kaufman and Rousseeuw 1990, table 2.4)
WEAK, STRONG = 0.25, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Clusters. `scores` are those by which the number was chosen, by number; `why` says it in a sentence.

    `inertias` are the shares of the variance that lie within clusters, by number (k-means alone).
    """

    method: Method
    estimator: Any
    labels: np.ndarray
    why: str
    criterion: str = ""
    scores: Mapping[int, float] = field(default_factory=dict)
    silhouette: float | None = None
    inertias: Mapping[int, float] = field(default_factory=dict)

    @property
    def sizes(self) -> np.ndarray:
        """How many rows each cluster has."""
        return np.bincount(self.labels)


def find_groups(
    x: np.ndarray,
    method: Method = K_MEANS,
    clusters: int | None = None,
    number: float | None = None,
    seed: int = 0,
) -> Grouping:
    """Divide rows into clusters; without `clusters` their number is chosen.

    Raises: SettingError for a number of clusters that cannot be
    """
    distinct = len(np.unique(x, axis=0))
    _check(method, clusters, distinct, len(x))
    scores: dict[int, float] = {}
    chosen, tried = clusters, {}
    if clusters is None and method.needs_size:
        most = min(MOST, max(1, distinct - 1))
        if method is SPECTRAL_CLUSTERING:
            scores = _eigengaps(x, most, int(number or NEIGHBOURS))
        else:
            tried = {size: method(x, size=size, number=number, seed=seed) for size in range(1, most + 1)}
            scores = _scores(x, method, tried, seed)
        best = min if method is GAUSSIAN_MIXTURE else max
        chosen = best(scores, key=lambda size: scores[size]) if scores else 1
    made = tried.get(chosen or 0) or method(x, size=chosen, number=number, seed=seed)
    labels = _by_size(made.predict(x) if method is GAUSSIAN_MIXTURE else made.labels_)
    silhouette = _silhouette(x, labels, seed)
    return Grouping(
        method=method,
        estimator=made,
        labels=labels,
        why=_why(method, int(labels.max()) + 1, clusters, scores, silhouette),
        criterion=CRITERIA.get(method.name, "") if scores else "",
        scores=scores,
        silhouette=silhouette,
        inertias={size: one.inertia_ / tried[1].inertia_ for size, one in tried.items()}
        if method is K_MEANS
        else {},
    )


def agreement(labels: np.ndarray, target: np.ndarray, *, is_classes: bool) -> float:
    """Return how well clusters agree with a target: the adjusted Rand index of classes, or the share of the variance of
    values that lies between clusters. Shapes: labels (N,), target (N,)
    """
    if is_classes:
        from sklearn.metrics import adjusted_rand_score

        return float(adjusted_rand_score(target, labels))
    counts = np.maximum(np.bincount(labels), 1)
    means = np.bincount(labels, target) / counts
    spread = float(np.var(target))
    return 1 - float(np.square(target - means[labels]).mean()) / spread if spread else 0.0


def _check(method: Method, clusters: int | None, distinct: int, rows: int) -> None:
    if clusters is None:
        return
    if not method.needs_size:
        raise SettingError(
            f"{method.name} finds the number of clusters itself, by its bandwidth: leave out --clusters {clusters}, or "
            f"set the bandwidth with --method {method.name}:NUMBER"
        )
    if clusters > distinct:
        of = f"{rows:,} rows" if distinct == rows else f"{distinct:,} different rows (of {rows:,})"
        raise SettingError(f"--clusters {clusters:,} asks for more clusters than there are {of}")


def _scores(x: np.ndarray, method: Method, tried: Mapping[int, Any], seed: int) -> dict[int, float]:
    """Return by number of clusters what the choice goes by."""
    if method is GAUSSIAN_MIXTURE:
        return {size: float(one.bic(x)) for size, one in tried.items()}
    found = {size: _silhouette(x, one.labels_, seed) for size, one in tried.items()}
    return {size: score for size, score in found.items() if score is not None}


def _silhouette(x: np.ndarray, labels: np.ndarray, seed: int) -> float | None:
    """Return the mean silhouette: how much nearer a row's own cluster is than the next, from −1 to 1.

    None where there is one cluster, or one for each row.
    """
    from sklearn.metrics import silhouette_score

    chosen = np.arange(len(x))
    if len(x) > COMPARED:
        chosen = np.random.default_rng(seed).choice(len(x), COMPARED, replace=False)
    if not 1 < len(np.unique(labels[chosen])) < len(chosen):
        return None
    return float(silhouette_score(x[chosen], labels[chosen]))


def _eigengaps(x: np.ndarray, most: int, neighbours: int) -> dict[int, float]:
    """Return by number of clusters the share by which that eigenvalue of the graph's Laplacian is below the next.

    As many eigenvalues are 0 as the graph has parts, and near 0 as it almost has; on long chains of rows the next are
    small too, so that a difference says little where a share does not.
    Source: von Luxburg 2007, section 8.3. Differs: the gap is relative
    """
    from scipy.linalg import eigh
    from scipy.sparse.csgraph import laplacian

    last = min(most, len(x) - 1)
    matrix = laplacian(neighbour_graph(x, neighbours), normed=True)
    values = np.maximum(eigh(matrix, eigvals_only=True, subset_by_index=[0, last]), 0)
    shares = 1 - (values[:-1] + ROUNDING) / (values[1:] + ROUNDING)
    return {size: float(shares[size - 1]) for size in range(2, last + 1)}


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Number clusters from the largest to the smallest; those of one size by their first row."""
    _, first, codes, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -counts))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    found: np.ndarray = place[codes]
    return found


def _why(
    method: Method, count: int, asked: int | None, scores: Mapping[int, float], silhouette: float | None
) -> str:
    """Say in a sentence why there are so many clusters, and whether there is any structure."""
    strength = "" if silhouette is None else _strength(silhouette)
    those = "1 cluster" if count == 1 else f"{count} clusters"
    if asked is not None:
        return f"{those}, as asked for{strength}"
    if not method.needs_size:
        return f"{those}: the density has as many peaks at this bandwidth{strength}"
    if len(scores) < 2:
        return f"{those}: the rows allow no other number{strength}"
    is_low = method is GAUSSIAN_MIXTURE
    first, second = sorted(scores, key=lambda size: scores[size], reverse=not is_low)[:2]
    what = {
        "BIC": "BIC is lowest",
        "eigengap": "the relative gap behind so many eigenvalues of the graph is largest",
    }.get(CRITERIA[method.name], "the silhouette is highest")
    more = f"; more than {MOST} were not tried (--clusters)" if first == MOST else ""
    return (
        f"{those}: of {min(scores)} to {max(scores)}, {what} at {first} ({_shown(scores[first])}; next "
        f"{_shown(scores[second])} at {second}){more}{strength}"
    )


def _strength(silhouette: float) -> str:
    if silhouette >= STRONG:
        return f"; they stand well apart (silhouette {silhouette:.2f})"
    if silhouette >= WEAK:
        return f"; they overlap (silhouette {silhouette:.2f})"
    return f"; they hardly stand apart (silhouette {silhouette:.2f}): a way to divide the rows, no groups by nature"


def _shown(score: float) -> str:
    return f"{score:,.0f}" if abs(score) >= 1000 else f"{score:.3g}"
