"""Everything in a run folder that follows from recipe and checkpoint: written at the end, rebuilt when missing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from chainrule.core.files import write_atomic, write_json
from chainrule.data.prepare import Prepare
from chainrule.jobs import folder as folders
from chainrule.jobs.events import Event, Finished, Said, Warned
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.groups import judge_groups
from chainrule.jobs.held_out import Train, judge_held_out, judged_rows
from chainrule.jobs.importance import LEAST_SECONDS, SHARE, column_places, drawn_rows, measure_importance
from chainrule.jobs.material import Material
from chainrule.jobs.members import judge_members
from chainrule.jobs.page import summarise
from chainrule.jobs.separation import find_separation
from chainrule.jobs.standing import FEW_DIGITS, base_rate, verdict
from chainrule.jobs.yardstick import measure_yardsticks
from chainrule.train.checkpoint import under
from chainrule.train.judgement import Judgement, judge_rows
from chainrule.train.loop import judge, outputs_of, watch
from chainrule.train.objective import Objective
from chainrule.train.recipe import Recipe
from chainrule.train.task import Task
from chainrule.train.training import Learning

PARTS = ("train", "validation", "test")
MOST_TO_RANK = (
    2_000_000  # rows × outputs that all metrics are taken of before the final ones; some of them sort
)


def write_model(folder: RunFolder, objective: Objective, prepare: Prepare) -> None:
    """Write the network that predicts: preparation, best weights and the task's scaling, for other programs."""
    tensors = {
        **under("prepare/", prepare.state_dict()),
        **under("model/", objective.model.state_dict()),
        **under("task/", objective.task.state_dict()),
    }
    owned = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_atomic(folder.path / folders.MODEL, save(owned, {"format": "chainrule-model-1"}))


def write_history(folder: RunFolder, history: list[dict[str, float]]) -> None:
    """Write one row per epoch as CSV."""
    names = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: repr(v) for k, v in row.items()} for row in history)
    write_atomic(folder.path / folders.HISTORY, text.getvalue().encode())


def finish(
    folder: RunFolder,
    recipe: Recipe,
    material: Material,
    training: Learning,
    fit_seconds: float,
    train: Train,
) -> Iterator[Event]:
    """Judge the trained network and write what is derived. `train` gives the training of another recipe's network."""
    objective = training.objective
    outputs = {part: _outputs(material, training, part) for part in PARTS}
    best_known = next(part for part in reversed(PARTS) if outputs[part] is not None)
    judgements = {
        part: (_judged if part == best_known != "train" else _measured)(material, objective.task, part, found)
        for part, found in outputs.items()
        if found is not None
    }
    counts, held_out, trained_on = material.split.counts(), None, material
    if recipe.settings.folds:
        doing = "fitting further models" if recipe.is_classical else "training further networks"
        yield Said(text=f"{doing} to judge this one by")
        held_out = yield from judge_held_out(recipe, material, objective.task, train)
        judgements["test"], outputs["test"] = held_out.judgement, held_out.outputs
        material = judged_rows(material)
    judged_on = best_known if held_out is None else "test"
    metrics = {part: found.metrics for part, found in judgements.items()}
    write_history(folder, training.history)
    if held_out is None:
        yield Said(text="comparing with simpler models on the same rows")
        yardsticks = measure_yardsticks(material, objective.task, fit_seconds)
        said = verdict(objective.task, metrics.get("test", {}), yardsticks, called=recipe.called)
    else:
        yardsticks = held_out.yardsticks
        said = verdict(objective.task, metrics["test"], yardsticks, rows="held-out", digits=FEW_DIGITS)
    judging = {} if held_out is None else {"judging": held_out.to_json()}
    separation = find_separation(recipe, trained_on, training.history)
    if separation is not None:
        yield (Said if separation.is_found else Warned)(text=separation.said)
    record: dict[str, Any] = {
        "metrics": metrics,
        "metric": objective.task.metric,
        "intervals": {part: found.intervals for part, found in judgements.items() if found.intervals},
        "epochs": len(training.history),
        "best_epoch": training.best_epoch,
        "rows": counts,
        "fit_seconds": fit_seconds,
        "yardsticks": [
            {"name": y.name, "metrics": y.metrics, "seconds": y.seconds, "note": y.note} for y in yardsticks
        ],
        "verdict": said if separation is None else f"{said}; {separation.said}",
        **({} if separation is None else {"separation": separation.to_json()}),
        **judging,
        **({} if best_known == "train" else judge_members(recipe, material, training, best_known)),
        **_closer_looks(recipe, material, objective, best_known, outputs[best_known], fit_seconds),
    }
    yield Said(text="writing the report")
    write_json(folder.path / folders.METRICS, record)
    write_report(folder, recipe, material, training, outputs, record)
    yield Finished(
        run=folder.path,
        metrics=metrics,
        epochs=len(training.history),
        best_epoch=training.best_epoch,
        fit_seconds=fit_seconds,
        rows=counts,
        plan=str(recipe.plan),
        verdict=said,
        judged_on=judged_on,
        intervals=judgements[judged_on].intervals,
        base_rate=base_rate(yardsticks, objective.task.metric),
        second=recipe.schema.target.second,
        judging=record.get("judging"),
        ensemble=record.get("ensemble"),
    )


def _closer_looks(
    recipe: Recipe,
    material: Material,
    objective: Objective,
    part: str,
    outputs: Tensor | None,
    fit_seconds: float,
) -> dict[str, Any]:
    """Return what each source column is worth, and the figures of the groups that were asked for."""
    assert outputs is not None
    if part == "train":
        return {}
    looks: dict[str, Any] = {}
    places = column_places(recipe.schema, material.prepare, material.source.feature_names)
    if places and not recipe.settings.folds:  # the kept network has trained on the rows that others held out
        looks["importance"] = _importance(material, objective, part, places, fit_seconds)
    if recipe.settings.by:
        answers = objective.task.answers(
            outputs, _targets(material, objective.task, material.rows(part), outputs)
        )
        at = material.examples.rows[material.rows(part)]
        groups = judge_groups(material.source, recipe.settings.by, at, answers, objective.task.kind)
        found = [group.to_json() for group in groups]
        looks["groups"] = {"column": recipe.settings.by, "part": part, "groups": found}
    return looks


def _importance(
    material: Material, objective: Objective, part: str, places: dict[str, list[int]], fit_seconds: float
) -> dict[str, Any]:
    """Return the permutation importance of columns: by the metric, or by log loss if no column moves that.

    Where one class is rare, every row is answered with the other one and accuracy stays what it is.
    """
    rows = drawn_rows(material.rows(part))
    device = objective.device
    inputs = material.inputs[torch.from_numpy(rows)].to(device)
    targets = _targets(material, objective.task, rows, inputs)
    seconds, metric = max(LEAST_SECONDS, SHARE * fit_seconds), objective.task.metric
    found = measure_importance(objective, places, inputs, targets, metric, seconds)
    if objective.task.kind != "regression" and not any(one.mean > one.spread for one in found):
        metric = "log-loss"
        found = measure_importance(objective, places, inputs, targets, metric, seconds)
    return {
        "metric": metric,
        "part": part,
        "rows": len(rows),
        "columns": [one.to_json() for one in found],
        "columns_in_all": len(places),
    }


def _targets(material: Material, task: Task, rows: np.ndarray, beside: Tensor) -> Tensor:
    assert material.examples.targets is not None
    return task.encode(material.examples.targets[rows]).to(beside.device)


def write_report(
    folder: RunFolder,
    recipe: Recipe,
    material: Material,
    training: Learning,
    outputs: dict[str, Tensor | None],
    record: dict[str, Any],
) -> None:
    """Write report.html."""
    from chainrule.report.run_page import run_page

    summary = summarise(folder, recipe, material, training, outputs.get("test"), record)
    write_atomic(folder.path / folders.REPORT, run_page(summary).encode())


def _outputs(material: Material, training: Learning, part: str) -> Tensor | None:
    rows = material.rows(part)
    if not len(rows):
        return None
    return outputs_of(training.objective.model, training.inputs, torch.from_numpy(rows))


def _judged(material: Material, task: Task, part: str, outputs: Tensor) -> Judgement:
    """Judge the rows on which the network is known best, with intervals."""
    return judge_rows(task, outputs, _targets(material, task, material.rows(part), outputs))


def _measured(material: Material, task: Task, part: str, outputs: Tensor) -> Judgement:
    """Measure other rows: by every metric, or where they are very many by what costs little."""
    targets = _targets(material, task, material.rows(part), outputs)
    measured = (watch if outputs.numel() > MOST_TO_RANK else judge)(task, outputs, targets)
    return Judgement(rows=len(outputs), metrics=measured)
