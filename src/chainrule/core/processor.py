"""What this machine is called: its processor, the cores that may be used, and what of it decides how fast products are."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

# Those that decide how fast products are, as /proc/cpuinfo calls them.
INSTRUCTION_SETS = (
    "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",
    "asimd", "sve", "bf16", "i8mm",
)  # fmt: skip


def processor_name() -> str:
    """Return what the processor is called."""
    return next(_said_of_processor("model name"), "") or platform.processor() or platform.machine()


def instruction_sets() -> tuple[str, ...]:
    """Return those instruction sets of the processor that decide how fast products are, where the system lists them."""
    said = next(_said_of_processor("flags"), "") or next(_said_of_processor("Features"), "")
    there = set(said.split())
    return tuple(name for name in INSTRUCTION_SETS if name in there)


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_name() -> str:
    """Return what a plan depends on beside the network and versions: processor or GPU, cores, instructions, as torch sees them."""
    import torch

    processor = platform.machine()
    if hasattr(torch.cpu, "get_capabilities"):
        processor = str(torch.cpu.get_capabilities().get("cpu_name", processor))
    there = (
        ("avx512", torch.cpu._is_avx512_supported()),
        ("avx512_bf16", torch.cpu._is_avx512_bf16_supported()),
        ("amx", torch.cpu._is_amx_tile_supported()),
    )
    lower = "".join(f", {name}" for name, is_there in there if is_there)
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {os.cpu_count() or 1} cores{lower}{gpu}"


def _said_of_processor(name: str) -> Iterator[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            yield value.strip()
