"""What is measured of a machine."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from chainrule.train import machine
from chainrule.train.machine import last_cache_bytes, measure_machine, rounds

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure with small matrices and arrays: the road is the same."""
    monkeypatch.setattr(machine, "ROUNDS_SECONDS", 0.01)
    monkeypatch.setattr(machine, "PRODUCT_SIDES", (32, 64))
    monkeypatch.setattr(machine, "MOST_ARRAY_BYTES", 1 << 20)


def test_every_figure_is_measured() -> None:
    found = measure_machine(CPU)
    figures = (found.float32, found.bfloat16, found.bandwidth, found.call_seconds)
    assert all(0 < figure < math.inf for figure in figures)
    assert found.call_seconds < 0.1 and found.float32 > 1e6 and found.bandwidth > 1e6
    assert found.peak("bfloat16") == found.bfloat16 and found.peak("float32") == found.float32
    assert found.threads == torch.get_num_threads() and found.cores >= 1 and found.name
    assert found.values()["float32"] == found.float32


def test_rounds_take_the_median_and_forget_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    lasts = iter([100.0, 3.0, 1.0, 2.0])
    monkeypatch.setattr(machine, "now", lambda device: clock[0])

    def work() -> None:
        clock[0] += next(lasts)

    assert rounds(work, CPU, seconds=0.0) == 2.0


def test_the_rate_counts_two_operations_for_a_multiply_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "rounds", lambda work, device, seconds=0.0: 0.5)
    assert machine.product_rate(CPU, torch.float32) == 2 * 32**3 / 0.5, (
        "and a slow machine gets no larger ones"
    )
    assert machine.memory_rate(CPU) == 3 * (machine.array_bytes() // 4 * 4) / 0.5


def test_cache_sizes_as_the_system_writes_them(tmp_path: Path) -> None:
    for place, size in enumerate(["32K", "1024K\n", "32M", "unknown"]):
        (tmp_path / f"index{place}").mkdir()
        (tmp_path / f"index{place}" / "size").write_text(size)
    assert last_cache_bytes(tmp_path) == 32 << 20


@pytest.mark.gpu
def test_a_gpu_is_waited_for() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    found = measure_machine(torch.device("cuda"))
    assert found.device == "cuda" and found.bfloat16 > 0
