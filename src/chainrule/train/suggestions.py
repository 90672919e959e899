"""Settings that work when nothing is said: a function of the question, the rows and the inputs, never of a name of data.

How they were found, with figures, stands in docs/decisions/defaults.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

SMALLEST_FOR_LENET = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is known before training: the task's kind, the training rows, what the model takes."""

    kind: str
    rows: int
    inputs: int | tuple[int, ...]
    is_pictures: bool


def suggest_model(question: Question) -> str:
    """Return the model for a question: lenet for pictures that it takes, else mlp."""
    if (
        question.is_pictures
        and isinstance(question.inputs, tuple)
        and min(question.inputs[1:]) >= SMALLEST_FOR_LENET
    ):
        return "lenet"
    return "mlp"


def suggest(model: str, question: Question) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings of the training, and settings of the model."""
    if model == "perceptron":
        return _perceptron(question), {}
    if model in ("linear-regression", "logistic-regression", "softmax-regression"):
        return _linear(question), {}
    if model == "lenet":
        return _lenet(question), {}
    if model == "mlp":
        return _mlp(question), {"hidden": (256, 256)}
    return _other(question), {}


def _epochs_for(steps: int, question: Question, batch_size: int, least: int, most: int) -> int:
    per_epoch = max(1, math.ceil(question.rows / batch_size))
    return max(least, min(most, round(steps / per_epoch)))


def _mlp(question: Question) -> dict[str, Any]:
    batch_size = 32 if question.rows < 2000 else 64 if question.rows < 20_000 else 256
    epochs = _epochs_for(3000, question, batch_size, 10, 150)
    return {
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "dropout": 0.2,
        "batch_size": batch_size,
        "epochs": epochs,
        "patience": max(10, epochs // 5),
        "label_smoothing": 0.0,
    }


def _lenet(question: Question) -> dict[str, Any]:
    batch_size = 32 if question.rows < 20_000 else 64
    return {
        "optimizer": "adamw",
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "batch_size": batch_size,
        "epochs": 10,
        "patience": 10,
        "label_smoothing": 0.0,
    }


def _linear(question: Question) -> dict[str, Any]:
    batch_size = 32 if question.rows < 20_000 else 256
    epochs = _epochs_for(3000, question, batch_size, 10, 200)
    return {
        "optimizer": "adam",
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "weight_decay": 0.0,
        "batch_size": batch_size,
        "epochs": epochs,
        "patience": max(10, epochs // 5),
        "label_smoothing": 0.0,
    }


def _perceptron(question: Question) -> dict[str, Any]:
    # η = 1 and one example at a time: w ← w + (t − y) x, as the rule is taught.
    epochs = _epochs_for(20_000, question, 1, 5, 50)
    return {
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "schedule": "constant",
        "weight_decay": 0.0,
        "batch_size": 1,
        "epochs": epochs,
        "patience": epochs,
        "loss": "perceptron",
        "label_smoothing": 0.0,
    }


def _other(question: Question) -> dict[str, Any]:
    batch_size = 32 if question.rows < 20_000 else 128
    epochs = _epochs_for(3000, question, batch_size, 10, 100)
    return {
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "batch_size": batch_size,
        "epochs": epochs,
        "patience": max(10, epochs // 5),
        "label_smoothing": 0.0,
    }
