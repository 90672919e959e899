"""The training loop as an iterator of reports: stopping is `break`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from chainrule.core.errors import SettingError
from chainrule.data.batches import Batches
from chainrule.data.prepared import PreparedRows
from chainrule.optim.schedules import Schedule
from chainrule.train.metrics import metrics_for
from chainrule.train.objective import Objective
from chainrule.train.step import Step
from chainrule.train.task import Task

EVALUATION_ROWS = 4096


class Report(NamedTuple):
    """One update: its number and epoch, both counted from 1, the loss before it, and the rows that it saw.

    The loss stays on its device until someone asks for the number.
    """

    step: int
    epoch: int
    loss: Tensor
    rows: int
    ends_epoch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """One pass over the training rows: mean loss while training, and the validation rows after it."""

    epoch: int
    train_loss: float
    seconds: float
    validation: dict[str, float] = field(default_factory=dict)

    @property
    def validation_loss(self) -> float:
        """The mean loss of the validation rows."""
        return self.validation["loss"]


def updates(
    step: Step, batches: Batches, schedule: Schedule, *, start: int = 0, losses: Sequence[float] = ()
) -> Iterator[Report]:
    """Make the updates `start`, `start` + 1, … of a run and report each.

    What update k does depends on the weights, the optimizer's state, k and, for a schedule that watches it, the
    validation loss of each epoch before: so a run can be taken up anywhere. The caller appends to `losses`.
    """
    per_epoch = len(batches)
    step.objective.train()
    number = start
    while number < schedule.steps:
        epoch, place = divmod(number, per_epoch)
        rate = schedule.after(losses)
        for inputs, targets, *weights in batches.epoch(epoch, start=place):
            step.prepare(number, rate(number))
            loss = step(inputs, targets, *weights).loss
            number += 1
            held = loss.detach() if loss.requires_grad else loss
            yield Report(number, epoch + 1, held, targets.shape[0], number % per_epoch == 0)
            if number == schedule.steps:
                return


def epochs(
    step: Step, train_batches: Batches, validation_batches: Batches | None, schedule: Schedule
) -> Iterator[EpochReport]:
    """Train, and report each epoch with the loss and metrics of the validation rows.

    Raises: SettingError for a schedule that watches the validation loss where no rows validate
    """
    check_watched(schedule, validation_batches)
    losses: list[Tensor] = []
    rows: list[int] = []
    watched: list[float] = []
    began = time.perf_counter()
    for report in updates(step, train_batches, schedule, losses=watched):
        losses.append(report.loss)
        rows.append(report.rows)
        if not report.ends_epoch:
            continue
        validation = evaluate(step.objective, validation_batches) if validation_batches else {}
        watched += [validation["loss"]] if validation else []
        yield EpochReport(
            epoch=report.epoch,
            train_loss=mean_loss(torch.stack(losses).tolist(), rows),
            seconds=time.perf_counter() - began,
            validation=validation,
        )
        losses, rows, began = [], [], time.perf_counter()


def check_watched(schedule: Schedule, validation: Batches | None) -> None:
    """Refuse a schedule that watches the validation loss where no rows validate. Raises: SettingError"""
    if schedule.watches_validation and validation is None:
        raise SettingError(
            "the schedule plateau waits for the validation loss to stall, but no rows validate; --validation 0.1 keeps a "
            "tenth of the rows for it, and every other schedule does without"
        )


def mean_loss(losses: list[float], rows: list[int]) -> float:
    """Return the mean over rows of losses that are means over batches."""
    return sum(loss * count for loss, count in zip(losses, rows, strict=True)) / sum(rows)


def outputs_of(
    model: torch.nn.Module,
    inputs: Tensor | PreparedRows,
    rows: Tensor | None = None,
    rows_at_once: int = EVALUATION_ROWS,
) -> Tensor:
    """Run all rows, or those with the given numbers, through a model as in prediction, some thousands at a time."""
    device = inputs.device
    numbers = torch.arange(len(inputs)) if rows is None else rows
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            first, *others = torch.split(numbers, rows_at_once)
            found: Tensor = model(inputs.index_select(0, first.to(device)))
            if not others:
                return found
            # Kept one by one, small outputs would lie between large layers, whose memory could not be used again.
            outputs = found.new_empty(len(numbers), *found.shape[1:])
            outputs[: len(first)] = found
            for place, part in enumerate(others, 1):
                begin = place * rows_at_once
                outputs[begin : begin + len(part)] = model(inputs.index_select(0, part.to(device)))
            return outputs
    finally:
        model.train(was_training)


def evaluate(objective: Objective, batches: Batches) -> dict[str, float]:
    """Return the mean loss and the watched metrics of all rows, as in prediction."""
    outputs = outputs_of(objective.model, batches.inputs, batches.rows)
    rows = batches.rows.to(outputs.device)
    weights = None if batches.weights is None else batches.weights[rows]
    return watch(objective.task, outputs, batches.targets[rows], weights)


def watch(task: Task, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> dict[str, float]:
    """Return the mean loss and those metrics that cost little. Shapes: weights (N,), 1 without."""
    losses = _losses(task, outputs, targets)
    if weights is None:
        return {"loss": losses.mean().item(), **task.measure(outputs, targets)}
    mean = ((losses * weights).sum() / weights.sum()).item()
    return {"loss": mean, **task.measure(outputs, targets, weights.double().cpu().numpy())}


def judge(
    task: Task, outputs: Tensor, targets: Tensor, metrics: Sequence[str] | None = None
) -> dict[str, float]:
    """Return the mean loss and metrics, every one of the task unless some are named; one not defined is not there."""
    loss = _losses(task, outputs, targets).mean().item()
    return {"loss": loss, **task.measure(outputs, targets, metrics=metrics or metrics_for(task.kind))}


def row_losses(task: Task, outputs: Tensor, targets: Tensor) -> np.ndarray:
    """Return the loss of each row, as in prediction. Shapes: -> (N,)."""
    return _losses(task, outputs, targets).double().cpu().numpy()


def _losses(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the losses without what is done to them while training."""
    was_training = task.training
    task.eval()
    try:
        with torch.inference_mode():
            return task.losses(outputs, targets)
    finally:
        task.train(was_training)
