"""Breaks of features: every one fits the code as it stands, and the script that makes them tells caught from missed."""

from __future__ import annotations

from pathlib import Path

import mutate
import pytest
import rows as curriculum

ROOT = Path(__file__).resolve().parent.parent
BREAKS = mutate.read_breaks(ROOT / mutate.BREAKS)


@pytest.mark.parametrize("found", BREAKS, ids=lambda found: found.row)
def test_snippet_stands_once_in_its_file(found: mutate.Break) -> None:
    assert (ROOT / found.file).read_text("utf-8").count(found.old) == 1
    assert found.old != found.new and found.file.startswith("src/")


def test_rows_are_of_the_curriculum() -> None:
    known = {row.id for row in curriculum.read_rows((ROOT / curriculum.CURRICULUM).read_text("utf-8"))}
    assert BREAKS and {found.row for found in BREAKS} <= known


def test_drawing_takes_each_row_once_and_follows_the_seed() -> None:
    breaks = [
        mutate.Break(f"OUT-{number:02d}", "src/a.py", str(copy), "") for number in range(20) for copy in "ab"
    ]
    first, again, other = (mutate.drawn(breaks, 12, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len({found.row for found in first}) == len(first) == 12


@pytest.mark.slow
def test_a_break_is_caught_and_undone(tmp_path: Path) -> None:
    """In a small tree: one test that looks at the feature, one that does not."""
    (tmp_path / "src").mkdir()
    code = tmp_path / "src" / "half.py"
    code.write_text("def half(x):\n    return x / 2\n")
    (tmp_path / "test_half.py").write_text(
        "from half import half\n\ndef test_looks():\n    assert half(4) == 2\n\ndef test_sleeps():\n    half(4)\n"
    )
    mistake = mutate.Break("OUT-01", "src/half.py", "x / 2", "x / 3")
    looks, sleeps = "test_half.py::test_looks", "test_half.py::test_sleeps"
    assert mutate.outcome(mistake, [looks], tmp_path) == "caught"
    assert mutate.outcome(mistake, [sleeps], tmp_path) == "NOT caught"
    assert mutate.outcome(mistake, [], tmp_path) == "no test is marked with this row"
    beyond = mutate.Break("OUT-01", "src/half.py", "def half", "def whole")
    assert mutate.outcome(beyond, [looks], tmp_path) == "the tests could not be run (exit code 4)"
    assert code.read_text() == "def half(x):\n    return x / 2\n"
    with pytest.raises(ValueError, match="OUT-01: the snippet stands 0 times"):
        mutate.Break("OUT-01", "src/half.py", "x / 5", "").apply(tmp_path)
