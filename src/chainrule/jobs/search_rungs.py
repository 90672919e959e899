"""Rungs of successive halving: all trials train a little, the best quarter of them four times as long, and so on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.jobs.search_store import SearchStore
from chainrule.jobs.search_trials import Trial, ranked

KEPT = 4  # of so many trials one goes on to the next rung
RUNGS = 3  # the last one trains to the end


def rung_epochs(epochs: int) -> list[int]:
    """Return after how many epochs each rung judges.

    >>> rung_epochs(30)
    [2, 8, 30]
    """
    return [math.ceil(epochs / KEPT ** (RUNGS - 1 - rung)) for rung in range(RUNGS)]


def at_rung(trials: Sequence[Trial], store: SearchStore, rung: int) -> list[Trial]:
    """Return trials as they stood at a rung, whatever they showed at later ones."""
    known = store.of_rung(rung)
    found = []
    for trial in trials:
        one = Trial(number=trial.number, values=trial.values, folds=trial.folds, refused=trial.refused)
        for fold in range(trial.folds):
            if (trial.number, fold) in known:
                one.add(known[trial.number, fold])
        found.append(one)
    return found


def best_at(trials: Sequence[Trial], store: SearchStore, rung: int, *, larger_is_better: bool) -> list[Trial]:
    """Return the best quarter of the trials at a rung, in their order."""
    best = ranked(at_rung(trials, store, rung), larger_is_better=larger_is_better)
    stay = {trial.number for trial in best[: -(-len(trials) // KEPT)]}
    return [trial for trial in trials if trial.number in stay]


def rung_reached(
    trials: Sequence[Trial], store: SearchStore, *, larger_is_better: bool
) -> tuple[int, list[Trial]]:
    """Return the rung to go on from, and the trials that are in it: what an earlier process judged stands."""
    alive = list(trials)
    for rung in range(RUNGS):
        if not all(trial.is_done for trial in at_rung(alive, store, rung)):
            return rung, alive
        alive = best_at(alive, store, rung, larger_is_better=larger_is_better)
    return RUNGS, alive
