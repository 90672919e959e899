"""Kill a search with SIGKILL at moments spread over its wall time, resume it, and compare the rankings.

Command:  python scripts/search_kills.py [--kills 20] [--data wine] [--trials 24] [--seed 0]
          [--methods random halving grid]
Every search starts afresh, is killed once and is resumed to its end; methods take turns. Its table of trials (settings,
scores of every fold, losses, epochs), its winner and the winner's weights must equal those of the undisturbed search of
that method, bit for bit. A search that was killed before it had a folder is started again.
Expected: every search equal; networks that were judged before the kill are not trained again, but by halving
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from chainrule.train.checkpoint import load_checkpoint

METHODS = ("random", "halving", "grid")
SPACES = {
    "random": {
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "dropout": {"low": 0.0, "high": 0.5},
    },
    "halving": {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "activation": ["relu", "tanh"]},
    "grid": {
        "learning_rate": [0.03, 0.003, 3e-4],
        "weight_decay": [0, 0.01],
        "activation": ["relu", "tanh", "gelu"],
    },
}


def start(folder: Path, data: str, method: str, trials: int, name: str) -> subprocess.Popen[bytes]:
    """Begin a search, or go on with the one of that name."""
    if (folder / name / "search" / "search.json").exists():
        words = ["--resume", str(folder / name)]
    else:
        space = folder / f"{method}.json"
        space.write_text(json.dumps(SPACES[method]))
        count = [] if method == "grid" else ["--trials", str(trials)]
        words = [data, "--model", "mlp", "--space", str(space), "--method", method, *count, "--folds", "3", "--epochs", "40",
                 "--deterministic", "--runs", str(folder), "--name", name]  # fmt: skip
    return subprocess.Popen([sys.executable, "-m", "chainrule", "tune", *words, "--quiet"])


def finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise SystemExit(f"a search ended with {process.returncode}")


def differences(one: Path, other: Path) -> list[str]:
    """Say where two searches differ."""
    tables = [(path / "search" / "trials.csv").read_text() for path in (one, other)]
    found = ["trials.csv"] if tables[0] != tables[1] else []
    (a, _), (b, _) = (load_checkpoint(path / "checkpoint.safetensors") for path in (one, other))
    return found + [name for name in a if name not in b or not torch.equal(a[name], b[name])]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--data", default="wine")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    seconds, bad, in_search = {}, 0, 0
    for method in asked.methods:
        began = time.perf_counter()
        finish(start(folder, asked.data, method, asked.trials, f"whole-{method}"))
        seconds[method] = time.perf_counter() - began
    draw = random.Random(asked.seed)
    for kill in range(asked.kills):
        method, name = asked.methods[kill % len(asked.methods)], f"killed-{kill}"
        process, after = (
            start(folder, asked.data, method, asked.trials, name),
            draw.uniform(0.1, 0.95) * seconds[method],
        )
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        had_begun = (folder / name / "search" / "search.sqlite").exists()
        had_ended = (folder / name / "recipe.json").exists()
        in_search += had_begun and not had_ended
        finish(start(folder, asked.data, method, asked.trials, name))
        found = differences(folder / f"whole-{method}", folder / name)
        bad += bool(found)
        state = (
            "winner under way or done"
            if had_ended
            else "search under way"
            if had_begun
            else "before the search"
        )
        print(
            f"kill {kill + 1:2} {method:8} after {after:5.1f} s ({state}): {found if found else 'equal'}",
            flush=True,
        )
    print(
        f"{asked.kills - bad} of {asked.kills} searches equal; {in_search} were killed while networks were searched"
    )
    return bad


if __name__ == "__main__":
    sys.exit(main())
