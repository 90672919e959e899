"""Claim: a search of 320 networks takes at most a tenth of the time of scikit-learn's, 1/2.5 of JAX's, 1/8 of skorch's.

Command:  python benchmarks/search_against_peers.py [--work digits|breast-cancer] [--rounds 5] [--sides NAME,NAME]
          (extra `bench`; skorch alone takes minutes a round)
Work:     digits: MLP 64-64-64-10, batch 64, 30 epochs, 8 learning rates x 8 L2 penalties x 5 folds = 320 networks
          breast-cancer: MLP 30-32-2, batch 64, 30 epochs, 20 x 10 x 5 = 1,000 networks
          Adam; four fifths of the rows in memory are searched on, the rest judges the winner once
Sides:    chainrule           `cr.tune(method="grid")`, its `search_seconds`: from rows in memory to the refitted winner,
                              scoring included, report not
          chainrule, halving  the same space with `method="halving"`
          peers               the files peers/search_*.py, from the same raw rows to the refitted winner
          Every search has a fresh process, imports are done before the clock starts, and the sides take turns.
Expected: ratios of 10 (aim 15), 2.5 and 8 on digits, halving a further 3; 25 on breast-cancer beside scikit-learn; best
          mean scores over the folds equal to 0.005
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from importlib import import_module
from typing import Any

import numpy as np
from harness import ratio_interval, record
from peers import sides
from peers.searching import Search

OURS, HALVING = "chainrule", "chainrule, halving"
PEERS = {
    "scikit-learn GridSearchCV": ("search_sklearn", ("sklearn",)),
    "skorch, GridSearchCV": ("search_skorch", ("torch", "skorch")),
    "JAX, vmap and scan": ("search_jax", ("jax", "optax")),
}
EPOCHS, BATCH, FOLDS = 30, 64, 5


def asked_of(work: str, cores: int) -> Search:
    """Return the search of a work."""
    if work == "digits":
        hidden, rates, decays = (64, 64), np.geomspace(1e-4, 3e-2, 8), [0.0, *np.geomspace(1e-6, 1e-2, 7)]
    else:
        hidden, rates, decays = (32,), np.geomspace(1e-4, 3e-2, 20), [0.0, *np.geomspace(1e-6, 1e-2, 9)]
    return Search(hidden, [float(r) for r in rates], [float(d) for d in decays], FOLDS, EPOCHS, BATCH, cores)


def rows_of(work: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a data set that scikit-learn has, in an order drawn once."""
    import sklearn.datasets

    data = getattr(sklearn.datasets, f"load_{work.replace('-', '_')}")()
    order = np.random.default_rng(0).permutation(len(data.data))
    return data.data[order].astype(np.float64), data.target[order].astype(np.int64)


def work_off(side: str, work: str, cores: int) -> dict[str, Any]:
    """Do one search; what is imported and read before it is not timed."""
    x, y = rows_of(work)
    asked = asked_of(work, cores)
    if side in (OURS, HALVING):
        return _ours(asked, x, y, "halving" if side == HALVING else "grid")
    search = import_module(f"peers.{PEERS[side][0]}").search
    cut = len(x) * 4 // 5
    began = time.perf_counter()
    found = search(asked, x[:cut], y[:cut])
    seconds = time.perf_counter() - began
    test = float((found.predict(x[cut:]) == y[cut:]).mean())
    return {
        "seconds": seconds,
        "score": float(found.score),
        "test": test,
        "settings": [found.rate, found.decay],
    }


def _ours(asked: Search, x: np.ndarray, y: np.ndarray, method: str) -> dict[str, Any]:
    import chainrule as cr

    with tempfile.TemporaryDirectory() as runs:
        found = cr.tune(
            (x, y),
            model="mlp",
            model_settings={"hidden": asked.hidden},
            space={"learning_rate": asked.rates, "weight_decay": asked.decays},
            method=method,
            folds=asked.folds,
            epochs=asked.epochs,
            batch_size=asked.batch_size,
            settings={"optimizer": "adam", "schedule": "constant", "label_smoothing": 0.0, "dropout": 0.0},
            runs=runs,
            quiet=True,
        )
        return {
            "seconds": found.search_seconds,
            "score": found.best["score"],
            "test": found.metrics["test"]["accuracy"],
            "settings": [found.best["settings"][name] for name in ("learning_rate", "weight_decay")],
        }


def measure(work: str, rounds: int, cores: int, wanted: list[str]) -> dict[str, Any]:
    """Let every side search in turn, a fresh process each time."""
    missing = {
        side: [p for p in packages if sides.find_spec(p) is None] for side, (_, packages) in PEERS.items()
    }
    taking_part = [side for side in wanted if not missing.get(side)]
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in taking_part}
    for _ in range(rounds):
        for side in taking_part:
            worker = sides.start_worker(__file__, ["--worker", side, "--work", work], cores, {})
            try:
                found[side].append(sides.heard(worker))
            finally:
                worker.communicate()
            print(f"{side}: {found[side][-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
    ours = [done["seconds"] for done in found[OURS]]
    result: dict[str, Any] = {"work": work, "networks": asked_of(work, cores).networks, "sides": {}}
    for side, done in found.items():
        seconds = [one["seconds"] for one in done]
        ratio, low, high = ratio_interval(seconds, ours)
        result["sides"][side] = {
            "seconds": statistics.median(seconds), "least": min(seconds), "ratio": ratio, "low": low, "high": high,
            "score": statistics.mean(one["score"] for one in done), "test": statistics.mean(one["test"] for one in done),
        }  # fmt: skip
    result["skipped"] = {
        side: f"{', '.join(lacks)} not installed" if (lacks := missing.get(side)) else "not asked for"
        for side in [HALVING, *PEERS]
        if side not in taking_part
    }
    return result


def name_of(side: str) -> str:
    """Return a side as it is named on the command line: halving, sklearn, skorch, jax."""
    return "halving" if side == HALVING else PEERS[side][0].removeprefix("search_")


def table(result: dict[str, Any]) -> str:
    """Return the medians and ratios as a table in Markdown."""
    lines = [f"{result['work']}, {result['networks']} networks", "", "| search | seconds | × chainrule | best of folds | test |", "|--|--|--|--|--|"]  # fmt: skip
    for side, row in result["sides"].items():
        times = f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        lines.append(f"| {side} | {row['seconds']:.2f} | {times} | {row['score']:.4f} | {row['test']:.4f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", choices=["digits", "breast-cancer"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", default=",".join(name_of(s) for s in [HALVING, *PEERS]))
    parser.add_argument("--threads", type=int, default=sides.cores())
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        sides.keep_to_cores(asked.threads)
        sides.tell(**work_off(asked.worker, asked.work, asked.threads))
        return
    every = {name_of(side): side for side in [HALVING, *PEERS]}
    wanted = [OURS, *(every[name] for name in asked.sides.split(","))]
    for work in [asked.work] if asked.work else ["digits", "breast-cancer"]:
        result = {
            "rounds": asked.rounds,
            "cores": asked.threads,
            **measure(work, asked.rounds, asked.threads, wanted),
        }
        print(table(result))
        if not asked.no_record:
            record("search_against_peers", result)


if __name__ == "__main__":
    main()
