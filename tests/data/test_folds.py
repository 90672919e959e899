"""Folds: every row is held out once a round, with its copies, and classes are spread."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.errors import SettingError
from chainrule.data.folds import choose_folds, draw_folds, find_folds


@given(st.integers(3, 49), st.integers(2, 12), st.integers(1, 4), st.integers(0, 2**40))
def test_every_row_is_held_out_once_a_round_and_never_trains_there(rows, folds, classes, seed):
    random = np.random.default_rng(seed)
    copies = np.unique(random.integers(0, rows, rows), return_inverse=True)[1]
    answers = random.integers(0, classes, rows) if classes > 1 else None
    if len(np.unique(copies)) < 2:
        return
    found = find_folds(copies, answers, folds, seed)
    for turn in range(found[-1].round + 1):
        held_out = np.concatenate([fold.held_out for fold in found if fold.round == turn])
        assert np.sort(held_out).tolist() == list(range(rows))
    for place, fold in enumerate(found):
        assert fold.number == place and len(fold.train) + len(fold.held_out) == rows
        assert not set(copies[fold.train]) & set(copies[fold.held_out])
    again = find_folds(copies, answers, folds, seed)
    assert all(np.array_equal(a.train, b.train) for a, b in zip(found, again, strict=True))


def test_up_to_twenty_rows_each_is_held_out_alone():
    found = find_folds(np.arange(8), None, choose_folds(8), 0)
    assert [fold.held_out.tolist() for fold in found] == [[i] for i in range(8)] and found[-1].round == 0


def test_more_rows_make_twenty_networks_in_rounds_that_differ():
    found = find_folds(np.arange(40), np.arange(40) % 2, choose_folds(40), 0)
    assert len(found) == 20 and found[-1].round == 3
    assert {len(fold.held_out) for fold in found} == {8}
    assert all((fold.held_out % 2).sum() == 4 for fold in found)
    assert len({tuple(fold.held_out) for fold in found}) == 20


def test_one_fold_is_none():
    with pytest.raises(SettingError, match="--set folds takes 2 or more, or 0 for a test set; got 1"):
        find_folds(np.arange(9), None, 1, 0)


@given(st.integers(2, 8), st.integers(8, 40), st.integers(1, 4), st.integers(0, 2**40))
def test_uneven_groups_stay_whole_and_no_fold_is_empty(folds, groups, classes, seed):
    random = np.random.default_rng(seed)
    units = np.repeat(np.arange(groups), random.integers(1, 12, groups))
    answers = random.integers(0, classes, len(units)) if classes > 1 else None
    found = draw_folds(units, answers, folds, rounds=2, seed=seed, are_uneven=True)
    for turn in range(2):
        held_out = [fold.held_out for fold in found if fold.round == turn]
        assert np.sort(np.concatenate(held_out)).tolist() == list(range(len(units)))
        assert (
            all(map(len, held_out)) and max(map(len, held_out)) - min(map(len, held_out)) <= len(units) * 0.6
        )
    assert all(not set(units[fold.train]) & set(units[fold.held_out]) for fold in found)
