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
    "perceptron": {"learning_rate": [0.1, 1.0], "batch_size": [1, 8, 32]},
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
