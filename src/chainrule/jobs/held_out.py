"""Judge a network of few rows by further networks of the same recipe, each on rows that it never saw.

A test set of two rows says nothing, and holding it back takes a quarter of what there is to learn from. So all rows
train the network that is kept, and what such a network is worth is measured on others: every row is predicted by a
network that was prepared and trained without it. Simpler models are judged by the same folds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.core.errors import DataError, TrainingFailed
from chainrule.core.seeds import mix
from chainrule.data.folds import ENOUGH_ROWS, Fold, choose_folds, find_folds
from chainrule.data.splits import Split
from chainrule.jobs.events import Event, HeldOut
from chainrule.jobs.folds import in_fold, with_split
from chainrule.jobs.material import Material
from chainrule.jobs.yardstick import answer_yardsticks
from chainrule.report.summary import Yardstick
from chainrule.train.judgement import Judgement, judge_rows
from chainrule.train.loop import outputs_of
from chainrule.train.metrics import Answers, measure, metrics_for
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.task import Task
from chainrule.train.training import Learning

Train = Callable[[Recipe, Material], Learning]
TELL_SECONDS = 0.1  # between two signs of life of one network's training
YARDSTICK_SECONDS = 2.0  # for the trees of one fold
FEWEST_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What networks showed on rows that they never saw. `outputs` are those of the first round, row by row."""

    judgement: Judgement
    outputs: Tensor
    yardsticks: list[Yardstick]
    method: str
    networks: int
    rounds: int
    what: str = "rows"
    called: str = "network"

    def to_json(self) -> dict[str, Any]:
        """Return how the figures came about, for metrics.json."""
        return {"method": self.method, "networks": self.networks, "rounds": self.rounds, "said": self._said()}

    def _said(self) -> str:
        if self.method == "leave-one-out":
            return f"leave-one-out: {self.networks} {self.called}s of the same recipe, each judged on the {self.what[:-1]} that it never saw"
        times = f", repeated {self.rounds} times" if self.rounds > 1 else ""
        mean = "; figures are means over the repeats" if self.rounds > 1 else ""
        return (
            f"{self.method}{times}: {self.networks} {self.called}s of the same recipe, each judged on the {self.what} that it "
            f"never saw{mean}"
        )


def hold_back(settings: Settings, rows: int, *, is_divided: bool) -> Settings:
    """Fill in how rows are held back: a test set, or, where they are few and nothing was said, each in its turn."""
    nothing_said = settings.test is None and settings.validation is None
    if settings.folds is None:
        few = rows < ENOUGH_ROWS and nothing_said and not is_divided and settings.split == "random"
        settings = replace(settings, folds=choose_folds(rows) if few else 0)
    if settings.folds:
        return settings.filled({"validation": 0.0, "test": 0.0})
    return settings.filled({"validation": 0.1, "test": 0.2})


def check_rows(rows: int, name: str, folds: int | None) -> None:
    """Refuse a single row, and two where one of them is to be held out. Raises: DataError."""
    if rows == 1 or (folds and rows < FEWEST_ROWS):
        count = "1 row with a target" if rows == 1 else f"{rows} rows with a target"
        raise DataError(
            f"{name} has {count}, too few to learn from and to judge by; at least {FEWEST_ROWS} are needed"
        )


def way_announced(folds: int, material: Material, called: str = "network") -> str:
    """Say before training what becomes of few rows."""
    rows = len(material.split.train)
    what = "picture" if material.prepare.is_pictures else "row"
    found = _folds(material, folds, 0)
    return (
        f"{rows} {what}s are few: all of them train the {called}, and {len(found)} further {called}s judge it, each on "
        f"{f'the {what}' if len(found) == rows else f'{what}s'} that it did not train on (--test 0.2 holds a fifth back instead)"
    )


def judge_held_out(
    recipe: Recipe, material: Material, task: Task, train: Train
) -> Generator[Event, None, Verdict]:
    """Train a network and the simpler models on each fold, and judge all by the rows that were held out."""
    assert recipe.settings.folds
    folds = _folds(material, recipe.settings.folds, recipe.settings.seed)
    outputs, others = [], []
    for fold in folds:
        split = Split(train=fold.train, validation=fold.train[:0], test=fold.held_out)
        of_fold = with_split(recipe, material, split)
        outputs.append((yield from _trained(recipe, of_fold, task, fold, len(folds), train)))
        others.append(list(answer_yardsticks(of_fold, task, YARDSTICK_SECONDS)))
        yield HeldOut(network=fold.number + 1, networks=len(folds), is_trained=True, called=recipe.called)
    rounds = folds[-1].round + 1
    of_rounds = [_in_rows(folds, outputs, turn) for turn in range(rounds)]
    targets = task.encode(_targets(material)).to(of_rounds[0].device)
    return Verdict(
        judgement=_mean([judge_rows(task, found, targets) for found in of_rounds]),
        outputs=of_rounds[0],
        yardsticks=_yardsticks(task, others),
        method="leave-one-out"
        if len(folds) == len(targets)
        else f"{len(folds) // rounds}-fold cross-validation",
        networks=len(folds),
        rounds=rounds,
        what="pictures" if material.prepare.is_pictures else "rows",
        called=recipe.called,
    )


def judged_rows(material: Material) -> Material:
    """Return the material as it was judged: every row was a test row once."""
    rows = np.arange(len(material.examples))
    return replace(material, split=Split(train=rows, validation=rows[:0], test=rows))


def _folds(material: Material, folds: int, seed: int) -> list[Fold]:
    classes = None if material.kind == "regression" else _targets(material)
    return find_folds(material.copies, classes, folds, seed)


def _trained(
    recipe: Recipe, material: Material, task: Task, fold: Fold, networks: int, train: Train
) -> Generator[Event, None, Tensor]:
    """Train one network and return its outputs for the held-out rows, on the scale of the kept network's task."""
    seed = mix(recipe.settings.seed, "fold", fold.number)
    training = train(in_fold(recipe, material, seed=seed), material)
    told_at = time.perf_counter()
    try:
        for _ in training.reports():
            if (now := time.perf_counter()) - told_at >= TELL_SECONDS:
                told_at = now
                yield HeldOut(
                    network=fold.number + 1, networks=networks, is_trained=False, called=recipe.called
                )
    except TrainingFailed as failure:
        raise TrainingFailed(
            f"{recipe.called} {fold.number + 1} of {networks} that judge the rows: {failure}"
        ) from None
    objective = training.objective
    outputs = outputs_of(objective.model, training.inputs, torch.from_numpy(fold.held_out))
    if task.kind != "regression":
        return outputs
    values = objective.task.decode(outputs).values
    assert values is not None
    return task.encode(values.cpu().numpy()).to(outputs.device)


def _in_rows(folds: Sequence[Fold], outputs: Sequence[Tensor], turn: int) -> Tensor:
    """Return the outputs of one round in the order of the rows."""
    chosen = [
        (fold.held_out, found) for fold, found in zip(folds, outputs, strict=True) if fold.round == turn
    ]
    rows = np.concatenate([held_out for held_out, _ in chosen])
    return torch.cat([found for _, found in chosen])[torch.from_numpy(np.argsort(rows))]


def _mean(judgements: Sequence[Judgement]) -> Judgement:
    """Return the mean over rounds of each figure and of the ends of its interval."""
    names = [name for name in judgements[0].metrics if all(name in j.metrics for j in judgements)]
    ends = {
        name: np.mean([j.intervals[name] for j in judgements], axis=0)
        for name in names
        if all(name in j.intervals for j in judgements)
    }
    return Judgement(
        rows=judgements[0].rows,
        metrics={name: float(np.mean([j.metrics[name] for j in judgements])) for name in names},
        intervals={name: (float(low), float(high)) for name, (low, high) in ends.items()},
    )


def _yardsticks(task: Task, answers: Sequence[Sequence[tuple[Yardstick, Answers]]]) -> list[Yardstick]:
    """Judge each simpler model by all rows that it never saw, once a round."""
    found = []
    for of_one in zip(*answers, strict=True):
        together = Answers(**{name: _joined([getattr(a, name) for _, a in of_one]) for name in _PARTS})
        seconds = sum(yardstick.seconds for yardstick, _ in of_one)
        metrics = measure(together, metrics_for(task.kind))
        note = next((yardstick.note for yardstick, _ in of_one if yardstick.note), "")
        found.append(replace(of_one[0][0], metrics=metrics, seconds=seconds, note=note))
    return found


_PARTS = ("true", "labels", "probabilities", "values")


def _joined(parts: list[Any]) -> Any:
    return None if parts[0] is None else np.concatenate(parts)


def _targets(material: Material) -> np.ndarray:
    assert material.examples.targets is not None
    return material.examples.targets
