"""Claim: the plan that `auto` chooses is never slower than plain PyTorch with its fused optimizer (0.97 as lower bound).

Command:  python benchmarks/never_slower.py [--jobs iris:mlp …] [--turns 21] [--record]

For every network of the catalogue that `fit` trains, on data that comes along: a plan is chosen from an empty cache, then
its updates and plain ones take turns of a tenth of a second. Beside it stands what choosing took of the run that plain
execution would have been (at most 5 %, compiling apart).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace
from typing import Any

import torch
from harness import ratio_interval, record
from plan_choices import update_seconds

from chainrule.data.read import read
from chainrule.jobs.material import reading_of
from chainrule.jobs.planning import plan_for, unmeasured_plan
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import make_training
from chainrule.train.plan import Plan
from chainrule.train.settings import Settings
from chainrule.train.training import Training

JOBS = [
    "diabetes:linear-regression", "breast-cancer:logistic-regression", "iris:softmax-regression", "iris:perceptron",
    "iris:mlp", "wine:mlp", "breast-cancer:mlp", "diabetes:mlp", "digits:mlp", "mnist-5k:softmax-regression",
    "mnist-5k:mlp", "mnist-5k:lenet",
]  # fmt: skip


def measure(job: str, turns: int) -> dict[str, Any]:
    """Choose a plan, and compare its updates with plain ones."""
    data, model = job.split(":")
    request = Request(data=data, settings=Settings(model=model, epochs=10 if data == "mnist-5k" else None))
    recipe, material = prepare_run(request, read(data, reading_of(request.settings, None)))

    def training_of(plan: Plan) -> Training:
        return make_training(replace(recipe, plan=plan), material, torch.device("cpu"))

    plain = unmeasured_plan(recipe, training_of(recipe.plan))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        training = training_of(recipe.plan)  # `fit` has it in any case
        began = time.perf_counter()
        chosen = plan_for(recipe, training, request.runs).plan
        choosing = time.perf_counter() - began
    plans = {"auto": chosen, "plain": plain}
    trainings = {name: (plan, training_of(plan)) for name, plan in plans.items()}
    seconds = update_seconds(trainings, turns)
    ratio, low, high = ratio_interval(seconds["plain"], seconds["auto"])
    steps = trainings["plain"][1].schedule.steps
    return {
        "job": job, "plan": chosen.way, "threads": chosen.threads, "times plain": round(ratio, 3), "low": round(low, 3),
        "high": round(high, 3), "choosing, share of the plain run": round(choosing / (statistics.median(seconds["plain"]) * steps), 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", nargs="*", default=JOBS)
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    found = []
    for job in options.jobs:
        found.append(measure(job, options.turns))
        print(found[-1], flush=True)
    if options.record:
        record("never_slower", {"turns": options.turns, "jobs": found})


if __name__ == "__main__":
    main()
