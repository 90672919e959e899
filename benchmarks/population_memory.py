"""Claim: memory grows linearly in the members of a population, by what is predicted for one; groups keep it constant.

Command:  python benchmarks/population_memory.py
Work:     digits, MLPs 64-64-64-10, batch 64, Adam with decay, one epoch; each size in a process of its own
Sides:    one stack   all members under way together
          groups      stacks of at most 32 on two cores, as searches have them; weights are kept
Expected: resident memory over members is a line (R² >= 0.99) whose slope is within a tenth of what is predicted; in
          groups, from two at a time on, it is at most a quarter of that: the weights that are kept.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from harness import record

SIZES = (32, 64, 128, 256, 384)
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)  # of those that train side by side the largest


def train(members: int, most: int) -> dict[str, Any]:
    """Train a population, and return the most memory that the process had, with what is predicted."""
    from chainrule.data.read import read
    from chainrule.jobs.entries import DENSE, Entry
    from chainrule.jobs.material import reading_of
    from chainrule.jobs.population import PopulationRun
    from chainrule.jobs.preparation import prepare_run
    from chainrule.jobs.request import Request
    from chainrule.train.settings import Settings

    chosen = Settings(
        model="mlp", epochs=1, batch_size=64, optimizer="adam", learning_rate=1e-3, schedule="constant", dropout=0.0,
        label_smoothing=0.0, weight_decay=1e-3,
    )  # fmt: skip
    request = Request(data="digits", settings=chosen, model_settings={"hidden": (64, 64)})
    recipe, material = prepare_run(request, read("digits", reading_of(chosen, None)))
    entries = [
        Entry(recipe=replace(recipe, settings=replace(recipe.settings, seed=seed)), material=material)
        for seed in range(members)
    ]
    cores = 1 if most >= members else 2
    run = PopulationRun(entries, cores=cores, most=most, ways=[DENSE], memory_bytes=1 << 50)
    for _ in run.train():
        pass
    return {
        "bytes": 1024 * sum(resource.getrusage(who).ru_maxrss for who in WHO),
        "predicted": run.memory.training_bytes / members,
    }


def measured(members: int, most: int) -> dict[str, Any]:
    """Do that in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--members", str(members), "--most", str(most)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(sizes: tuple[int, ...], taken: list[int]) -> tuple[float, float]:
    """Return slope and R² of bytes over members."""
    slope, start = np.polyfit(sizes, taken, 1)
    left = np.array(taken) - (slope * np.array(sizes) + start)
    return float(slope), float(1 - (left**2).sum() / ((np.array(taken) - np.mean(taken)) ** 2).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--members", type=int)
    parser.add_argument("--most", type=int, default=32)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    if options.members:
        print(json.dumps(train(options.members, options.most)))
        return
    result: dict[str, Any] = {"sizes": SIZES}
    for side, most in (("one stack", max(SIZES)), ("groups", 32)):
        found = [measured(members, most) for members in SIZES]
        slope, fit = line(SIZES, [one["bytes"] for one in found])
        if most < SIZES[1]:  # the smallest is one group, trained in one process
            slope, fit = line(SIZES[1:], [one["bytes"] for one in found[1:]])
        predicted = found[0]["predicted"]
        result[side] = {"bytes": [one["bytes"] for one in found], "slope": slope, "r2": fit}
        result["predicted"] = predicted
        print(f"{side:10} {slope / 1e3:8.1f} kB a member (R² {fit:.4f}); {slope / predicted:.2f} of the {predicted / 1e3:.1f} kB predicted")  # fmt: skip
        print(
            "           "
            + ", ".join(f"{n}: {one['bytes'] / 1e6:.0f} MB" for n, one in zip(SIZES, found, strict=True))
        )
    if not options.no_record:
        record("population_memory", result)


if __name__ == "__main__":
    main()
