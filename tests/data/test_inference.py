"""What a column is, found from all of its cells."""

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest

from chainrule.core.errors import DataError
from chainrule.data.columns import Column
from chainrule.data.findings import gathered
from chainrule.data.inference import find_column


def at(row):
    return f"t.csv, row {row + 1}"


def found(values, dtype=None, **told):
    one = find_column(pl.Series("c", values, dtype=dtype), at, **told)
    return one.column, list(gathered(one.remarks))


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        (["1", "2.5", "-3e4", ".5", "+7"], None, "number"),
        ([" 1", "2 ", "\t3"], None, "number"),
        (["12345678901234567890123456789", "1"], None, "number"),
        (["01234", "98765"], None, "number"),
        ([1, 2], pl.UInt64, "number"),
        ([1, 2], pl.Int8, "number"),
        ([Decimal("1.5"), Decimal("2.5")], None, "number"),
        ([1.0, None, float("nan"), 2.0], None, "number"),
        ([dt.timedelta(1), dt.timedelta(2)], None, "number"),
        ([dt.time(1), dt.time(2)], None, "time"),
        ([True, False, None], None, "boolean"),
        (["yes", "no", "", "YES"], None, "boolean"),
        (["True", "FALSE"], None, "boolean"),
        (["t", "F", "y", "n", "on", "off"], None, "boolean"),
        (["red", "blue", "red"], None, "category"),
        (["red", "blue", None], pl.Categorical, "category"),
        (["red", "blue"], pl.Enum(["blue", "red"]), "category"),
        (["yes", "no", "maybe"], None, "category"),
        (["2024-01-02", "2024-02-03"], None, "date"),
        (["2024-01-02 03:04:05", "2024-02-03 00:00:00.5"], None, "date"),
        (["2024-01-02T03:04:05Z", "2024-01-02T03:04:05+02:00"], None, "date"),
        (["31.12.2024", "1.1.2025"], None, "date"),
        ([dt.date(2024, 1, 2), dt.date(2024, 1, 3)], None, "date"),
        ([dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 3)], pl.Datetime("ns", "Europe/Berlin"), "date"),
    ],
)
def test_kinds(values, dtype, kind):
    assert found(values, dtype)[0].kind == kind


@pytest.mark.parametrize(
    ("values", "dtype", "why"),
    [
        (["", "NA", None], None, "column 'c' is empty and left out"),
        ([None, None], pl.Null, "is empty and left out"),
        ([float("nan")], None, "is empty and left out"),
        (["7", "7", ""], None, "has one value (7) and is left out"),
        ([7.0] * 400 + [None] * 4, None, "has one value (7) and is left out"),
        (["x"] * 4 + [None] * 400, None, "has one value (x) and is left out"),
        ([True, True], None, "has one value (true) and is left out"),
        ([f"name {i}" for i in range(30)], None, "has another text in nearly every row"),
        ([[1], [2]], None, "column 'c' holds List(Int64), which is not read, and is left out"),
        ([{"x": 1}, {"x": 2}], None, "holds Struct"),
        ([b"1", b"2"], None, "holds Binary"),
    ],
)
def test_columns_that_say_nothing_are_left_out_and_named(values, dtype, why):
    column, notes = found(values, dtype)
    assert column is None and why in notes[0]


@pytest.mark.parametrize(
    ("value", "kind", "values", "shown"),
    [
        ("x", "category", ("x",), "x"),
        ("7", "number", (), "7"),
        (7.0, "number", (), "7"),
        ("$7", "number", (), "$7"),
        ("yes", "boolean", (), "yes"),
        (True, "boolean", (), "true"),
        ("2024-01-02", "date", (), "2024-01-02"),
    ],
)
def test_one_value_beside_missing_cells_tells_which_are_filled(value, kind, values, shown):
    column, notes = found([value] * 5 + [None] * 7)
    assert (column.kind, column.values) == (kind, values)
    assert notes[-1] == (
        f"column 'c' has one value ({shown}), in 5 of 12 cells: it tells those that are filled from those that are missing"
    )


def test_the_most_frequent_categories_are_told_apart():
    values = [f"{i:03d}x" for i in range(150) for _ in range(150 - i)]
    column, notes = found(values)
    assert column.values == tuple(f"{i:03d}x" for i in range(100))
    assert notes == [
        "column 'c' has 150 values; the 100 most frequent, in 88.7 % of its cells, are told apart"
    ]


@pytest.mark.parametrize(
    ("value", "note"),
    [("02/03/2024", "though month/day/year would fit too"), ("31/03/2024", "read as day/month/year")],
)
def test_the_order_of_day_and_month_is_said(value, note):
    column, notes = found([value, "01/01/2024"])
    assert column.format == "%d/%m/%Y" and note in notes[0]
    assert "though" in note or "though" not in notes[0]


def test_month_first_is_found():
    column, notes = found(["03/31/2024", "01/02/2024"])
    assert column.format == "%m/%d/%Y" and notes == ["column 'c' is read as month/day/year"]


@pytest.mark.parametrize(
    ("values", "kind", "form"),
    [
        (["50%", "3.5%"], "number", "1234.5 %"),
        (["$1,200", "$3"], "number", "$1,234.5"),
        (["14:30", "09:05"], "time", "%H:%M"),
        (["2:30 PM", "12:05 am"], "time", "%I:%M %p"),
        (["12 Mar 2024", "3 April 2024"], "date", "%d %B %Y"),
        (["2024-03", "2024-11"], "date", "%Y-%m"),
        (["31/12/24", "01/02/24"], "date", "%d/%m/%y"),
        ([dt.time(1), dt.time(2)], "time", "%H:%M:%S%.f"),
        ([dt.date(2024, 1, 2), dt.date(2024, 1, 3)], "date", "native"),
        ([dt.datetime(2024, 1, 2, 3), dt.datetime(2024, 1, 3)], "date", "native with times"),
        (["Q1", "Q2"], "category", ""),
        (["1/2", "3/4"], "category", ""),
    ],
)  # fmt: skip
def test_ways_of_writing(values, kind, form):
    column, _ = found(values)
    assert (column.kind, column.format) == (kind, form)


def test_dates_that_cannot_be_told_are_categories_and_said():
    column, notes = found(["01/02/24", "03/04/24"] * 3)
    assert column.kind == "category"
    assert notes == [
        "column 'c' could be dates with two digits for the year, but which number is the day and which the month cannot "
        "be told: write 2024-03-12"
    ]


def test_signs_beside_plain_numbers_count_too():
    column, notes = found(["500"] * 19 + ["1,200"])
    assert column == Column(name="c", kind="number", format="1,234.5")
    assert notes[0].startswith(
        "column 'c' is written like '1,200' and read as 1200, the decimal sign being a point"
    )


def test_other_money_is_a_stray_or_no_number():
    column, notes = found(["$5", "$7"] * 10 + ["3 €"])
    assert column == Column(name="c", kind="number", format="$1234.5", strays=("3 €",))
    assert notes[1] == "column 'c' holds numbers, but 1 cell is none ('3 €'): it counts as missing"
    assert found(["$5", "3 €"] * 10)[0].kind == "category"


def test_what_the_user_says_it_is():
    assert found(["1", "2"], kind="category")[0] == Column(name="c", kind="category", values=("1", "2"))
    assert found([1.0, 2.0], kind="category")[0].values == ("1", "2"), "as a file has them"
    assert found(["7", "7"], kind="number")[0] == Column(name="c", kind="number")
    assert found(["1", "0", "x"], kind="boolean")[0] == Column(name="c", kind="boolean", strays=("x",))
    assert found(["1.2.2024", "soon"], kind="date")[0] == Column(
        name="c", kind="date", format="%d.%m.%Y", strays=("soon",)
    )
    assert found([dt.date(2024, 1, 2)], kind="date")[0].format == "native"
    assert found(["1", "2"], kind="ignore") == (None, [])
    for kind, values in (
        ("date", [1.5, 2.5]),
        ("number", ["a", "b"]),
        ("boolean", [3, 4]),
        ("number", ["", None]),
    ):
        with pytest.raises(DataError, match=r"^t\.csv, row 1: column 'c' (cannot be a|is empty throughout)"):
            found(values, kind=kind)
    many = [*map(str, range(10)), *(f"word {i}" for i in range(200))]
    with pytest.raises(DataError, match="more than 100 different texts cannot be read as one"):
        found(many, kind="number")
