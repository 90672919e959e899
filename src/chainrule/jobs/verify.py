"""`verify`: repeat a run from its recipe and compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.core.errors import RunError
from chainrule.jobs.classical import repeat, versions_there
from chainrule.jobs.ensemble_training import training_of
from chainrule.jobs.material import Material, make_material, read_again
from chainrule.jobs.run import Run
from chainrule.train.checkpoint import load_checkpoint, part
from chainrule.train.classical import Classical
from chainrule.train.task import LossFunction

TOLERANCE = 1e-4  # largest difference of a weight, relative to the largest weight of its tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a repetition showed."""

    outcome: str  # "equal bits", "equal within tolerance" or "different"
    steps: int
    first_step: int | None
    largest_difference: float
    changed_versions: dict[str, tuple[str, str]]
    answers: int | None = None  # rows by which a model without steps was compared

    def __str__(self) -> str:
        versions = "".join(f"; {n} was {a}, is {b}" for n, (a, b) in self.changed_versions.items())
        if self.answers is not None:
            differ = "" if self.outcome == "equal bits" else f" differ by up to {self.largest_difference:.2g}"
            return f"{self.outcome}: the answers to all {self.answers:,} rows{differ}{versions}"
        if self.outcome == "equal bits":
            return f"equal bits: all {self.steps} steps and every weight"
        where = f"; step {self.first_step} is the first whose loss differs" if self.first_step else ""
        return f"{self.outcome}: weights differ by up to {self.largest_difference:.2g} of the largest{where}{versions}"


def verify(
    path: str | Path, *, data: Any = None, model: nn.Module | None = None, loss: LossFunction | None = None
) -> Verdict:
    """Train again from the recipe of a finished run, in memory, and compare losses and weights.

    Raises: RunError if the run is not finished or its data has changed
    """
    run = Run(path)
    recipe = run.recipe
    if not run.is_finished:
        raise RunError(f"the run {run.path} is not finished; go on with: chainrule fit --resume {run.path}")
    tensors, _ = load_checkpoint(run.folder.checkpoint)
    source = read_again(recipe, data, run.folder)
    material = make_material(source, recipe.schema.encode(source), recipe.schema, recipe.settings)
    changed = {k: (v, w) for k, v in recipe.versions.items() if (w := versions_there(recipe).get(k, "")) != v}
    if recipe.is_classical:
        return _of_classical(run, material, changed)
    with recipe.plan.applied() as device:
        training = training_of(recipe, material, device, model=model, loss=loss)
        for _ in training.reports():
            pass
    again = training.tensors()
    difference = _largest_difference(part(tensors, "model/"), part(again, "model/"))
    first = _first_difference(tensors["losses"], again["losses"])
    is_equal = first is None and all(torch.equal(tensors[n], again[n]) for n in tensors if n in again)
    outcome = (
        "equal bits" if is_equal else "equal within tolerance" if difference <= TOLERANCE else "different"
    )
    return Verdict(
        outcome=outcome,
        steps=training.number,
        first_step=first,
        largest_difference=difference,
        changed_versions=changed,
    )


def _of_classical(run: Run, material: Material, changed: dict[str, tuple[str, str]]) -> Verdict:
    """Fit a classical model again, and compare what both answer to all rows."""
    model = run.model
    assert isinstance(model, Classical)
    difference = repeat(run.recipe, material, model)
    outcome = (
        "equal bits"
        if not difference
        else "equal within tolerance"
        if difference <= TOLERANCE
        else "different"
    )
    return Verdict(
        outcome=outcome,
        steps=0,
        first_step=None,
        largest_difference=difference,
        changed_versions=changed,
        answers=len(material.examples),
    )


def _first_difference(before: Tensor, after: Tensor) -> int | None:
    """Return the number of the first update, counted from 1, whose loss differs; None if none does."""
    length = min(len(before), len(after))
    different = torch.nonzero(before[:length] != after[:length])
    if len(different):
        return int(different[0]) + 1
    return None if len(before) == len(after) else length + 1


def _largest_difference(before: dict[str, Tensor], after: dict[str, Tensor]) -> float:
    differences = [
        (
            (before[n].double() - after[n].double().cpu()).abs().max()
            / before[n].double().abs().max().clamp_min(1e-12)
        ).item()
        for n in before
        if before[n].numel()
    ]
    return max(differences, default=0.0)
