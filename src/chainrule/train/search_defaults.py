"""What a search tries where no space is given: per model, the settings that matter most."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_RATES = {"low": 3e-4, "high": 3e-2, "log": True, "steps": 5}
_DECAYS = [0.0, 1e-4, 1e-3, 1e-2, 0.1]
_TRAINING = {
    "learning_rate": _RATES,
    "schedule": ["constant", "cosine", "exponential"],
    "optimizer": ["adam", "adamw", "rmsprop"],
    "weight_decay": _DECAYS,
    "batch_size": [32, 64, 128],
}
_BOOSTING = {
    "trees": [50, 100, 200, 400],
    "shrinkage": {"low": 0.02, "high": 0.3, "log": True, "steps": 5},
    "leaves": [7, 15, 31, 63],
    "smallest_leaf": [5, 10, 20, 40],
}
SPACES: dict[str, dict[str, Any]] = {
    "mlp": {
        "layers": [1, 2, 3],
        "units": [32, 64, 128, 256],
        **_TRAINING,
        "dropout": [0.0, 0.1, 0.2, 0.4],
        "activation": ["relu", "tanh", "gelu"],
    },
    "lenet": {
        "filters": [6, 12, 24],
        "convolutions": [1, 2],
        "filter_size": [3, 5],
        "units": [64, 128, 256],
        **_TRAINING,
        "activation": ["relu", "tanh"],
        "normalisation": [None, "batch"],
        "pooling": ["max", "average"],
    },
    "perceptron": {"learning_rate": [0.01, 0.1, 1.0], "batch_size": [1, 8, 32]},
    "nearest-neighbours": {
        "neighbours": [1, 3, 5, 9, 15, 25],
        "distance": ["euclidean", "manhattan"],
        "votes": ["equal", "nearer"],
    },
    "kernel-regression": {"bandwidth": {"low": 0.1, "high": 3.0, "log": True, "steps": 8}},
    "local-regression": {"bandwidth": {"low": 0.1, "high": 3.0, "log": True, "steps": 8}},
    "naive-bayes": {},
    "gaussian-discriminant-analysis": {
        "covariance": ["shared", "own"],
        "shrinkage": [None, 0.01, 0.1, 0.3, 0.6],
    },
    "least-squares": {"degree": [1, 2]},
    "ridge-regression": {"strength": {"low": 1e-3, "high": 1e3, "log": True, "steps": 7}, "degree": [1, 2]},
    "penalised-logistic-regression": {"C": {"low": 1e-3, "high": 1e3, "log": True, "steps": 13}},
    "linear-svm": {"C": {"low": 1e-3, "high": 10.0, "log": True, "steps": 9}},
    "kernel-svm": {
        "kernel": ["rbf", "polynomial"],
        "C": {"low": 0.1, "high": 1e3, "log": True, "steps": 5},
        "gamma": [None, 1e-3, 1e-2, 0.1],
    },
    "decision-tree": {"depth": [None, 2, 4, 8, 16], "smallest_leaf": [1, 2, 5, 10, 20]},
    "bagging": {"trees": [25, 50, 100], "share": [0.5, 1.0], "smallest_leaf": [1, 3, 10]},
    "random-forest": {
        "trees": [100, 300],
        "depth": [None, 8, 16],
        "smallest_leaf": [1, 2, 5],
        "inputs_per_split": [None, 0.2, 0.4, 0.7],
    },
    "adaboost": {"trees": [25, 50, 100, 200], "depth": [1, 2, 3]},
    "gradient-boosting": _BOOSTING,
    "lightgbm": _BOOSTING,
}


def default_space(model: str, given: Collection[str], accepted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the space of a model, less what was given for the whole search and what the model does not have.

    The loss of a question with two or more classes stays its own: others answer another question.
    """
    taken = set(given) | ({"layers", "units"} if "hidden" in given else set())
    space = SPACES.get(
        model,
        {name: _TRAINING[name] for name in ("learning_rate", "optimizer", "weight_decay", "batch_size")},
    )
    own = {"layers", "units"} if "hidden" in accepted else set()
    return {
        name: values
        for name, values in space.items()
        if name not in taken and (name in _TRAINING or name in accepted or name in own)
    }
