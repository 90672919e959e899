"""What a machine can do, measured: matrix products, memory, and what a call costs.

Each figure is the median of several rounds, after one that warms up; together they take about two seconds. Another
program that computes at the same time makes them smaller.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from chainrule.core.memory import memory_bytes
from chainrule.core.processor import instruction_sets, processor_name, usable_cores

ROUNDS_SECONDS = 0.4  # for the rounds of one figure
FEWEST_ROUNDS, MOST_ROUNDS = 3, 50
PRODUCT_SIDES = (256, 512, 1024, 2048, 4096, 8192)  # of square matrices
PRODUCT_SECONDS = 0.06  # that one product may take: small ones do not reach the peak
LEAST_ARRAY_BYTES, MOST_ARRAY_BYTES = 1 << 26, 1 << 29
CACHES = 4  # times the last-level cache that an array is large, so that none of it is found there
CALLS = 2000  # of the smallest operation, in one round


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A processor or GPU and its measured peaks.

    Units: products in floating-point operations a second, of which a multiply-add is two; memory in bytes a second
    """

    name: str
    device: str
    cores: int
    threads: int
    instruction_sets: tuple[str, ...]
    float32: float
    bfloat16: float
    bandwidth: float
    call_seconds: float

    def peak(self, precision: str) -> float:
        """Return the peak of matrix products of a precision."""
        return self.bfloat16 if precision == "bfloat16" else self.float32

    def values(self) -> dict[str, Any]:
        """Return every number by name."""
        return {**asdict(self), "instruction_sets": list(self.instruction_sets)}


def measurements(device: torch.device) -> dict[str, Callable[[], float]]:
    """Return what measures each figure of a machine, by the figure's name; each takes under a second."""
    return {
        "float32": lambda: product_rate(device, torch.float32),
        "bfloat16": lambda: product_rate(device, torch.bfloat16),
        "bandwidth": lambda: memory_rate(device),
        "call_seconds": lambda: call_seconds(device),
    }


def machine_of(device: torch.device, found: dict[str, float]) -> Machine:
    """Put the figures of a machine together with what it is."""
    return Machine(
        name=torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
        device=device.type,
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        instruction_sets=instruction_sets() if device.type == "cpu" else (),
        **found,
    )


def measure_machine(device: torch.device) -> Machine:
    """Measure a machine, at the thread count that torch has now."""
    return machine_of(device, {name: measure() for name, measure in measurements(device).items()})


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations a second of the largest product of square matrices that is done in a moment."""
    rate = 0.0
    for side in PRODUCT_SIDES:
        if rate and 2 * side**3 / rate > PRODUCT_SECONDS:
            break
        a, b = (torch.full((side, side), 1 / side, dtype=dtype, device=device) for _ in range(2))
        out = torch.empty_like(a)
        probe = rounds(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), device, seconds=0.0)  # type: ignore[misc]
        rate = 2 * side**3 / probe
    seconds = rounds(lambda: torch.mm(a, b, out=out), device)
    return 2 * len(a) ** 3 / seconds


def memory_rate(device: torch.device) -> float:
    """Return the bytes a second of a = b + s c on arrays that no cache holds: two are read, one is written."""
    count = array_bytes() // 4
    b, c = (torch.ones(count, device=device) for _ in range(2))
    a = torch.empty_like(b)
    return 3 * 4 * count / rounds(lambda: torch.add(b, c, alpha=0.5, out=a), device)


def call_seconds(device: torch.device) -> float:
    """Return the seconds that an operation takes on a single number, which is all but the call itself."""
    one = torch.ones(1, device=device)

    def many() -> None:
        for _ in range(CALLS):
            torch.add(one, one, out=one)

    with torch.no_grad():
        return rounds(many, device, seconds=ROUNDS_SECONDS / 4) / CALLS


def rounds(work: Callable[[], object], device: torch.device, seconds: float = ROUNDS_SECONDS) -> float:
    """Return the median seconds of some calls, after one that warms up."""
    work()
    taken: list[float] = []
    while len(taken) < FEWEST_ROUNDS or (sum(taken) < seconds and len(taken) < MOST_ROUNDS):
        began = now(device)
        work()
        taken.append(now(device) - began)
    return statistics.median(taken)


def now(device: torch.device) -> float:
    """Return the time, in seconds, when everything that the device was given to do is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def array_bytes() -> int:
    """Return how large an array no cache holds, within what this machine can spare."""
    wanted = max(LEAST_ARRAY_BYTES, CACHES * last_cache_bytes())
    return min(wanted, MOST_ARRAY_BYTES, (memory_bytes() or MOST_ARRAY_BYTES * 16) // 16)


def last_cache_bytes(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int:
    """Return the size of the largest cache, 0 where the system does not say.

    >>> last_cache_bytes(Path("no such folder"))
    0
    """
    return max((_cache_bytes(file) for file in folder.glob("index*/size")), default=0)


def _cache_bytes(file: Path) -> int:
    try:
        text = file.read_text().strip()
    except OSError:
        return 0
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 0)
    return int(text[:-1]) * factor if factor and text[:-1].isdigit() else 0
