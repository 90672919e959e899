"""Claim: a network that a measured plan has trained is as good as one of plain float32.

Command:  python benchmarks/plans_agree.py [--work digits|mnist-mlp|mnist-lenet|breast-cancer] [--seeds 20] [--first 0] [--plan auto]
          [--join]
Work:     20 seeds (each with its own split, starting weights and order of batches) of digits and breast-cancer with the
          network that `fit` suggests, and of mnist-5k with the MLP 784-128-64-10 and with LeNet for ten epochs; all
          other settings are those that `fit` suggests, early stopping too
Sides:    plain   plan plain
          other   the plan that is asked for: auto, or any by name. Everything else is equal, seed by seed
Expected: the 90 % interval of the mean difference in test accuracy (other − plain, paired, t) lies within ± 0.005, for
          breast-cancer ± 0.01: two one-sided tests of 5 % each

In pieces: `--first 5 --seeds 5` trains the seeds 5 to 9, and `--join` gives the interval over all recorded pieces of one
work and plan.

A seed that trains to the very same accuracy counts as a difference of 0. The interval is over seeds of one table.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from harness import RECORDS, record
from peers.chainrule_side import opened
from scipy.stats import t as student

from chainrule.jobs.request import Request
from chainrule.jobs.workshop import make_training
from chainrule.train.loop import judge, outputs_of
from chainrule.train.settings import Settings


@dataclass(frozen=True)
class Table:
    """Data, what is trained on it, and the margin within which plans agree."""

    data: str
    margin: float = 0.005
    settings: dict[str, Any] = field(default_factory=dict)
    model_settings: dict[str, Any] = field(default_factory=dict)


TABLES = {
    "digits": Table("digits"),
    "mnist-mlp": Table(
        "mnist-5k", settings={"model": "mlp", "epochs": 10}, model_settings={"hidden": (128, 64)}
    ),
    "mnist-lenet": Table("mnist-5k", settings={"model": "lenet", "epochs": 10}),
    "breast-cancer": Table("breast-cancer", 0.01),
}


def trained(table: Table, seed: int, plan: str) -> tuple[float, str]:
    """Train as `fit` does, without yardsticks and report; return the accuracy on the test rows and the plan."""
    settings = Settings(seed=seed, plan=plan, **table.settings)
    make_request = functools.partial(_request, table, settings)
    recipe, material, _ = opened(make_request)
    with recipe.plan.applied() as device:
        training = make_training(recipe, material, device)
        for _ in training.reports():
            pass
        training.restore_best_()
        objective, rows = training.step.objective, material.split.test
        outputs = outputs_of(objective.model, material.inputs[torch.from_numpy(rows)].to(device))
        targets = objective.task.encode(material.examples.targets[rows]).to(device)
        return judge(objective.task, outputs, targets)["accuracy"], str(recipe.plan)


def _request(table: Table, settings: Settings, runs: Path) -> Request:
    return Request(data=table.data, settings=settings, model_settings=table.model_settings, runs=runs)


def interval(differences: list[float]) -> tuple[float, float, float]:
    """Return the mean and the ends of its 90 % interval: within the margin, both one-sided tests of 5 % reject."""
    mean = statistics.mean(differences)
    half = statistics.stdev(differences) / len(differences) ** 0.5 * student.ppf(0.95, len(differences) - 1)
    return mean, mean - half, mean + half


def compare(name: str, plan: str, seeds: range) -> dict[str, Any]:
    """Train every seed with both plans; print and return the interval."""
    table = TABLES[name]
    plain, other, chosen = [], [], Counter[str]()
    for seed in seeds:
        plain.append(trained(table, seed, "plain")[0])
        accuracy, taken = trained(table, seed, plan)
        other.append(accuracy)
        chosen[taken] += 1
    return concluded(name, plan, plain, other, chosen)


def concluded(
    name: str, plan: str, plain: list[float], other: list[float], chosen: Counter[str]
) -> dict[str, Any]:
    """Print and return the interval; a single seed has none."""
    table = TABLES[name]
    found = {"plain": plain, "other": other, "plans": dict(chosen)}
    if len(plain) < 2:
        return found
    differences = [a - b for a, b in zip(other, plain, strict=True)]
    mean, low, high = interval(differences)
    agrees = bool(-table.margin <= low and high <= table.margin)
    print(
        f"{name}: --plan {plan} {statistics.mean(other):.4f}, plain {statistics.mean(plain):.4f}; difference {mean:+.4f}, "
        f"90 % interval {low:+.4f} to {high:+.4f} over {len(plain)} seeds: {'within' if agrees else 'not within'} "
        f"± {table.margin:g}\n  plans: {', '.join(f'{said} ({count})' for said, count in chosen.items())}",
        flush=True,
    )
    return {"mean": mean, "low": low, "high": high, "agrees": agrees} | found


def joined(name: str, plan: str) -> dict[str, Any]:
    """Return the interval over the pieces of the record, the latest of each seed."""
    by_seed: dict[int, tuple[float, float]] = {}
    chosen = Counter[str]()
    for line in (RECORDS / "plans_agree.jsonl").read_text().splitlines():
        piece = json.loads(line)
        if name not in piece or piece["plan"] != plan or "first" not in piece:
            continue
        pairs = zip(piece[name]["plain"], piece[name]["other"], strict=True)
        by_seed.update(enumerate(pairs, piece["first"]))
        chosen.update(piece[name]["plans"])
    plain, other = zip(*(by_seed[seed] for seed in sorted(by_seed)), strict=True)
    return concluded(name, plan, list(plain), list(other), chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", choices=TABLES)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, help="the first seed of a piece")
    parser.add_argument("--join", action="store_true", help="give the interval over recorded pieces")
    parser.add_argument("--plan", default="auto")
    parser.add_argument("--no-record", action="store_true")
    asked = parser.parse_args()
    first = asked.first or 0
    result: dict[str, Any] = {"plan": asked.plan, "seeds": asked.seeds}
    result |= {} if asked.first is None else {"first": first}
    for name in [asked.work] if asked.work else TABLES:
        seeds = range(first, first + asked.seeds)
        result[name] = joined(name, asked.plan) if asked.join else compare(name, asked.plan, seeds)
        result["seeds"] = len(result[name]["plain"])
    if not asked.no_record:
        record("plans_agree", result)


if __name__ == "__main__":
    main()
