"""What is chosen when nothing is said: complete, valid, and a function of the question alone."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chainrule import schedule
from chainrule.catalog import MODELS, OPTIMIZERS, SCHEDULES
from chainrule.models import build, model_settings
from chainrule.train.settings import Settings
from chainrule.train.suggestions import SMALLEST_FOR_LENET, Question, suggest, suggest_model

PICTURES = st.tuples(st.sampled_from([1, 3]), st.integers(12, 64), st.integers(12, 64))
QUESTIONS = st.builds(
    lambda kind, rows, inputs: Question(
        kind=kind, rows=rows, inputs=inputs, is_pictures=isinstance(inputs, tuple)
    ),
    st.sampled_from(["regression", "binary", "multi-class"]),
    st.integers(1, 10**7),
    st.integers(1, 1000) | PICTURES,
)


@given(st.sampled_from([*MODELS, "package.module:Name", ""]), QUESTIONS)
def test_suggestions_are_complete_and_valid(name: str, question: Question) -> None:
    chosen, of_model = suggest(name, question)
    assert (chosen, of_model) == suggest(name, question)
    settings = Settings().filled(chosen)
    for needed in ("optimizer", "learning_rate", "schedule", "weight_decay", "batch_size", "epochs"):
        assert getattr(settings, needed) is not None, needed
    assert settings.optimizer in OPTIMIZERS and settings.schedule in SCHEDULES
    assert schedule(settings.schedule, steps=settings.epochs).steps == settings.epochs
    if name in MODELS:
        assert set(of_model) <= set(model_settings(name))


@given(QUESTIONS)
def test_suggested_model_takes_the_inputs(question: Question) -> None:
    name = suggest_model(question)
    assert name == ("lenet" if question.is_pictures else "mlp")
    build(name, inputs=question.inputs, units=2)


@pytest.mark.parametrize("side", range(SMALLEST_FOR_LENET - 3, SMALLEST_FOR_LENET + 2))
def test_pictures_too_small_for_lenet_get_dense_layers(side: int) -> None:
    question = Question(kind="multi-class", rows=100, inputs=(1, 64, side), is_pictures=True)
    name = suggest_model(question)
    assert name == ("lenet" if side >= SMALLEST_FOR_LENET else "mlp")
    build(name, inputs=question.inputs, units=2)


def test_more_rows_never_mean_fewer_rows_per_update() -> None:
    sizes = [
        suggest("mlp", Question(kind="binary", rows=rows, inputs=9, is_pictures=False))[0]["batch_size"]
        for rows in (10, 100, 1_000, 10_000, 100_000, 1_000_000)
    ]
    assert sizes == sorted(sizes)


def test_perceptron_is_trained_by_its_rule() -> None:
    chosen, _ = suggest("perceptron", Question(kind="binary", rows=100, inputs=9, is_pictures=False))
    assert (chosen["loss"], chosen["optimizer"], chosen["batch_size"], chosen["learning_rate"]) == (
        "perceptron",
        "sgd",
        1,
        1.0,
    )
