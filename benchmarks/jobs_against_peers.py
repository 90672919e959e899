"""Claim: a whole job with chainrule takes at most half the time of the fastest peer (MLP), or 1/1.3 (LeNet).

Command:  python benchmarks/jobs_against_peers.py [--work mlp|lenet] [--rounds 7] [--plan auto]      (extra `bench`)
Work:     mnist-5k, 4,000 rows in memory, ten epochs, batch 64, Adam 0.001: MLP 784-128-64-10, and LeNet of the
          catalogue with ReLU and max pooling
Sides:    chainrule         `fit` from rows in memory to weights on disk (`fit_seconds`), the choice of the plan and every
                            compilation in it; with an empty cache, as on the first day on a machine
          chainrule, again  the same with what an earlier run of this job has left in the cache
          peers             the files of peers/, each as the library's documentation writes it: from the same raw rows, which
                            are scaled first, to a trained network; nothing is written to disk
          Every job has a fresh process, imports are done before the clock starts, and the sides take turns.
Expected: chainrule / fastest peer <= 1/2 (MLP) and <= 1/1.3 (LeNet); accuracies on the other 1,000 rows beside them

JAX leaves out the 32 rows of an epoch that fill no batch; its convolutions take sixteen times as long inside a scan
on the CPU (1.7 s an update of the network of steps_against_peers.py, 32 rows), so that scan has dense layers alone. A side whose package is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from typing import Any

import numpy as np
from harness import ratio_interval, record
from peers import sides
from peers.networks import LENET, Network, Work, mlp
from peers.sides import OURS, Side
from table import job_table

NETWORKS = {"mlp": (mlp(784, 128, 64, 10), 1 / 2), "lenet": (LENET, 1 / 1.3)}
AGAIN = "chainrule, again"
CHAINRULE = (Side(OURS, "chainrule_side"), Side(AGAIN, "chainrule_side"))
EPOCHS, BATCH, RATE, TRAIN_ROWS = 10, 64, 1e-3, 4000


def rows_of_mnist() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures and digits, in an order drawn once."""
    from chainrule.data.builtin import mnist_5k

    source = mnist_5k()
    order = np.random.default_rng(0).permutation(len(source))
    return source.array[order], np.asarray(source.targets)[order].astype(np.int64)


def work_off(side: Side, network: Network, seed: int, plan: str) -> dict[str, Any]:
    """Do one job; what is imported and read before it is not timed."""
    module = side.load()
    x, y = rows_of_mnist()
    train, test = (x[:TRAIN_ROWS], y[:TRAIN_ROWS]), (x[TRAIN_ROWS:], y[TRAIN_ROWS:])
    work = Work(EPOCHS, BATCH, RATE, seed)
    if side.module == "chainrule_side":
        done = module.train(network, train, test, work, plan)
        return {"seconds": done.fit_seconds, "accuracy": done.metrics["test"]["accuracy"], "plan": done.plan}
    began = time.perf_counter()
    answer = module.train(network, *train, work, **side.settings)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "accuracy": float((answer(test[0]) == test[1]).mean())}


def measure(name: str, plan: str, rounds: int, threads: int) -> dict[str, Any]:
    """Let every side do the job in turn, a fresh process each time."""
    network, goal = NETWORKS[name]
    present, skipped = sides.split_by_presence(sides.JOBS, network)
    found: dict[str, list[dict[str, Any]]] = {side.name: [] for side in (*CHAINRULE, *present)}
    with tempfile.TemporaryDirectory() as kept:
        _do(CHAINRULE[1], name, 0, plan, threads, kept)  # fills the cache that later runs read
        for seed in range(rounds):
            for side in (*CHAINRULE, *present):
                found[side.name].append(_do(side, name, seed, plan, threads, kept))
    ours = [job["seconds"] for job in found[OURS]]
    result = {"network": network.name, "plan": found[OURS][-1]["plan"], "goal": goal, "skipped": skipped}
    result["sides"] = {side: _figures(ours, jobs) for side, jobs in found.items()}
    result["versions of peers"] = sides.versions_of(present)
    return result


def _do(side: Side, name: str, seed: int, plan: str, threads: int, kept: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as fresh:
        environment = {**side.environment, "XDG_CACHE_HOME": kept if side.name == AGAIN else fresh}
        arguments = ["--worker", side.name, "--work", name, "--seed", str(seed), "--plan", plan]
        worker = sides.start_worker(__file__, arguments, threads, environment)
        try:
            return sides.heard(worker)
        finally:
            worker.communicate()


def _figures(ours: list[float], jobs: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = [job["seconds"] for job in jobs]
    ratio, low, high = ratio_interval(ours, seconds)
    return {
        "seconds": statistics.median(seconds), "least": min(seconds), "ratio": ratio, "low": low, "high": high,
        "accuracy": statistics.mean(job["accuracy"] for job in jobs),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", choices=NETWORKS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plan", default="auto")
    parser.add_argument("--threads", type=int, default=sides.cores())
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        sides.keep_to_cores(asked.threads)
        side = next(side for side in (*CHAINRULE, *sides.JOBS) if side.name == asked.worker)
        sides.tell(**work_off(side, NETWORKS[asked.work][0], asked.seed, asked.plan))
        return
    for name in [asked.work] if asked.work else NETWORKS:
        result = {"rounds": asked.rounds, "threads": asked.threads, "asked": asked.plan}
        result |= measure(name, asked.plan, asked.rounds, asked.threads)
        print(job_table(result))
        if not asked.no_record:
            record("jobs_against_peers", result)


if __name__ == "__main__":
    main()
