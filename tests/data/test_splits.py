"""Splits: exact, disjoint, complete, stratified, a pure function of the seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.core.errors import DataError, SettingError
from chainrule.data.division import Division
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
    split = split_rows(100, division=Division(fixed=fixed), test=0.5)
    assert split.test.tolist() == list(range(80, 100)) and len(split.validation) == 10
    assert split.validation.max() < 80 and fixed.tolist() == [TRAIN] * 80 + [TEST] * 20
    fixed[:5] = VALIDATION
    split = split_rows(100, division=Division(fixed=fixed))
    assert split.counts() == {"train": 75, "validation": 5, "test": 20}


def test_a_class_without_training_rows_in_a_given_split():
    fixed = np.array([TRAIN] * 8 + [TEST] * 2)
    classes = np.array([0, 1] * 4 + [2, 2])
    with pytest.raises(
        DataError, match=r"^no training rows of 'w' \(2 rows\): all of them validate or test; add"
    ):
        split_rows(
            10, classes=classes, class_names=("u", "v", "w"), division=Division(fixed=fixed), validation=0
        )


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


# ---- rows that belong together


KINDS = ("random", "copies", "groups", "groups and copies", "time", "time and copies")


def division(kind, rows, groups, random):
    copies = np.arange(rows)
    if "copies" in kind:
        many = rows // (40 if "groups" in kind else 10)
        copies[random.integers(0, rows, many)] = copies[random.integers(0, rows, many)]
        copies = np.unique(copies, return_inverse=True)[1]
    return Division(
        copies=copies,
        groups=random.integers(0, groups, rows) if "groups" in kind else None,
        times=random.integers(0, 3 * groups, rows) if "time" in kind else None,
        column="c",
    )


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(60, 300),
    st.integers(25, 60),
    st.integers(0, 3),
    st.integers(0, 2**32),
)
def test_parts_are_disjoint_complete_near_the_wanted_and_tear_nothing(kind, rows, groups, classes, seed):
    random = np.random.default_rng(seed)
    given_rows = division(kind, rows, groups, random)
    answers = np.arange(rows) % (classes + 1) if classes else None
    split = split_rows(rows, classes=answers, seed=seed, division=given_rows)
    parts = list(split.parts().values())
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(rows))
    part = np.empty(rows, int)
    for number, chosen in enumerate(parts):
        part[chosen] = number
    for groups_of in (given_rows.copies, given_rows.groups):
        if groups_of is not None:
            first = np.zeros(groups_of.max() + 1, int)
            first[groups_of] = part
            assert np.array_equal(first[groups_of], part)  # whoever wrote last, all of a group agree
    if given_rows.times is not None and "copies" not in kind:
        assert given_rows.times[split.train].max() < given_rows.times[split.validation].min()
        assert given_rows.times[split.validation].max() < given_rows.times[split.test].min()
    slack = 3 + rows * {"random": 0, "copies": 0.06, "time": 0.05}.get(kind, 0.15)
    assert abs(len(split.test) - 0.2 * rows) <= slack and abs(len(split.validation) - 0.1 * rows) <= slack
    again = split_rows(rows, classes=answers, seed=seed, division=given_rows)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again.parts().values(), strict=True))


@pytest.mark.parametrize("classes", [None, np.arange(150) % 3])
def test_without_copies_the_split_is_what_it_is_without_looking_for_them(classes):
    plain = split_rows(150, classes=classes, seed=5)
    looked = split_rows(150, classes=classes, seed=5, division=Division(copies=np.arange(150)))
    assert plain.test.tolist() == looked.test.tolist() and plain.train.tolist() == looked.train.tolist()


def test_every_row_twice_is_divided_as_exactly_as_once():
    split = split_rows(
        200, classes=np.tile(np.arange(100) % 2, 2), division=Division(copies=np.tile(np.arange(100), 2))
    )
    assert split.counts() == {"train": 140, "validation": 20, "test": 40}


def test_groups_keep_the_shares_of_the_classes():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), random.integers(5, 40, 100))
    rate = random.random(100)[groups]
    classes = (random.random(len(groups)) < rate).astype(np.int64)
    split = split_rows(len(groups), classes=classes, division=Division(groups=groups, column="patient"))
    whole = classes.mean()
    for rows, wanted in ((split.test, 0.2), (split.validation, 0.1)):
        assert abs(len(rows) / len(groups) - wanted) < 0.01
        assert abs(classes[rows].mean() - whole) < 0.04


def test_one_large_group_is_left_to_training():
    groups = np.concatenate([np.zeros(40, int), np.repeat(np.arange(1, 13), 5)])
    for seed in range(20):
        split = split_rows(100, seed=seed, division=Division(groups=groups, column="site"))
        assert split.counts() == {"train": 70, "validation": 10, "test": 20}


def test_three_groups_make_three_parts():
    groups = np.repeat([0, 1, 2], 20)
    assert split_rows(60, division=Division(groups=groups)).counts() == dict.fromkeys(
        ("train", "validation", "test"), 20
    )


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            [60, 10, 10, 10, 10],
            r"one group of column 'site' has 60 of 100 rows \(60.0 %\): what is left cannot",
        ),
        (
            [40, 40],
            "column 'site' has 2 groups, too few for 3 parts that share none; use another column, --split random",
        ),
        ([80], "column 'site' has 1 group, too few"),
    ],
)
def test_groups_that_swallow_the_test(sizes, message):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    with pytest.raises(DataError, match=message):
        split_rows(len(groups), division=Division(groups=groups, column="site"))


def test_copies_join_the_groups_that_they_link():
    groups = np.repeat(np.arange(30), 4)
    copies = np.arange(120)
    copies[4] = copies[0]  # groups 0 and 1 hold one row each of the same content
    for seed in range(20):
        split = split_rows(
            120, seed=seed, division=Division(groups=groups, copies=np.unique(copies, return_inverse=True)[1])
        )
        parts = [rows for rows in split.parts().values() if set(range(8)) & set(rows.tolist())]
        assert len(parts) == 1


def test_the_latest_rows_test_and_a_copy_goes_with_the_latest():
    times = np.arange(100)[::-1].copy()
    split = split_rows(100, division=Division(times=times, column="t"))
    assert split.test.tolist() == list(range(20)) and split.validation.tolist() == list(range(20, 30))
    copies = np.arange(100)
    copies[99] = 0  # the oldest row repeats the latest
    split = split_rows(100, division=Division(times=times, copies=np.unique(copies, return_inverse=True)[1]))
    assert 99 in split.test and len(split.test) == 21


def test_ties_of_time_stay_together():
    times = np.repeat([2020, 2021, 2022, 2023], [10, 10, 30, 50])
    split = split_rows(100, division=Division(times=times, column="year"))
    assert split.counts() == {"train": 20, "validation": 30, "test": 50}
    with pytest.raises(
        DataError, match="column 'year' has 2 different times, too few to divide rows by into 3 parts"
    ):
        split_rows(60, division=Division(times=times[40:], column="year"))
    split = split_rows(60, validation=0, division=Division(times=times[:60] // 2021, column="year"))
    assert split.counts() == {"train": 10, "validation": 0, "test": 50}


def test_many_small_groups():
    groups = np.arange(200_000) // 2
    split = split_rows(200_000, classes=groups % 3, division=Division(groups=groups))
    assert abs(len(split.test) - 40_000) < 10
