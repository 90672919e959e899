"""Kill a training run with SIGKILL at moments spread over its wall time, resume it, and compare the bits.

Command:  python -m scripts.kills [--kills 30] [--data iris] [--model mlp] [--plan auto] [--record]
          python -m scripts.kills --kills 20 --members 12 --ensemble bagging --settings hidden=64
The network is large for its data, so that most of the time goes into checkpoints, which are written after every
update. Every run starts afresh, is killed once (every fifth one twice) and is resumed to its end. Its weights, optimizer
state, losses and history must equal those of the undisturbed run bit for bit; times do not count. Every third kill
waits for the next write to begin. A kill counts as inside a write if the half-written file is found beside the
checkpoint.
Expected: every run equal; at least 5 kills inside a write
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import record
from chainrule.train.checkpoint import load_checkpoint

FIT = [sys.executable, "-m", "chainrule", "fit"]


@dataclass(frozen=True)
class Work:
    """The run that is killed."""

    data: str
    model: str
    epochs: int
    checkpoint_seconds: float
    folder: Path
    plan: str = "auto"
    ensemble: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def start(self, name: str) -> subprocess.Popen[bytes]:
        command = [
            *FIT, self.data, "--model", self.model, "--epochs", str(self.epochs), "--plan", self.plan,
            *(self.ensemble or ("--patience", str(self.epochs))),
            *(word for setting in self.settings for word in ("--set", setting)), "--runs", str(self.folder), "--name", name, "--checkpoint-seconds", str(self.checkpoint_seconds), "--quiet",
        ]  # fmt: skip
        return subprocess.Popen(command)

    def resume(self, name: str) -> subprocess.Popen[bytes]:
        if not (self.folder / name / "recipe.json").exists():
            return self.start(name)  # killed before there was a run: nothing to resume, nothing lost
        command = [
            *FIT, "--resume", str(self.folder / name), "--checkpoint-seconds", str(self.checkpoint_seconds), "--quiet",
        ]  # fmt: skip
        return subprocess.Popen(command)


def kill_after(process: subprocess.Popen[bytes], seconds: float, beside: Path | None = None) -> bool:
    """Wait, then SIGKILL; with `beside`, as soon as that file is seen. Returns whether the process was still running."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        while beside is not None and process.poll() is None and not beside.exists():
            time.sleep(0.0002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
    return False


def differences(one: Path, other: Path) -> list[str]:
    """Say where two finished runs differ in anything but times."""
    (a, state_a), (b, state_b) = (load_checkpoint(p / "checkpoint.safetensors") for p in (one, other))
    found = [
        n for n in sorted(a.keys() | b.keys()) if n not in a or n not in b or not torch.equal(a[n], b[n])
    ]
    for state in (state_a, state_b):
        of_members = [member["history"] for member in (state.get("members") or {}).values()]
        for row in (row for history in (state["history"], *of_members) for row in history):
            row.pop("seconds")
    found += ["plan"] if plan_of(one) != plan_of(other) else []
    return found + [k for k in sorted(state_a.keys() | state_b.keys()) if state_a.get(k) != state_b.get(k)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--data", default="iris")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--plan", default="auto")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--checkpoint-seconds", type=float, default=0.0)
    parser.add_argument("--members")
    parser.add_argument("--ensemble", default="deep")
    parser.add_argument("--settings", nargs="*", default=["hidden=1024,256"])
    parser.add_argument("--record", action="store_true", help="append to benchmarks/records/kills.jsonl")
    options = parser.parse_args()
    ensemble = ("--members", options.members, "--ensemble", options.ensemble) if options.members else ()
    with tempfile.TemporaryDirectory() as name:
        work = Work(
            options.data, options.model, options.epochs, options.checkpoint_seconds, Path(name), options.plan, ensemble,
            tuple(options.settings),
        )  # fmt: skip
        found = run(work, options.kills)
    if options.record:
        asked = {name: getattr(options, name) for name in ("data", "model", "epochs", "members", "settings")}
        record("kills", {**asked, "ensemble": options.ensemble if options.members else None, **found})
    wanted = 0 if options.members else min(5, options.kills)
    return int(found["equal"] < found["kills"] or found["inside a write"] < wanted)


def plan_of(run: Path) -> dict[str, Any]:
    """Return the plan that stands in a recipe."""
    plan: dict[str, Any] = json.loads((run / "recipe.json").read_text())["plan"]
    return plan


def run(work: Work, kills: int) -> dict[str, Any]:
    """Do all kills, print what came of each, and return how many there were and what plan the runs had."""
    assert (
        work.start("warm-up").wait() == 0
    )  # what is read for the first time takes longer, and would stretch the moments
    began = time.perf_counter()
    assert work.start("undisturbed").wait() == 0
    wall = time.perf_counter() - began
    print(f"undisturbed: {wall:.1f} s wall")
    inside = unequal = 0
    for number in range(kills):
        label = f"kill-{number + 1}"
        moments = [wall * (number + 0.5) / kills]
        if number % 5 == 4:
            moments.append(wall * 0.4)
        process, writing = work.start(label), 0
        for moment in moments:
            beside = work.folder / label / ".checkpoint.safetensors.new"
            if not kill_after(process, moment, beside if number % 3 == 1 else None):
                break
            writing += beside.exists()
            process = work.resume(label)
        code = process.wait()
        found = (
            differences(work.folder / "undisturbed", work.folder / label)
            if code == 0
            else [f"exit code {code}"]
        )
        inside += bool(writing)
        unequal += bool(found)
        where = "inside a checkpoint's write" if writing else "elsewhere"
        print(
            f"{label}: after {', '.join(f'{m:.2f} s' for m in moments)}, {where}: {found or 'equal bits'}",
            flush=True,
        )
    print(f"{kills} kills, {inside} inside a write, {kills - unequal} equal bit for bit")
    plan = plan_of(work.folder / "undisturbed")
    return {"kills": kills, "inside a write": inside, "equal": kills - unequal, "plan": plan}


if __name__ == "__main__":
    sys.exit(main())
