"""Claim: ten fresh measurements of one job choose plans whose speeds lie within 5 % of each other.

Command:  python benchmarks/plan_choices.py [--jobs digits:mlp mnist-5k:mlp mnist-5k:lenet] [--measurements 10] [--record]

Every measurement begins without a cache. The plans that were chosen are then timed beside each other: their updates take
turns, so that what is compared is the plans and not the moments at which they were measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace

import torch
from harness import record

from chainrule.data.read import read
from chainrule.jobs.material import reading_of
from chainrule.jobs.planning import plan_for
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import make_training
from chainrule.train.plan import Plan
from chainrule.train.settings import Settings
from chainrule.train.training import Training

TURNS = 15
TURN_SECONDS = 0.1


def measure(job: str, measurements: int) -> dict[str, object]:
    """Choose a plan some times and time those that were chosen."""
    data, model = job.split(":")
    request = Request(data=data, settings=Settings(model=model, epochs=10 if data == "mnist-5k" else None))
    recipe, material = prepare_run(request, read(data, reading_of(request.settings, None)))

    def training_of(plan: Plan) -> Training:
        return make_training(replace(recipe, plan=plan), material, torch.device("cpu"))

    chosen: list[Plan] = []
    seconds: list[float] = []
    for _ in range(measurements):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache
            began = time.perf_counter()
            planned = plan_for(recipe, training_of(recipe.plan), request.runs)
            seconds.append(time.perf_counter() - began)
        chosen.append(planned.plan)
    names = {f"{plan.way}, {plan.threads}": plan for plan in chosen}
    names["plain"] = next(iter(names.values()))
    names["plain"] = replace(recipe.plan, threads=names["plain"].threads)
    times = timed({name: (plan, training_of(plan)) for name, plan in names.items()})
    used = [times[f"{plan.way}, {plan.threads}"] for plan in chosen]
    return {
        "job": job,
        "chosen": {
            name: sum(f"{p.way}, {p.threads}" == name for p in chosen) for name in names if name != "plain"
        },
        "speeds": [round(plan.speed or 1, 2) for plan in chosen],
        "times plain": {name: round(times["plain"] / t, 2) for name, t in times.items()},
        "slowest over fastest chosen": round(max(used) / min(used), 4),
        "seconds of choosing": round(statistics.median(seconds), 3),
    }


def timed(plans: dict[str, tuple[Plan, Training]]) -> dict[str, float]:
    """Return the median seconds of an update under each plan, in turns."""
    return {name: statistics.median(each) for name, each in update_seconds(plans, TURNS).items()}


def update_seconds(plans: dict[str, tuple[Plan, Training]], turns: int) -> dict[str, list[float]]:
    """Return the seconds of an update under each plan, turn by turn."""
    found: dict[str, list[float]] = {name: [] for name in plans}
    batches = {name: list(training.batches.epoch(0))[:8] for name, (_, training) in plans.items()}
    for _ in range(turns):
        for name, (plan, training) in plans.items():
            with plan.applied():
                count, began = 0, time.perf_counter()
                while time.perf_counter() - began < TURN_SECONDS:
                    for inputs, targets in batches[name]:
                        training.step.prepare(count, 1e-3)
                        training.step(inputs, targets)
                        count += 1
                found[name].append((time.perf_counter() - began) / count)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", nargs="*", default=["digits:mlp", "mnist-5k:mlp", "mnist-5k:lenet"])
    parser.add_argument("--measurements", type=int, default=10)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    for job in options.jobs:
        result = measure(job, options.measurements)
        print("\n".join(f"{name}: {value}" for name, value in result.items()), flush=True)
        if options.record:
            record("plan_choices", result)


if __name__ == "__main__":
    main()
