"""How well a column alone predicts: exact on columns that can be worked out by hand."""

import numpy as np
import pytest

from chainrule.diagnose.alone import counts_rows, explained, halves, is_one_to_one, most_ordered, share_right

NAN = float("nan")


def test_half_of_the_rows_are_drawn_the_same_each_time():
    assert halves(101).sum() == 51 and (halves(101) == halves(101)).all()


def test_a_constant_column_is_right_as_often_as_the_largest_class():
    classes = np.array([0] * 70 + [1] * 30)
    assert share_right(np.zeros(100), classes, halves(100)) == pytest.approx(0.7)


def test_missing_cells_predict_too():
    classes = np.array([0, 1] * 50)
    cells = np.where(classes == 1, NAN, np.arange(100.0))
    assert share_right(cells, classes, halves(100)) == 1


def test_noise_explains_nothing_and_a_function_everything():
    random = np.random.default_rng(0)
    x = random.uniform(size=2000)
    assert explained(x, np.sin(9 * x), halves(2000)) > 0.999
    assert explained(x, random.normal(size=2000), halves(2000)) < 0.05


def test_an_outlier_does_not_hide_a_copy():
    values = np.append(np.random.default_rng(0).normal(size=999), 1e9)
    assert explained(values, values, halves(1000)) > 0.99


@pytest.mark.parametrize(
    ("cells", "is_so"),
    [
        ([5, 5, 7, 7], True),
        ([5, 5, 5, 7], False),
        ([5, 6, 7, 7], False),
        ([NAN, NAN, 7, 7], True),
        ([7, 5, 7, 5], False),
    ],
)
def test_one_to_one(cells, is_so):
    assert is_one_to_one(np.array(cells, float), np.array([0, 0, 1, 1])) is is_so


@pytest.mark.parametrize(
    ("cells", "is_so"),
    [([1, 2, 3], True), ([30, 20, 10], True), ([1, 2, 4], False), ([1, 1, 1], False), ([1, NAN, 3], False)],
)
def test_row_numbers(cells, is_so):
    assert counts_rows(np.array(cells, float), np.arange(len(cells))) is is_so


def test_row_numbers_of_some_of_the_rows():
    rows = np.array([0, 2, 7, 11])
    assert counts_rows(5.0 + 3 * rows, rows) and not counts_rows(np.arange(4.0), rows)


def test_of_many_columns_those_along_which_answers_change_little_are_looked_at():
    random = np.random.default_rng(0)
    cells, classes = random.normal(size=(300, 400)), random.integers(0, 3, 400)
    cells[[17, 205]] += 9 * classes
    assert most_ordered(cells, classes, 2).tolist() == [17, 205]
