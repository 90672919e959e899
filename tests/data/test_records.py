"""Tables as JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.errors import DataError
from chainrule.data import records
from chainrule.data.read import read
from chainrule.data.records import read_records

RECORDS = [{"a": 1, "b": "x"}, {"b": "y", "c": True}, {"a": 2.5, "c": None}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", json.dumps(RECORDS)),
        ("t.jsonl", "\n".join(map(json.dumps, RECORDS)) + "\n"),
        ("t.ndjson", "\r\n\r\n".join(map(json.dumps, RECORDS))),
        ("t.json", '{"a": [1, null, 2.5], "b": ["x", "y", null], "c": [null, true, null]}'),
    ],
)
def test_records_become_columns(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    frame = read(tmp_path / name).frame
    assert frame.to_dict(as_series=False) == {
        "a": [1, None, 2.5],
        "b": ["x", "y", None],
        "c": [None, True, None],
    }


def test_values_of_several_types_and_nested_ones_are_text(tmp_path):
    (tmp_path / "t.json").write_text('[{"a": 1, "b": [1, 2]}, {"a": "x", "b": {"c": 3}}]')
    source = read(tmp_path / "t.json")
    assert source.frame.rows() == [("1", "[1, 2]"), ("x", '{"c": 3}')]
    assert "column 'a' holds int and str and is read as text" in source.notes


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.jsonl", '{"a": 1}\n{"a": }\n', "t.jsonl, line 2 cannot be read as JSON"),
        ("t.jsonl", '{"a": 1}\n[1]\n', "t.jsonl, line 2 is [1]; a record was wanted"),
        ("t.json", '[{"a": 1}, 5]', "t.json, record 2 is 5; a record was wanted"),
        ("t.json", "5", "t.json should be an array of records"),
        ("t.json", "", "t.json cannot be read as JSON"),
        ("t.json", "[" * 100_000, "t.json cannot be read as JSON"),
        ("t.json", "[]", "t.json holds no records"),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(name, text, message):
    with pytest.raises(DataError) as caught:
        read_records(text.encode(), name, "." + name.partition(".")[2])
    assert message in str(caught.value)


def test_more_cells_than_memory(monkeypatch):
    monkeypatch.setattr(records, "MOST_CELLS", 10)
    lines = "\n".join(json.dumps({f"c{i}": 1}) for i in range(4))
    with pytest.raises(DataError, match=r"t\.jsonl has 4 fields in 4 records, more than a table can hold"):
        read_records(lines.encode(), "t.jsonl", ".jsonl")


@given(st.text(alphabet='{}[]":, abc12.\n', max_size=80), st.sampled_from([".json", ".jsonl"]))
def test_any_text_gives_columns_or_a_data_error(text, ending):
    try:
        columns, _ = read_records(text.encode(), "t" + ending, ending)
    except DataError as error:
        assert "t.json" in str(error)
    else:
        assert len({len(cells) for cells in columns.values()}) <= 1


def test_half_a_surrogate_pair_is_no_text(tmp_path):
    path = tmp_path / "rows.json"
    path.write_bytes(b'[{"a\\udc00": "\\ud800x", "b": 1}, {"a\\udc00": "\\ud83d\\ude00", "b": 2}]')
    frame = read(path).frame
    assert frame.columns == ["a?", "b"] and frame["a?"].to_list() == ["?x", "\U0001f600"]
