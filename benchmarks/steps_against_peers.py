"""Claim: after start-up, an update with chainrule takes a fraction of PyTorch's plain one and of JAX's.

Command:  python benchmarks/steps_against_peers.py [--work small|wide|cnn] [--rounds 11] [--plan auto]   (extra `bench`)
Work:     one update on a prepared batch, gradient descent with momentum, cross-entropy: MLP 64-32-32-10 with 32 rows,
          MLP 784-512-512-10 with 128, and two 5 × 5 convolutions (32 and 64 channels, each with pooling), 256 dense
          units, 32 × 32 × 3 pictures, 128 rows
Sides:    chainrule      the step of a run of 100,000 updates, as `fit` sets it up with its plan; the loss is checked
          plain PyTorch  nn.Sequential, nn.CrossEntropyLoss, torch.optim.SGD: zero_grad, forward, backward, step
          fused          plain with torch.optim.SGD(fused=True)
          JAX            an update compiled by jit, one call each; and all updates of a round in one scan (dense layers alone)
          Every side stays in a process of its own and is timed in turn, some updates at a time.
Expected: chainrule / plain <= 1/6 and chainrule / JAX jit <= 1/2 (small), chainrule / plain <= 1/1.6 (wide),
          chainrule / plain <= 1/3.5 (convolutions)
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from harness import ratio_interval, record
from peers import sides
from peers.networks import CNN, Network, mlp
from peers.sides import OURS, Side
from table import step_table

RATE = 1e-4  # so low that no gradient dies away while it is timed: numbers near 0 are slow
REST_SECONDS = 0.1  # between two sides: threads of the one before wait actively for a while
PLAIN, JIT = "plain PyTorch", "JAX, jit"


@dataclass(frozen=True)
class Update:
    """A network, the rows of its batch, the updates of one round and what shall be reached."""

    network: Network
    rows: int
    count: int
    goals: dict[str, float]  # side -> chainrule / side
    threads: int = 64  # at most: a second one has nothing to do in a tiny network


UPDATES = {
    "small": Update(mlp(64, 32, 32, 10), 32, 400, {PLAIN: 1 / 6, JIT: 1 / 2}, threads=1),
    "wide": Update(mlp(784, 512, 512, 10), 128, 30, {PLAIN: 1 / 1.6}),
    "cnn": Update(CNN, 128, 3, {PLAIN: 1 / 3.5}),
}
CHAINRULE = Side(OURS, "chainrule_side")


def work_off(side: Side, update: Update, plan: str) -> None:
    """Start up, make the updates of one round, then time as many for every line that comes in."""
    drawn = np.random.default_rng(0)
    x = drawn.standard_normal((update.rows, *update.network.inputs), dtype=np.float32)
    y = drawn.integers(0, 10, update.rows)
    y[:10] = np.arange(10)  # every class is there
    made = side.load().updates
    said = ""
    if side is CHAINRULE:
        run, said = made(update.network, x, y, RATE, update.count, plan=plan)
    else:
        run = made(update.network, x, y, RATE, update.count, **side.settings)
    run()
    sides.tell(plan=said)
    for _ in sys.stdin:
        began = time.perf_counter()
        run()
        sides.tell(seconds=(time.perf_counter() - began) / update.count)


def measure(name: str, plan: str, rounds: int, threads: int) -> dict[str, Any]:
    """Time every side in turn."""
    update = UPDATES[name]
    present, skipped = sides.split_by_presence(sides.STEPS, update.network)
    seconds: dict[str, list[float]] = {side.name: [] for side in (CHAINRULE, *present)}
    with ExitStack() as stack:
        workers = {side.name: _start(stack, side, name, plan, threads) for side in (CHAINRULE, *present)}
        chosen = {name: sides.heard(worker)["plan"] for name, worker in workers.items()}[OURS]
        for number in range(rounds + 1):  # the first warms up
            for side, worker in workers.items():
                time.sleep(REST_SECONDS)
                print("again", file=worker.stdin, flush=True)
                spent = sides.heard(worker)["seconds"]
                if number:
                    seconds[side].append(spent)
    result: dict[str, Any] = {"network": update.network.name, "rows": update.rows, "plan": chosen}
    result |= {"goals": update.goals, "skipped": skipped, "versions of peers": sides.versions_of(present)}
    result["sides"] = {side: _figures(seconds[OURS], spent) for side, spent in seconds.items()}
    return result


def _start(stack: ExitStack, side: Side, name: str, plan: str, threads: int) -> subprocess.Popen[str]:
    arguments = ["--worker", side.name, "--work", name, "--plan", plan]
    worker = sides.start_worker(__file__, arguments, threads, side.environment)
    stack.callback(worker.communicate)  # closes its input: it ends
    return worker


def _figures(ours: list[float], theirs: list[float]) -> dict[str, float]:
    ratio, low, high = ratio_interval(ours, theirs)
    return {
        "microseconds": statistics.median(theirs) * 1e6, "least": min(theirs) * 1e6,
        "ratio": ratio, "low": low, "high": high,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", choices=UPDATES)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--plan", default="auto")
    parser.add_argument("--threads", type=int, default=sides.cores())
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        sides.keep_to_cores(asked.threads)
        side = next(side for side in (CHAINRULE, *sides.STEPS) if side.name == asked.worker)
        work_off(side, UPDATES[asked.work], asked.plan)
        return
    for name in [asked.work] if asked.work else UPDATES:
        threads = min(asked.threads, UPDATES[name].threads)
        result = {"rounds": asked.rounds, "threads": threads, "asked": asked.plan}
        result |= measure(name, asked.plan, asked.rounds, threads)
        print(step_table(result))
        if not asked.no_record:
            record("steps_against_peers", result)


if __name__ == "__main__":
    main()
