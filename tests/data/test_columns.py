"""Cells read as their column says: numbers, booleans, categories, dates."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.core.errors import DataError
from chainrule.data.columns import Column, category_codes, number_cells
from chainrule.data.findings import gathered
from chainrule.data.inference import find_column


def at(row, name="t.csv"):
    return f"{name}, row {row + 1}"


def at_new(row):
    return at(row, "new")


def found(values, dtype=None):
    one = find_column(pl.Series("c", values, dtype=dtype), at)
    return one.column, list(gathered(one.remarks))


def numbers(values, dtype=None):
    series = pl.Series("c", values, dtype=dtype)
    return number_cells(series, find_column(series, at).column, at)[:, 0].tolist()


NAN = "nan, which equals nothing, as text"


def shown(values):
    return [NAN if math.isnan(v) else v for v in values]


def test_numbers():
    assert shown(numbers(["1", "NA", " 2.5 ", None, "-3e2"])) == [1, NAN, 2.5, NAN, -300]
    assert shown(numbers([1.5, None, float("nan"), 2.0])) == [1.5, NAN, NAN, 2.0]
    assert shown(numbers([2**63, None, 1], pl.UInt64)) == [2.0**63, NAN, 1]
    assert numbers([Decimal("1.25"), Decimal("-2.5")]) == [1.25, -2.5]
    assert numbers([dt.timedelta(minutes=1), dt.timedelta(seconds=0.5)]) == [60.0, 0.5]
    assert numbers([dt.time(1), dt.time(0, 0, 36)]) == [1.0, 0.01]
    assert numbers(["12345678901234567890123456789", "1"])[0] == 12345678901234567890123456789.0


def test_booleans_in_every_spelling_and_as_numbers():
    assert shown(numbers(["Yes", "no", "", "TRUE", "f"])) == [1, 0, NAN, 1, 0]
    assert shown(numbers([True, None, False])) == [1, NAN, 0]
    column = Column(name="c", kind="boolean")
    for values in (["1", "0", "true", "NO"], [1, 0, 1, 0], [1.0, 0.0, 1.0, 0.0], [True, False, True, False]):
        assert number_cells(pl.Series("c", values), column, at)[:, 0].tolist() == [1, 0, 1, 0]
    for value in ("7", "perhaps", 2, 0.5):
        with pytest.raises(
            DataError, match=rf"new, row 2: column 'c' held booleans in training; got '{value}'"
        ):
            number_cells(pl.Series("c", [type(value)(1), value]), column, at_new)


def test_a_few_texts_among_numbers_are_missing_and_remembered():
    values = [*map(str, range(30)), "unknown", "n.d."]
    column, notes = found(values)
    assert column == Column(name="c", kind="number", strays=("n.d.", "unknown"))
    assert notes == ["column 'c' holds numbers, but 2 cells are none ('unknown' …): they count as missing"]
    assert shown(numbers(values)) == [*map(float, range(30)), NAN, NAN]
    assert shown(number_cells(pl.Series("c", ["unknown", "4"]), column, at_new)[:, 0]) == [NAN, 4]


def test_text_in_a_column_of_numbers_at_prediction_is_named():
    column = Column(name="[red]\x1b[31m", kind="number")
    with pytest.raises(DataError) as caught:
        number_cells(pl.Series("c", ["1", None, "\x1b[2Jlots"]), column, lambda row: at(row, "new.csv"))
    assert str(caught.value) == (
        "new.csv, row 3: column '[red]\\x1b[31m' held numbers in training; got '\\x1b[2Jlots' "
        "(leave the cell empty if the value is missing)"
    )


@pytest.mark.parametrize("value", ["inf", "-inf", "Infinity", "1e400", "1e200"])
def test_infinite_numbers_are_refused_with_row_and_column(value):
    for values in (["1", "2", value], [1.0, 2.0, float(value)]):
        with pytest.raises(
            DataError, match=r"^t\.csv, row 3: column 'c' is (infinite|1e\+200, too large to compute)"
        ):
            found(values)
        with pytest.raises(DataError, match=r"^new, row 3: column 'c' is (infinite|1e\+200, too large)"):
            number_cells(pl.Series("c", values), Column(name="c", kind="number"), at_new)


def test_categories_and_their_codes():
    column, notes = found(["b", "a", "b", None, ""])
    assert column.values == ("a", "b") and notes == []
    codes, unseen = category_codes(pl.Series("c", ["a", " b ", "c", None, "NA"]), column)
    assert codes.tolist() == [2, 3, 1, 0, 0] and unseen == 1
    assert category_codes(pl.Series("c", [1, 2]), column)[0].tolist() == [1, 1]


def test_days_and_places_on_circles():
    column, _ = found(["2024-01-01", "2024-01-02"])
    cells = number_cells(pl.Series("c", ["1970-01-01", "2000-01-01", None]), column, at)
    assert cells[0].tolist() == [0, 0, 1, 0, 1]
    assert cells[1][0] == 10957 and np.isnan(cells[2]).all()
    assert column.numbers[0] == "c (days)" and len(column.numbers) == cells.shape[1] == 5


def test_a_date_means_the_same_as_text_and_as_a_type():
    moment = dt.datetime(2024, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
    column, _ = found([moment, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)])
    assert column.format == "native with times"
    plain = pl.Series("c", [moment.replace(tzinfo=None)])
    forms = [
        pl.Series("c", [moment]),
        pl.Series("c", [moment]).dt.convert_time_zone("Asia/Tokyo"),
        plain.cast(pl.Datetime("ms")),
        plain.cast(pl.Datetime("ns")),
        pl.Series("c", ["2024-03-04 05:06:07"]),
        pl.Series("c", ["2024-03-04T05:06:07Z"]),
        pl.Series("c", ["2024-03-04T07:06:07+02:00"]),
    ]
    days = [number_cells(form, column, at)[0, 0] for form in forms]
    assert days == [moment.timestamp() / 86_400] * len(forms)


def test_text_that_is_no_date_is_named():
    column, _ = found(["2024-01-01", "2024-01-02"])
    for values in (["2024-01-01", "soon"], [1, 2]):
        with pytest.raises(
            DataError, match=r"new, row [12]: column 'c' held dates in training; got '(soon|1)'"
        ):
            number_cells(pl.Series("c", values), column, at_new)


WORDS = st.sampled_from(
    [
        "1",
        "2.5",
        "-3",
        "",
        "NA",
        "yes",
        "no",
        "red",
        "blue",
        "2024-01-01",
        "?",
        "x y",
        "1e5",
        "$5",
        "1,234",
        "1,5",
        "50 %",
        "(3)",
        "12:30",
        "4 PM",
        "12 Mar 2024",
        "2024-W05",
        "a.png",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(max_size=3)), min_size=1, max_size=12))
def test_any_texts_become_numbers_or_codes_or_nothing(values):
    series = pl.Series("c", values, dtype=pl.String)
    try:
        column, notes = found(values, pl.String)
    except DataError as error:
        assert "infinite" in str(error) or "too large" in str(error)
        return
    if column is None:
        assert notes
    elif column.kind == "category":
        codes, _ = category_codes(series, column)
        assert codes.min() >= 0 and codes.max() < len(column.values) + 2
    else:
        read = number_cells(series, column, at)
        assert read.shape == (len(values), len(column.numbers)) and not np.isinf(read).any()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=8, unique=True))
def test_numbers_survive_their_way_through_text(values):
    assert numbers([repr(v) for v in values]) == values
