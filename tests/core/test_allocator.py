"""What is freed stays with the process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from chainrule.core.allocator import keep_freed_memory

SCRIPT = """
import sys, torch
from pathlib import Path
from chainrule.core.allocator import keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resident()
held = [torch.ones(5_000_000 - 100_000 * i) for i in range(20)]
most = resident()
del held
print((resident() - before) / (most - before))
"""


def part_that_stays(how: str) -> float:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], env=env, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_tensors_leave_their_memory_to_those_after_them() -> None:
    assert part_that_stays("as ever") < 0.5 < part_that_stays("keep")


def test_what_the_environment_says_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert not keep_freed_memory.__wrapped__()
