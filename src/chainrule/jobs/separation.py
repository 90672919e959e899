"""What a perceptron showed: whether a straight boundary tells the classes apart, the margin, and the last mistake.

The rule comes to an end exactly where such a boundary exists; where it goes on, a linear program says whether more
epochs could have helped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from chainrule.core.units import show_figure
from chainrule.data.batches import Batches
from chainrule.diagnose.separability import MOST_NUMBERS, Decision, decide, distances, too_many
from chainrule.jobs.material import Material
from chainrule.train.loop import outputs_of
from chainrule.train.objective import Objective
from chainrule.train.recipe import Recipe

Row = dict[str, float]
MISTAKES, MARGIN = "train_mistakes", "train_margin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How the training rows lay to the boundaries after the epoch with the largest margin.

    `margin` is the distance of the nearest row, below 0 that of the farthest row on a wrong side. `last_mistake` is the
    epoch in which the weights were corrected for the last time, 0 if no epoch ended with a row on a wrong side; None if
    mistakes went on to the end.
    """

    margin: float
    mistakes: int
    epoch: int
    last_mistake: int | None
    epochs: int
    rows: int
    units: str
    decision: Decision

    @property
    def is_found(self) -> bool:
        """Whether the perceptron itself found boundaries that separate all training rows."""
        return self.last_mistake is not None

    @property
    def said(self) -> str:
        """The finding in one sentence."""
        if self.last_mistake is not None:
            when = f"the last mistake was made in epoch {self.last_mistake}"
            never = "no epoch ended with a row on the wrong side"
            return (
                "the perceptron found a straight boundary between the classes of the training rows: "
                f"{when if self.last_mistake else never}, and the nearest row lies {show_figure(self.margin)} from it "
                f"(the margin, in {self.units})"
            )
        wrong = f"{self.mistakes:,} of {self.rows:,} training rows {'is' if self.mistakes == 1 else 'are'}"
        return (
            f"the perceptron does not separate the classes after {self.epochs:,} epochs: in epoch {self.epoch}, the one with the best margin, "
            f"{wrong} on the wrong side, the farthest by {show_figure(-self.margin)} (a margin of "
            f"{show_figure(self.margin)}, in {self.units}); {self._outlook()}"
        )

    def _outlook(self) -> str:
        """Say whether more epochs could help."""
        match self.decision.is_separable:
            case True:
                return (
                    "a straight boundary exists, as a linear program shows (its margin is "
                    f"{show_figure(self.decision.margin or 0)}): more --epochs find it"
                )
            case False:
                return (
                    "they are not linearly separable, as a linear program proves: more epochs cannot help, a network "
                    "with a hidden layer can (--model mlp)"
                )
        return (
            f"whether more epochs could is not known, because {self.decision.why}; a network with a hidden layer needs no "
            "straight boundary (--model mlp)"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it for metrics.json."""
        return {
            "is_separable": self.decision.is_separable,
            "margin": self.margin,
            "mistakes": self.mistakes,
            "epoch": self.epoch,
            "last_mistake": self.last_mistake,
            "said": self.said,
        }


def is_perceptron(recipe: Recipe) -> bool:
    """Whether a run trains a single layer by the perceptron rule."""
    return recipe.settings.model == "perceptron" == recipe.settings.loss and not recipe.given


def margin_watch(objective: Objective, batches: Batches) -> Callable[[], Row]:
    """Return what looks, after an epoch, how many training rows are on a wrong side, and how far."""

    def look() -> Row:
        layer = next(m for m in objective.model.modules() if isinstance(m, nn.Linear))
        outputs = outputs_of(objective.model, batches.inputs, batches.rows).cpu()
        targets = batches.targets.cpu()[batches.rows]
        decided = (outputs >= 0).squeeze(1) if outputs.shape[1] == 1 else outputs.argmax(1)
        apart = distances(outputs, targets, layer.weight.detach().cpu())
        return {MISTAKES: float((decided != targets).sum()), MARGIN: float(apart.min())}

    return look


def find_separation(recipe: Recipe, material: Material, history: Sequence[Row]) -> Separation | None:
    """Return what the epochs of a perceptron showed; None for other models."""
    rows = [row for row in history if MARGIN in row]
    if not is_perceptron(recipe) or not rows:
        return None
    best = max(rows, key=lambda row: (not row[MISTAKES], row[MARGIN]))
    last_mistake = _last_mistake(rows)
    is_scaled = recipe.settings.scaling != "none"
    return Separation(
        margin=best[MARGIN],
        mistakes=int(best[MISTAKES]),
        epoch=int(best["epoch"]),
        last_mistake=last_mistake,
        epochs=int(rows[-1]["epoch"]),
        rows=len(material.split.train),
        units=f"units of the {'scaled ' if is_scaled else ''}inputs",
        decision=_decision(material) if best[MISTAKES] else Decision(is_separable=True, margin=best[MARGIN]),
    )


def _last_mistake(rows: Sequence[Row]) -> int | None:
    """Return the epoch after which no row was on a wrong side any more.

    A row that is on a wrong side when an epoch begins is a mistake of it, or another one has moved the weights before.
    """
    wrong = [int(row["epoch"]) for row in rows if row[MISTAKES]]
    if not wrong:
        return int(rows[0]["epoch"]) if rows[0]["train_loss"] else 0
    return None if wrong[-1] == rows[-1]["epoch"] else wrong[-1] + 1


def _decision(material: Material) -> Decision:
    rows, features = material.split.train, material.inputs[0].numel()
    if 2 * len(rows) * features > MOST_NUMBERS:  # before they are taken into memory
        return Decision(is_separable=None, why=too_many(2 * len(rows) * features))
    x = material.inputs.index_select(0, torch.from_numpy(rows)).flatten(1).double().numpy()
    assert material.examples.targets is not None
    return decide(x, material.examples.targets[rows])
