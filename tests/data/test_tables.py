"""Tables from files and from dataframes become the same kind of source."""

import datetime as dt
import hashlib
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from chainrule.core.errors import DataError
from chainrule.data.tables import from_dataframe, read_table


def test_a_csv_file_keeps_its_cells_as_text(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n,y\n")
    source = read_table(tmp_path / "t.csv")
    assert source.frame.to_dict(as_series=False) == {"a": ["1", None], "b": ["x", "y"]}
    assert source.name == "t.csv" and source.origin == {"kind": "file", "path": str(tmp_path / "t.csv")}
    assert source.digest == hashlib.sha256(b"a,b\n1,x\n,y\n").hexdigest()


@pytest.mark.parametrize("ending", ["tsv", "tab", "TSV"])
def test_tab_separated(tmp_path, ending):
    (tmp_path / f"t.{ending}").write_text("a\tb, c\n1\t2,5\n")
    assert read_table(tmp_path / f"t.{ending}").frame.rows(named=True) == [{"a": "1", "b, c": "2,5"}]


@pytest.mark.parametrize("ending", ["parquet", "pq"])
def test_parquet_keeps_its_types(tmp_path, ending):
    frame = pl.DataFrame({"n": [1, None], "day": [dt.date(2024, 1, 2), None], "is": [True, None]})
    frame.write_parquet(tmp_path / f"t.{ending}")
    assert read_table(tmp_path / f"t.{ending}").frame.equals(frame)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet", b"a,b\n1,2\n"])
def test_damaged_parquet_is_named(tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"^t\.parquet (cannot be read as Parquet: .+|is empty)$"):
        read_table(tmp_path / "t.parquet")


def test_parquet_cut_short_is_named(tmp_path):
    pl.DataFrame({"a": range(1000)}).write_parquet(tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    for length in (4, len(content) // 2, len(content) - 1):
        (tmp_path / "t.parquet").write_bytes(content[:length])
        with pytest.raises(DataError, match=r"t\.parquet cannot be read as Parquet"):
            read_table(tmp_path / "t.parquet")


def test_parquet_without_rows_or_columns(tmp_path):
    pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet has a header \('a'\) but no rows below it"):
        read_table(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="dataframe has no columns"):
        from_dataframe(pl.DataFrame())


def test_a_file_name_that_drives_a_terminal_is_shown_as_text(tmp_path):
    path = tmp_path / "\x1b[31mred.csv"
    path.write_text("a,b\n1\n")
    source = read_table(path)
    assert source.name == "\\x1b[31mred.csv" and source.notes[0].startswith(
        "\\x1b[31mred.csv: 1 line has fewer"
    )


def test_spaces_around_names_are_dropped(tmp_path):
    pl.DataFrame({" a ": [1], "b": [2]}).write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").frame.columns == ["a", "b"]


FRAME = {
    "whole": [1, 2, 3],
    "part": [1.5, None, 2.5],
    "text": ["x", None, "y"],
    "is": [True, False, True],
    "at": [dt.datetime(2024, 1, 2, 3), None, dt.datetime(2024, 1, 4)],
}


def test_dataframes_of_all_kinds_are_one_table():
    expected = pl.DataFrame(FRAME)
    for frame in (expected, pd.DataFrame(FRAME), FRAME):
        taken = from_dataframe(frame).frame
        assert taken.columns == expected.columns
        assert taken.with_columns(pl.col("at").cast(pl.Datetime("us"))).equals(expected)


def test_pandas_without_arrow_is_taken_column_by_column(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    frame = pd.DataFrame({k: v for k, v in FRAME.items() if k != "text"})
    frame["text"] = pd.Series(["x", None, "y"], dtype=object)
    taken = from_dataframe(frame).frame
    assert taken["part"].to_list() == [1.5, None, 2.5]
    assert taken["text"].to_list() == ["x", None, "y"]
    assert taken["at"].to_list() == FRAME["at"] and taken["is"].dtype == pl.Boolean


def test_columns_of_several_types_become_text_and_it_is_said():
    source = from_dataframe(pd.DataFrame({"m": [1, "x", None], "n": [1, 2, 3]}))
    assert source.frame["m"].to_list() == ["1", "x", None]
    assert source.notes == ("column 'm' holds int and str and is read as text",)
    assert from_dataframe({"m": [1, "x", Decimal(2)]}).frame["m"].to_list() == ["1", "x", "2"]


def test_names_that_are_no_text_become_text():
    assert from_dataframe(pd.DataFrame(np.eye(2))).frame.columns == ["0", "1"]


def test_frames_that_cannot_be_taken():
    with pytest.raises(DataError, match="two columns are called 'a'; rename one"):
        from_dataframe(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="two columns are called '1'; rename one"):
        from_dataframe(pd.DataFrame([[1, 2]], columns=[1, "1"]))
    with pytest.raises(DataError, match=r"the columns differ in length \('a' 2, 'b' 1\)"):
        from_dataframe({"a": [1, 2], "b": [1]})
    with pytest.raises(DataError, match="column 'a' must be a list of values; got 2 dimensions"):
        from_dataframe({"a": [[1, 2], [3, 4]]})
    with pytest.raises(DataError, match="dataframe: LazyFrame is not data that is read"):
        from_dataframe(pl.DataFrame({"a": [1]}).lazy())
    with pytest.raises(DataError, match="int is not data that is read; a path, arrays"):
        from_dataframe(5)
    with pytest.raises(DataError, match=r"has a header \('a'\) but no rows"):
        from_dataframe(pd.DataFrame({"a": []}))
