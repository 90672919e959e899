"""Columns that give the target away: each kind of leak is named with its numbers, honest strength is not."""

import numpy as np
import pytest

from chainrule.data.arrays import from_arrays
from tests.diagnose.tables import houses, patients, said_of, said_of_source, table, where

RANDOM = np.random.default_rng(7)


def is_ill(columns):
    return columns["ill"] == "yes"


def test_honest_columns_give_no_warning():
    assert said_of(patients(), "ill") == []
    assert said_of(houses(), "price") == []


def test_a_copy_in_other_words_is_named():
    columns = patients()
    [said] = said_of({"code": where(is_ill(columns), "C50", "Z00"), **columns}, "ill")
    assert said == (
        "column 'code' says the same as the target 'ill' in other words: in all of 700 training rows each value stands "
        "for one class, and each class for one value; leave it out: --column code=ignore"
    )


def test_several_copies_are_named_together():
    columns = patients()
    ill = is_ill(columns)
    [said] = said_of({"code": where(ill, "C50", "Z00"), "flag": ill, **columns}, "ill")
    assert said.startswith("columns 'code' and 'flag' say the same as the target 'ill'")
    assert said.endswith("leave them out: --column code=ignore --column flag=ignore")


def test_many_values_that_each_stand_for_one_class_are_a_giveaway():
    columns = patients()
    codes = [f"{'C' if i else 'Z'}{RANDOM.integers(12)}" for i in is_ill(columns)]
    [said] = said_of({"icd code": codes, **columns}, "ill")
    assert said.startswith("column 'icd code' alone gives the class of 'ill' in 100 % of 700 training rows")
    base = 1 - is_ill(columns).mean()
    assert f"held out for this (the largest class has {100 * base:.0f}" in said
    assert "the next best column is right in 7" in said
    assert said.endswith("is it known before the answer is? If not, leave it out: --column 'icd code=ignore'")


def test_a_number_that_separates_the_classes_is_a_giveaway():
    columns = patients()
    score = RANDOM.uniform(0, 0.5, 1000) + 0.5 * is_ill(columns)
    [said] = said_of({"risk": score, **columns}, "ill")
    assert "column 'risk' alone" in said


@pytest.mark.parametrize(("wrong", "count"), [(0.001, 1), (0.03, 0)])
def test_the_bar_lies_between_nearly_always_right_and_honest(wrong, count):
    columns = patients(4000)
    flipped = is_ill(columns) ^ (RANDOM.random(4000) < wrong)
    assert len(said_of({"test": flipped, **columns}, "ill")) == count


def test_two_strong_measures_of_one_thing_are_honest():
    """Setosa among irises: both petal measures tell it apart, and nothing is wrong."""
    columns = patients()
    length, width = (RANDOM.normal(0, 1, 1000) + 12 * is_ill(columns) for _ in range(2))
    assert said_of({"length": length, "width": width, **columns}, "ill") == []


def test_a_single_column_is_what_there_is_to_learn_from():
    x = RANDOM.normal(size=300)
    assert said_of({"x": x, "y": 2 * x + 1}, "y") == []


def test_few_rows_prove_nothing():
    columns = patients(60)
    assert said_of({"risk": RANDOM.normal(size=60) + 9 * is_ill(columns), **columns}, "ill") == []


def test_row_numbers_of_sorted_rows_are_named():
    columns = patients()
    order = np.argsort(columns["ill"], kind="stable")
    sorted_rows = {name: cells[order] for name, cells in columns.items()}
    number = {"number": np.arange(1000)}
    kept = ("number=number",)  # it is left out otherwise
    [said] = said_of_source(table({**number, **sorted_rows}), "ill", columns=kept)
    assert said.startswith(
        "column 'number' counts the rows, and the rows stand in the order of 'ill': alone it gives"
    )
    assert said_of(sorted_rows, "ill") == [], "sorted rows alone do no harm"
    assert said_of({**number, **sorted_rows}, "ill") == [], "nor do row numbers that are left out"
    assert said_of_source(table({**number, **columns}), "ill", columns=kept) == [], "nor those of other rows"


# ---- values


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y,
        lambda y: np.round(y / 1.95583, 2),
        lambda y: -np.log(y - y.min() + 1),
        lambda y: np.sqrt(abs(y)),
    ],
    ids=["copy", "euro", "logarithm", "root"],
)
def test_a_function_of_the_target_is_named(function):
    columns = houses()
    [said] = said_of({"paid": function(columns["price"]), **columns}, "price")
    assert said.startswith("column 'paid' alone gives 'price' with an R² of ")
    assert "on 700 training rows held out for this, the next best column 0." in said
    assert said.endswith("is it known before the answer is? If not, leave it out: --column paid=ignore")


def test_several_functions_of_the_target_are_each_named():
    columns = houses()
    paid = {"paid": columns["price"] * 1.05, "tax": columns["price"] * 0.19}
    assert len(said_of({**paid, **columns}, "price")) == 2


@pytest.mark.parametrize(("noise", "count"), [(0.03, 1), (0.2, 0)])
def test_the_bar_lies_between_a_function_and_a_measurement(noise, count):
    columns = houses()
    near = columns["price"] + noise * columns["price"].std() * RANDOM.normal(size=1000)
    assert len(said_of({"estimate": near, **columns}, "price")) == count


def test_a_giveaway_for_one_of_several_targets_names_it():
    columns = houses() | {"rent": RANDOM.normal(size=1000)}
    [said] = said_of({"paid": columns["price"] * 1.05, **columns}, "price,rent")
    assert "alone gives 'price'" in said


def test_neighbours_in_time_are_a_matter_of_the_split():
    days = [f"2024-{1 + d // 28:02d}-{1 + d % 28:02d}" for d in range(330)]
    level = np.cumsum(RANDOM.normal(0.5, 0.2, 330))
    columns = {"day": days, "noise": RANDOM.normal(size=330), "level": level}
    [said] = said_of(columns, "level")
    assert said.startswith("column 'day' alone gives 'level' with an R² of ")
    assert said.endswith(
        "so a random split tests between training rows and says nothing of rows to come; use --split time:day"
    )
    assert said_of(columns, "level", split="time:day") == []


def test_a_target_of_whom_the_rows_belong_to_is_a_matter_of_the_split():
    columns = patients(2400)
    columns["person"] = np.repeat(np.arange(120), 20)
    columns["ill"] = np.repeat(columns["ill"][::20], 20)
    [said] = said_of(columns, "ill")
    assert said.startswith("column 'person' alone gives the class of 'ill' in 100 % of 1,680 training rows")
    assert said.endswith("if it names what a row belongs to, use --split group:person")


def test_nearly_no_rows_of_another_class_prove_nothing():
    columns = patients(5000)
    rare = np.arange(5000) % 1000 == 7
    columns["ill"] = where(rare, "yes", "no")
    said = said_of({"flag": rare, **columns}, "ill")
    assert not any("'flag'" in s for s in said)


def test_a_giveaway_is_found_among_very_many_columns():
    inputs, classes = RANDOM.normal(size=(600, 700)), RANDOM.integers(0, 2, 600)
    inputs[:, 444] += 9 * classes
    [said] = said_of_source(from_arrays(inputs, classes))
    assert said.startswith("column '445' alone gives the class of 'target' in 100 % of 420 training rows")
    assert said.endswith("If not, leave it out of the data")
