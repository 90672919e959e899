"""Claim: the same recipe gives the same bits, twenty times of twenty, under every way to run.

Command:  python benchmarks/repeat_bits.py [--repetitions 20] [--record]
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace

import torch
from harness import record

from chainrule.data.read import read
from chainrule.jobs.material import reading_of
from chainrule.jobs.planning import unmeasured_plan, ways_of
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import make_training
from chainrule.train.plan import Plan, make_plan
from chainrule.train.settings import Settings

JOBS = (("digits", "mlp", 2), ("mnist-5k", "lenet", 1))


def digest(recipe, material, plan: Plan) -> str:  # type: ignore[no-untyped-def]
    """Train, and return a hash of everything that is saved of it."""
    with plan.applied() as device:
        training = make_training(replace(recipe, plan=plan), material, device)
        for _ in training.reports():
            pass
    found = hashlib.sha256()
    for name, tensor in sorted(training.tensors().items()):
        found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    for data, model, epochs in JOBS:
        request = Request(data=data, settings=Settings(model=model, epochs=epochs))
        recipe, material = prepare_run(request, read(data, reading_of(request.settings, None)))
        training = make_training(recipe, material, torch.device("cpu"))
        threads = unmeasured_plan(recipe, training).threads
        equal = {}
        for way in dict.fromkeys(["plain", *ways_of(recipe, training), "compiled"]):
            plan = replace(make_plan(way, "cpu"), threads=threads)
            hashes = [digest(recipe, material, plan) for _ in range(options.repetitions)]
            equal[way] = hashes.count(hashes[0])
            print(f"{data} {model}, {way}: {equal[way]} of {options.repetitions} equal", flush=True)
        if options.record:
            record(
                "repeat_bits", {"job": f"{data}:{model}", "repetitions": options.repetitions, "equal": equal}
            )


if __name__ == "__main__":
    main()
