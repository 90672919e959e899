"""Splits: exact, disjoint, complete, stratified, a pure function of the seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.core.errors import DataError, SettingError
from chainrule.data.source import TEST, TRAIN, VALIDATION
from chainrule.data.splits import split_rows

COUNTS = st.lists(st.integers(2, 40), min_size=2, max_size=12)
FRACTIONS = st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.3, 0.45])


def labels(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize(
    ("rows", "expected"), [(1797, (1258, 180, 359)), (150, (105, 15, 30)), (10, (7, 1, 2))]
)
def test_defaults_are_a_fifth_and_a_tenth_of_all_rows(rows, expected):
    split = split_rows(rows)
    assert split.counts() == dict(zip(("train", "validation", "test"), expected, strict=True))
    assert split_rows(rows, classes=np.arange(rows) % 2).counts() == split.counts()


@settings(max_examples=300, deadline=None)
@given(COUNTS, FRACTIONS, FRACTIONS, st.integers(0, 2**40))
def test_stratified_splits(counts, test, validation, seed):
    classes = labels(counts)
    rows = len(classes)
    try:
        split = split_rows(rows, classes=classes, test=test, validation=validation, seed=seed)
    except DataError as error:
        assert "rows are too few for --" in str(error) and min(test, validation) * rows < 1.5
        return
    parts = [split.train, split.validation, split.test]
    together = np.concatenate(parts)
    assert len(together) == rows and np.array_equal(np.sort(together), np.arange(rows))
    assert all(np.array_equal(p, np.sort(p)) for p in parts)
    assert set(classes[split.train]) == set(range(len(counts)))
    # Exact, unless every class but its last row is used up.
    most_test = rows - len(counts)
    assert len(split.test) == min(np.floor(test * rows + 0.5), most_test)
    assert len(split.validation) == min(np.floor(validation * rows + 0.5), most_test - len(split.test))
    again = split_rows(rows, classes=classes, test=test, validation=validation, seed=seed)
    assert all(
        np.array_equal(a, b) for a, b in zip(parts, [again.train, again.validation, again.test], strict=True)
    )


@settings(max_examples=100, deadline=None)
@given(COUNTS, st.integers(0, 1000))
def test_each_class_has_its_share_within_a_row(counts, seed):
    classes = labels(counts)
    total = np.floor(0.2 * len(classes) + 0.5)
    split = split_rows(len(classes), classes=classes, validation=0, seed=seed)
    for number, count in enumerate(counts):
        share = total * count / len(classes)
        assert abs((classes[split.test] == number).sum() - share) < 1 or count == 2


def test_many_small_classes_do_not_make_the_test_set_smaller():
    classes = labels([2] * 100 + [1000])
    split = split_rows(len(classes), classes=classes, test=0.8, validation=0)
    assert len(split.test) == 960 and set(classes[split.train]) == set(range(101))


@settings(max_examples=50, deadline=None)
@given(st.integers(10, 300), st.integers(0, 2**63))
def test_without_classes(rows, seed):
    split = split_rows(rows, seed=seed)
    together = np.concatenate([split.train, split.validation, split.test])
    assert np.array_equal(np.sort(together), np.arange(rows))
    assert len(split.test) == np.floor(0.2 * rows + 0.5)


def test_seeds_give_different_splits():
    tests = {tuple(split_rows(100, seed=seed).test) for seed in range(20)}
    assert len(tests) == 20


def test_every_row_comes_to_the_test_equally_often():
    counts = sum(np.bincount(split_rows(50, seed=s).test, minlength=50) for s in range(2000))
    assert abs(counts - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)  # five standard deviations


def test_parts_that_the_data_has_stay():
    fixed = np.array([TRAIN] * 80 + [TEST] * 20, np.int8)
    split = split_rows(100, fixed=fixed, test=0.5)
    assert split.test.tolist() == list(range(80, 100)) and len(split.validation) == 10
    assert split.validation.max() < 80 and fixed.tolist() == [TRAIN] * 80 + [TEST] * 20
    fixed[:5] = VALIDATION
    split = split_rows(100, fixed=fixed)
    assert split.counts() == {"train": 75, "validation": 5, "test": 20}


def test_a_class_without_training_rows_in_a_given_split():
    fixed = np.array([TRAIN] * 8 + [TEST] * 2)
    classes = np.array([0, 1] * 4 + [2, 2])
    with pytest.raises(DataError, match="a class has no training rows; give more rows of it"):
        split_rows(10, classes=classes, fixed=fixed, validation=0)


def test_none_means_none():
    assert split_rows(10, test=0, validation=0).counts() == {"train": 10, "validation": 0, "test": 0}


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_fractions_that_are_none(fraction):
    with pytest.raises(
        SettingError, match="--test must be a fraction of the rows, at least 0 and below 1; got"
    ):
        split_rows(100, test=fraction)
    with pytest.raises(SettingError, match="--validation must be a fraction"):
        split_rows(100, validation=fraction)


def test_fractions_that_leave_nothing():
    with pytest.raises(SettingError, match=r"--test 0\.6 and --validation 0\.4 leave no rows to train on"):
        split_rows(100, test=0.6, validation=0.4)
    with pytest.raises(
        DataError, match=r"4 rows are too few for --validation 0\.1; give more rows, or --validation 0"
    ):
        split_rows(4)
