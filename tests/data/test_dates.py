"""Dates in text: one format for the whole column, and what is left when none fits."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.dates import FORMATS, NATIVE, date_numbers, find_format, has_dates, read_dates

MOMENT = dt.datetime(2024, 3, 14, 15, 9, 26)


def all_read(cells, times):
    return not times.null_count()


WHOLE = [p for p in FORMATS if has_dates(p) and "%d" in p]
MICROSECOND = dt.timedelta(microseconds=1)


@pytest.mark.parametrize("pattern", WHOLE)
def test_every_format_is_found_and_read(pattern):
    written = MOMENT.replace(tzinfo=dt.UTC).strftime(pattern.replace("%#z", "%z").replace("%.f", ".250"))
    found, _ = find_format(pl.Series([written]), all_read)
    assert found == pattern
    expected = dt.datetime.strptime(written, pattern.replace("%#z", "%z").replace("%.f", ".%f"))
    micros = (expected.replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // MICROSECOND
    assert read_dates(pl.Series([written]), pattern).to_list() == [micros]


@pytest.mark.parametrize(
    ("text", "pattern", "moment"),
    [
        ("14:30", "%H:%M", dt.datetime(1970, 1, 1, 14, 30)),
        ("14:30:05", "%H:%M:%S%.f", dt.datetime(1970, 1, 1, 14, 30, 5)),
        ("2:30 PM", "%I:%M %p", dt.datetime(1970, 1, 1, 14, 30)),
        ("12:05 am", "%I:%M %p", dt.datetime(1970, 1, 1, 0, 5)),
        ("2:30:15 pm", "%I:%M:%S %p", dt.datetime(1970, 1, 1, 14, 30, 15)),
        ("4 PM", "%I %p", dt.datetime(1970, 1, 1, 16)),
        ("2024-03", "%Y-%m", dt.datetime(2024, 3, 1)),
        ("2024-W05", "%G-W%V", dt.datetime(2024, 1, 29)),
        ("March 2024", "%B %Y", dt.datetime(2024, 3, 1)),
        ("12 Mar 2024", "%d %B %Y", dt.datetime(2024, 3, 12)),
        ("2 march 2024", "%d %B %Y", dt.datetime(2024, 3, 2)),
        ("March 12, 2024", "%B %d, %Y", dt.datetime(2024, 3, 12)),
        ("1-Jan-99", "%d-%B-%y", dt.datetime(1999, 1, 1)),
    ],
)
def test_times_and_months_as_people_write_them(text, pattern, moment):
    assert find_format(pl.Series([text]), all_read)[0] == pattern
    assert read_dates(pl.Series([text]), pattern).to_list() == [
        (moment - dt.datetime(1970, 1, 1)) // MICROSECOND
    ]


def test_a_time_of_day_becomes_hours_and_a_place_in_the_day():
    times = read_dates(pl.Series(["06:00", "12:00", None]), "%H:%M")
    numbers = date_numbers(times, "%H:%M")
    assert numbers[:2].round(9).tolist() == [[6, 1, 0], [12, 0, -1]] and np.isnan(numbers[2]).all()


def test_two_digits_of_a_year_are_read_only_where_day_and_month_are_clear():
    found, said = find_format(pl.Series(["31/12/24", "01/02/24"]), all_read)
    assert found == "%d/%m/%y"
    assert said == "is read as day/month/year with two digits for the year (24 is 2024, 99 is 1999)"
    assert find_format(pl.Series(["12/31/24"]), all_read)[0] == "%m/%d/%y"
    found, said = find_format(pl.Series(["01/02/24", "03/04/24"]), all_read)
    assert found == "" and said.endswith("cannot be told: write 2024-03-12")


@pytest.mark.parametrize("text", ["24-01-02", "2024-13-01", "2024-02-30", "soon", "2024"])
def test_what_is_no_date(text):
    assert find_format(pl.Series([text]), all_read) == ("", "")
    assert read_dates(pl.Series([text]), NATIVE).to_list() == [None]


def test_dates_far_beyond_the_first_cells_count():
    cells = pl.Series(["03/04/2024"] * 500 + ["31/12/2024"])
    assert find_format(cells, all_read) == ("%d/%m/%Y", "is read as day/month/year")
    assert find_format(pl.Series(["03/04/2024"] * 500 + ["12/31/2024"]), all_read)[0] == "%m/%d/%Y"


@given(st.datetimes(dt.datetime(1000, 1, 2), dt.datetime(9999, 1, 1)))
def test_days_count_from_1970(moment):
    days = date_numbers(read_dates(pl.Series([moment]), NATIVE))[0, 0]
    assert days == (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) / 86_400e6
