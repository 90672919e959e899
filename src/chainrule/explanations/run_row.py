"""The pass of one row through a trained network, with its task, and the names of what came in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from chainrule.core.units import show_number, show_share, signed
from chainrule.data.prepare import Prepare
from chainrule.data.schema import Schema
from chainrule.explanations.backprop import Pass, backpropagate
from chainrule.explanations.loss_end import derivative_of
from chainrule.nn.losses import Loss
from chainrule.train.task import Classification, Task


def walk_of_row(model: nn.Module, task: Task, inputs: Tensor, targets: Tensor) -> Pass:
    """Return the pass of rows through a network as in prediction; the loss is that of the task as it stands.

    Shapes: inputs (B, …), targets as `task.encode` gives them
    """
    derivative = None
    if isinstance(task.loss, Loss):

        def derivative(outputs: Tensor) -> Tensor:
            found = derivative_of(task, outputs, targets)
            assert found is not None
            return found

    return backpropagate(model, inputs, lambda outputs: task.losses(outputs, targets).mean(), derivative)


def said_of_loss(task: Task) -> tuple[str, ...]:
    """Say what the loss of a row is beside its plain form."""
    said = []
    smoothing = getattr(task, "label_smoothing", 0.0)
    if smoothing and task.training:
        said.append(f"label smoothing {show_number(smoothing)}, so the target of the true class is below 1")
    if isinstance(task, Classification) and task.class_weights is not None:
        said.append("the loss is multiplied by the weight of the true class")
    return tuple(said)


def answer_of(task: Task, walk: Pass, targets: Tensor, true_values: Sequence[float]) -> str:
    """Say in words what the network answers for a row and what is true."""
    found = task.decode(walk.outputs)
    if found.labels is not None and found.probabilities is not None:
        label, true = int(found.labels[0]), int(targets[0])
        share = show_share(found.probabilities[0, label].item())
        verdict = "right" if label == true else "wrong"
        return f"answer: {found.classes[label]} ({share}) · true: {found.classes[true]} · {verdict}"
    assert found.values is not None
    said = [
        f"{name} {signed(show_number(value))}, true {signed(show_number(true))}, "
        f"error {signed(show_number(value - true))}"
        for name, value, true in zip(
            getattr(task, "names", ("value",)), found.values[0].tolist(), true_values, strict=True
        )
    ]
    return f"answer: {' · '.join(said)}"


def input_names(schema: Schema, prepare: Prepare, names: tuple[str, ...] | None) -> list[tuple[str, str]]:
    """Return per number that the network takes its name and the column that it comes from; nothing for pictures."""
    if prepare.is_pictures or len(prepare.columns) != 1:
        return []
    count = len(prepare.tells_missing)
    numbers = [(number, c.name) for c in schema.columns for number in c.numbers]
    if not schema.columns:
        titles = names if names is not None and len(names) == count else [f"x{i + 1}" for i in range(count)]
        numbers = [(title, title) for title in titles]
    told = np.flatnonzero(prepare.tells_missing.numpy()).tolist()
    missing = [(f"{numbers[i][0]} is missing", numbers[i][1]) for i in told]
    units = [
        (f"{c.name} is missing" if value is None else f"{c.name} = {value}", c.name)
        for c in schema.categories
        for value in (None, *c.values)
    ]
    return [*numbers, *missing, *units]
