"""Scripts of `chainrule code` for rows that a column divides: by time, by groups, or by the part that it names."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chainrule.core.errors import RunError
from tests.jobs.scripts import check, houses, train

Capture = pytest.CaptureFixture[str]


def with_column(folder: Path, name: str, cells: list[object], ending: str = "csv") -> Path:
    frame = pl.read_csv(houses(folder / "houses.csv")).with_columns(pl.Series(name, cells))
    data = folder / f"divided.{ending}"
    if ending == "csv":
        frame.write_csv(data)
    else:
        frame.write_parquet(data)
    return data


@pytest.mark.parametrize("target", ["price", "city"])
@pytest.mark.parametrize("settings", [{}, {"validation": 0.0}])
def test_groups(tmp_path: Path, capsys: Capture, target: str, settings: dict[str, float]) -> None:
    people = [f" person {n}" for n in np.random.default_rng(0).integers(0, 40, 160)]
    data = with_column(tmp_path, "who", people)
    script = check(train(data, tmp_path, target=target, split="group:who", **settings), capsys)
    assert "TEST_GROUPS = [" in script


def test_numbered_groups(tmp_path: Path, capsys: Capture) -> None:
    people = np.random.default_rng(0).integers(0, 40, 160).tolist()
    check(
        train(with_column(tmp_path, "who", people, "parquet"), tmp_path, target="price", split="group:who"),
        capsys,
    )


def test_too_many_groups_are_refused(tmp_path: Path) -> None:
    data = houses(tmp_path / "houses.csv", rows=1200)
    pl.read_csv(data).with_row_index("who").write_csv(data)
    run = train(data, tmp_path, target="price", split="group:who", epochs=1).run
    with pytest.raises(RunError, match="its test rows are 240 groups, more than the 200 to list in a script"):
        run.code()


def test_rows_without_a_group_are_refused(tmp_path: Path) -> None:
    people = ["NA" if place % 40 == 0 else f"person {place % 23}" for place in range(160)]
    run = train(
        with_column(tmp_path, "who", people), tmp_path, target="price", split="group:who", epochs=1
    ).run
    with pytest.raises(RunError, match="4 of its rows have no group, and each is one of its own"):
        run.code()


def test_copies_among_times_are_refused(tmp_path: Path) -> None:
    """A copy goes where the latest of them goes, which no time in the script says."""
    data = houses(tmp_path / "houses.csv")
    lines = data.read_text().splitlines()
    days = [str(day) for day in range(160)]
    rows = [f"{line},{day}" for line, day in zip([*lines[1:150], *lines[1:12]], days, strict=True)]
    data.write_text("\n".join([f"{lines[0]},when", *rows]) + "\n")
    run = train(data, tmp_path, target="price", split="time:when", epochs=1).run
    with pytest.raises(
        RunError, match="its rows are divided by the time in 'when', with copies that follow each other"
    ):
        run.code()


def moments(kind: str) -> list[object]:
    days = [date(2020, 1, 1) + timedelta(n) for n in np.random.default_rng(0).integers(0, 900, 160).tolist()]
    written = {
        "iso": [str(d) for d in days],
        "german": [f"{d:%d.%m.%Y}" for d in days],
        "numbers": [d.toordinal() % 1000 for d in days],
        "dates": days,
        "datetimes": [datetime(d.year, d.month, d.day, d.day % 24, 30) for d in days],
    }
    return list(written[kind])


@pytest.mark.parametrize("kind", ["iso", "german", "numbers", "dates", "datetimes"])
def test_times(tmp_path: Path, capsys: Capture, kind: str) -> None:
    data = with_column(tmp_path, "when", moments(kind), "parquet" if "date" in kind else "csv")
    script = check(train(data, tmp_path, target="price", split="time:when"), capsys)
    assert "VALIDATION_FROM" in script and "TEST_FROM" in script


def test_times_without_validation(tmp_path: Path, capsys: Capture) -> None:
    data = with_column(tmp_path, "when", moments("iso"))
    check(train(data, tmp_path, target="garden", split="time:when", validation=0.0), capsys)


@pytest.mark.parametrize(
    "words", [("train", "test"), ("Train", "dev", " holdout"), ("fit", "train", "val", "test")]
)
def test_parts_that_a_column_names(tmp_path: Path, capsys: Capture, words: tuple[str, ...]) -> None:
    data = with_column(tmp_path, "part", [words[place % len(words)] for place in range(160)])
    check(train(data, tmp_path, target="city", split="predefined:part"), capsys)
