"""What is left of memory: the machine's, the container's, the process's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from chainrule.core.memory import available_bytes, ended_for_memory, is_out_of_memory, memory_bytes

STATM = "1000 800 50 1 0 400 0\n"


def system(tmp_path: Path, files: dict[str, str]) -> Path:
    """Return a folder that holds the files in which Linux tells of memory."""
    for name, text in {"proc/self/statm": STATM, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_least_of_machine_and_control_groups_counts(tmp_path: Path) -> None:
    files = {"proc/meminfo": "MemTotal:  900 kB\nMemFree:  100 kB\nMemAvailable:     500 kB\n"}
    assert available_bytes(system(tmp_path, files)) == 500 * 1024
    files |= {
        "proc/self/cgroup": "1:name=systemd:/\n0::/jobs/one\n",
        "sys/fs/cgroup/jobs/one/memory.max": "max\n",
        "sys/fs/cgroup/jobs/one/memory.current": "100\n",
        "sys/fs/cgroup/jobs/memory.max": "4000\n",
        "sys/fs/cgroup/jobs/memory.current": "3000\n",
        "sys/fs/cgroup/jobs/memory.stat": "anon 10\ninactive_file 700\nactive_file 20\n",
    }
    assert available_bytes(system(tmp_path, files)) == 4000 - 3000 + 700
    files |= {"sys/fs/cgroup/jobs/memory.current": "9000\n"}
    assert available_bytes(system(tmp_path, files)) == 0


def test_what_the_system_ended_for_lack_of_memory_is_counted(tmp_path: Path) -> None:
    assert ended_for_memory(tmp_path) is None
    assert ended_for_memory(system(tmp_path, {"proc/vmstat": "oom_kill_disable 7\noom_kill 3\n"})) == 3


def test_without_word_of_what_is_free_it_is_all_that_the_machine_has(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) == memory_bytes()
    found = available_bytes()
    assert found is not None and 0 < found <= (memory_bytes() or 0)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not hold a process to its limit"
)
def test_a_limit_of_the_process_counts() -> None:
    said = (
        "import resource; from chainrule.core.memory import available_bytes\n"
        "taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + 50_000_000,) * 2)\n"
        "print(available_bytes())"
    )
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert 30_000_000 < int(found.stdout) <= 50_000_000


def test_what_torch_and_python_say_of_memory_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
