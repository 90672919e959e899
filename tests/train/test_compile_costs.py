"""What compiling cost and gained: guessed at first, then learnt; and what a damaged table does."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from chainrule.models import build
from chainrule.train import compile_costs
from chainrule.train.compile_costs import Entry, keep, kind_of, layers_of, prospect, read
from chainrule.train.plan import Plan

PLAN = Plan(device="cpu", threads=1, precision="bfloat16", speed=1.5, update_seconds=0.01)


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "chainrule" / "plans" / compile_costs.FILE


def lenet() -> nn.Module:
    return build("lenet", inputs=(1, 28, 28), units=10)


def plain_convolutions(layers: int) -> nn.Module:
    return nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(layers)))


def test_networks_are_told_apart_by_what_takes_their_time() -> None:
    assert (kind_of(lenet()), layers_of(lenet())) == (compile_costs.POOLED, 12)
    assert kind_of(plain_convolutions(2)) == compile_costs.CONVOLVED
    assert kind_of(nn.Linear(2, 2)) == compile_costs.OTHER and layers_of(nn.Linear(2, 2)) == 1


def test_an_empty_table_guesses_from_what_was_measured() -> None:
    assert 9 < prospect(lenet(), PLAN, 1000).seconds < 13
    assert 20 < prospect(plain_convolutions(62), PLAN, 1000).seconds < 42
    assert prospect(lenet(), PLAN, 10**9).saving == 0.0
    long, short = (prospect(plain_convolutions(62), PLAN, updates) for updates in (200_000, 1_000))
    assert long.saving == pytest.approx(2000 * (1 - 1 / 1.08)) and long.is_worth_it
    assert not short.is_worth_it


def test_must_save_twice_what_it_costs() -> None:
    for saving, is_worth_it in ((19.9, False), (20.1, True)):
        found = compile_costs.Prospect(plan=PLAN, seconds=10.0, saving=saving)
        assert found.is_worth_it is is_worth_it


def test_what_was_measured_here_takes_the_place_of_guesses() -> None:
    for seconds in (20.0, 24.0, 400.0):  # the last on a busy machine
        assert keep(lenet(), PLAN, seconds=seconds, gain=1.25, is_cold=True) == ""
    found = prospect(lenet(), PLAN, 10_000)
    assert found.seconds == pytest.approx(24.0) and found.saving == pytest.approx(100 * 0.2)
    assert str(found) == "compiling should take about 24 s and save 20 s of the run"


def test_what_was_compiled_before_says_nothing_of_the_cost() -> None:
    keep(lenet(), PLAN, seconds=1.0, gain=1.25, is_cold=False)
    assert prospect(lenet(), PLAN, 10_000).seconds == pytest.approx(12.0)


def test_what_failed_or_was_slower_is_not_tried_again() -> None:
    for gain in (0.0, 0.7):
        keep(plain_convolutions(20), PLAN, seconds=10.0, gain=gain, is_cold=True)
        assert not prospect(plain_convolutions(20), PLAN, 10**9).is_worth_it


def test_gains_are_those_of_the_network_nearest_in_size() -> None:
    keep(plain_convolutions(5), PLAN, seconds=1.0, gain=0.8, is_cold=True)
    keep(plain_convolutions(60), PLAN, seconds=9.0, gain=2.0, is_cold=True)
    assert prospect(plain_convolutions(50), PLAN, 1000).saving == pytest.approx(5.0)
    assert prospect(plain_convolutions(6), PLAN, 1000).saving == 0.0


def test_another_machine_or_compiler_is_another_table(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(lenet(), PLAN, seconds=1.0, gain=9.0, is_cold=True)
    assert prospect(lenet(), PLAN, 10_000).is_worth_it
    monkeypatch.setattr(compile_costs, "compiler", lambda: "/opt/other/g++")
    assert not prospect(lenet(), PLAN, 10_000).is_worth_it


def test_the_table_is_the_users_own_and_bounded(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_costs, "MOST_ENTRIES", 3)
    for seconds in range(1, 6):
        keep(lenet(), PLAN, seconds=float(seconds), gain=1.0, is_cold=True)
    assert [entry.seconds for entry in read()] == [3.0, 4.0, 5.0]
    assert stat.S_IMODE(table.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"\xff" * 9, b'{"a": 1}', b"7", b"[[], 5, null]"]
)
def test_a_damaged_table_is_an_empty_one(table: Path, content: bytes) -> None:
    keep(lenet(), PLAN, seconds=1.0, gain=1.0, is_cold=True)
    table.write_bytes(content)
    assert read() == []
    assert prospect(lenet(), PLAN, 100).seconds == pytest.approx(12.0)
    assert keep(lenet(), PLAN, seconds=1.0, gain=1.0, is_cold=True) == "" and len(read()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": -1},
        {"seconds": float("nan")},
        {"seconds": 10**400},
        {"gain": float("inf")},
        {"gain": "2"},
        {"layers": 0},
        {"layers": 10**400},
        {"kind": 3},
        {"colour": "red"},
    ],
)
def test_an_entry_that_cannot_be_right_is_left_out(table: Path, wrong: dict[str, object]) -> None:
    keep(lenet(), PLAN, seconds=1.0, gain=1.0, is_cold=True)
    (row,) = json.loads(table.read_text())
    table.write_text(json.dumps([row | wrong, row]))
    assert read() == [Entry(**row)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*Entry.__slots__, "x"]), inner),
)


@given(JSON)
def test_any_json_is_read(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "any"))
        keep(lenet(), PLAN, seconds=1.0, gain=1.0, is_cold=True)
        compile_costs._path().write_text(json.dumps(value))
        assert all(isinstance(entry, Entry) for entry in read())
        prospect(lenet(), PLAN, 100)


def test_a_folder_that_is_not_to_be_had_stops_nothing(table: Path) -> None:
    table.parent.parent.mkdir(parents=True, mode=0o700)
    table.parent.write_text("a file where the folder should be")
    assert "is not kept for later runs" in keep(lenet(), PLAN, seconds=1.0, gain=1.0, is_cold=True)
    assert prospect(lenet(), PLAN, 100).seconds == pytest.approx(12.0)


def test_without_a_compiler_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert compile_costs.compiler() is None
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compile_costs.compiler() is None
