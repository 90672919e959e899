"""The ledger: rows are read from the curriculum, proven by tests that ran and passed, and counted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import rows as ledger

ROOT = Path(__file__).resolve().parent.parent
SMALL = """## Contents
- OUT: Output layers (3 rows)

## OUT — Output layers (3)

| ID | Name | What precisely |
|---|---|---|
| OUT-01 | Regression head | y = wᵀh + b |
| OUT-02 | Bars \\| in a name | … |
| OUT-03 | Binary head | σ |

## TOO — Tools (2)

| ID | Name | What precisely |
|---|---|---|
| TOO-01 | A link | … |
| TOO-02 | A tutorial with a check | … |

## 1. Systems

| System | Row |
|---|---|
| OUT-09 | looks like a row and is none |
"""
TESTS = """
import pytest

@pytest.mark.curriculum("OUT-01")
def test_passes(): pass

@pytest.mark.curriculum("OUT-01", "OUT-02")
@pytest.mark.parametrize("value", [1, 2])
def test_one_case_fails(value): assert value == 1 or {passes}

@pytest.mark.curriculum("OUT-03")
@pytest.mark.xfail(strict=False)
def test_expected_to_fail(): pass

@pytest.mark.curriculum("TOO-01")
def test_skips(): pytest.skip("not here")

@pytest.fixture
def breaks_afterwards():
    yield
    assert {passes}

@pytest.mark.curriculum("TOO-02")
def test_whose_tear_down_fails(breaks_afterwards): pass
"""


def project(folder: Path, tests: str) -> Path:
    """Make a small project with the plugin and the script of this one."""
    for name in ("scripts/rows.py", "tests/conftest.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "docs").mkdir()
    (folder / "docs/curriculum.md").write_text(SMALL, encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nmarkers = ["curriculum(*ids): rows"]\naddopts = "-p no:cacheprovider"\n'
    )
    (folder / "tests/test_small.py").write_text(tests)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)


def test_curriculum_has_470_rows_in_29_areas() -> None:
    text = (ROOT / ledger.CURRICULUM).read_text("utf-8")
    rows = ledger.read_rows(text)
    assert len(rows) == 470
    assert len({row.id for row in rows}) == 470
    counted = Counter(row.area for row in rows)
    assert len(counted) == 29
    for area, count in counted.items():  # the document counts its own rows, in its list of contents
        assert f"- {area}: " in text and f"({count} rows)" in text.split(f"- {area}: ")[1].split("\n")[0]


def test_reads_rows_only_from_area_tables() -> None:
    rows = ledger.read_rows(SMALL)
    assert [row.id for row in rows] == ["OUT-01", "OUT-02", "OUT-03", "TOO-01", "TOO-02"]
    assert rows[1].name == r"Bars \| in a name"


def test_rows_that_ask_for_no_code() -> None:
    rows = ledger.read_rows((ROOT / ledger.CURRICULUM).read_text("utf-8"))
    without = {row.id for row in rows if row.asks_for_no_code}
    assert {"HIS-01", "COU-06", "TOO-01", "TOO-12", "NEU-01", "FFN-32"} <= without
    assert not {"TOO-02", "NEU-02", "OUT-01"} & without
    assert len(without) == 25 + 6 + 11 + 2


def test_table_counts_what_needs_no_code_apart() -> None:
    text = ledger.table(ledger.read_rows(SMALL), ["OUT-01"])
    lines = [line.split() for line in text.splitlines()]
    assert lines[1][:5] == ["OUT", "1", "2", "0", "3"]
    assert lines[1][5] == "02–03"
    assert lines[2][:5] == ["TOO", "0", "1", "1", "2"]
    assert text.splitlines()[-1] == "rows: 1 proven, 4 unproven, 5 total"


def test_a_proof_counts_where_no_code_is_asked_for() -> None:
    text = ledger.table(ledger.read_rows(SMALL), ["TOO-01"])
    assert text.splitlines()[2].split()[:5] == ["TOO", "1", "1", "0", "2"]


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "workers"])
def test_session_records_what_passed(tmp_path: Path, workers: list[str]) -> None:
    folder = project(tmp_path, TESTS.format(passes=False))
    ended = run(folder, "-m", "pytest", "-q", *workers)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    record = json.loads((folder / ledger.RECORD).read_text())
    assert record["tests"] == 6
    # A failing case, an expected failure, a skip and a failing tear-down prove nothing.
    assert set(record["outcomes"]) == {"OUT-01", "OUT-02", "OUT-03", "TOO-01", "TOO-02"}
    assert ledger.proven_rows(record["outcomes"]) == {}
    shown = run(folder, "scripts/rows.py")
    assert shown.stdout.splitlines()[-1] == "rows: 0 proven, 5 unproven, 5 total"


def test_rows_are_proven_when_all_their_tests_pass(tmp_path: Path) -> None:
    folder = project(tmp_path, TESTS.format(passes=True))
    run(folder, "-m", "pytest", "-q")
    shown = run(folder, "scripts/rows.py")
    assert shown.stdout.splitlines()[-1] == "rows: 3 proven, 2 unproven, 5 total"
    proven = ledger.proven_rows(json.loads((folder / ledger.RECORD).read_text())["outcomes"])
    assert list(proven) == ["OUT-01", "OUT-02", "TOO-02"]
    assert len(proven["OUT-01"]) == 3


def test_unknown_row_is_an_error(tmp_path: Path) -> None:
    folder = project(tmp_path, 'import pytest\n@pytest.mark.curriculum("OUT-11")\ndef test_it(): pass\n')
    ended = run(folder, "-m", "pytest", "-q")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the curriculum has no row 'OUT-11'; did you mean OUT-01?" in ended.stdout + ended.stderr


def test_no_record_is_said(tmp_path: Path) -> None:
    assert ledger.main(project(tmp_path, "")) == 1
