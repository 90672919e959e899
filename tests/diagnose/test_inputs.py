"""Input columns that trip a network up."""

import numpy as np
import pytest

from chainrule.data.arrays import from_arrays
from tests.diagnose.tables import houses, said_of, said_of_source, where

RANDOM = np.random.default_rng(9)


def test_unlike_scales_are_named_where_nothing_scales():
    columns = houses() | {"income": RANDOM.normal(60_000, 20_000, 1000)}
    [said] = said_of(columns, "price", scaling="none")
    assert said.startswith("numbers are not scaled (scaling=none), and their spreads differ by a factor of 1")
    assert "'income' has a standard deviation of 19910" in said and "'rooms' of 1.7" in said
    assert said.endswith("one learning rate cannot suit both: --set scaling=standard")
    assert said_of(columns, "price") == [], "scaling is the default"


@pytest.mark.parametrize(("factor", "count"), [(130.0, 1), (70.0, 0)])
def test_a_factor_of_a_hundred_is_the_bar(factor, count):
    one = RANDOM.normal(size=500)
    columns = {"a": one, "b": factor * RANDOM.permutation(one), "y": RANDOM.normal(size=500)}
    assert len(said_of(columns, "y", scaling="none")) == count


def test_codes_for_missing_are_named():
    columns = houses()
    columns["rooms"][RANDOM.random(1000) < 0.05] = -999
    [said] = said_of(columns, "price")
    assert said.startswith("column 'rooms' holds -999 in ")
    assert said.endswith(
        "far from its other values (1 to 6): does that stand for missing? If so, empty those cells"
    )


@pytest.mark.parametrize("code", [-1, 0, 99, 12345])
def test_other_numbers_may_be_meant(code):
    columns = houses()
    columns["area"][RANDOM.random(1000) < 0.05] = code
    assert said_of(columns, "price") == []


@pytest.mark.parametrize(("part", "count"), [(0.94, 1), (0.86, 0)])
def test_a_column_that_is_mostly_missing_is_named(part, count):
    columns = houses()
    columns["area"] = where(RANDOM.random(1000) > part, columns["area"])
    said = said_of(columns, "price")
    assert len(said) == count
    if count:
        assert said[0].startswith("column 'area' is missing in 9")
        assert said[0].endswith(
            " of 700 training rows: little can be learnt from it; leave it out: --column area=ignore"
        )


@pytest.mark.parametrize(("columns", "count"), [(160, 1), (130, 0)])
def test_more_columns_than_rows(columns, count):
    inputs, targets = RANDOM.normal(size=(100, columns)), RANDOM.normal(size=100)
    said = said_of_source(from_arrays(inputs, targets))
    assert len(said) == count
    if count:
        assert said[0].startswith("160 columns and 70 training rows: with 2.3 columns a row")
