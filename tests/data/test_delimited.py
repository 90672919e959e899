"""Text tables as people and programs write them."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.core.errors import DataError
from chainrule.data.delimited import parse


def read(text: str | bytes, separator: str = ","):
    content = text.encode() if isinstance(text, str) else text
    return parse(content, separator, "t.csv")


def rows(text: str | bytes, separator: str = ","):
    return read(text, separator)[0].rows()


def refusal(text: str | bytes) -> str:
    with pytest.raises(DataError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\n1,2\n3,4",
        "a,b\r\n1,2\r\n3,4\r\n",
        "a,b\r1,2\r3,4\r",
        "\ufeffa,b\n1,2\n3,4\n",
        '\ufeff"a","b"\n"1","2"\n"3","4"\n',
        "a,b\n1,2\n3,4\n\n\n",
        "a,b\r\n1,2\r\n3,4\r\n\r\n\r\n",
        "\n\na,b\n1,2\n3,4\n",
        "a;b\n1;2\n3;4\n",
        "a\tb\n1\t2\n3\t4\n",
        "a|b\n1|2\n3|4\n",
        " a , b \n1,2\n3,4\n",
        'a, "b"\n1, "2"\n3, "4"\n',
        ",a,b\n0,1,2\n1,3,4\n",
        "a,b,\n1,2,\n3,4,\n",
        "a,b,,\n1,2,,\n3,4, ,\n",
    ],
)
def test_one_table_in_many_spellings(text):
    frame, _ = read(text)
    assert frame.columns == ["a", "b"]
    assert frame.rows() == [("1", "2"), ("3", "4")]


def test_newlines_separators_and_quotes_within_quotes():
    text = 'a,b\n"two\nlines","x, y"\n"said ""no""",\n'
    assert rows(text) == [("two\nlines", "x, y"), ('said "no"', None)]


def test_a_header_may_hold_newlines_and_separators():
    assert read('"a\nb","c, d"\n1,2\n')[0].columns == ["a\nb", "c, d"]


def test_inch_marks_within_a_cell_are_text():
    assert rows('size,n\n5" pipe,1\n6" pipe,2\n7,3\n') == [('5" pipe', "1"), ('6" pipe', "2"), ("7", "3")]


def test_another_separator_is_said():
    assert "separated by ';', not by ','" in " ".join(read("a;b\n1;2\n")[1])
    assert rows("a;b\n1,5;2,5\n3;4,5\n") == [("1,5", "2,5"), ("3", "4,5")]
    assert read("a\tb\n1\t2\n", "\t")[1] == []
    assert rows("a;b;c\n1;2;3\n4;5\n6;7;8\n")[1] == ("4", "5", None)
    assert rows("a, x|b\n1,2|3\n4,5|6\n") == [("1", "2|3"), ("4", "5|6")]


def test_one_column_needs_no_separator():
    assert rows("a\n1\n\n3\n") == [("1",), (None,), ("3",)]


def test_row_numbers_without_a_name_are_left_out_and_said():
    assert "first column has no name" in " ".join(read(",a\n0,1\n1,2\n")[1])


def test_a_column_without_a_name_is_refused():
    assert refusal("a,,c\n1,2,3\n") == "t.csv: column 2 of 3 has no name in the header"


def test_names_are_no_patterns():
    frame, _ = read(",*,^a$,column 0\n0,1,2,3\n")
    assert frame.rows(named=True) == [{"*": "1", "^a$": "2", "column 0": "3"}]


def test_short_lines_are_filled_and_said():
    frame, notes = read("a,b,c\n1,2,3\n4,5\n6,7,8\n9\n")
    assert frame.rows() == [("1", "2", "3"), ("4", "5", None), ("6", "7", "8"), ("9", None, None)]
    assert notes == ["t.csv: 2 lines have fewer cells than the header (line 3); what lacks counts as missing"]


def test_short_lines_are_found_among_quoted_separators():
    notes = read('a,b,c\n"x,y,z",2,3\n4,"5,6"\n')[1]
    assert notes == ["t.csv: 1 line has fewer cells than the header (line 3); what lacks counts as missing"]


def test_missing_last_cells_are_no_short_lines():
    assert read('a,b,"c,d"\n"x,y",2,\n,,\n')[1] == []


def test_a_blank_line_between_rows_is_a_row_without_values():
    frame, notes = read("a,b\n1,2\n\n3,4\n")
    assert frame.rows() == [("1", "2"), (None, None), ("3", "4")]
    assert notes == ["t.csv: 1 line has no cells at all (line 3); what lacks counts as missing"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv is empty; a table needs a header line and rows below it"),
        ("\n \n\r\n", "t.csv is empty"),
        ("\ufeff", "t.csv is empty"),
        ("a,b\n", "t.csv has a header ('a', 'b') but no rows below it"),
        ("a,b", "but no rows below it"),
        (
            "a,b,a,b\n1,2,3,4\n",
            "the header has 'a', 'b' more than once; every column needs a name of its own",
        ),
        ("a, a\n1,2\n", "the header has 'a' more than once"),
        (",,\n1,2,3\n", "the header line is blank"),
        ("a,b\n1,2\n3,4,5\n", "t.csv, line 3: 3 cells, but the header has 2"),
        ('a,b\n"1\n1",2\n3,4,5\n', "t.csv, line 4: 3 cells, but the header has 2"),
        ('a,b\n1,2\n"3,4\n5,6\n', "t.csv, line 3: a quotation mark opens here and is never closed"),
        ('a,b\n1,2\n"3"x,4\n', "t.csv, line 3: text stands behind a closing quotation mark"),
        ('"a,b\n1,2\n', "t.csv, line 1: a quotation mark opens here and is never closed"),
        ("a,b\n1,x\0y\n", "holds binary data, not text (a null byte in line 2)"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "holds binary data"),
        (b"PK\x03\x04rest", "is a ZIP archive, perhaps an Excel workbook"),
        (b"\x1f\x8b\x08rest", "is compressed with gzip"),
        (b"PAR1rest", "is a Parquet file; give its name the ending .parquet"),
        (
            "a,b\n1," + '"' + "x" * 200_000 + "\n",
            "a cell is longer than 131,072 characters; is a quotation mark left",
        ),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(text, message):
    assert message in refusal(text)


def test_a_first_line_that_looks_like_a_row_is_said():
    assert "looks like a row ('5.1', '3.5', 'setosa')" in read("5.1,3.5,setosa\n4.9,3.0,setosa\n")[1][0]
    assert read("2019,2020\n1,2\n")[1] == []


CELLS = st.text(st.sampled_from("ab1 ,;\"\n\r\t'é|"), max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"])
)
def test_what_is_written_by_the_rules_is_read_back(table, end):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["one", "two"])
    writer.writerows(table)
    assert [tuple(cell or "" for cell in row) for row in rows(text.getvalue())] == [
        tuple(row) for row in table
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6))
def test_minimal_quoting_is_read_back_too(table):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["one", "two", "three"])
    table = [
        [cell.replace("\r", "") for cell in row] for row in table
    ]  # which the csv module would not quote
    writer.writerows(table)
    plain = [tuple((cell.strip() or None) for cell in row) for row in table]
    found = [tuple((cell or "").strip() or None for cell in row) for row in rows(text.getvalue())]
    assert found == plain


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('ab1 ,"\n\r'), max_size=30))
def test_any_text_is_a_table_that_the_csv_module_reads_alike_or_refused(text):
    try:
        frame, _ = read("x,y\n" + text)
    except DataError:
        return
    reader = csv.reader(io.StringIO("x,y\n" + text.rstrip("\r\n"), newline=""), skipinitialspace=True)
    expected = [[*row, "", ""][:2] for row in reader][1:]
    assert [[(c or "").strip() for c in row] for row in frame.rows()] == [
        [c.strip() for c in r] for r in expected
    ]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_refused(content):
    try:
        frame, _ = parse(content, ",", "t.csv")
    except DataError:
        return
    assert frame.height and frame.width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# made by hand\n#\na,b\n1,2\n", "t.csv: 2 lines that begin with # above the header are left out"),
        ("# units: m\na,b\n1,2\n", "t.csv: 1 line that begins with # above the header is left out"),
        ("#a,b\n1,2\n", "t.csv: the header is the line that begins with #"),
        ("# by numpy\n# a b\n1 2\n", "the header is the line that begins with #"),
    ],
)
def test_comments_above_the_header(text, expected):
    frame, notes = read(text, " " if "numpy" in text else ",")
    assert frame.columns == ["a", "b"] and frame.rows() == [("1", "2")]
    assert expected in notes[0]


def test_lines_below_comments_keep_their_numbers():
    assert refusal("# x\n# y\na,b\n1,2\n3,4,5\n") == "t.csv, line 5: 3 cells, but the header has 2"


def test_the_hint_of_excel_is_no_row():
    assert rows("sep=;\na;b\n1;2\n") == [("1", "2")]


@pytest.mark.parametrize(
    "text",
    [
        "  a    b   c\n  1  2.5   x\n 10   -3   y\n",
        "a b c\n1\t2.5  x\n10 -3 y  \n",
        '"a" "b" "c"\n1 2.5 "x"\n10 -3 "y"\n',
        '"a" "b" "c"\n"1" 1 2.5 "x"\n"2" 10 -3 "y"\n',
        "a\tb\tc\n1\t2.5\tx\n10\t-3\ty\n",
        "a;b;c\n1;2.5;x\n10;-3;y\n",
    ],
    ids=["aligned", "mixed", "quoted", "row numbers of R", "tabs", "semicolons"],
)
def test_tables_of_columns_apart_by_spaces(text):
    frame, _ = read(text, " ")
    assert frame.columns == ["a", "b", "c"]
    assert frame.rows() == [("1", "2.5", "x"), ("10", "-3", "y")]


def test_spaces_within_cells_are_no_separators():
    assert rows("name,city\nAnn Lee,New York\nBob Ray,Ulm\n", " ") == [
        ("Ann Lee", "New York"),
        ("Bob Ray", "Ulm"),
    ]
    assert read("name\nAnn Lee\nBob Ray\n")[0].columns == ["name"]


def test_what_is_not_utf8_is_read_and_said():
    frame, notes = read("größe,b\n1,2\n".encode("latin-1"))
    assert frame.columns == ["größe", "b"]
    assert notes == ["t.csv: read as cp1252 (it is not UTF-8); --encoding names another"]
