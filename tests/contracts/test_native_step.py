"""Compiled code for single networks against autograd: every activation, loss and rule that it has, and what it leaves to torch."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.catalog import names
from chainrule.core.errors import SettingError, ShapeError, TrainingFailed
from chainrule.optim.penalties import penalty_of
from chainrule.train.checkpoint import part
from chainrule.train.native import ACTIVATIONS
from chainrule.train.native_rule import has_native_rule
from chainrule.train.native_step import NativeStep
from chainrule.train.step import RuleStep
from tests.contracts.test_dense_step import ROWS, make_network, make_rows, make_task, near_to_float64

LOSSES = [
    ("regression", "squared-error"), ("regression", "half-squared-error"), ("binary", "binary-cross-entropy"),
    ("multi-class", "cross-entropy"),
]  # fmt: skip


pytestmark = pytest.mark.usefixtures("compiler")


def both_steps(
    task: cr.Task,
    network: nn.Sequential,
    rule: str = "sgd",
    hyper: dict[str, Any] | None = None,
    *,
    l1: float = 0.0,
    weight_decay: float = 0.0,
    penalty: str | None = None,
    **settings: Any,
) -> tuple[RuleStep, NativeStep]:
    twin = copy.deepcopy(network)
    made = []
    for model, kind in ((network, cr.AutogradStep), (twin, functools.partial(NativeStep, rule=rule))):
        around, decay = penalty_of(
            model.parameters(), rule, l1=l1, weight_decay=weight_decay, penalty=penalty
        )
        make = functools.partial(
            cr.optimizer, rule, weight_decay=decay, **{"learning_rate": 0.05, **(hyper or {})}
        )
        objective = cr.Objective(model, copy.deepcopy(task))
        if kind is cr.AutogradStep:
            step = cr.AutogradStep(objective, make(model.parameters()), penalty=around, **settings)
        else:
            step = kind(objective, make, penalty=around, **settings)  # type: ignore[assignment]
        step.objective.train()
        made.append(step)
    return made[0], made[1]  # type: ignore[return-value]


def agree(theirs: RuleStep, ours: RuleStep, batches: list[tuple[Any, ...]], within: float = 5e-6) -> None:
    """Make the same updates with both, and compare losses, outputs and weights after each."""
    for number, batch in enumerate(batches):
        found = []
        for step in (theirs, ours):
            step.prepare(number, 1.0 - 0.1 * number)
            found.append(step(*batch))
        torch.testing.assert_close(found[1].loss, found[0].loss.detach(), rtol=within, atol=within)
        torch.testing.assert_close(found[1].outputs, found[0].outputs.detach(), rtol=within, atol=within)
        for mine, its in zip(*(s.objective.model.parameters() for s in (ours, theirs)), strict=True):
            torch.testing.assert_close(mine, its, rtol=within, atol=within)


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_autograd(activation: str, kind: str, loss: str) -> None:
    task = make_task(kind, loss)
    network = make_network(task.units, activation)
    near_to_float64(kind, task, network, both_steps(task, network))


@pytest.mark.parametrize("rule", names("optimizer"))
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_every_update_rule(rule: str, decay: float) -> None:
    """Those that are not compiled too: torch then moves by compiled gradients."""
    task = make_task("multi-class", "cross-entropy")
    steps = both_steps(task, make_network(4), rule, {"learning_rate": 0.01}, weight_decay=decay)
    assert (steps[1]._moves is not None) == has_native_rule(rule) or rule in ("adadelta", "rmsprop")
    agree(*steps, [make_rows("multi-class", torch.float32)] * 4, 2e-5)


@pytest.mark.parametrize(
    "around",
    [
        {"clip_value": 0.01}, {"clip_norm": 0.05}, {"l1": 0.02}, {"l1": 0.02, "penalty": "decoupled"},
        {"weight_decay": 0.1, "decay_with_loss": True}, {"weight_decay": 0.1, "penalty": "decoupled", "decay_with_loss": True},
        {"seed": 5}, {"clip_value": 0.01, "clip_norm": 0.005, "l1": 0.01, "weight_decay": 0.1},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam", "adamw"])
def test_what_stands_around_a_rule(rule: str, around: dict[str, Any]) -> None:
    task = make_task("regression", "squared-error")
    steps = both_steps(task, make_network(3, dropout=0.3), rule, {"learning_rate": 0.01}, **around)
    agree(*steps, [make_rows("regression", torch.float32)] * 4, 2e-5)
    if "clip_norm" in around:
        torch.testing.assert_close(steps[1].gradient_norm, steps[0].gradient_norm, rtol=1e-5, atol=1e-6)
    assert steps[1].running_loss == pytest.approx(steps[0].running_loss)


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
@pytest.mark.parametrize("are_weighed", [False, True])
def test_rows_with_weights_and_batches_of_several_sizes(kind: str, loss: str, are_weighed: bool) -> None:
    task = make_task(kind, loss, *([0.2] if kind != "regression" else []))
    inputs, targets = make_rows(kind, torch.float32)
    if are_weighed and isinstance(task, cr.Binary | cr.MultiClass):
        task.weigh_(targets.numpy())
    weights = torch.linspace(0, 3, ROWS)
    some = [
        (inputs, targets, weights),
        (inputs, targets),
        (inputs[:5], targets[:5], weights[:5]),
        (inputs[3:4], targets[3:4]),
    ]
    agree(*both_steps(task, make_network(task.units, dropout=0.4)), some)


def test_pictures_are_laid_flat() -> None:
    task = make_task("multi-class", "cross-entropy")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 4))
    inputs, targets = make_rows("multi-class", torch.float32)
    agree(*both_steps(task, network), [(inputs.view(-1, 1, 2, 3), targets)] * 2)


def test_state_is_that_of_plain_execution_and_goes_on_there() -> None:
    """What is saved has the shapes of the model, so that a run goes on where there is no compiler."""
    task, batch = make_task("multi-class", "cross-entropy"), make_rows("multi-class", torch.float32)
    theirs, ours = both_steps(task, make_network(4), "adam", weight_decay=0.01)
    agree(theirs, ours, [batch] * 3, 2e-5)
    saved = {name: tensor.clone() for name, tensor in ours.optimizer.tensors().items()}
    for name, tensor in theirs.optimizer.tensors().items():
        assert tensor.shape == saved[name].shape
        torch.testing.assert_close(saved[name], tensor, rtol=1e-5, atol=1e-7)
    theirs.optimizer.load_(saved)
    agree(theirs, ours, [batch] * 6, 5e-5)
    again = both_steps(task, make_network(4), "adam", weight_decay=0.01)[1]
    again.objective.model.load_state_dict(ours.objective.model.state_dict())
    again.optimizer.load_(ours.optimizer.tensors())
    for number in (6, 7):
        for step in (ours, again):
            step.prepare(number, 1.0)
            step(*batch)
    for one, other in zip(ours.objective.parameters(), again.objective.parameters(), strict=True):
        assert torch.equal(one, other)
    assert part({"x/a": saved["0/updates"]}, "x/")["a"].tolist() == [3.0] * len(saved["0/updates"])


def test_a_loss_that_is_not_finite_moves_nothing() -> None:
    inputs, targets = make_rows("multi-class", torch.float32)
    step = both_steps(make_task("multi-class", "cross-entropy"), make_network(4), "adam")[1]
    before = copy.deepcopy(step.objective.model.state_dict())
    step.prepare(4, 1.0)
    with pytest.raises(
        TrainingFailed, match=r"not finite at step 5; first in the outputs of layer 0 \(Linear\)"
    ):
        step(inputs * torch.inf, targets)
    assert all(torch.equal(before[name], now) for name, now in step.objective.model.state_dict().items())


def test_what_it_cannot_train_is_refused_in_words() -> None:
    make = functools.partial(cr.optimizer, "sgd", learning_rate=0.1)
    task = make_task("multi-class", "cross-entropy")
    with pytest.raises(SettingError, match="no chain of layers"):
        NativeStep(cr.Objective(cr.build("lenet", inputs=(1, 28, 28), units=4)[0], task), make, "sgd")
    with pytest.raises(SettingError, match="its activation gelu is not in the compiled part"):
        NativeStep(cr.Objective(make_network(4, "gelu"), task), make, "sgd")
    with pytest.raises(SettingError, match="its loss is not in the compiled part"):
        NativeStep(cr.Objective(make_network(4), make_task("multi-class", "focal")), make, "sgd")


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("multi-class", lambda x, y: (x[:, :5], y), r"takes 6 values per row; got a batch of the shape \(12, 5\)"),
        ("multi-class", lambda x, y: (x[:0], y[:0]), r"takes 6 values per row; got a batch of the shape \(0, 6\)"),
        ("multi-class", lambda x, y: (x.view(12, 2, 3), y), r"got a batch of the shape \(12, 2, 3\)"),
        ("multi-class", lambda x, y: (x.double(), y), r"the weights are torch.float32; got inputs of torch.float64"),
        ("multi-class", lambda x, y: (x, y.int()), r"the targets must be torch.int64; got torch.int32"),
        ("binary", lambda x, y: (x, y.float()), r"the targets must be torch.int64; got torch.float32"),
        ("multi-class", lambda x, y: (x, y[:5]), r"a batch of 12 rows has targets of the shape \(12,\); got \(5,\)"),
        ("regression", lambda x, y: (x, y[:, :2]), r"has targets of the shape \(12, 3\); got \(12, 2\)"),
        ("regression", lambda x, y: (x, y.double()), r"the targets must be torch.float32; got torch.float64"),
        ("regression", lambda x, y: (x, y, torch.ones(5)), r"has weights of rows of the shape \(12,\); got \(5,\)"),
        ("regression", lambda x, y: (x, y, torch.ones(12).double()), r"the weights of rows must be torch.float32; got"),
    ],
)  # fmt: skip
def test_a_batch_that_does_not_fit_is_refused(kind: str, change: Callable[..., Any], said: str) -> None:
    """Also after one that does: what is looked at once is a shape with its types."""
    task = make_task(kind, dict(LOSSES)[kind])
    step = both_steps(task, make_network(task.units))[1]
    fitting = make_rows(kind, torch.float32)
    step.prepare(0, 1.0)
    step(*fitting)
    before = copy.deepcopy(step.objective.model.state_dict())
    with pytest.raises(ShapeError, match=said):
        step(*change(*fitting))
    assert all(torch.equal(before[name], now) for name, now in step.objective.model.state_dict().items())


@pytest.mark.parametrize("kind", ["regression", "multi-class"])
def test_memory_with_gaps_is_read_as_what_it_shows(kind: str) -> None:
    task = make_task(kind, dict(LOSSES)[kind])
    inputs, targets = make_rows(kind, torch.float32, rows=2 * ROWS)
    weights = torch.linspace(0, 3, 2 * ROWS)
    batch = inputs[::2], targets[::2], weights[::2]
    assert not any(part.is_contiguous() for part in batch)
    agree(*both_steps(task, make_network(task.units)), [batch] * 3)


@pytest.mark.parametrize("kind", ["binary", "multi-class"])
@pytest.mark.parametrize("number", [-1, 4, 2**32, -(2**40), 2**62])
@pytest.mark.parametrize("are_weighed", [False, True])
def test_a_class_that_there_is_none_of_moves_nothing(kind: str, number: int, are_weighed: bool) -> None:
    """Nothing is read at its place: the loss of its row is no number, whatever the row weighs."""
    task = make_task(kind, dict(LOSSES)[kind])
    inputs, targets = make_rows(kind, torch.float32)
    if are_weighed and isinstance(task, cr.Binary | cr.MultiClass):
        task.weigh_(targets.numpy())
    step = both_steps(task, make_network(task.units))[1]
    targets[3] = number
    before = copy.deepcopy(step.objective.model.state_dict())
    step.prepare(0, 1.0)
    for weights in (None, torch.linspace(0, 3, ROWS), torch.zeros(ROWS)):
        with pytest.raises(TrainingFailed, match="not finite at step 1; first in the loss itself"):
            step(inputs, targets, weights)
    assert all(torch.equal(before[name], now) for name, now in step.objective.model.state_dict().items())
