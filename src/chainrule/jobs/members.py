"""What the members of an ensemble are worth alone, how they differ, and what they bring to each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.core.units import show_figure
from chainrule.jobs.ensemble_training import EnsembleTraining
from chainrule.jobs.ensembles import BAGGING, bag, out_of_bag
from chainrule.jobs.importance import drawn_rows
from chainrule.jobs.material import Material
from chainrule.models.ensemble import Ensemble
from chainrule.train.loop import judge, outputs_of
from chainrule.train.metrics import metric_named
from chainrule.train.recipe import Recipe
from chainrule.train.task import Task
from chainrule.train.training import Learning

AT_ONCE = 4096  # rows of which all members' outputs are in memory
CALIBRATION = "calibration-error"


def judge_members(recipe: Recipe, material: Material, training: Learning, part: str) -> dict[str, Any]:
    """Return what metrics.json says of an ensemble on a part of the split; nothing for a single network."""
    ensemble, task = training.objective.model, training.objective.task
    if not isinstance(ensemble, Ensemble):
        return {}
    rows = drawn_rows(material.rows(part))
    outputs = _outputs(ensemble, training, rows)
    targets = _targets(material, task, rows)
    alone = [judge(task, found, targets) for found in outputs]
    together = judge(task, ensemble.combine(outputs), targets)
    errors = [member.error for _, member in sorted(training.members.items())] if isinstance(training, EnsembleTraining) else []  # fmt: skip
    found: dict[str, Any] = {
        "kind": recipe.settings.ensemble,
        "vote": ensemble.vote,
        "metric": task.metric,
        "part": part,
        "rows": len(rows),
        "together": together,
        "members": [
            {"metrics": metrics, "share": share, "error": error}
            for metrics, share, error in zip(
                alone, ensemble.shares.tolist(), errors or [None] * len(alone), strict=True
            )
        ],
        "growing": list(_growing(ensemble, task, outputs, targets)),
        **_diversity(task, outputs, targets),
    }
    if recipe.settings.ensemble == BAGGING:
        found["out_of_bag"] = _out_of_bag(recipe, material, training, ensemble)
    return {"ensemble": {**found, "said": list(_said(found))}}


def _growing(ensemble: Ensemble, task: Task, outputs: Tensor, targets: Tensor) -> Iterator[float | None]:
    """Give the score of the first member, of the first two, and so on."""
    for count in range(1, len(outputs) + 1):
        shares = ensemble.shares[:count] / ensemble.shares[:count].sum()
        yield judge(task, ensemble.combine(outputs[:count], shares), targets, [task.metric]).get(task.metric)


def _diversity(task: Task, outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
    """Return how often two members disagree (classes), and how their errors go together, over all pairs."""
    true = targets.numpy()
    answers = [task.decode(found) for found in outputs]
    if task.kind == "regression":
        missed = np.stack([(found - targets).double().numpy().ravel() for found in outputs])
        return {"disagreement": None, "correlation": _correlation(missed)}
    labels = np.stack([found.labels.numpy() for found in answers if found.labels is not None])
    members, counts = len(labels), np.stack([(labels == k).sum(0) for k in range(len(answers[0].classes))])
    agreeing = (counts * (counts - 1)).sum(0) / (members * (members - 1)) if members > 1 else np.ones(1)
    return {
        "disagreement": float(1 - agreeing.mean()),
        "correlation": _correlation((labels != true).astype(float)),
    }


def _correlation(errors: np.ndarray) -> float | None:
    """Return the mean correlation of two members' errors; None where fewer than two members err. Shapes: (members, n)"""
    varying = errors[errors.std(1) > 0]
    if len(varying) < 2:
        return None
    matrix = np.corrcoef(varying)
    return float(matrix[np.triu_indices(len(varying), 1)].mean())


def _out_of_bag(
    recipe: Recipe, material: Material, training: Learning, ensemble: Ensemble
) -> dict[str, Any] | None:
    """Judge training rows by the members that have not seen them; None where every member has seen all."""
    train = material.split.train
    members = range(len(ensemble.members))
    unseen = np.stack([out_of_bag(material, bag(recipe, material, number)) for number in members])
    places = np.flatnonzero(unseen.any(0))
    if not len(places):
        return None
    parts = []
    for some in np.array_split(places, -(-len(places) // AT_ONCE)):
        votes = torch.from_numpy(unseen[:, some] / unseen[:, some].sum(0))
        parts.append(ensemble.combine(_outputs(ensemble, training, train[some]), votes))
    rows = train[places]
    task = training.objective.task
    return {
        "rows": len(rows),
        "of": len(train),
        "members": float(unseen[:, places].sum(0).mean()),
        "metrics": judge(task, torch.cat(parts), _targets(material, task, rows)),
    }


def _outputs(ensemble: Ensemble, training: Learning, rows: np.ndarray) -> Tensor:
    """Return what every member answers to rows. Shapes: -> (members, n, units)"""
    numbers = torch.from_numpy(rows)
    return torch.stack([outputs_of(member, training.inputs, numbers) for member in ensemble.members]).cpu()


def _targets(material: Material, task: Task, rows: np.ndarray) -> Tensor:
    assert material.examples.targets is not None
    return task.encode(material.examples.targets[rows])


def _said(found: dict[str, Any]) -> Iterator[str]:
    """Say in words what the figures mean."""
    metric, part, together = found["metric"], found["part"], found["together"]
    alone = [member["metrics"] for member in found["members"]]
    scores = [row[metric] for row in alone if metric in row]
    if scores and metric in together:
        low, high = sorted([min(scores), max(scores)])
        mean = float(np.mean(scores))
        better = metric_named(metric).is_better(together[metric], mean)
        yield (
            f"the {len(alone)} members together reach {metric} {show_figure(together[metric])} on the {part} rows; one alone "
            f"{show_figure(mean)} on average, from {show_figure(low)} to {show_figure(high)}"
            f"{'' if better else ': here they bring each other nothing'}"
        )
    if found["disagreement"] is not None:
        yield f"two members answer {100 * found['disagreement']:.1f} % of the rows differently"
    if found["correlation"] is not None:
        yield (
            f"the errors of two members correlate with {show_figure(found['correlation'])} (0: they err independently, and "
            "more members help; 1: they err alike)"
        )
    errors = [row[CALIBRATION] for row in alone if CALIBRATION in row]
    if errors and CALIBRATION in together:
        yield (
            f"expected calibration error, how far confidence lies from the share that is right: "
            f"{show_figure(together[CALIBRATION])} of the ensemble, {show_figure(float(np.mean(errors)))} of one member on average"
        )
    if bagged := found.get("out_of_bag"):
        score = bagged["metrics"].get(metric)
        if score is not None:
            yield (
                f"out of the bag: {bagged['rows']:,} of {bagged['of']:,} training rows, each answered by the "
                f"{bagged['members']:.3g} members on average that saw neither it nor a copy of it: {metric} {show_figure(score)}, an "
                "estimate that needs no test rows"
            )
