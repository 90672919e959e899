"""Populations and memory: what they take is told before, too many are trained in parts, too little of it halves a group."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chainrule.jobs import population_memory, side_by_side
from chainrule.jobs.entries import ALONE, AUTOGRAD, DENSE
from chainrule.jobs.entry_trainings import EntryTrainings
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.population_memory import MemoryPlan
from chainrule.train.stack_training import StackTraining
from chainrule.train.training import Training
from tests.jobs.test_population import differing, entry, judged, train, weights_of

TORCH_SAYS = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "8589934592 bytes. Error code 12 (Cannot allocate memory)"
)


def rates(count: int) -> list[float]:
    return list(np.geomspace(1e-4, 1e-2, count))


def fail_above(monkeypatch: pytest.MonkeyPatch, most: int, *, at_epoch: int = 0) -> list[int]:
    """Let memory run out in the middle of an epoch of every stack with more members; return their sizes as they begin."""
    begun: list[int] = []
    epoch = StackTraining._train_epoch

    def limited(self: StackTraining, going: list[int]) -> None:
        if self.epoch == 0:
            begun.append(len(self._numbers))
        epoch(self, going)
        if len(self._numbers) > most and self.epoch == at_epoch:
            raise RuntimeError(TORCH_SAYS)

    monkeypatch.setattr(StackTraining, "_train_epoch", limited)
    return begun


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes in threads, which a test can look into."""
    monkeypatch.setattr(side_by_side, "can_copy", lambda: False)


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("at_epoch", [0, 2])
def test_halved_groups_have_the_same_bits(monkeypatch: pytest.MonkeyPatch, at_epoch: int, cores: int) -> None:
    """In processes where the system has them."""
    entries = differing(
        entry(epochs=4, dropout=0.2), learning_rate=rates(9), seed=[0, 1, 2, 0, 1, 2, 0, 1, 2]
    )
    whole = train(entries, cores=1, ways=[DENSE])
    fail_above(monkeypatch, 2, at_epoch=at_epoch)
    run = PopulationRun(entries, cores=cores, ways=[DENSE], judged="test")
    assert sum(run.train()) == 9 * 4
    assert max(len(lane.numbers) for lane in run.lanes) == 2 and run.ready == set(range(9))
    for number in range(9):
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))
    assert judged(run) == judged(whole)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("at_epoch", [0, 2])
def test_a_group_that_memory_is_too_small_for_is_halved(
    monkeypatch: pytest.MonkeyPatch, at_epoch: int
) -> None:
    entries = differing(entry(epochs=4, dropout=0.2), learning_rate=rates(7), seed=[0, 1, 2, 0, 1, 2, 0])
    whole = train(entries, cores=1, ways=[DENSE])
    begun = fail_above(monkeypatch, 2, at_epoch=at_epoch)
    run = PopulationRun(entries, cores=1, ways=[DENSE], judged="test")
    assert sum(run.train()) == 7 * 4  # epochs that are made again are told once
    assert sorted(begun, reverse=True) == [7, 4, 3, 2, 2, 2, 1]
    assert [lane.numbers for lane in run.lanes] == [[0, 1], [2, 3], [4, 5], [6]]
    assert len(run.notes) == 3 and run.notes[0].startswith(
        "memory ran out in a group of 7 networks: it is halved"
    )
    for number in range(7):
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))
        assert len(run.history(number)) == 4
    assert judged(run) == judged(whole) and run.ready == set(range(7))


def test_what_had_left_a_group_stays_when_it_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in halving: after two epochs some leave, and memory runs out in the epoch after that."""
    entries = differing(entry(epochs=5), learning_rate=rates(5))
    whole = PopulationRun(entries, cores=1, ways=[DENSE], judged="test")
    run = PopulationRun(entries, cores=1, ways=[DENSE], judged="test")
    for one in (whole, run):
        assert sum(one.train(2)) == 10
        one.leave([1, 3])
    list(whole.train(1))
    fail_above(monkeypatch, 2, at_epoch=2)
    assert sum(run.train(1)) == 3
    assert [lane.numbers for lane in run.lanes] == [[0, 2], [1, 3], [4]]
    for number, epochs in enumerate([3, 2, 3, 2, 3]):
        assert len(run.history(number)) == epochs
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))
    assert sum(run.train()) == sum(whole.train()) == 6
    assert judged(run) == judged(whole)


@pytest.mark.usefixtures("in_this_process")
def test_a_network_that_has_no_room_beside_others_is_trained_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = differing(entry(epochs=3), learning_rate=rates(3))
    whole = train(entries, ways=[ALONE])
    at_work: set[int] = set()
    reports = Training.reports

    def crowded(self: Training) -> Iterator[Any]:
        at_work.add(id(self))
        try:
            for report in reports(self):
                if report.ends_epoch and len(at_work) > 1:
                    raise RuntimeError(TORCH_SAYS)
                yield report
        finally:
            at_work.discard(id(self))

    monkeypatch.setattr(Training, "reports", crowded)
    run = train(entries, cores=3, ways=[ALONE])
    for number in range(3):
        assert run.failure(number) is None
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("way", [DENSE, ALONE])
def test_a_network_that_fits_nowhere_fails_with_a_reason(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(StackTraining, "_train_epoch", never)
    monkeypatch.setattr(Training, "reports", never)
    run = train(differing(entry(), learning_rate=rates(2)), ways=[way])
    assert judged(run) == [None, None] and run.ready == {0, 1}
    for number in range(2):
        said = run.failure(number)
        assert said is not None and said.startswith(
            "it does not fit into memory, not even alone; a smaller --batch-size"
        )


@pytest.mark.skipif(not side_by_side.can_copy(), reason="a process cannot be copied on this system")
@pytest.mark.parametrize("is_lasting", [False, True])
def test_a_process_that_is_ended_from_outside_is_not_taken_for_a_lack_of_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_lasting: bool
) -> None:
    """The networks that it had are trained again, with the same bits."""
    entries = differing(entry(epochs=3), learning_rate=rates(6))
    whole = train(entries, cores=1, ways=[DENSE])
    epoch, ended = StackTraining._train_epoch, tmp_path / "ended"

    def killed(self: StackTraining, going: list[int]) -> None:
        has_it = any(member.learning_rate == rates(6)[4] for member in self.members)
        if has_it and self.epoch == 1 and (is_lasting or not ended.exists()):
            ended.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        epoch(self, going)

    monkeypatch.setattr(StackTraining, "_train_epoch", killed)
    monkeypatch.setattr(side_by_side, "ended_for_memory", lambda: 3)
    run = PopulationRun(entries, cores=2, most=3, ways=[DENSE])
    assert sum(run.train()) == 3 * (6 - is_lasting)
    assert run.notes[0] == (
        "a process that trained 3 networks was ended from outside (SIGKILL), and memory was not short: they begin again (bits stay "
        "the same)"
    )
    assert not any("memory ran out" in note for note in run.notes)
    for number in {*range(6)} - ({4} if is_lasting else set()):
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))
    failure = "its process was ended from outside (SIGKILL), and again when it was trained alone"
    assert run.failure(4) == (failure if is_lasting else None)


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(StackTraining, "_train_epoch", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(differing(entry(), learning_rate=rates(2)))


# ---- for real: the system refuses


REAL = """
    import resource, sys
    import torch
    from chainrule.core.memory import available_bytes
    from chainrule.jobs.entries import DENSE
    from chainrule.jobs.population import PopulationRun
    from tests.jobs.test_population import differing, entry, judged, weights_of
    members, is_short = 24, sys.argv[1] == "short"
    base = entry("digits", hidden=(256, 256), batch_size=256, epochs=2, dropout=0.0)
    entries = differing(base, learning_rate=[0.0001 * (k + 1) for k in range(members)])
    list(PopulationRun(entries[:2], cores=1, ways=[DENSE]).train())  # threads and libraries are there
    if is_short:
        limit = int(0.4 * PopulationRun(entries, ways=[DENSE]).memory.training_bytes)
        taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + limit, taken + limit))
        assert available_bytes() <= limit
    run = PopulationRun(entries, cores=1, ways=[DENSE], most=members, memory_bytes=1 << 40, judged="test")  # told that there is plenty
    list(run.train())
    print([len(lane.numbers) for lane in run.lanes])
    print(*run.notes, sep="\\n", file=sys.stderr)
    print(sum(weight.double().sum().item() for k in range(members) for weight in weights_of(run, k)).hex(), judged(run))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not hold a process to its limit"
)
def test_memory_that_the_system_refuses_halves_groups_and_keeps_bits() -> None:
    found = []
    for how in ("free", "short"):
        script = [sys.executable, "-c", textwrap.dedent(REAL), how]
        found.append(subprocess.run(script, capture_output=True, text=True, check=True))
    free, short = (one.stdout.splitlines() for one in found)
    assert free[0] == "[24]"
    assert max(map(int, short[0].strip("[]").split(","))) < 24
    assert free[1] == short[1]
    assert "memory ran out in a group of 24 networks: it is halved" in found[1].stderr


# ---- told before


def held() -> dict[int, torch.UntypedStorage]:
    """Return all memory that tensors have, by where it lies. Nothing else comes to lie there while it is kept."""
    gc.collect()
    storages = [
        one.untyped_storage() for one in gc.get_objects() if type(one) in (torch.Tensor, torch.nn.Parameter)
    ]
    return {storage.data_ptr(): storage for storage in storages}


def bytes_beside(before: dict[int, torch.UntypedStorage]) -> int:
    """Return the bytes of all memory that tensors have and had not before."""
    return sum(storage.nbytes() for place, storage in held().items() if place not in before)


@pytest.mark.parametrize(
    ("data", "hidden", "settings"),
    [
        ("digits", (64, 64), {"batch_size": 64}),
        ("digits", (32,), {"batch_size": 16, "optimizer": "sgd", "dropout": 0.0}),
        ("diabetes", (256, 256), {"optimizer": "rmsprop", "model": {"activation": "tanh"}}),
        ("iris", (10, 8), {"optimizer": "nadam", "model": {"activation": "gelu"}}),
    ],
)
def test_memory_of_a_member_is_predicted(
    data: str, hidden: tuple[int, ...], settings: dict[str, Any]
) -> None:
    """The slope of what tensors really take, from 4 members to 12, is never above the prediction, nor far below it."""
    base = entry(data, hidden=hidden, epochs=1, **settings)
    taken: dict[int, tuple[int, int]] = {}
    for members in (4, 12):
        entries = differing(base, learning_rate=rates(members), seed=list(range(members)))
        trainings = EntryTrainings(entries)
        for number in range(members):
            trainings._member(number)
        before = held()
        stack = trainings.stack(list(range(members)), DENSE)
        list(stack.train())
        found = bytes_beside(before)
        stack.rest()
        taken[members] = found, bytes_beside(before)
    training, over_bytes = ((b - a) / 8 for a, b in zip(taken[4], taken[12], strict=True))
    predicted = trainings.bytes_of(0, DENSE)
    assert 0.5 * predicted.training <= training <= predicted.training
    assert 0.5 * predicted.over <= over_bytes <= 1.05 * predicted.over
    assert predicted.over < predicted.resting < predicted.training


def test_what_a_population_takes_grows_by_the_same_with_every_member() -> None:
    base, plans = entry("digits", hidden=(64, 64)), []
    for members in (10, 20, 40):
        entries = differing(base, learning_rate=rates(members))
        plans.append(PopulationRun(entries, ways=[DENSE], cores=2, most=32).memory)
    of_one = plans[0].training_bytes // 10
    assert [plan.training_bytes for plan in plans] == [10 * of_one, 20 * of_one, 40 * of_one]
    assert [plan.networks for plan in plans] == [10, 20, 40]
    assert plans[2].under_way_bytes == 40 * of_one  # two stacks of 20


@pytest.mark.parametrize("way", [DENSE, AUTOGRAD, ALONE])
def test_a_population_too_large_for_memory_is_split_by_itself(way: str) -> None:
    entries = differing(entry(), learning_rate=rates(9))
    of_one = EntryTrainings(entries).bytes_of(0, way).training
    sizes = {}
    for room in (100, 8, 5, 2.5, 1):
        run = PopulationRun(entries, ways=[way], cores=2, memory_bytes=int(room * of_one))
        sizes[room] = max(len(lane.numbers) for lane in run.lanes), run.memory.cores, bool(run.notes)
        assert run.memory.under_way_bytes <= room * of_one
    if way == ALONE:
        assert sizes == {
            100: (1, 2, False),
            8: (1, 2, False),
            5: (1, 2, False),
            2.5: (1, 2, False),
            1: (1, 1, True),
        }
    else:
        assert sizes == {
            100: (5, 2, False),
            8: (3, 2, True),
            5: (2, 2, True),
            2.5: (1, 2, True),
            1: (1, 1, True),
        }


def test_limits_by_memory_keep_bits_and_say_so() -> None:
    entries = differing(entry(), learning_rate=rates(8))
    whole = train(entries, cores=1, ways=[DENSE])
    of_one = EntryTrainings(entries).bytes_of(0, DENSE).training
    run = train(entries, cores=2, memory_bytes=4 * of_one, ways=[DENSE], judged=None)
    assert [len(lane.numbers) for lane in run.lanes] == [2, 2, 2, 2]
    assert len(run.notes) == 1 and run.notes[0].endswith(
        "for those under way: 2 in a group, 2 groups at a time"
    )
    assert str(run.memory).startswith("memory: a network takes ")
    for number in range(8):
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))


def test_a_network_larger_than_the_memory_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = differing(entry(), learning_rate=rates(2))
    monkeypatch.setattr(population_memory, "available_bytes", lambda: 3000)
    run = train(entries, ways=[DENSE])
    said = run.failure(0)
    assert (
        said is not None
        and "take " in said
        and "this machine has 3.0 kB of memory free; choose fewer units" in said
    )
    assert judged(run) == [None, None]


def test_half_of_what_is_free_is_for_networks_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(population_memory, "available_bytes", lambda: 10_000)
    assert MemoryPlan(None, 2, []).room == 5000 and MemoryPlan(700, 2, []).room == 700
    monkeypatch.setattr(population_memory, "available_bytes", lambda: None)
    assert MemoryPlan(None, 2, []).room is None


# ---- let go


@pytest.mark.usefixtures("in_this_process")
def test_networks_that_are_over_keep_their_weights_and_nothing_else() -> None:
    entries = differing(entry("digits", hidden=(64, 64), epochs=1), learning_rate=rates(6))
    before = held()
    run = train(entries, cores=1)
    over = bytes_beside(before)
    assert (
        over < 6 * 1.1 * EntryTrainings(entries).bytes_of(0, DENSE).over + 1_500_000
    )  # rows and their orders
    kept = weights_of(run, 5)
    run.release([0, 1, 2])
    assert all(map(torch.equal, kept, weights_of(run, 5))) and len(run.history(0)) == 1
    run.release([3, 4, 5])
    assert len(run.history(5)) == 1 and run.failure(5) is None
    with pytest.raises(AssertionError, match="its weights were let go"):
        run.network(5)


@pytest.mark.skipif(not side_by_side.can_copy(), reason="a process cannot be copied on this system")
def test_stacks_are_made_where_they_are_trained_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories, failures and what the networks answer come from there, weights only when they are asked for."""
    entries = differing(entry(epochs=2), learning_rate=rates(8))
    whole = train(entries, cores=1, ways=[DENSE])
    made: list[StackTraining] = []
    begin = StackTraining.__init__

    def counted(self: StackTraining, *args: Any, **options: Any) -> None:
        made.append(self)
        begin(self, *args, **options)

    monkeypatch.setattr(StackTraining, "__init__", counted)
    run = PopulationRun(entries, cores=2, ways=[DENSE], judged="test")
    assert sum(run.train(1)) == 8
    run.leave([0, 1])
    run.release([0, 1])
    assert sum(run.train(1)) == 6
    assert judged(run)[2:] == judged(whole)[2:]
    assert [run.epochs(number) for number in range(8)] == [1, 1, 2, 2, 2, 2, 2, 2] and not made
    assert all(map(torch.equal, weights_of(run, 2), weights_of(whole, 2))) and len(made) == 1


@pytest.mark.parametrize("way", [DENSE, AUTOGRAD])
def test_answers_have_no_way_back_and_go_in_blocks(way: str) -> None:
    """A block of rows takes what its layers answer, and not half as much as an update on as many rows."""
    trainings = EntryTrainings([entry("digits", hidden=(64, 64), batch_size=256)])
    stack = trainings.stack([0], way)
    before = held()
    if way == DENSE:
        stack.outputs(torch.arange(256))
        answers = bytes_beside(before)
        stack.step.rest(is_over=False)
        next(stack.trial())
        update = bytes_beside(before)
        assert 256 * 4 * (64 + 64 + 16) <= answers < 0.5 * update
    rows = torch.arange(600)
    blocks = [stack.outputs(rows[start : start + 256])[0] for start in (0, 256, 512)]
    assert torch.equal(stack.outputs(rows)[0], torch.cat(blocks))


FIT = """
    import resource, sys
    import chainrule as cr
    from chainrule.core.errors import LowMemoryError
    cr.fit("digits", model="mlp", epochs=1, quiet=True, runs=sys.argv[1], name="small", plan="dense")
    taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 450_000_000,) * 2)
    try:
        cr.fit("digits", model="mlp", model_settings={"hidden": (6000, 6000)}, epochs=1, quiet=True, runs=sys.argv[1], name="large", plan="dense")
    except LowMemoryError as error:
        print(error)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not hold a process to its limit"
)
def test_a_network_of_fit_that_does_not_fit_says_so(tmp_path: Path) -> None:
    """Weights of 146 MB, with gradients and state 585 MB."""
    script = [sys.executable, "-c", textwrap.dedent(FIT), str(tmp_path)]
    found = subprocess.run(script, capture_output=True, text=True)
    assert found.stdout.startswith("the network, with what its training needs, does not fit into memory ("), (
        found.stderr
    )
    assert "; a smaller --batch-size or fewer units need less" in found.stdout
    assert (tmp_path / "small").exists() and not (tmp_path / "large").exists()
