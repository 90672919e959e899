"""scikit-learn: MLPClassifier with as many epochs as the others. It has dense layers alone."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.neural_network import MLPClassifier

from .networks import Answer, Network, Scaled, Work


def train(network: Network, x: np.ndarray, y: np.ndarray, work: Work) -> Answer:
    """Train on raw rows."""
    scaled = Scaled(network, x)
    model = MLPClassifier(
        network.hidden,
        batch_size=work.batch_size,
        learning_rate_init=work.learning_rate,
        max_iter=work.epochs,
        n_iter_no_change=work.epochs,
        alpha=0,
        random_state=work.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        model.fit(scaled(x), y)
    return lambda rows: model.predict(scaled(rows))
