"""Dates in text: one format for the whole column, and what is left when none fits."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.dates import FORMATS, NATIVE, date_numbers, find_format, read_dates

MOMENT = dt.datetime(2024, 3, 14, 15, 9, 26)


def all_read(cells, times):
    return not times.null_count()


@pytest.mark.parametrize("pattern", FORMATS)
def test_every_format_is_found_and_read(pattern):
    written = MOMENT.replace(tzinfo=dt.UTC).strftime(pattern.replace("%#z", "%z").replace("%.f", ".250"))
    found, _ = find_format(pl.Series([written]), all_read)
    assert found == pattern
    expected = dt.datetime.strptime(written, pattern.replace("%#z", "%z").replace("%.f", ".%f"))
    micros = (expected.replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(
        microseconds=1
    )
    assert read_dates(pl.Series([written]), pattern).to_list() == [micros]


@pytest.mark.parametrize("text", ["24-01-02", "2024-13-01", "2024-02-30", "soon", "12:30", "2024"])
def test_what_is_no_date(text):
    assert find_format(pl.Series([text]), all_read) == ("", "")
    assert read_dates(pl.Series([text]), NATIVE).to_list() == [None]


def test_dates_far_beyond_the_first_cells_count():
    cells = pl.Series(["03/04/2024"] * 500 + ["31/12/2024"])
    assert find_format(cells, all_read) == ("%d/%m/%Y", "read as day/month/year")
    assert find_format(pl.Series(["03/04/2024"] * 500 + ["12/31/2024"]), all_read)[0] == "%m/%d/%Y"


@given(st.datetimes(dt.datetime(1000, 1, 2), dt.datetime(9999, 1, 1)))
def test_days_count_from_1970(moment):
    days = date_numbers(read_dates(pl.Series([moment]), NATIVE))[0, 0]
    assert days == (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) / 86_400e6
