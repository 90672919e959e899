"""Claim: the same recipe gives the same bits, twenty times of twenty, under every way to run.

Command:  python benchmarks/repeat_bits.py [--job digits:mlp] [--ways bfloat16 compiled …] [--updates 20]
          [--repetitions 20] [--record]
Work:     the MLP that `fit` suggests for digits, two epochs; LeNet on mnist-5k, one; or the first updates of them
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
from dataclasses import replace
from typing import Any

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

EPOCHS = {"digits:mlp": 2, "mnist-5k:lenet": 1}


def digest(recipe, material, plan: Plan, updates: int | None) -> str:  # type: ignore[no-untyped-def]
    """Train, and return a hash of everything that is saved of it."""
    with plan.applied() as device:
        training = make_training(replace(recipe, plan=plan), material, device)
        for _ in itertools.islice(training.reports(), updates):
            pass
    found = hashlib.sha256()
    for name, tensor in sorted(training.tensors().items()):
        found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def repeat(job: str, ways: list[str], repetitions: int, updates: int | None) -> dict[str, Any]:
    """Train a job several times in each way, in all that apply where none are named.

    Returns how many were equal, and the first hash, which tells whether another process had the same bits.
    """
    data, model = job.split(":")
    request = Request(data=data, settings=Settings(model=model, epochs=EPOCHS[job]))
    recipe, material = prepare_run(request, read(data, reading_of(request.settings, None)))
    training = make_training(recipe, material, torch.device("cpu"))
    threads = unmeasured_plan(recipe, training).threads
    found: dict[str, Any] = {"equal": {}, "bits": {}}
    for way in ways or dict.fromkeys(["plain", *ways_of(recipe, training), "compiled"]):
        plan = replace(make_plan(way, "cpu"), threads=threads)
        hashes = [digest(recipe, material, plan, updates) for _ in range(repetitions)]
        found["equal"][way], found["bits"][way] = hashes.count(hashes[0]), hashes[0][:16]
        print(f"{job}, {way}: {found['equal'][way]} of {repetitions} equal", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--job", choices=EPOCHS)
    parser.add_argument("--ways", nargs="*", default=[])
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--updates", type=int, help="stop after so many; all of them without it")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    for job in [options.job] if options.job else EPOCHS:
        found = repeat(job, options.ways, options.repetitions, options.updates)
        if options.record:
            said = {"job": job, "updates": options.updates or "all", "repetitions": options.repetitions}
            record("repeat_bits", said | found)


if __name__ == "__main__":
    main()
