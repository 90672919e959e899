"""Lanes side by side: what comes back from processes is what training here gives, and what fails is said."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from chainrule.core.errors import SettingError
from chainrule.jobs import side_by_side
from chainrule.jobs.lanes import Lane
from chainrule.jobs.side_by_side import can_copy, train_lanes
from chainrule.train.course import Row

needs_copies = pytest.mark.skipif(not can_copy(), reason="a process cannot be copied on this system")


class Counting(Lane):
    """A lane that adds its number in every epoch, and may break at one."""

    def __init__(self, number: int, breaks_by: Exception | int | None = None) -> None:
        super().__init__([number])
        self.total = torch.zeros(3)
        self.processes: list[int] = []
        self.breaks_by, self.breaks_at = breaks_by, 0  # what, and after how many epochs

    def _train(self, until: int | None) -> Iterator[int]:
        while len(self.processes) < (until or 5):
            if len(self.processes) == self.breaks_at and isinstance(self.breaks_by, Exception):
                raise self.breaks_by
            if len(self.processes) == self.breaks_at and isinstance(self.breaks_by, int):
                os.kill(os.getpid(), self.breaks_by)
            self.total += self.numbers[0]
            self.processes.append(os.getpid())
            yield 1

    def _outputs(self, rows: Tensor, among: Sequence[int]) -> dict[int, Tensor]:
        return {number: self.total.sum() * rows for number in among}

    def tensors(self) -> dict[str, Tensor]:
        return {"total": self.total}

    def state(self) -> dict[str, Any]:
        return {"processes": self.processes}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self.total = tensors["total"].clone()
        self.processes = state["processes"]

    def history(self, number: int) -> list[Row]:
        return [{"epoch": float(epoch)} for epoch, _ in enumerate(self.processes)]

    def best_epoch(self, number: int) -> int | None:
        return None

    def failure(self, number: int) -> str | None:
        return None

    def state_of(self, number: int) -> dict[str, Tensor]:
        return {"total": self.total}

    def give_up(self, why: str) -> None:
        raise NotImplementedError

    def _rest(self) -> None:
        pass

    def _halves(self, numbers: list[int]) -> list[Lane]:
        raise NotImplementedError


def lanes(*failures: Exception | int | None) -> list[Any]:
    return [Counting(number, failure) for number, failure in enumerate(failures)]


@pytest.mark.parametrize("way", ["one", "threads", "processes"])
def test_every_lane_is_trained_and_reported_once(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "processes" and not can_copy():
        pytest.skip("a process cannot be copied on this system")
    monkeypatch.setattr(side_by_side, "can_copy", lambda: way == "processes")
    given = lanes(*[None] * 5)
    judged = torch.tensor([1, 2])
    for lane in given:
        lane.judged = judged
    threads = torch.get_num_threads()
    for until in (3, 6):  # the second time goes on from where the first ended
        reports = list(train_lanes(given, until, 1 if way == "one" else 2))
        assert sum(report.made for report in reports) == 15
        assert [id(lane) for lane in given] == sorted(
            (id(report.ready) for report in reports if report.ready is not None),
            key=[id(x) for x in given].index,
        )
    for number, lane in enumerate(given):
        assert lane.total.tolist() == [6.0 * number] * 3
        assert len(lane.processes) == 6
        assert lane.outputs(judged, [number])[number].tolist() == [18.0 * number, 36.0 * number]
        assert (os.getpid() in lane.processes) == (way != "processes")
    assert torch.get_num_threads() == threads


@needs_copies
def test_an_error_in_a_process_is_raised_here() -> None:
    with pytest.raises(SettingError, match="the rate is 3 too high"):
        list(train_lanes(lanes(None, SettingError("the rate is 3 too high")), None, 2))
    with pytest.raises(RuntimeError, match=r"(?s)IndexError: row 7.*test_side_by_side\.py"):
        list(train_lanes(lanes(IndexError("row 7"), None), None, 2))


@needs_copies
def test_a_process_that_breaks_is_said() -> None:
    with pytest.raises(
        RuntimeError, match=rf"trained 1 networks was ended \(exit code -{signal.SIGTERM:d}\)"
    ):
        list(train_lanes(lanes(None, int(signal.SIGTERM)), None, 2))


@pytest.mark.parametrize("is_system", [True, False])
@pytest.mark.parametrize("way", ["one", "threads", "processes"])
@pytest.mark.parametrize("failure", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), signal.SIGKILL], ids=str)  # fmt: skip
def test_a_lane_that_memory_is_short_for_is_reported(
    way: str, failure: Exception | int, is_system: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system ends processes by SIGKILL where memory runs out, and counts them. What the lane had made is taken back."""
    if (way == "processes" and not can_copy()) or (way != "processes" and isinstance(failure, int)):
        pytest.skip("needs a process of its own")
    monkeypatch.setattr(side_by_side, "can_copy", lambda: way == "processes")
    counts = itertools.chain([3], itertools.repeat(3 + is_system))  # of processes ended for lack of memory
    monkeypatch.setattr(side_by_side, "ended_for_memory", lambda: next(counts))
    given = lanes(None, failure, None, None)
    given[1].breaks_at = 2
    reports = list(train_lanes(given, 4, 1 if way == "one" else 2))
    assert [report.short for report in reports if report.short is not None] == [given[1]]
    assert any(report.is_ended for report in reports) == (isinstance(failure, int) and not is_system)
    assert {id(report.ready) for report in reports if report.ready is not None} == {
        id(given[k]) for k in (0, 2, 3)
    }
    assert sum(report.made for report in reports) == 3 * 4
    assert min(report.made for report in reports) == -2


@needs_copies
def test_closing_ends_the_processes() -> None:
    """Of its own alone: others of this process, which other tests left, may still be on their way out."""
    others = set(multiprocessing.active_children())
    reports = train_lanes(lanes(None, None), 10**9, 2)
    assert next(reports).made == 1
    workers = set(multiprocessing.active_children()) - others
    assert len(workers) == 2 and all(worker.is_alive() for worker in workers)
    reports.close()
    assert not workers & set(multiprocessing.active_children())
    for worker in workers:
        with pytest.raises(ProcessLookupError):  # not even its entry is left in the table of processes
            os.kill(worker.pid or 0, 0)
