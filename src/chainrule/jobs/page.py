"""Gather what a run's page shows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.catalog import CLASSICAL
from chainrule.core.text import listed, visible
from chainrule.core.units import show_number
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.material import Material
from chainrule.nn.activations import Activate
from chainrule.nn.visits import visits
from chainrule.report.summary import (
    Example,
    GroupFigures,
    Influence,
    Influences,
    Layer,
    MemberFigures,
    Members,
    RunSummary,
    Yardstick,
)
from chainrule.train.recipe import Recipe
from chainrule.train.task import Classification, Predictions, Task
from chainrule.train.training import Learning

WORST = 12
CELLS = 8


def summarise(
    folder: RunFolder,
    recipe: Recipe,
    material: Material,
    training: Learning,
    test_outputs: Tensor | None,
    record: dict[str, Any],
) -> RunSummary:
    """Return the summary of a finished run."""
    task = training.objective.task
    judged = _judged(material, task, test_outputs) if test_outputs is not None else {}
    settings = recipe.settings
    shown = {f: getattr(settings, f) for f in settings.__dataclass_fields__}
    return RunSummary(
        name=folder.name,
        folder=str(folder.path),
        question=f"{'regression' if task.kind == 'regression' else 'classification'} of {listed(list(recipe.schema.target.names))}",
        metric=task.metric,
        data=_data(recipe, material),
        columns=_columns(recipe),
        warnings=list(recipe.warnings),
        notes=[
            *recipe.notes,
            *_about_losses(recipe, task),
            *_about_penalty(training),
            *_about_judging(record),
        ],
        what="pictures" if recipe.schema.is_pictures else "rows",
        held_out=bool(recipe.settings.folds),
        rows=material.split.counts(),
        called=recipe.called,
        about=about_classical(settings.model or "") if recipe.is_classical else {},
        layers=[] if recipe.is_classical else layers_of(training.objective.model, material.inputs[:2]),
        history=training.history,
        best_epoch=training.best_epoch,
        metrics=record["metrics"],
        yardsticks=[Yardstick(**y) for y in record["yardsticks"]],
        verdict=record["verdict"],
        settings={k: _text(v) for k, v in {**shown, **recipe.model_settings}.items() if v not in (None, ())},
        versions=recipe.versions,
        plan=str(recipe.plan),
        fit_seconds=record["fit_seconds"],
        command=recipe.command or f"chainrule verify {folder.path}",
        intervals=record["intervals"],
        influences=_influences(record),
        ensemble=_members(record),
        by=settings.by or "",
        groups=_groups(record),
        **judged,
    )


def about_classical(name: str) -> dict[str, str]:
    """Say what kind of model a classical one is."""
    entry = CLASSICAL[name]
    shape = "straight lines, planes and hyperplanes" if entry.is_linear else "curved"
    return {
        "model": name,
        "what it is": entry.summary,
        "family": entry.family,
        "its boundaries or fit": shape,
    }


def _members(record: dict[str, Any]) -> Members | None:
    found = record.get("ensemble")
    if found is None:
        return None
    shown = {name: found[name] for name in Members.__dataclass_fields__}
    return Members(**{**shown, "members": [MemberFigures(**one) for one in found["members"]]})


def _influences(record: dict[str, Any]) -> Influences | None:
    found = record.get("importance")
    if found is None:
        return None
    shown = [Influence(column=c["column"], mean=c["mean"], spread=c["spread"]) for c in found["columns"]]
    return Influences(**{**found, "columns": shown})


def _groups(record: dict[str, Any]) -> list[GroupFigures]:
    found = record.get("groups", {}).get("groups", [])
    return [GroupFigures(name=g["group"], **{k: v for k, v in g.items() if k != "group"}) for g in found]


def layers_of(model: nn.Module, inputs: Tensor) -> list[Layer]:
    """List the layers of a network in the order of its forward pass, with the shapes that they put out."""
    found: list[Layer] = []

    def seen(name: str, layer: nn.Module, _: object, output: object) -> None:
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
        parameters = sum(p.numel() for p in layer.parameters())
        kind = str(layer) if isinstance(layer, Activate) else type(layer).__name__
        found.append(Layer(name=name, kind=kind, output_shape=shape, parameters=parameters))

    was_training = model.training
    with visits(model, seen), torch.random.fork_rng(devices=[]), torch.no_grad():
        model.eval()(inputs.to(next(model.parameters()).device))
    model.train(was_training)
    return found


def _about_losses(recipe: Recipe, task: Task) -> list[str]:
    told: list[str] = []
    if changes := recipe.settings.augment:
        told.append(
            f"the training loss in the curves is that of pictures changed by {' and '.join(changes)}; validation and test "
            "read them as they are"
        )
    if not isinstance(task, Classification):
        return told
    if smoothing := recipe.settings.label_smoothing:
        told.append(
            f"the training loss in the curves is with label smoothing {smoothing:g}, the validation loss without: they "
            "need not meet"
        )
    if task.class_weights is not None:
        pairs = list(zip(task.classes, task.class_weights.tolist(), strict=True))
        shown = ", ".join(f"'{visible(name, 40)}' {weight:.3g}" for name, weight in pairs[:CELLS])
        told.append(
            f"classes weigh as --class-weight balanced says ({shown}{', …' if len(pairs) > CELLS else ''}): losses are "
            "weighted, metrics are not, and probabilities are higher for rare classes than these classes are frequent"
        )
    return told


def _about_penalty(training: Learning) -> list[str]:
    """Say what is added to the loss, and how many weights an L1 penalty has set to 0."""
    penalty = training.penalty
    if penalty is None:
        return []
    terms = [
        f"{show_number(float(strength))} {symbol}"
        for strength, symbol in ((penalty.l1, "Σ |θ|"), (penalty.l2 / 2, "Σ θ²"))
        if strength
    ]
    said = f"the loss in the curves is that of the data; the penalty on the weights θ, {' + '.join(terms)}, is drawn apart"
    if not penalty.l1:
        return [said]
    weights = sum(w.numel() for w in penalty.weights)
    zeros = sum(int((w == 0).sum()) for w in penalty.weights)
    return [f"{said}; {zeros:,} of {weights:,} weights are exactly 0"]


def _about_judging(record: dict[str, Any]) -> list[str]:
    return [f"the held-out figures: {record['judging']['said']}"] if "judging" in record else []


def _data(recipe: Recipe, material: Material) -> dict[str, str]:
    data = {"name": visible(recipe.data["name"]), "rows": f"{len(material.source):,}"}
    if recipe.schema.is_pictures:
        channels, height, width = recipe.schema.shape
        data["pictures"] = f"{height} × {width}, {channels} channel{'s' if channels > 1 else ''}"
    elif recipe.schema.columns:
        data["input columns"] = str(len(recipe.schema.columns))
    if recipe.schema.left_out:
        data["left out"] = listed(list(recipe.schema.left_out))
    target = recipe.schema.target
    data["target"] = listed(list(target.names))
    if target.classes:
        data["classes"] = f"{len(target.classes)}: {listed(list(target.classes))}"
    return data


def _columns(recipe: Recipe) -> list[tuple[str, str, str]]:
    return [(c.name, c.kind, listed(list(c.values)) if c.values else c.format) for c in recipe.schema.columns]


def _judged(material: Material, task: Task, outputs: Tensor) -> dict[str, Any]:
    assert material.examples.targets is not None
    rows = material.split.test
    true = material.examples.targets[rows]
    if task.kind != "regression":
        outputs = outputs.cpu()
    predictions = task.decode(outputs)
    if task.kind == "regression":
        assert predictions.values is not None
        return {
            "value_names": list(getattr(task, "names", ())),
            "predicted": predictions.values.cpu().numpy(),
            "true": true,
        }
    assert predictions.labels is not None
    count = len(predictions.classes)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (true, predictions.labels.numpy()), 1)
    return {
        "classes": list(predictions.classes),
        "confusion": confusion,
        "worst": _worst(material, predictions, rows, true),
        "answers": task.answers(outputs, task.encode(true)),
    }


def _worst(material: Material, predictions: Predictions, rows: np.ndarray, true: np.ndarray) -> list[Example]:
    """Return the test rows whose true class was given the least probability, wrong ones only."""
    assert predictions.probabilities is not None and predictions.labels is not None
    share = predictions.probabilities.numpy()[np.arange(len(true)), true]
    wrong = np.flatnonzero(predictions.labels.numpy() != true)
    chosen = wrong[np.argsort(share[wrong], kind="stable")][:WORST]
    return [_example(material, predictions, int(i), int(rows[i]), int(true[i])) for i in chosen]


def _example(material: Material, predictions: Predictions, place: int, row: int, true: int) -> Example:
    assert predictions.probabilities is not None and predictions.labels is not None
    source, at = material.source, int(material.examples.rows[row])
    label = int(predictions.labels[place])
    cells = None
    if source.frame is not None:
        cells = {k: _cell(v) for k, v in list(source.frame.row(at, named=True).items())[:CELLS]}
    elif not source.is_pictures and source.array is not None:
        cells = {
            f"{i + 1}": show_number(float(v)) for i, v in enumerate(source.array[at].reshape(-1)[:CELLS])
        }
    return Example(
        row=source.row_names[at] if source.row_names else f"row {at + 1}",
        truth=predictions.classes[true],
        prediction=predictions.classes[label],
        certainty=float(predictions.probabilities[place, label]),
        picture=source.array[at] if source.is_pictures and source.array is not None else None,
        cells=cells,
    )


def _cell(value: Any) -> str:
    """Write a cell; a fraction with more digits than a page has room for is shortened.

    >>> _cell("1.9826734408928353"), _cell("1.25"), _cell("4006381333931")
    ('1.983', '1.25', '4006381333931')
    """
    is_long = isinstance(value, str) and re.fullmatch(r"-?\d+\.\d{5,}", value)
    return _text(float(value) if is_long else value)


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(str(v) for v in value)
    return show_number(value) if isinstance(value, float) else str(value)
