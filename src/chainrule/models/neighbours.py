"""Nearest neighbours: the training rows are the model."""

from __future__ import annotations

from typing import Any

from chainrule.catalog import CLASSES
from chainrule.models.classical import one_of, whole

DISTANCES = {"euclidean": "euclidean", "manhattan": "manhattan", "chebyshev": "chebyshev", "cosine": "cosine"}
VOTES = {"equal": "uniform", "nearer": "distance"}


def nearest_neighbours(
    *, question: str, neighbours: int = 5, distance: str = "euclidean", votes: str = "equal"
) -> Any:
    """Answer with the vote of the nearest training rows, or the mean of their values.

    `distance` is euclidean (ℓ2), manhattan (ℓ1), chebyshev or cosine, between prepared inputs; `votes` count equal, or
    more the nearer a row is. Nothing is trained, so that every answer compares with all training rows.
    """
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    whole(1, neighbours=neighbours)
    # No search tree: rows of many inputs gain nothing by one, and it would be one more thing to trust in a file.
    chosen = {
        "n_neighbors": neighbours,
        "metric": one_of(DISTANCES, distance=distance),
        "weights": one_of(VOTES, votes=votes),
        "algorithm": "brute",
    }
    return (KNeighborsClassifier if question == CLASSES else KNeighborsRegressor)(**chosen)
