"""scikit-learn: a grid of MLPClassifier under k folds, two processes at a time."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .searching import Found, Search


def search(asked: Search, x: np.ndarray, y: np.ndarray) -> Found:
    """Search from raw rows to the refitted winner."""
    warnings.simplefilter("ignore")
    network = MLPClassifier(
        asked.hidden, batch_size=asked.batch_size, max_iter=asked.epochs, tol=0, n_iter_no_change=10**6, random_state=0
    )  # fmt: skip
    grid = {"mlpclassifier__learning_rate_init": asked.rates, "mlpclassifier__alpha": asked.decays}
    folds = StratifiedKFold(asked.folds, shuffle=True, random_state=0)
    found = GridSearchCV(make_pipeline(StandardScaler(), network), grid, cv=folds, n_jobs=asked.cores)
    found.fit(x, y)
    best = {name.split("__")[1]: value for name, value in found.best_params_.items()}
    return Found(found.best_score_, best["learning_rate_init"], best["alpha"], found.predict)
