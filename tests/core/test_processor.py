"""What this machine is called."""

from __future__ import annotations

import os

import pytest

from chainrule.core import processor
from chainrule.core.processor import instruction_sets, machine_name, processor_name, usable_cores


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the system says of its processor."""
    said: dict[str, str] = {}
    monkeypatch.setattr(
        processor, "_said_of_processor", lambda name: iter([said[name]] if name in said else [])
    )
    return said


def test_instruction_sets_are_those_of_the_processor(told: dict[str, str]) -> None:
    told["flags"] = "fpu sse2 avx2 avx512f avx512_bf16 amx_tile"
    assert instruction_sets() == ("avx2", "avx512f", "avx512_bf16", "amx_tile")


def test_a_processor_is_called_what_the_system_says_else_by_its_kind(told: dict[str, str]) -> None:
    assert processor_name() != ""
    told["model name"] = "a <fast> processor"
    assert processor_name() == "a <fast> processor"


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert usable_cores() == 1


def test_a_machine_is_named_alike_each_time_with_its_cores() -> None:
    assert machine_name() == machine_name()
    assert f", {os.cpu_count()} cores" in machine_name()
