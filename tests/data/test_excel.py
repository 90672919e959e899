"""Workbooks as people save them, and as nobody should."""

import datetime
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.core.errors import DataError, MissingExtraError
from chainrule.data.apart import WORKBOOK, read_apart
from chainrule.data.excel import read_workbook
from chainrule.data.read import read
from chainrule.data.reading import Reading
from chainrule.data.schema import find_schema
from tests.data.samples import IN_ONE_FOLDER
from tests.data.test_workbook_limits import rezipped, workbook


@pytest.fixture
def workbooks(fixtures):
    return fixtures / "workbooks"


def sheet(*rows: str) -> bytes:
    """Return a workbook whose sheet has these rows, each the XML of its cells."""
    return workbook("".join(f"<row>{row}</row>" for row in rows))


def text(*cells: str) -> str:
    return "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' if cell else "<c/>" for cell in cells)


def test_a_workbook_as_people_make_it(workbooks, capfd):
    """Title rows above the header, a note beside the table, blank rows, dates, percent, money, two more sheets."""
    source = read(workbooks / "houses.xlsx")
    assert source.notes == (
        "houses.xlsx: the sheet 'Houses 2024' is read, not 'Read me', 'Sheet3'; --sheet names another",
        "houses.xlsx: the header was found in row 5; what stands above it is left out",
        "houses.xlsx, sheet 'Houses 2024': a column without a name in the header is left out (1 cell: "
        "'ask Anna about the two missing areas')",
        "houses.xlsx, sheet 'Houses 2024': 2 blank rows are left out",
    )
    assert source.frame.schema == {
        "Sold on": pl.Datetime("ms"), "Area (m²)": pl.Float64, "Rooms": pl.Int64, "City": pl.String,
        "Discount": pl.Float64, "Garden": pl.Boolean, "Price": pl.Int64,
    }  # fmt: skip
    assert source.frame.height == 60 and source.frame["Area (m²)"].null_count() == 2
    assert source.frame["Sold on"][1] == datetime.datetime(2024, 1, 6)
    assert set(source.frame["Discount"]) == {0.0, 0.05, 0.1}
    schema, _ = find_schema(source, target="Price")
    assert [c.kind for c in schema.columns] == ["date", "number", "number", "category", "number", "boolean"]
    assert capfd.readouterr() == ("", "")


def test_every_kind_of_workbook_holds_the_same_table(workbooks):
    frames = [read(workbooks / f"plain.{ending}").frame for ending in ("xlsx", "xls", "ods")]
    assert frames[0].schema == {"x": pl.Int64, "y": pl.Float64, "label": pl.String}
    assert frames[0].height == 12 and frames[0].equals(frames[1]) and frames[0].equals(frames[2])


def test_a_sheet_is_named(workbooks):
    with pytest.raises(DataError, match=r"has no sheet 'Houses'; it has .* did you mean 'Houses 2024'\?"):
        read(workbooks / "houses.xlsx", Reading(sheet="Houses"))
    with pytest.raises(DataError, match="the sheet 'Sheet3' is empty"):
        read(workbooks / "houses.xlsx", Reading(sheet="Sheet3"))
    assert (
        read(workbooks / "houses.xlsx", Reading(sheet="Houses 2024"))
        .notes[0]
        .startswith("houses.xlsx: the header was found")
    )


def test_pyarrow_is_not_needed(workbooks, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert read_workbook((workbooks / "plain.xls").read_bytes(), "t.xls", None)[0].height == 12


def test_without_its_package(workbooks, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'chainrule\[excel\]'"):
        read_workbook(b"", "t.xlsx", None)


def test_formulas_give_their_values_and_errors_are_missing():
    rows = (
        text("a", "b"),
        "<c><v>1</v></c><c><f>A2*2</f><v>2</v></c>",
        '<c><v>3</v></c><c t="e"><v>#DIV/0!</v></c>',
    )
    frame, notes = read_workbook(sheet(*rows), "t.xlsx", None)
    assert frame.rows() == [(1, 2), (3, None)] and notes == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "t.xlsx has no sheet with a header and rows below it (sheets: 'Sheet')"),
        ([text("a", "b")], "t.xlsx has no sheet with a header and rows below it"),
        ([text("a", "a"), text("x", "y")], "t.xlsx, sheet 'Sheet': the header has 'a' more than once"),
    ],
)
def test_sheets_that_hold_no_table(rows, message):
    with pytest.raises(DataError) as caught:
        read_workbook(sheet(*rows), "t.xlsx", None)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04nonsense", b"\xd0\xcf\x11\xe0" + bytes(600), b"a,b\n1,2\n"]
)
def test_what_is_no_workbook(content, tmp_path):
    for ending in ("xlsx", "xls", "ods"):
        (tmp_path / f"t.{ending}").write_bytes(content)
        with pytest.raises(DataError, match=rf"t\.{ending} (is damaged|cannot be read as a workbook)"):
            read(tmp_path / f"t.{ending}")


@settings(IN_ONE_FOLDER, max_examples=15)  # each starts a process: some damage ends it
@given(
    ending=st.sampled_from(["xlsx", "xls", "ods"]),
    member=st.integers(0, 20),
    damage=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6
    ),
)
def test_any_damage_gives_a_table_or_a_data_error(workbooks, ending, member, damage):
    content = (workbooks / f"plain.{ending}").read_bytes()

    def damaged(part: bytes) -> bytes:
        part = bytearray(part)
        for place, value in damage:
            if part:
                part[int(place * len(part))] = value
        return bytes(part)

    content = damaged(content) if ending == "xls" else rezipped(content, member, damaged)
    try:
        read_apart(WORKBOOK, content, "t.xlsx")
    except DataError as error:
        assert "t.xlsx" in str(error)
