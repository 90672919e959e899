"""Rungs of successive halving: a quarter goes on, and what an earlier process judged stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chainrule.jobs.search_rungs import RUNGS, at_rung, best_at, rung_reached
from chainrule.jobs.search_store import SearchStore
from chainrule.jobs.search_trials import Network, Trial

TRIALS = [Trial(number=k, values={"learning_rate": 0.1 * (k + 1)}, folds=2) for k in range(9)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SearchStore]:
    """Nine trials that are judged at the first rung: the higher their number the better, but the last one failed."""
    with closing(SearchStore(tmp_path / "search.sqlite")) as found:
        found.add_trials(TRIALS)
        found.add_networks(
            Network(trial=k, fold=fold, epochs=2, score=0.1 * k, loss=1.0) if k < 8
            else Network(trial=k, fold=fold, epochs=2, failure="the loss is not finite")
            for k in range(9)
            for fold in range(2)
        )  # fmt: skip
        yield found


def test_a_quarter_goes_on_by_what_it_showed_at_the_rung(store: SearchStore) -> None:
    store.add_networks(Network(trial=0, fold=k, epochs=8, rung=1, score=1.0, loss=0.1) for k in range(2))
    assert [trial.number for trial in best_at(TRIALS, store, 0, larger_is_better=True)] == [5, 6, 7]
    assert [trial.number for trial in best_at(TRIALS, store, 0, larger_is_better=False)] == [0, 1, 2]
    assert [trial.score for trial in at_rung(TRIALS[:2], store, 0)] == [0.0, pytest.approx(0.1)]


def test_a_rung_that_is_not_complete_is_gone_on_with(store: SearchStore) -> None:
    def reached() -> tuple[int, list[int]]:
        rung, alive = rung_reached(TRIALS, store, larger_is_better=True)
        return rung, [trial.number for trial in alive]

    assert reached() == (1, [5, 6, 7])
    store.add_networks(
        Network(trial=k, fold=fold, epochs=8, rung=1, score=1.0 - 0.1 * k, loss=1.0) for k in (5, 6, 7) for fold in range(k - 5, 2)
    )  # fmt: skip
    assert reached() == (1, [5, 6, 7])
    store.add_networks(
        Network(trial=k, fold=fold, epochs=8, rung=1, score=1.0 - 0.1 * k, loss=1.0)
        for k, fold in ((6, 0), (7, 0), (7, 1))
    )
    assert reached() == (2, [5])
    store.add_networks(Network(trial=5, fold=k, epochs=30, rung=2, score=0.9, loss=0.4) for k in range(2))
    assert reached() == (RUNGS, [5])
