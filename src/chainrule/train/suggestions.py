"""Settings that work where nothing is said: a function of the question, the rows, the inputs and what else was said, never
of a name of data.

How they were found, with figures, stands in docs/decisions/defaults.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from chainrule.core.units import rounded
from chainrule.train.settings import Settings
from chainrule.train.suggested_rates import RATES, suggest_decay, suggest_rate

SMALLEST_FOR_LENET = 12
LINEAR_MODELS = ("linear-regression", "logistic-regression", "softmax-regression")
LOSSES_WITH_SMOOTHING = (None, "cross-entropy", "binary-cross-entropy")


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


def suggest(
    model: str, question: Question, said: Settings | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings of the training, and settings of the model; they fit what was `said`, which itself stays."""
    usual, of_model = _usual(model, question)
    return usual if said is None else {**usual, **_fitting(model, question, usual, said)}, of_model


def _usual(model: str, question: Question) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is taken when nothing is said."""
    if model == "perceptron":
        return _perceptron(question), {}
    if model in LINEAR_MODELS:
        return _linear(question), {}
    if model == "lenet":
        return _lenet(question), {}
    if model == "mlp":
        return _mlp(question), {"hidden": (128 if _is_table_of_classes(question) else 256,)}
    return _other(question), {}


def _fitting(model: str, question: Question, usual: dict[str, Any], said: Settings) -> dict[str, Any]:
    """Return what takes another value because of the update rule, batches, penalty, rate or loss that were said."""
    found: dict[str, Any] = {}
    if "label_smoothing" in usual and said.loss not in LOSSES_WITH_SMOOTHING:
        found["label_smoothing"] = 0.0
    rule = said.optimizer or usual["optimizer"]
    if rule != usual["optimizer"] and model != "perceptron":
        found["learning_rate"] = _rate(model, rule, question, usual, said)
    if usual["weight_decay"]:
        found["weight_decay"] = suggest_decay(
            rule,
            said.penalty,
            decoupled=usual["weight_decay"],
            coupled=_coupled_decay(question, usual),
            rate=said.learning_rate or found.get("learning_rate", usual["learning_rate"]),
        )
    return found


def _rate(model: str, rule: str, question: Question, usual: dict[str, Any], said: Settings) -> float:
    """Return the rate of another rule than the usual one."""
    asked = said.batch_size or ("all" if rule == "gradient-descent" else usual["batch_size"])
    rows = min(question.rows, asked) if isinstance(asked, int) else question.rows
    return suggest_rate(
        rule,
        scale=usual["learning_rate"] / RATES[usual["optimizer"]],
        momentum=said.momentum,
        batches=rows / min(question.rows, usual["batch_size"]),
        most=_steepest(model, question),
    )


def _steepest(model: str, question: Question) -> float:
    """Return the highest rate of plain descent: the squared error gets the steeper, the more inputs are summed."""
    if question.kind != "regression":
        return math.inf
    inputs = question.inputs if isinstance(question.inputs, int) else math.prod(question.inputs)
    return min(0.1, (1 if model in LINEAR_MODELS else 3) / inputs)


def _coupled_decay(question: Question, usual: dict[str, Any]) -> float:
    """Return the strength of an L2 penalty: as scikit-learn's C = 1 has it, or a share of the loss."""
    return 0.2 if usual.get("decay_with_loss") else rounded(min(0.01, 1 / question.rows), 2)


def _is_table_of_classes(question: Question) -> bool:
    return question.kind != "regression" and not question.is_pictures


def _pace(question: Question) -> dict[str, Any]:
    """Return batch size and epochs: so many updates, but no fewer than 20 epochs."""
    rows = question.rows
    batch_size, steps = (32, 1000) if rows < 1000 else (64, 3000) if rows < 20_000 else (256, 5000)
    return {"batch_size": batch_size, "epochs": max(20, round(steps / math.ceil(rows / batch_size)))}


def _mlp(question: Question) -> dict[str, Any]:
    common = {"optimizer": "adamw", "learning_rate": 3e-3, "schedule": "cosine", **_pace(question)}
    if question.kind == "regression":
        # Weights are pulled to zero in proportion to the variance that is not explained: the ratio of noise to prior
        # that makes weight decay the most probable weights (MacKay 1992). Noisy targets get nearly linear networks.
        return {**common, "weight_decay": 10.0, "decay_with_loss": True, "dropout": 0.0}
    return {
        **common,
        "weight_decay": rounded(min(3.0, 300 / question.rows), 2),
        "dropout": 0.1 if _is_table_of_classes(question) else 0.3,
        "label_smoothing": 0.1,
    }


def _lenet(question: Question) -> dict[str, Any]:
    return {
        "optimizer": "adamw",
        "learning_rate": 3e-3,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "batch_size": 32 if question.rows < 20_000 else 128,
        "epochs": 10,
        "label_smoothing": 0.0 if question.kind == "regression" else 0.1,
    }


def _linear(question: Question) -> dict[str, Any]:
    return {
        "optimizer": "adam",
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "weight_decay": 0.0,
        **_pace(question),
    }


def _perceptron(question: Question) -> dict[str, Any]:
    # η = 1 and one example at a time: w ← w + (t − y) x, as the rule is taught.
    return {
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "schedule": "constant",
        "weight_decay": 0.0,
        "batch_size": 1,
        "epochs": max(5, min(50, 20_000 // question.rows)),
        "loss": "perceptron",
    }


def _other(question: Question) -> dict[str, Any]:
    return {
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        **_pace(question),
    }
