import csv
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule.data.stored_table as stored_table
from chainrule.core.errors import DataError
from chainrule.data.delimited import parse
from chainrule.data.encode import encode
from chainrule.data.reading import Reading
from chainrule.data.schema import find_schema
from chainrule.data.source import Source
from chainrule.data.store import Store
from chainrule.data.stored_table import StoredTable, store_text
from chainrule.data.tables import read_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(stored_table, "BLOCK_BYTES", 64)
    monkeypatch.setattr(stored_table, "MOST_BLOCKS", 200)
    monkeypatch.setattr(stored_table, "ROWS_AT_ONCE", 3)


def whole(table):
    return pl.DataFrame([table[name] for name in table.columns])


def both_ways(folder, content, encoding=None):
    """Read a text table at once and in blocks; what is raised comes back as its message."""
    path = folder / "table.csv"
    path.write_bytes(content)
    store, found = Store(folder=folder / "cache", most_bytes=10**6), []
    for read in (
        lambda: parse(content, ",", "table.csv", encoding)[0],
        lambda: whole(store_text(path, ",", "table.csv", encoding, store)[0]),
    ):
        try:
            found.append(read())
        except DataError as error:
            found.append(str(error))
    return found


CELLS = st.text(st.sampled_from('ab1é,;" \n'), max_size=6)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=20), st.booleans())
def test_blocks_give_the_table_that_the_whole_file_gives(folder, rows, all_quoted):
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows([["x", "a name", "z"], *rows])
    at_once, in_blocks = both_ways(folder, text.getvalue().encode())
    assert isinstance(at_once, str) or at_once.equals(in_blocks)


LINES = st.lists(
    st.sampled_from(["1,2,3", "4,,6", "", "7", '"8\n9",a,b', " 1 , 2,3", "x,y,é"]), min_size=1, max_size=30
)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n", "\n\n\n"]), st.booleans())
def test_short_blank_and_quoted_lines_are_read_alike(folder, lines, end, last, has_mark):
    text = ("a,b,c\n" + "\n".join(lines) + last).replace("\n", end)
    at_once, in_blocks = both_ways(folder, b"\xef\xbb\xbf" * has_mark + text.encode())
    if isinstance(at_once, str):
        assert at_once == in_blocks
    else:
        assert at_once.equals(in_blocks)


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n" + "1,2\n" * 30 + "1,2,3\n",
        "a,b\n" + "1,2\n" * 30 + '1,"2"x\n',
        "a,b\n" + "1,2\n" * 30 + "1,\0\n",
        "# made by hand\n# in May\na,b\n" + "1,2\n" * 30 + "1,2,3\n" + "3,4\n" * 9,
    ],
)
def test_what_is_wrong_is_named_by_its_line_in_the_file(folder, content):
    at_once, in_blocks = both_ways(folder, content.encode())
    assert isinstance(at_once, str) and at_once == in_blocks


def test_separators_encodings_and_unnamed_columns_are_those_of_the_whole_file(folder):
    for content, encoding in (
        (b"a;b\n" + b"1;2,5\n" * 20, None),
        (b",a,b\n" + b"7,1,2\n" * 20, None),
        (("a,b\n" + "naïve,ö\n" * 20).encode("cp1252"), "cp1252"),
    ):
        at_once, in_blocks = both_ways(folder, content, encoding)
        assert at_once.equals(in_blocks)


@pytest.mark.parametrize(
    ("content", "encoding", "what"),
    [
        (("a,b\n" + "naïve,1\n" * 20).encode("cp1252"), None, "name its encoding with --encoding"),
        (
            ("a,b\n" + "1,2\n" * 20 + "naïve,1\n").encode("cp1252"),
            None,
            "line 22 is not utf-8 text .*0xef.*--encoding",
        ),
        (("a,b\n" + "1,2\n" * 20).encode("utf-16"), "utf-16", "save it so, or give more --memory"),
        (
            b"a,b\n1,2\n" + b'3,"4\n' + b"5,6\n" * 9000,
            None,
            "no row ends within .* a quotation mark may be left open",
        ),
    ],
)
def test_what_needs_the_whole_file_says_what_to_do(folder, content, encoding, what):
    path = folder / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=what):
        store_text(path, ",", "table.csv", encoding, Store(folder=folder / "cache", most_bytes=10**6))


def mixed(rows=20):
    return pl.DataFrame(
        {
            "*": np.arange(rows) * 0.5,
            "kind": pl.Series([["a", "b", None][i % 3] for i in range(rows)], dtype=pl.Categorical),
            "when": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, rows), eager=True),
            "y": [i % 2 == 0 for i in range(rows)],
        }
    )


def test_parquet_is_taken_column_by_column_with_its_types(folder):
    path = folder / "table.parquet"
    mixed().write_parquet(path)
    here = read_table(path)
    there = read_table(path, Reading(store=Store(folder=folder / "cache", most_bytes=1)))
    assert isinstance(there.frame, StoredTable) and (there.frame.height, there.frame.width) == (20, 4)
    assert whole(there.frame).equals(here.frame) and there.frame.row(17) == here.frame.row(17, named=True)
    assert there.frame.schema == dict(here.frame.schema)
    assert there.fingerprint() == here.fingerprint() and len(there) == len(here)


def test_rows_are_encoded_in_parts_and_a_wrong_cell_is_named_by_its_row(folder):
    store = Store(folder=folder / "cache", most_bytes=1)
    path = folder / "table.parquet"
    mixed().write_parquet(path)
    source = read_table(path, Reading(store=store))
    schema, _ = find_schema(source)
    numbers, codes, said = encode(source, schema.columns)
    here = encode(Source(name="table", origin={}, frame=mixed()), schema.columns)
    assert np.array_equal(numbers[:], here[0], equal_nan=True) and np.array_equal(codes[:], here[1])
    assert said == here[2]
    wrong = StoredTable(store)
    for _, part in source.frame.parts():
        wrong.append(part.with_columns(pl.Series("*", ["far" if v == 8.5 else "1" for v in part["*"]])))
    with pytest.raises(DataError, match=r"table, row 18: .*'far'"):
        encode(Source(name="table", origin={}, frame=wrong), schema.columns)


def test_several_files_on_disk_are_one_table(folder):
    store = Store(folder=folder / "cache", most_bytes=1)
    tables = [mixed(5), StoredTable(store)]
    tables[1].append(mixed(7).with_columns(mixed(7)["*"].cast(pl.Float32)))
    joined = stored_table.stacked_tables(tables, store)
    assert joined["*"].dtype == pl.Float64 and joined.height == 12
    assert joined["*"].to_list() == [*mixed(5)["*"], *mixed(7)["*"]]
