"""`--split`: kinds and columns are read, and what cannot be read is said with its row."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.errors import DataError, SettingError, UnknownNameError
from chainrule.data.division import columns_that_divide, division_notes, find_division, parse_split
from chainrule.data.source import TEST, TRAIN, VALIDATION, Source
from chainrule.data.splits import split_rows

ROWS = 40


def source(**columns):
    return Source(
        name="t.csv",
        origin={},
        frame=pl.DataFrame({"x": np.arange(ROWS) % 7, **columns, "y": np.arange(ROWS)}),
    )


def found(split, **columns):
    return find_division(source(**columns), np.arange(ROWS), split, np.arange(ROWS))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("randm", "did you mean 'random'"),
        ("time", "--split time needs the column to go by: --split time:COLUMN"),
        ("group:", "--split group needs the column to go by"),
        ("random:x", "--split random takes no column; got 'x'"),
    ],
)
def test_kinds_that_are_none(text, message):
    with pytest.raises((SettingError, UnknownNameError), match=message):
        parse_split(text)


def test_a_column_may_hold_colons_and_spaces():
    assert parse_split(" Group: patient: id ") == ("group", "patient: id")


@pytest.mark.parametrize(
    "times",
    [
        np.arange(ROWS) * 1.5,
        [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(ROWS)],
        [f"{1 + i % 28:02}.{1 + i // 28:02}.2024" for i in range(ROWS)],
        [f"2024-01-01 {i // 2:02}:{30 * (i % 2):02}" for i in range(ROWS)],
        [str(1000 + i) for i in range(ROWS)],
        [dt.timedelta(seconds=i) for i in range(ROWS)],
    ],
    ids=["numbers", "dates", "day.month.year", "minutes", "numbers as text", "durations"],
)
def test_times_in_any_readable_format_are_put_in_order(times):
    order = np.random.default_rng(0).permutation(ROWS)
    division = found("time:when", when=pl.Series(times)[order])
    assert np.argsort(np.argsort(division.times)).tolist() == order.tolist()


def test_missing_times_are_counted_and_the_first_is_named():
    when = [None if i in (4, 9) else i for i in range(ROWS)]
    message = r"column 'when' of t\.csv, by which --split time divides, is empty in 2 rows \(the first is t\.csv, row 5\)"
    with pytest.raises(DataError, match=message):
        found("time:when", when=when)


def test_a_time_that_cannot_be_read_is_named():
    when = [f"2024-01-{1 + i % 28:02}" for i in range(ROWS)]
    when[7] = "soon"
    with pytest.raises(
        DataError, match="column 'when' is neither a number nor a date in the format of the others"
    ):
        found("time:when", when=when)


def test_a_column_that_is_not_there_brings_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"t\.csv has no column 'pateint' to divide rows by; did you mean 'patient'\?"
    ):
        found("group:pateint", patient=np.arange(ROWS))
    array = Source(name="t.npz", origin={}, array=np.zeros((4, 2)))
    with pytest.raises(SettingError, match=r"--split by a column needs a table; t\.npz has no columns"):
        find_division(array, np.arange(4), "group:a", np.arange(4))


def test_rows_without_a_group_are_groups_of_their_own():
    names = ["a", "b", None, "", "b", None] + ["c", "d"] * 17
    division = found("group:g", g=names)
    assert len(np.unique(division.groups)) == 7 and division.groups[1] == division.groups[4]
    assert division.notes == ("3 rows have no 'g'; each is taken for a group of its own",)


def test_words_of_a_column_are_parts():
    words = ["train", "Training ", "val", "dev", "TEST", "holdout"] + ["fit"] * 34
    division = found("predefined:part", part=words)
    assert division.fixed.tolist() == [TRAIN, TRAIN, VALIDATION, VALIDATION, TEST, TEST] + [TRAIN] * 34
    words[9], words[12] = "other", None
    with pytest.raises(
        DataError,
        match=r"t\.csv, row 10: column 'part' must say train, validation or test; got 'other', and 1 more",
    ):
        found("predefined:part", part=words)


def test_predefined_needs_data_that_is_divided():
    with pytest.raises(
        SettingError, match=r"t\.csv is not divided; --split predefined takes folders called train and test"
    ):
        found("predefined")


def test_what_divides_is_no_input_unless_it_is_a_date():
    there = source(
        patient=[f"p{i % 9}" for i in range(ROWS)], step=np.arange(ROWS), year=2000 + np.arange(ROWS) // 4,
        day=[dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(ROWS)],
    )  # fmt: skip
    assert columns_that_divide(there, "group:patient") == {
        "patient": "column 'patient' says which rows belong together and is no input"
    }
    assert list(columns_that_divide(there, "time:step")) == ["step"]
    for split in ("time:year", "time:day", "random"):
        assert columns_that_divide(there, split) == {}
    as_text = source(
        step=[f"{i}.5" for i in range(ROWS)], day=[f"2024-01-{i % 28 + 1:02}" for i in range(ROWS)]
    )
    assert list(columns_that_divide(as_text, "time:step")) == ["step"]  # as a CSV file has it
    assert columns_that_divide(as_text, "time:day") == {}


def test_a_column_without_test_rows_is_said():
    division = found("predefined:p", p=["train"] * (ROWS - 4) + ["val"] * 4)
    (said,) = division_notes(division, split_rows(ROWS, division=division).parts())
    assert said.startswith(
        "column 'p' marks no test rows: 8 of those that it marks train are kept for the test"
    )
    division = found("predefined:p", p=["train", "test"] * (ROWS // 2))
    assert division_notes(division, split_rows(ROWS, division=division).parts()) == []


def test_what_is_said():
    day = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(ROWS)]
    division = found("time:day", day=day)
    parts = split_rows(ROWS, division=division).parts()
    assert division_notes(division, parts) == [
        "divided by the time in 'day': train until 2024-01-28, validation until 2024-02-01, test until 2024-02-09"
    ]
    division = found("group:g", g=np.arange(ROWS) // 2)
    assert division_notes(division, split_rows(ROWS, division=division).parts()) == [
        "groups of 'g': 14 train, 2 validation, 4 test; no group is in two parts"
    ]


@given(st.text(max_size=30))
def test_any_text_is_a_split_or_refused(text):
    try:
        kind, column = parse_split(text)
    except (SettingError, UnknownNameError):
        return
    assert kind in ("random", "predefined") or column
