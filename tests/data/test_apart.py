"""A reader that breaks takes nothing with it."""

import sys

import polars as pl
import pytest

from chainrule.core.errors import DataError, MissingExtraError
from chainrule.data import apart
from chainrule.data.apart import PARQUET, WORKBOOK, read_apart
from chainrule.data.read import read


@pytest.mark.parametrize("name", ["asks-for-too-much.parquet", "ends-its-reader.xls"])
def test_a_file_that_brings_its_reader_down(fixtures, capfd, name):
    """Found by fuzzing: a run length that asks for two exabytes, and a directory that ends before its entries do."""
    with pytest.raises(DataError, match=rf"{name} cannot be read as .*: its reader broke"):
        read(fixtures / "damaged" / name)
    assert capfd.readouterr() == ("", "")


def test_what_comes_back_is_what_was_there(tmp_path):
    frame = pl.DataFrame(
        {"a": [1, None], "b": ["x", "ü"], "c": [[1], [2, 3]], "d": [True, None], "e": [1.5, float("nan")]}
    ).with_columns(pl.Series("f", ["u", "v"], dtype=pl.Categorical), pl.Series("g", [0, 1]).cast(pl.Date))
    frame.write_parquet(tmp_path / "t.parquet")
    found, notes = read_apart(PARQUET, (tmp_path / "t.parquet").read_bytes(), "t.parquet")
    assert found.equals(frame) and found.schema == frame.schema and notes == []


def test_its_errors_are_ours(fixtures, monkeypatch):
    with pytest.raises(DataError, match=r"t\.xlsx has no sheet 'x'; it has 'Sheet'"):
        read_apart(WORKBOOK, (fixtures / "workbooks" / "plain.xlsx").read_bytes(), "t.xlsx", "x")
    with pytest.raises(DataError, match=r"t\.parquet is empty"):
        read_apart(PARQUET, b"", "t.parquet")
    monkeypatch.setattr(apart, "_START", "import sys; sys.modules['fastexcel'] = None; " + apart._START)
    with pytest.raises(MissingExtraError, match=r"pip install 'chainrule\[excel\]'"):
        read_apart(WORKBOOK, b"", "t.xlsx")


def test_a_reader_that_finds_no_end(monkeypatch):
    monkeypatch.setattr(apart, "_START", "import time; time.sleep(60)")
    monkeypatch.setattr(apart, "LEAST_SECONDS", 0.2)
    with pytest.raises(
        DataError, match=r"t\.parquet cannot be read as Parquet: its reader found no end in 0.2 s"
    ):
        read_apart(PARQUET, b"", "t.parquet")


def test_without_a_python_to_start_it_reads_here(monkeypatch, fixtures):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    content = (fixtures / "workbooks" / "plain.xlsx").read_bytes()
    assert read_apart(WORKBOOK, content, "t.xlsx")[0].height == 12
