"""From rows to numbers, codes and targets, in training and later, and what is said on the way."""

import json

import numpy as np
import polars as pl
import pytest

from chainrule.core.errors import DataError, SettingError, UnknownNameError
from chainrule.core.typed_json import typed
from chainrule.data.schema import Schema, find_schema
from chainrule.data.source import Source
from chainrule.data.target import Target


def table(columns, name="t.csv"):
    return Source(name=name, origin={}, frame=pl.DataFrame(columns))


TRAIN = {
    "size": ["1", "2", "", "4"],
    "day": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"],
    "colour": ["red", "blue", "red", None],
    "is new": ["yes", "no", "yes", "no"],
    "key": ["same"] * 4,
    "price": ["1.5", "2.5", "3.5", ""],
}


@pytest.fixture
def schema():
    return find_schema(table(TRAIN), target="price")[0]


def test_the_whole_way(schema):
    assert [c.kind for c in schema.columns] == ["number", "date", "category", "boolean"]
    assert schema.left_out == ("key",) and schema.target.names == ("price",)
    examples = schema.encode(table(TRAIN))
    assert schema.number_names[0] == "size" and schema.number_names[-1] == "is new"
    assert examples.numbers.shape == (3, 7) and examples.numbers.dtype == np.float64
    assert examples.numbers[:, 0].tolist()[:2] == [1, 2] and np.isnan(examples.numbers[2, 0])
    assert examples.codes.tolist() == [[3], [2], [3]]
    assert examples.targets.tolist() == [[1.5], [2.5], [3.5]]
    assert examples.rows.tolist() == [0, 1, 2]
    assert examples.notes == ("1 row has no target and is left out",)


def test_the_schema_survives_json(schema):
    strays = find_schema(table({"a": [*map(str, range(20)), "n.d."], "y": range(21)}), target="y")[0]
    for one in (schema, strays, Schema(shape=(1, 8, 8), is_pictures=True, target=schema.target)):
        again = typed(Schema, json.loads(json.dumps(one.to_json())))
        again.check()
        assert again == one


TARGET = {"kind": "regression", "names": ["y"], "classes": []}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"columns": None}, "schema.columns should be a list; got None"),
        ({"columns": [{}]}, r"schema.columns\[0\].name is missing"),
        ({"target": 5}, "schema.target should be an object; got 5"),
        ({"more": 1}, "schema.more is not known to this version"),
        ({"columns": [], "shape": []}, "schema holds 0 columns and the shape"),
        ({"columns": [], "shape": [3, -1, 2]}, "0 columns and the shape"),
        ({"columns": [], "shape": [3], "is_pictures": True}, "channels, height, width"),
        ({"target": {**TARGET, "kind": "telepathy"}}, "'telepathy' with 0 classes"),
        ({"target": {**TARGET, "kind": "binary"}}, "'binary' with 0 classes and 1 names"),
        ({"target": {**TARGET, "kind": "binary", "classes": ["a", "a"]}}, "'binary' with 2 classes"),
        ({"columns": [{"name": "y", "kind": "number"}], "target": TARGET}, "schema names 'y' twice"),
        ({"columns": [{"name": "a", "kind": "smell"}]}, "column 'a' is of the kind 'smell'"),
        ({"columns": [{"name": "a", "kind": "date", "format": "%Q"}]}, "dates written as .%Q."),
        ({"columns": [{"name": "a", "kind": "number", "format": "x"}]}, "is no way to write 1234.5"),
        ({"target": {**TARGET, "spelling": "?"}}, "spelled"),
        ({"columns": [{"name": "a", "kind": "category", "values": ["b", "b"]}]}, "has a value twice"),
    ],
)
def test_a_damaged_schema_is_named(schema, damage, said):
    with pytest.raises(ValueError, match=said):
        typed(Schema, {**schema.to_json(), **damage}, "schema").check()


def test_later_rows_in_any_order_with_more_columns_mean_the_same(schema):
    later = {k: v for k, v in reversed(TRAIN.items()) if k not in ("price", "key")}
    examples = schema.encode_inputs(table({"extra": [1, 2, 3, 4], **later, "more": ["a"] * 4}))
    before = schema.encode_inputs(table(TRAIN))
    assert np.array_equal(examples.numbers, before.numbers, equal_nan=True)
    assert np.array_equal(examples.codes, before.codes) and examples.targets is None
    assert examples.notes == ("columns that training did not have are not used: 'extra', 'more'",)
    assert before.notes == ()


def test_a_missing_column_is_named_with_the_nearest(schema):
    later = {k: v for k, v in TRAIN.items() if k != "colour"}
    with pytest.raises(
        DataError, match="new has no column 'colour', which the network was trained on; did you mean 'color'"
    ):
        schema.encode_inputs(table({**later, "color": ["red"] * 4}, "new"))
    with pytest.raises(DataError, match="has no column 'size', 'day', 'colour', 'is new', which"):
        schema.encode_inputs(table({"a": [1]}))


def test_unseen_categories_are_counted_and_said(schema):
    examples = schema.encode_inputs(table({**TRAIN, "colour": ["green", "red", "", "grey"]}))
    assert examples.codes[:, 0].tolist() == [1, 3, 0, 1]
    assert examples.notes == (
        "column 'colour' has 2 cells with other values than the 2 that the network tells apart",
    )


def test_a_later_table_needs_its_target_only_to_be_judged(schema):
    later = {k: v for k, v in TRAIN.items() if k != "price"}
    assert len(schema.encode_inputs(table(later))) == 4
    with pytest.raises(DataError, match=r"t\.csv has no column 'price', the target; it has 'size', 'day'"):
        schema.encode(table(later))


def test_tables_and_arrays_are_not_mistaken_for_each_other(schema):
    arrays = Source(name="x.npz", origin={}, array=np.zeros((2, 3)))
    with pytest.raises(
        DataError, match=r"x\.npz: the network was trained on a table with the columns 'size', 'day'"
    ):
        schema.encode_inputs(arrays)
    of_arrays = Schema(shape=(3,), target=Target(kind="regression", names=("y",)))
    with pytest.raises(
        DataError, match=r"t.csv is a table, but the network was trained on rows of the shape \(3,\)"
    ):
        of_arrays.encode_inputs(table(TRAIN))
    assert len(of_arrays.encode_inputs(arrays)) == 2
    for array, message in (
        (np.zeros((2, 4)), r"rows must have the shape \(3,\) as in training; got \(4,\)"),
        (np.array([["a", "b", "c"]]), "inputs must be numbers; got <U1"),
        (np.array([[0, 0, 0], [0, np.inf, 0]]), r"x, row 2: the value at \(1,\) is infinite"),
        (np.array([[0, np.nan, -1e200]]), r"row 1: the value at \(2,\) is -1e\+200, too large"),
    ):
        with pytest.raises(DataError, match=message):
            of_arrays.encode_inputs(Source(name="x", origin={}, array=array))


def target_of(columns, target=None):
    schema, notes = find_schema(table(columns), target=target)
    return schema.target.names, notes.notes


NUMBERS = {name: [0.5, 1.5, 2.5] for name in ("a", "Label", "b, c", "d", "e")}


def test_which_column_is_the_target():
    assert target_of(NUMBERS)[0] == ("Label",)
    assert "column 'Label' (by its name; --target names another)" in target_of(NUMBERS)[1][0]
    names, notes = target_of({"a": [0.5, 1.5], "b": [1.5, 0.5]})
    assert names == ("b",) and "(the last column; --target names another)" in notes[0]


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("a", ("a",)),
        ("a,d", ("a", "d")),
        (" a , d ", ("a", "d")),
        ("b, c", ("b, c",)),
        ('"b, c",a', ("b, c", "a")),
        ("a,a", ("a",)),
    ],
)
def test_targets_by_name(target, names):
    assert target_of(NUMBERS, target)[0] == names


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("lable", "t.csv has no column 'lable' to predict; did you mean 'Label'"),
        ("zzz", "t.csv has no column 'zzz' to predict; it has 'a', 'Label', 'b, c', 'd', 'e'"),
        ("a,zzz", "no column 'zzz'"),
        ("", "no column ''"),
        ("a,", "no column ''"),
        ("x\ny", r"no column 'x\ny'"),
    ],
)
def test_a_target_that_is_not_there(target, message):
    with pytest.raises(UnknownNameError) as caught:
        target_of(NUMBERS, target)
    assert message in str(caught.value)


def test_targets_of_arrays_have_no_names():
    source = Source(name="x", origin={}, array=np.zeros((4, 2)), targets=np.arange(4.0))
    with pytest.raises(SettingError, match="--target names a column of a table; x has 'target'"):
        find_schema(source, target="price")
    assert find_schema(source, target="target")[0].shape == (2,)


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match=r"t\.csv has no column to learn from beside the target 'y'$"):
        find_schema(table({"y": [0.5, 1.5]}))
    with pytest.raises(DataError, match=r"beside the target 'y' \(left out: 'one'\)"):
        find_schema(table({"one": [1, 1], "y": [0.5, 1.5]}))


@pytest.mark.parametrize(
    "name", ["index", "", "0", "columns", "literal", "[red]", "[/]", "\x1b[31m", "a\nb", "^a$", "*"]
)
def test_any_name_is_a_name(name):
    """Also names that polars would take for patterns."""
    rows = table({name: ["x", "y", "x", "y"], "n": [1, 2, 3, 4], "y": [0.5, 1.5, 2.5, 3.5]})
    schema, _ = find_schema(rows, target="y")
    assert schema.encode(rows).codes.tolist() == [[2], [3], [2], [3]]
    as_target, _ = find_schema(rows, target=name)
    assert as_target.encode(rows).targets.tolist() == [0, 1, 0, 1]


def test_dates_with_points_stand_beside_decimal_commas():
    sold = [f"{i % 28 + 1:02d}.03.2024" for i in range(60)]
    flats = table(
        {
            "sold": sold,
            "area": [f"{i},5" for i in range(60)],
            "price": [f"{i}.000,50 €" for i in range(1, 61)],
        }
    )
    schema, _ = find_schema(flats, target="price")
    assert [(column.name, column.kind) for column in schema.columns] == [("sold", "date"), ("area", "number")]
