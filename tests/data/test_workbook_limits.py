"""Workbooks that would take far more memory than they look like."""

import io
import zipfile
from pathlib import Path

import pytest

from chainrule.core.errors import DataError
from chainrule.data.workbook_limits import check_workbook

PLAIN = Path(__file__).parent.parent / "fixtures" / "workbooks" / "plain.xlsx"
SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def zipped(parts: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def workbook(rows: str) -> bytes:
    """Return a workbook with one sheet, called Sheet."""
    with zipfile.ZipFile(PLAIN) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if "sheet1" not in name}
    sheet = f'<worksheet xmlns="{SHEETS}"><sheetData>{rows}</sheetData></worksheet>'
    return zipped({**parts, "xl/worksheets/sheet1.xml": sheet})


def rezipped(content: bytes, number: int, change) -> bytes:
    """Return a zip archive with one member changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = list(parts)[number % len(parts)]
    return zipped({**parts, name: change(parts[name])})


def document(rows: str) -> bytes:
    table = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
    return zipped({"content.xml": f'<d xmlns:table="{table}"><table:table>{rows}</table:table></d>'})


def refusal(content: bytes) -> str:
    with pytest.raises(DataError) as caught:
        check_workbook(content, "t.xlsx")
    return str(caught.value)


def test_a_bomb():
    assert "t.xlsx unpacks to more than" in refusal(workbook(" " * 101_000_000))


def test_a_false_length_shows():
    content = workbook("<row>" + " " * 10_000 + "</row>")
    place = content.rindex(b"PK\x01\x02")
    lying = bytearray(content)
    lying[place + 24 : place + 28] = (100).to_bytes(
        4, "little"
    )  # the length that the last member is said to have
    assert "t.xlsx is damaged" in refusal(bytes(lying))


def test_cells_far_away():
    rows = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    assert refusal(workbook(rows)) == (
        "t.xlsx: the cells of sheet1.xml reach over 1,048,576 rows and 16,384 columns; delete what stands far away "
        "from the table, or save it as CSV"
    )
    check_workbook(workbook('<row r="1048576"><c r="T1048576"><v>1</v></c></row>'), "t.xlsx")


def test_cells_and_rows_that_are_repeated():
    full = '<table:table-cell table:number-columns-repeated="16384"><p>1</p></table:table-cell>'
    empty = '<table:table-cell table:number-columns-repeated="16384"/>'
    assert "16,384 columns" in refusal(
        document(f'<table:table-row table:number-rows-repeated="1048576">{full}</table:table-row>')
    )
    far = "<table:table-cell><p>1</p></table:table-cell>"
    assert "1,048,576 rows" in refusal(
        document(
            f'<table:table-row table:number-rows-repeated="1048575">{empty}</table:table-row>'
            f"<table:table-row>{empty}{far}</table:table-row>"
        )
    )
    check_workbook(  # how LibreOffice ends every sheet
        document(
            f"<table:table-row>{far}{empty}</table:table-row>"
            f'<table:table-row table:number-rows-repeated="1048575">{empty}</table:table-row>'
        ),
        "t.ods",
    )
