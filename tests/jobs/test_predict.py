"""What `predict` writes."""

import polars as pl
import pytest

import chainrule as cr
from chainrule.jobs.predict import predict_file, without_formulas


def test_text_that_a_spreadsheet_would_run_is_quoted():
    cells = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", "\rx", "-1", "+2.5", "-1e3", "a=b", "", None]
    table = without_formulas(pl.DataFrame({"label": cells, "=n": range(len(cells))}))
    assert table["label"].to_list() == [
        "'=1+1", "'+cmd", "'-x", "'@SUM(A1)", "'\tx", "'\rx", "-1", "+2.5", "-1e3", "a=b", "", None,
    ]  # fmt: skip
    assert table.columns == ["label", "'=n"]


@pytest.mark.parametrize(
    ("name", "expected"), [("p.csv", "'=a"), ("p.tsv", "'=a"), ("p.parquet", "=a"), ("p.json", "=a")]
)
def test_labels_are_quoted_where_a_spreadsheet_opens_them(tmp_path, monkeypatch, name, expected):
    monkeypatch.chdir(tmp_path)
    table = {"x": [float(i) for i in range(40)], "y": ["=a" if i < 20 else "b" for i in range(40)]}
    cr.fit(table, epochs=30, name="r", quiet=True)
    pl.DataFrame({"x": [0.0]}).write_parquet(tmp_path / "new.parquet")
    predict_file("runs/r", tmp_path / "new.parquet", tmp_path / name, tmp_path / "runs")
    readers = {"csv": pl.read_csv, "parquet": pl.read_parquet, "json": pl.read_json}
    ending = name.partition(".")[2]
    wide = (
        pl.read_csv(tmp_path / name, separator="\t") if ending == "tsv" else readers[ending](tmp_path / name)
    )
    assert wide["label"].to_list() == [expected]
