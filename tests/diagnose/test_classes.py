"""Rare classes, classes that outweigh the others, and classes that read like a missing answer."""

import numpy as np
import pytest

from tests.diagnose.tables import patients, said_of

RANDOM = np.random.default_rng(5)


def of_counts(**counts):
    """Return a table with so many rows of each class, shuffled."""
    names = np.repeat([name.replace("_", " ") for name in counts], list(counts.values()))
    RANDOM.shuffle(names)
    return {"a": RANDOM.normal(size=len(names)), "b": RANDOM.normal(size=len(names)), "y": names}


def test_rare_classes_are_named_with_their_training_rows_the_rarest_first():
    [said] = said_of(of_counts(sun=300, rain=200, fog=9, hail=4), "y")
    assert said == (
        "2 classes have fewer than 10 training rows: 'hail' (3), 'fog' (6); nothing certain is learnt or measured of so "
        "few: add rows, merge them with another class or leave them out"
    )


@pytest.mark.parametrize(("rows", "count"), [(14, 0), (12, 1)])
def test_ten_training_rows_are_enough_to_say_nothing(rows, count):
    said = said_of(of_counts(sun=300, rain=200, fog=rows), "y")
    assert len([s for s in said if "fewer than 10" in s]) == count


def test_many_rare_classes_are_counted():
    [said] = said_of(of_counts(sun=300, rain=200, **{f"c{i}": 5 for i in range(8)}), "y")
    assert said.startswith("8 classes have fewer than 10 training rows: ") and " and 3 more; " in said


def test_a_class_without_test_rows_is_named():
    columns = of_counts(sun=300, rain=200, fog=14)
    said = said_of(columns, "y", test=0.02, validation=0.1)
    assert said == [
        "the test rows hold none of 'fog' (13 training rows): no test score says anything of it; give more test rows (--test)"
    ]


def test_in_a_small_table_every_class_is_rare():
    assert said_of(of_counts(a=20, b=20), "y") == []


# ---- imbalance


def test_an_imbalanced_table_is_told_with_its_base_rate():
    [said] = said_of(of_counts(paid=970, default=30), "y")
    assert said == (
        "97.0 % of the training rows (679 of 700) are 'paid': always answering that reaches an accuracy of 0.970, so "
        "accuracy says little here; judge by --metric balanced-accuracy, or average-precision, and make the rare classes "
        "count with --class-weight balanced"
    )


@pytest.mark.parametrize(("large", "count"), [(910, 1), (890, 0)])
def test_nine_in_ten_is_where_accuracy_stops_to_say_much(large, count):
    assert len(said_of(of_counts(paid=large, default=1000 - large), "y")) == count


def test_what_is_done_already_is_not_advised():
    columns = of_counts(paid=970, default=30)
    [said] = said_of(columns, "y", metric="balanced-accuracy")
    assert "--metric" not in said and "--class-weight balanced" in said
    assert said_of(columns, "y", metric="balanced-accuracy", class_weight="balanced") == []


# ---- words


def test_a_class_that_reads_like_a_missing_answer_is_named():
    columns = patients()
    columns["ill"] = np.where(RANDOM.random(1000) < 0.1, "Unknown", columns["ill"])
    count = int((columns["ill"] == "Unknown").sum())
    [said] = said_of(columns, "ill")
    assert said.startswith(f"the class 'Unknown' of 'ill' ({count} rows) reads like a missing answer")


def test_none_may_be_an_honest_class():
    columns = patients()
    columns["ill"] = np.where(columns["ill"] == "no", "none", "mild")
    assert said_of(columns, "ill") == []
