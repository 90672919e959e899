"""Columns that are filled once the answer is known: found on either side, and not where it may be chance."""

import numpy as np
import pytest

from chainrule.diagnose.absence import _is_telling
from tests.diagnose.tables import houses, patients, said_of, where

RANDOM = np.random.default_rng(3)


def test_a_date_that_only_the_ill_have_is_named():
    columns = patients()
    seen = (columns["ill"] == "yes") & (RANDOM.random(1000) < 0.6)
    dates = [f"2023-{m:02d}-11" for m in RANDOM.integers(1, 13, 1000)]
    [said] = said_of({"diagnosis_date": where(seen, dates), **columns}, "ill")
    filled = int(said.split("filled in ")[1].split(" ")[0])
    assert 100 < filled < 150
    assert said.startswith(
        f"column 'diagnosis_date' is filled in {filled} of 700 training rows, and 100 % of these have the class 'yes', against "
    )
    assert said.endswith(
        "was it written down once the answer was known? If so, leave it out: --column diagnosis_date=ignore"
    )


@pytest.mark.parametrize("tick", ["x", 1.0, "yes"])
def test_a_tick_that_only_the_ill_have_is_named(tick):
    columns = patients()
    ticked = (columns["ill"] == "yes") & (RANDOM.random(1000) < 0.6)
    [said] = said_of({"treated": where(ticked, tick), **columns}, "ill")
    assert said.startswith("column 'treated' is filled in ") and said.endswith("--column treated=ignore")


def test_both_sides_are_one_sentence_about_the_larger_trace():
    columns = patients()
    notes = where(columns["ill"] == "yes", RANDOM.normal(size=1000))
    [said] = said_of({"dose": notes, **columns}, "ill")
    assert "100 % of these have the class 'yes'" in said


def test_a_column_that_is_missing_only_for_the_ill_is_named():
    columns = patients()
    gone = (columns["ill"] == "yes") & (RANDOM.random(1000) < 0.5)
    [said] = said_of({"weight": where(~gone, RANDOM.normal(70, 9, 1000)), **columns}, "ill")
    assert (
        said.startswith("column 'weight' is missing in ")
        and "100 % of these" in said
        and "have the class 'yes'" in said
    )


def test_columns_with_the_same_missing_cells_are_named_together():
    columns = patients()
    ill = columns["ill"] == "yes"
    dose, drug = where(ill, RANDOM.normal(size=1000)), where(ill, RANDOM.choice(["a", "b"], 1000))
    [said] = said_of({"dose": dose, "drug": drug, **columns}, "ill")
    assert said.startswith("columns 'dose' and 'drug' are filled in 1")
    assert said.endswith("If so, leave them out: --column dose=ignore --column drug=ignore")


@pytest.mark.parametrize(("part", "count"), [(0.2, 0), (0.35, 1)])
def test_a_trace_must_lie_on_a_good_part_of_the_answer(part, count):
    """Few rows with the same gap are often one day or one clinic."""
    columns = patients(4000)
    gone = (columns["ill"] == "yes") & (RANDOM.random(4000) < part)
    assert len(said_of({"weight": where(~gone, RANDOM.normal(70, 9, 4000)), **columns}, "ill")) == count


def test_columns_that_are_missing_at_random_are_not():
    columns = patients()
    columns["age"] = where(RANDOM.random(1000) < 0.8, columns["age"])
    columns["city"] = where(RANDOM.random(1000) < 0.5, columns["city"])
    assert said_of(columns, "ill") == []


def test_missing_more_often_for_the_ill_is_honest():
    columns = patients()
    gone = RANDOM.random(1000) < np.where(columns["ill"] == "yes", 0.6, 0.1)
    assert said_of({"weight": where(~gone, RANDOM.normal(70, 9, 1000)), **columns}, "ill") == []


def test_values_that_are_often_zero_are_an_answer_too():
    columns = houses()
    sold = RANDOM.random(1000) < 0.5
    columns["price"] = np.where(sold, columns["price"], 0.0)
    [said] = said_of({"agent": where(sold, RANDOM.choice(["a", "b"], 1000)), **columns}, "price")
    assert said.startswith("column 'agent' is filled in 3")
    assert "100 % of these have another target than 0, against" in said


def test_a_column_that_only_dear_houses_have_is_named():
    columns = houses()
    dear = columns["price"] > np.median(columns["price"])
    noted = dear & (RANDOM.random(1000) < 0.97)
    [said] = said_of({"tax class": where(noted, RANDOM.choice(["a", "b"], 1000)), **columns}, "price")
    assert said.startswith("column 'tax class' is filled in ") and "have a target above " in said
    late = dear & (RANDOM.random(1000) < 0.7)
    assert said_of({"since 2010": where(late, RANDOM.normal(size=1000)), **columns}, "price") == []
    sizes = RANDOM.random(1000) < np.where(dear, 0.8, 0.3)
    assert said_of({"garden": where(sizes, RANDOM.normal(size=1000)), **columns}, "price") == []


@pytest.mark.parametrize(
    ("pure", "usual", "rows", "columns", "is_so"),
    [
        (1.0, 0.5, 24, 10, True),
        (1.0, 0.5, 23, 10, False),
        (0.976, 0.5, 1000, 1, True),
        (0.974, 0.5, 1000, 1, False),
        (1.0, 0.99, 500, 1, False),
        (1.0, 1.0, 500, 1, False),
    ],
)
def test_the_bar(pure, usual, rows, columns, is_so):
    assert _is_telling(pure, usual, rows, columns) is is_so
