"""Kill a search with SIGKILL, resume it, and compare the rankings and the winners.

Command:  python -m scripts.search_kills [--kills 20] [--data iris] [--trials 18] [--seed 0] [--record]
          [--methods grid random bayes halving]
Every search starts afresh, is killed once and is resumed to its end; methods take turns. Kills come in turn at a moment
drawn evenly from its wall time, inside a write of its store (the file of the write-ahead log has just grown), while the
winner is trained (its recipe is there), and while it is judged (its model is there). Its table of trials (settings,
scores of every fold, losses, epochs), its winner and the winner's weights must equal those of the undisturbed search of
that method, bit for bit. A search that was killed before it had a folder is started again.
Expected: every search equal; networks that were judged before the kill are not trained again, but by halving
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkProcess as Process
from pathlib import Path

import torch

from benchmarks.harness import record
from chainrule.apps import cli
from chainrule.jobs import tune as _imported  # noqa: F401 - by the command, if not here
from chainrule.train.checkpoint import load_checkpoint

RANGE = {"low": 1e-4, "high": 1e-1, "log": True}
SPACES = {
    "grid": {"learning_rate": [0.03, 0.003, 3e-4], "weight_decay": [0, 0.01], "activation": ["relu", "tanh", "gelu"]},
    "random": {"learning_rate": RANGE, "dropout": {"low": 0.0, "high": 0.5}},
    "bayes": {"learning_rate": RANGE, "dropout": {"low": 0.0, "high": 0.5}},
    "halving": {"learning_rate": RANGE, "activation": ["relu", "tanh"], "epsilon": [1e-8, 1e-6]},
}  # fmt: skip
FORK = multiprocessing.get_context(
    "fork"
)  # what is imported here is there at once, so that kills hit searches
MOMENTS = ("wall time", "write of the store", "training of the winner", "judging of the winner")


def _command(*words: str) -> None:
    """Run a command of the command line, in a process of its own."""
    sys.argv = ["chainrule", *words]
    sys.exit(cli.run())


@dataclass(frozen=True)
class Work:
    """The searches that are killed."""

    folder: Path
    data: str
    trials: int

    def start(self, method: str, name: str) -> Process:
        """Begin a search, or go on with the one of that name."""
        if (self.folder / name / "search" / "search.json").exists():
            words = ["--resume", str(self.folder / name)]
        else:
            space = self.folder / f"{method}.json"
            space.write_text(json.dumps(SPACES[method]))
            count = [] if method == "grid" else ["--trials", str(self.trials)]
            words = [self.data, "--model", "mlp", "--space", str(space), "--method", method, *count, "--folds", "3", "--epochs", "32",
                     "--deterministic", "--runs", str(self.folder), "--name", name]  # fmt: skip
        process = FORK.Process(target=_command, args=("tune", *words, "--quiet"))
        process.start()
        return process

    def kill(self, process: Process, name: str, moment: str, share: float, wall: float) -> bool:
        """Wait for a moment and end the process there; return whether it was still running."""
        end = time.perf_counter() + share * wall
        has_come = self._seen(name, moment, share, lambda: time.perf_counter() >= end)
        while process.is_alive() and not has_come():
            time.sleep(0.0002)
        process.kill()
        process.join()
        return process.exitcode == -signal.SIGKILL

    def _seen(self, name: str, moment: str, share: float, is_over: Callable[[], bool]) -> Callable[[], bool]:
        """Return what says that a moment has come, by the files that are there."""
        run = self.folder / name
        if moment == "training of the winner":
            return (run / "recipe.json").exists
        if moment == "judging of the winner":
            return (run / "model.safetensors").exists
        log = run / "search" / "search.sqlite-wal"
        if moment == "write of the store":
            largest = share * 40_000  # bytes: a page is 4,096, and a write takes one or more
            return lambda: log.exists() and log.stat().st_size > largest
        return is_over


def finish(process: Process) -> None:
    """Wait for a search to end well."""
    process.join()
    if process.exitcode:
        raise SystemExit(f"a search ended with {process.exitcode}")


def differences(one: Path, other: Path) -> list[str]:
    """Say where two searches differ."""
    tables = [(path / "search" / "trials.csv").read_text() for path in (one, other)]
    found = ["trials.csv"] if tables[0] != tables[1] else []
    (a, _), (b, _) = (load_checkpoint(path / "checkpoint.safetensors") for path in (one, other))
    metrics = [json.loads((path / "metrics.json").read_text())["metrics"] for path in (one, other)]
    found += ["metrics"] if metrics[0] != metrics[1] else []
    return found + [name for name in a if name not in b or not torch.equal(a[name], b[name])]


def main() -> int:
    """Kill as often as asked, and print what came of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--data", default="iris")
    parser.add_argument("--trials", type=int, default=18)
    parser.add_argument("--methods", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--record", action="store_true", help="append to benchmarks/records/search_kills.jsonl"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), asked.data, asked.trials)
        counts = run(work, asked.methods, asked.kills, random.Random(asked.seed))
    for method, count in counts.items():
        if asked.record:
            record("search_kills", {"data": asked.data, "method": method, "seed": asked.seed, **count})
    return int(any(count["equal"] < count["kills"] for count in counts.values()))


def run(work: Work, methods: list[str], kills: int, draw: random.Random) -> dict[str, dict[str, int]]:
    """Return how many kills there were of searches by each method, where, and after how many all was equal."""
    walls = {}
    for method in methods:
        began = time.perf_counter()
        finish(work.start(method, f"whole-{method}"))
        walls[method] = time.perf_counter() - began
    counts = {method: dict.fromkeys(("kills", "equal", *MOMENTS), 0) for method in methods}
    for number in range(kills):
        method, moment = methods[number % len(methods)], MOMENTS[number // len(methods) % len(MOMENTS)]
        name, share = f"killed-{number}", draw.uniform(0.1, 0.95)
        was_running = work.kill(work.start(method, name), name, moment, share, walls[method])
        finish(work.start(method, name))
        found = differences(work.folder / f"whole-{method}", work.folder / name)
        counts[method]["kills"] += was_running
        counts[method][moment] += was_running
        counts[method]["equal"] += was_running and not found
        print(f"{method:8} {moment}, {share:.2f}: {found or 'equal'}{'' if was_running else ' (it had ended)'}", flush=True)  # fmt: skip
    for method, count in counts.items():
        print(f"{method}: {count['equal']} of {count['kills']} searches equal")
    return counts


if __name__ == "__main__":
    sys.exit(main())
