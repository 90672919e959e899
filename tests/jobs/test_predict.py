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


def test_new_rows_in_another_sheet_and_encoding(tmp_path, fixtures):
    book = fixtures / "workbooks" / "houses.xlsx"
    run = cr.fit(book, target="Price", sheet="Houses 2024", epochs=2, runs=tmp_path / "runs", quiet=True)
    assert len(run.predict(book).values) == 60  # the sheet of training
    with pytest.raises(cr.ChainruleError, match="the sheet 'Sheet3' is empty"):
        predict_file(str(run.path), book, None, tmp_path, sheet="Sheet3")
    with pytest.raises(cr.ChainruleError, match="has no sheet 'Houses 2024'; it has 'Sheet'"):
        run.predict(fixtures / "workbooks" / "plain.xlsx")
    table = run.read_inputs(book).frame
    table.write_csv(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes((tmp_path / "a.csv").read_text().encode("cp1252"))
    text, _ = predict_file(str(run.path), tmp_path / "b.csv", None, tmp_path, encoding="cp1252")
    assert len(text.splitlines()) == 61
    assert len(run.predict([tmp_path / "a.csv", tmp_path / "b.csv"]).values) == 120
