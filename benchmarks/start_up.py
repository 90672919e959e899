"""Claim: the command is there at once, and digits are learned within seconds of asking.

Command:  python benchmarks/start_up.py [--times N]        (Linux or macOS)
Work:     whole processes, started in turn; every figure is a median over N. Nothing else should run on the machine.
Figures:  chainrule --help, chainrule fit --help     until the process ends
          import chainrule                           the process, less a bare `python -c pass` started beside it
          chainrule fit digits --json                until the first epoch's line
          chainrule fit digits                       until the process ends, report written; and its peak memory
Expected: both helps <= 0.25 s, importing none of torch, polars, scipy, sklearn; import <= 50 ms; first epoch's line
          <= 3.5 s; fit digits <= 6 s. Peak memory has no goal, it is reported.

This process imports nothing large: a child's peak memory cannot be read lower than its parent's was.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness import interleaved, record

COMMAND = str(Path(sys.executable).with_name("chainrule"))
HEAVY = frozenset(("torch", "polars", "scipy", "sklearn"))
GOALS = {
    "--help": 0.25,
    "fit --help": 0.25,
    "import chainrule": 0.05,
    "first epoch's line": 3.5,
    "fit digits": 6.0,
}
MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def whole(arguments: list[str], memory: list[int] | None = None) -> float:
    """Run a process to its end and return its seconds; its peak memory in bytes goes to `memory`."""
    began = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    if memory is not None:
        memory.append(usage.ru_maxrss * MEMORY_UNIT)
    return seconds


def until_line(arguments: list[str], wanted: str) -> float:
    """Start a process and return the seconds until it has written a line with `wanted`; then end it."""
    began = time.perf_counter()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if wanted in line:
                seconds = time.perf_counter() - began
                process.kill()
                return seconds
    raise SystemExit(f"{' '.join(arguments)} wrote no line with {wanted}")


def heavy_imports(arguments: list[str]) -> list[str]:
    """Return which heavy packages a command imports, from Python's own list of imports."""
    command = [sys.executable, "-X", "importtime", COMMAND, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in lines}
    assert "chainrule" in imported, "the list of imports is not what it was taken for"
    return sorted(imported & HEAVY)


def sides(folder: Path, memory: list[int]) -> dict[str, Callable[[], float]]:
    """Return every process that is timed; run folders go to a folder that is thrown away."""
    fit = [COMMAND, "fit", "digits", "--runs", str(folder)]
    return {
        "--help": lambda: whole([COMMAND, "--help"]),
        "fit --help": lambda: whole([COMMAND, "fit", "--help"]),
        "bare python": lambda: whole([sys.executable, "-c", "pass"]),
        "with chainrule": lambda: whole([sys.executable, "-c", "import chainrule"]),
        "first epoch's line": lambda: until_line([*fit, "--json"], '"event": "epoch"'),
        "fit digits": lambda: whole(fit, memory),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=11)
    times = parser.parse_args().times
    heavy = {name: heavy_imports(name.split()) for name in ("--help", "fit --help")}
    memory: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        seconds = interleaved(sides(Path(folder), memory), times)
    pairs = zip(seconds["with chainrule"], seconds["bare python"], strict=True)
    seconds["import chainrule"] = [ours - bare for ours, bare in pairs]
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    peak = statistics.median(memory) / 2**20
    print(
        f"medians of {times}; load average of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    for name, goal in GOALS.items():
        spread = f"{min(seconds[name]):.3f} to {max(seconds[name]):.3f}"
        mark = "pass" if medians[name] <= goal else "FAIL"
        imports = (
            f", imports of {', '.join(sorted(HEAVY))}: {', '.join(heavy[name]) or 'none'}"
            if name in heavy
            else ""
        )
        print(f"{name:20} {medians[name]:6.3f} s ({spread})  goal {goal:g} s: {mark}{imports}")
    print(f"{'fit digits':20} peak memory {peak:.0f} MiB")
    record(
        Path(__file__).stem,
        {"times": times, "seconds": medians, "goals": GOALS, "peak memory MiB": peak, "heavy imports": heavy},
    )


if __name__ == "__main__":
    main()
