"""Explicit backprop against autograd: every activation, every loss, every update rule, and what stands around a rule."""

from __future__ import annotations

import copy
import functools
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import chainrule as cr
from chainrule.catalog import load, names
from chainrule.nn.activations import Activate
from chainrule.optim.penalties import penalty_of
from chainrule.train.step import RuleStep
from chainrule.train.task import Classification

ROWS, INPUTS, VALUES, CLASSES = 12, 6, 3, 4
EXACT = 1e-12  # in float64
CLOSE = 1e-6  # in float32, or twice autograd's own distance from float64

ACTIVATIONS = [
    *(name for name in names("activation") if load("activation", name).is_trainable and load("activation", name).is_element_wise),
    "leaky-relu:0.2", "elu:0.5", "linear:2",
]  # fmt: skip
LOSSES = [(kind, name) for name in names("loss") for kind in load("loss", name).tasks]
LOSSES += [("regression", "huber:0.3"), ("binary", "focal:1"), ("multi-class", "focal:1")]
RULES = names("optimizer")


def make_task(kind: str, loss: str, smoothing: float = 0.0) -> cr.Task:
    if kind == "regression":
        return cr.Regression([f"value {k}" for k in range(VALUES)], loss)
    if kind == "binary":
        return cr.Binary(["no", "yes"], loss, smoothing)
    return cr.MultiClass([f"class {k}" for k in range(CLASSES)], loss, smoothing)


def make_rows(kind: str, dtype: torch.dtype = torch.float64, rows: int = ROWS) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(7)
    inputs = torch.randn(rows, INPUTS, generator=drawn, dtype=torch.float64).to(dtype)
    if kind == "regression":
        return inputs, torch.randn(rows, VALUES, generator=drawn, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(0, 2 if kind == "binary" else CLASSES, (rows,), generator=drawn)


def make_network(units: int, activation: str = "tanh", **settings: Any) -> nn.Sequential:
    torch.manual_seed(3)
    return cr.build("mlp", inputs=INPUTS, units=units, hidden=(7, 5), activation=activation, **settings)


def both_steps(
    task: cr.Task,
    network: nn.Sequential,
    rule: str = "sgd",
    hyper: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[cr.AutogradStep, cr.DenseStep]:
    make_rule = functools.partial(cr.optimizer, rule, **{"learning_rate": 0.05, **(hyper or {})})
    twin = copy.deepcopy(network)
    by_autograd = cr.AutogradStep(cr.Objective(network, task), make_rule(network.parameters()), **settings)
    written_out = cr.DenseStep(cr.Objective(twin, copy.deepcopy(task)), make_rule, **settings)
    for step in (by_autograd, written_out):
        step.objective.train()
    return by_autograd, written_out


def agree(by_autograd: RuleStep, written_out: RuleStep, batches: list[tuple[Tensor, ...]]) -> None:
    """Make the same updates with both, and compare losses, gradients and weights after each in float64."""
    for number, batch in enumerate(batches):
        found = []
        for step in (by_autograd, written_out):
            step.prepare(number, 1.0 - 0.1 * number)
            found.append(step(*batch))
        theirs, ours = found
        torch.testing.assert_close(ours.loss, theirs.loss.detach(), rtol=0, atol=EXACT)
        torch.testing.assert_close(ours.outputs, theirs.outputs.detach(), rtol=0, atol=EXACT)
        for mine, its in zip(
            *(s.objective.model.parameters() for s in (written_out, by_autograd)), strict=True
        ):
            torch.testing.assert_close(mine.grad, its.grad, rtol=0, atol=EXACT)
            torch.testing.assert_close(mine, its, rtol=0, atol=EXACT)


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_autograd(activation: str, kind: str, loss: str) -> None:
    task = make_task(kind, loss)
    steps = both_steps(task, make_network(task.units, activation).double())
    agree(*steps, [make_rows(kind)] * 2)


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
@pytest.mark.parametrize("are_weighed", [False, True])
def test_rows_with_weights(kind: str, loss: str, are_weighed: bool) -> None:
    """Beside weights of classes or without; a batch without weights after one with some is plain again."""
    task = make_task(kind, loss)
    inputs, targets = make_rows(kind)
    if are_weighed and isinstance(task, Classification):
        task.weigh_(targets.numpy())
    steps = both_steps(task, make_network(task.units).double())
    weights = torch.linspace(0, 3, ROWS, dtype=torch.float64)
    agree(*steps, [(inputs, targets, weights), (inputs, targets), (inputs, targets, weights.flip(0))])


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_float32_losses_are_as_near_to_float64_as_autograd(activation: str, kind: str, loss: str) -> None:
    task = make_task(kind, loss)
    network = make_network(task.units, activation)
    near_to_float64(kind, task, network, both_steps(task, network))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float32_activations_are_as_near_to_float64_as_autograd(activation: str) -> None:
    task = make_task("multi-class", "cross-entropy")
    network = make_network(task.units, activation)
    near_to_float64("multi-class", task, network, both_steps(task, network))


def near_to_float64(
    kind: str, task: cr.Task, network: nn.Sequential, steps: tuple[RuleStep, RuleStep]
) -> None:
    """See that the second step's gradient is no further off than twice that of the first, autograd's, or a millionth."""
    exact = copy.deepcopy(network).double()
    task.train()
    cr.Objective(exact, task)(*make_rows(kind)).loss.backward()
    for step in steps:
        step.prepare(0, 1.0)
        step.differentiate(*make_rows(kind, torch.float32))
    for reference, theirs, ours in zip(
        exact.parameters(), *(step.objective.model.parameters() for step in steps), strict=True
    ):
        assert reference.grad is not None and theirs.grad is not None and ours.grad is not None
        allowed = max(2 * (theirs.grad - reference.grad).abs().max().item(), CLOSE)
        assert (ours.grad - reference.grad).abs().max().item() <= allowed


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_every_update_rule(rule: str, decay: float) -> None:
    task = make_task("multi-class", "cross-entropy")
    hyper = {"weight_decay": decay, "learning_rate": 0.01}
    steps = both_steps(task, make_network(CLASSES).double(), rule, hyper)
    agree(*steps, [make_rows("multi-class")] * 4)


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4, 3)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_every_depth_with_and_without_biases(hidden: tuple[int, ...], has_bias: bool) -> None:
    widths = (INPUTS, *hidden, CLASSES)
    torch.manual_seed(1)
    layers = [
        layer
        for before, after in itertools.pairwise(widths)
        for layer in (nn.Linear(before, after, bias=has_bias), Activate("relu"))
    ]
    steps = both_steps(
        make_task("multi-class", "cross-entropy"), nn.Sequential(*layers[:-1]).double(), "momentum"
    )
    agree(*steps, [make_rows("multi-class")] * 3)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_dropout_draws_the_same_masks(activation: str) -> None:
    task = make_task("multi-class", "cross-entropy")
    steps = both_steps(task, make_network(CLASSES, activation, dropout=0.4).double(), seed=11)
    agree(*steps, [make_rows("multi-class")] * 3)


@pytest.mark.parametrize("kind", ["binary", "multi-class"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighs", [False, True])
def test_smoothed_labels_and_weights_of_classes(kind: str, smoothing: float, weighs: bool) -> None:
    inputs, targets = make_rows(kind)
    task = make_task(kind, "binary-cross-entropy" if kind == "binary" else "cross-entropy", smoothing)
    if weighs:
        task.weigh_(targets.numpy())
    agree(*both_steps(task, make_network(task.units).double()), [(inputs, targets)] * 2)


@pytest.mark.parametrize(
    "clipping", [{"clip_norm": 0.05}, {"clip_value": 0.01}, {"clip_norm": 0.05, "clip_value": 0.01}]
)
def test_clipping(clipping: dict[str, float]) -> None:
    by_autograd, written_out = both_steps(
        make_task("regression", "squared-error"), make_network(VALUES).double(), "momentum", **clipping
    )
    agree(by_autograd, written_out, [make_rows("regression")] * 3)
    if "clip_norm" in clipping:
        torch.testing.assert_close(written_out.gradient_norm, by_autograd.gradient_norm)


@pytest.mark.parametrize("rule", ["momentum", "adamw"])
@pytest.mark.parametrize("penalty", ["coupled", "decoupled"])
@pytest.mark.parametrize("with_loss", [False, True])
def test_penalties(rule: str, penalty: str, with_loss: bool) -> None:
    task = make_task("regression", "squared-error")
    steps: list[RuleStep] = []
    for kind in (cr.AutogradStep, cr.DenseStep):
        network = make_network(VALUES).double()
        around, decay = penalty_of(network.parameters(), rule, l1=0.02, weight_decay=0.1, penalty=penalty)
        make_rule = functools.partial(cr.optimizer, rule, learning_rate=0.01, weight_decay=decay)
        bound = make_rule if kind is cr.DenseStep else make_rule(network.parameters())
        objective = cr.Objective(network, copy.deepcopy(task))
        steps.append(kind(objective, bound, penalty=around, decay_with_loss=with_loss))
    agree(*steps, [make_rows("regression")] * 4)


def test_batches_of_several_sizes_and_pictures() -> None:
    torch.manual_seed(5)
    network = cr.build("mlp", inputs=(2, 3), units=CLASSES, hidden=(5,)).double()
    inputs, targets = make_rows("multi-class")
    pictures = inputs.view(ROWS, 2, 3)
    batches = [
        (pictures, targets),
        (pictures[:5], targets[:5]),
        (pictures, targets),
        (pictures[:1], targets[:1]),
    ]
    agree(*both_steps(make_task("multi-class", "cross-entropy"), network, "adam"), batches)
