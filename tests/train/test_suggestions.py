"""What is chosen when nothing is said: complete, valid, and a function of the question alone."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from chainrule import schedule
from chainrule.catalog import MODELS, OPTIMIZERS, SCHEDULES
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.data.read import read
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import make_training
from chainrule.models import build, model_settings
from chainrule.optim.penalties import is_coupled
from chainrule.train.settings import Settings
from chainrule.train.suggested_rates import LARGEST_SHRINK, RATES, suggest_rate
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
SAID = st.builds(
    Settings,
    optimizer=st.sampled_from([None, *OPTIMIZERS]),
    penalty=st.sampled_from([None, "coupled", "decoupled"]),
    batch_size=st.none() | st.just("all") | st.integers(1, 10**6),
    learning_rate=st.none() | st.floats(1e-6, 1e3),
    weight_decay=st.none() | st.floats(0, 10),
    momentum=st.none() | st.floats(0, 0.99),
    loss=st.sampled_from([None, "hinge", "cross-entropy"]),
)
TABLE = Question(kind="multi-class", rows=105, inputs=4, is_pictures=False)
VALUES = Question(kind="regression", rows=309, inputs=10, is_pictures=False)
DIGITS = Question(kind="multi-class", rows=3500, inputs=(1, 28, 28), is_pictures=True)


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


@given(st.sampled_from([*MODELS, ""]), QUESTIONS)
def test_where_nothing_is_said_nothing_is_fitted(name: str, question: Question) -> None:
    usual = suggest(name, question)
    assert suggest(name, question, Settings()) == usual
    assert suggest(name, question, Settings(optimizer=usual[0]["optimizer"], seed=3)) == usual


@pytest.mark.parametrize(
    ("name", "question", "expected"),
    [
        ("mlp", TABLE, ("adamw", 3e-3, 2.9, 32, 250, 0.1, 0.1)),
        ("mlp", VALUES, ("adamw", 3e-3, 10.0, 32, 100, 0.0, None)),
        ("lenet", DIGITS, ("adamw", 3e-3, 1e-2, 32, 10, None, 0.1)),
        ("softmax-regression", TABLE, ("adam", 1e-2, 0.0, 32, 250, None, None)),
        ("package.module:Name", TABLE, ("adamw", 1e-3, 1e-2, 32, 250, None, None)),
    ],
)
def test_what_is_taken_when_nothing_is_said(name: str, question: Question, expected: tuple[Any, ...]) -> None:
    keys = (
        "optimizer",
        "learning_rate",
        "weight_decay",
        "batch_size",
        "epochs",
        "dropout",
        "label_smoothing",
    )
    chosen, _ = suggest(name, question, Settings())
    assert tuple(chosen.get(key) for key in keys) == expected


@given(st.sampled_from([*MODELS, "package.module:Name", ""]), QUESTIONS, SAID)
def test_what_was_said_stays_and_the_rest_is_valid(name: str, question: Question, said: Settings) -> None:
    chosen, _ = suggest(name, question, said)
    filled = said.filled(chosen)
    for key in ("optimizer", "penalty", "batch_size", "learning_rate", "weight_decay", "momentum", "loss"):
        assert getattr(said, key) in (None, getattr(filled, key)), key
    assert filled.learning_rate and filled.weight_decay is not None
    if said.weight_decay is None and not is_coupled(filled.penalty, str(filled.optimizer)):
        assert filled.learning_rate * filled.weight_decay <= 1.05 * LARGEST_SHRINK, "weights would vanish"
    if said.weight_decay is None and is_coupled(filled.penalty, str(filled.optimizer)):
        assert filled.weight_decay <= 0.2, "a penalty of the strength of decoupled decay"


def test_every_update_rule_has_a_rate() -> None:
    assert set(RATES) == set(OPTIMIZERS)


@pytest.mark.parametrize(
    ("said", "question", "rate", "decay"),
    [
        (Settings(optimizer="sgd"), TABLE, 0.2, 0.0095),
        (Settings(optimizer="sgd"), VALUES, 0.1, 0.2),
        (Settings(optimizer="adam"), VALUES, 3e-3, 0.2),
        (Settings(optimizer="adam", penalty="decoupled"), VALUES, 3e-3, 10.0),
        (Settings(optimizer="adadelta", penalty="decoupled"), VALUES, 1.0, 0.0),
        (Settings(penalty="coupled"), TABLE, 3e-3, 0.0095),
        (Settings(optimizer="momentum", momentum=0.99), TABLE, 0.002, 0.0095),
        (Settings(optimizer="sgd", batch_size=2), TABLE, 0.05, 0.0095),
        (Settings(learning_rate=0.1), VALUES, 3e-3, 1.0),
    ],
    ids=str,
)
def test_rate_and_decay_go_with_the_rule(
    said: Settings, question: Question, rate: float, decay: float
) -> None:
    chosen, _ = suggest("mlp", question, said)
    assert (chosen["learning_rate"], chosen["weight_decay"]) == (rate, decay)


def test_all_rows_at_once_take_longer_steps() -> None:
    """Few updates without noise; but never more than plain descent on a squared error stands."""
    few = suggest("mlp", TABLE, Settings(optimizer="sgd"))[0]["learning_rate"]
    for said in (Settings(optimizer="gradient-descent"), Settings(optimizer="sgd", batch_size="all")):
        assert suggest("mlp", TABLE, said)[0]["learning_rate"] > 1.5 * few
        assert suggest("mlp", VALUES, said)[0]["learning_rate"] == 0.1
    assert suggest_rate("sgd", batches=1e6) == 5 * suggest_rate("sgd")


@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize(("data", "goal"), [("iris", 0.9), ("diabetes", 0.4)])
def test_every_update_rule_learns_with_what_is_suggested(rule: str, data: str, goal: float) -> None:
    """On the rows that it was trained on: accuracy, and R²."""
    said = Settings(optimizer=rule, folds=0, epochs=200 if rule == "gradient-descent" else 40)
    recipe, material = prepare_run(Request(data=data, settings=said), read(data))
    with recipe.plan.applied() as device:
        training = make_training(recipe, material, device)
        for _ in training.reports():
            pass
    task = training.step.objective.task.eval()
    with torch.no_grad():
        rows = training.batches.rows
        outputs = training.step.objective.model.eval()(training.batches.inputs[rows])
    assert task.measure(outputs, training.batches.targets[rows])[task.metric] >= goal


def test_label_smoothing_is_for_cross_entropy_alone() -> None:
    """Of another loss the recipe says none, and to ask for both is refused."""
    for loss, smoothing in (("cross-entropy", 0.1), ("hinge", 0.0), ("focal:1", 0.0)):
        assert suggest("mlp", TABLE, Settings(loss=loss))[0]["label_smoothing"] == smoothing
    for data, loss, named in (("iris", "hinge", "hinge"), ("diabetes", None, "squared-error")):
        request = Request(data=data, settings=Settings(loss=loss, label_smoothing=0.1))
        with pytest.raises(SettingError, match=rf"label_smoothing 0\.1 moves .* this run has {named}: leave"):
            prepare_run(request, read(data))


def test_an_optimizer_that_does_not_exist_gets_the_nearest() -> None:
    question = Question(kind="binary", rows=100, inputs=4, is_pictures=False)
    with pytest.raises(UnknownNameError, match="did you mean 'sgd'"):
        suggest("mlp", question, Settings(optimizer="sgdd"))
