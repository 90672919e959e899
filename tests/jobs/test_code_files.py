"""Scripts of `chainrule code` for tables in several files, other encodings and other formats than plain CSV."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from chainrule.core.errors import RunError
from chainrule.data.reading import Divided
from tests.jobs.scripts import check, houses, train

Capture = pytest.CaptureFixture[str]


def in_german(folder: Path) -> str:
    return houses(folder / "houses.csv").read_text().replace("Chur", "Zürich").replace("price", "Erlös")


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "utf-16", "utf-16-le", "utf-8-sig", "utf-32"])
def test_encodings(tmp_path: Path, capsys: Capture, encoding: str) -> None:
    text = in_german(tmp_path).replace(",", ";")
    if encoding == "cp1251":
        text = text.replace("Zürich", "Пермь").replace("Erlös", "цена")
    data = tmp_path / "other.csv"
    data.write_bytes(text.encode(encoding))
    target = "цена" if encoding == "cp1251" else "Erlös"
    script = check(train(data, tmp_path, target=target), capsys)
    assert ("encoding=" in script) == (encoding != "utf-8-sig") and 'separator=";"' in script


def test_an_encoding_that_was_named(tmp_path: Path, capsys: Capture) -> None:
    data = tmp_path / "mac.csv"
    data.write_bytes(in_german(tmp_path).encode("mac-roman"))
    script = check(train(data, tmp_path, target="Erlös", encoding="mac-roman"), capsys)
    assert 'encoding="mac-roman"' in script


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ("# houses\n# of 2024\n", 'comment_prefix="#"'),
        ("sep=,\n", "skip_lines=1"),
        ("# houses\n# ", 'name.strip("# ")'),
    ],
)
def test_lines_above_the_header(tmp_path: Path, capsys: Capture, above: str, said: str) -> None:
    data = houses(tmp_path / "houses.csv")
    text = data.read_text()
    if above.endswith("# "):  # as numpy.savetxt names columns
        frame = pl.read_csv(data).select("area", "rooms", "price")
        text = frame.write_csv()
    data.write_text(above + text)
    assert said in check(train(data, tmp_path, target="price"), capsys)


def test_a_compressed_table(tmp_path: Path, capsys: Capture) -> None:
    data = tmp_path / "houses.csv.gz"
    data.write_bytes(gzip.compress(houses(tmp_path / "houses.csv").read_bytes()))
    check(train(data, tmp_path, target="price"), capsys)


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_records(tmp_path: Path, capsys: Capture, ending: str) -> None:
    frame = pl.read_csv(houses(tmp_path / "houses.csv"))
    data = tmp_path / f"houses.{ending}"
    (frame.write_json if ending == "json" else frame.write_ndjson)(data)
    script = check(train(data, tmp_path, target="price"), capsys)
    assert f"pl.read_{'json' if ending == 'json' else 'ndjson'}(" in script


@pytest.mark.parametrize(
    ("sheet", "said"), [(None, 'sheet_name="Houses 2024", '), ("Houses 2024", 'sheet_name="Houses 2024", ')]
)
def test_workbooks(fixtures: Path, tmp_path: Path, capsys: Capture, sheet: str | None, said: str) -> None:
    data = fixtures / "workbooks" / "houses.xlsx"
    script = check(train(data, tmp_path, target="Price", sheet=sheet), capsys)
    assert f'(DATA, {said}read_options={{"header_row": 4}})' in script


def in_files(folder: Path, count: int) -> list[Path]:
    """Write the table in several files."""
    frame = pl.read_csv(houses(folder / "houses.csv"), infer_schema=False)
    (folder / "years").mkdir()
    files = [folder / "years" / f"{2020 + place}.csv" for place in range(count)]
    for place, file in enumerate(files):
        frame.gather_every(count, place).write_csv(file)
    return files


@pytest.mark.parametrize("count", [2, 5])
def test_several_files(tmp_path: Path, capsys: Capture, count: int) -> None:
    in_files(tmp_path, count)
    script = check(train(tmp_path / "years" / "*.csv", tmp_path, target="price"), capsys)
    assert "pl.concat" in script and ("glob" in script) == (count > 3)


def test_files_of_other_types(tmp_path: Path, capsys: Capture) -> None:
    """Rooms are whole in the first file, and fractions in the second."""
    frame = pl.read_csv(houses(tmp_path / "houses.csv"))
    files = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    frame.head(80).write_parquet(files[0])
    frame.tail(80).with_columns(pl.col("rooms") + 0.5).write_parquet(files[1])
    assert "vertical_relaxed" in check(train(files, tmp_path, target="price"), capsys)


@pytest.mark.parametrize("target", ["price", "garden"])
@pytest.mark.parametrize("parts", ["test", "validation", "both"])
def test_files_for_parts(tmp_path: Path, capsys: Capture, target: str, parts: str) -> None:
    first, second, third, fourth = in_files(tmp_path, 4)
    lines = second.read_text().splitlines()
    lines[3] = lines[3].rpartition(",")[0].rpartition(",")[0] + ",,"  # a row without a price teaches nothing
    second.write_text("\n".join([*lines, lines[5], lines[5]]) + "\n")  # and some are copies
    data = Divided(
        train=[first, second],
        test=third if parts != "validation" else None,
        validation=fourth if parts != "test" else None,
    )
    script = check(train(data, tmp_path, target=target), capsys)
    assert "for file, part in FILES.items()" in script
    assert ("COPIES" in script) == (parts != "both")


def test_files_that_are_read_in_different_ways_are_refused(tmp_path: Path) -> None:
    first, second = in_files(tmp_path, 2)
    second.write_text(second.read_text().replace(",", ";"))
    run = train([first, second], tmp_path, target="price").run
    with pytest.raises(
        RunError, match=r"no single call of polars reads '2020\.csv', '2021\.csv' as the run did"
    ):
        run.code()
