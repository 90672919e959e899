"""Run two sides in turn in one process tree, print medians and ratios, keep a record."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chainrule.core.processor import processor_name

RECORDS = Path(__file__).parent / "records"


def interleaved(sides: dict[str, Callable[[], float]], pairs: int) -> dict[str, list[float]]:
    """Call every side once to warm up, then all in turn, A B A B …; each call returns its seconds."""
    for side in sides.values():
        side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(pairs):
        for name, side in sides.items():
            seconds[name].append(side())
    return seconds


def ratio_interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of the paired ratios and the order statistics that bound it with 95 % confidence (sign test)."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    n = len(ratios)
    cumulative, k = 0.0, -1
    for i in range(n):
        cumulative += _choose(n, i) / 2**n
        if cumulative > 0.025:
            break
        k = i
    k = max(k, 0)
    return statistics.median(ratios), ratios[k], ratios[n - 1 - k]


def _choose(n: int, k: int) -> int:
    import math

    return math.comb(n, k)


def record(claim: str, result: dict[str, Any]) -> None:
    """Append one line to the claim's record: figures, machine, versions, commit."""
    RECORDS.mkdir(exist_ok=True)
    line = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": _commit(),
        "machine": machine(),
        "versions": versions(),
        **result,
    }
    with (RECORDS / f"{claim}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(f"recorded in benchmarks/records/{claim}.jsonl")


def machine() -> str:
    """Name the processor and the number of cores."""
    return f"{processor_name()}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Return the versions that figures depend on."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {
        n: version(n) for n in ("torch", "numpy", "scikit-learn", "polars")
    }


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=RECORDS.parent
        )
    except OSError:
        return ""
    return found.stdout.strip()
