"""A search under way: trials are proposed, all their networks trained at once, and every score kept as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import RunError, SettingError
from chainrule.core.text import visible
from chainrule.core.units import show_seconds
from chainrule.jobs.classical_run import ClassicalRun
from chainrule.jobs.cluster import Cluster
from chainrule.jobs.cluster_run import ClusterRun
from chainrule.jobs.entries import Entry
from chainrule.jobs.events import Event, Said, Searched, TrialEnded
from chainrule.jobs.networks import Networks
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.search_candidates import Candidates, refusal
from chainrule.jobs.search_rungs import RUNGS, best_at, rung_epochs, rung_reached
from chainrule.jobs.search_store import SearchStore
from chainrule.jobs.search_trials import Trial, network_of, ranked, tried
from chainrule.train.metrics import Metric
from chainrule.train.proposals import STARTS, propose
from chainrule.train.recipe import Recipe
from chainrule.train.space import Space

TELL_SECONDS = 0.2  # between two reports of progress
NETWORKS_AT_ONCE = 2000  # that are made ready together
BATCH = 5  # trials that a Gaussian process proposes at once
NOT_KEPT = (
    "memory does not hold all networks from one rung to the next: networks of the next rung begin again"
)

Key = tuple[int, int]  # trial and fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a search goes: what proposes, how many trials, and for how long."""

    space: Space
    method: str
    trials: int
    seed: int
    budget_seconds: float | None = None
    is_deterministic: bool = False
    most: int | None = None  # members of a stack


class Search:
    """The trials of a search and what becomes of them. `events` runs it to its end, or until the time is up."""

    def __init__(
        self,
        way: Way,
        candidates: Candidates,
        metric: Metric,
        store: SearchStore,
        cluster: Cluster | None = None,
    ) -> None:
        self.way = way
        self.cluster = cluster
        self.candidates = candidates
        self.metric = metric
        self.store = store
        self.trials = store.trials(candidates.folds)
        self._check_known()
        self._recipes: dict[int, Recipe] = {}
        self._began = time.perf_counter()
        self._made = 0
        self._told_at = 0.0
        self._said: set[str] = set()  # notes
        self._leader: Trial | None = next(iter(self.ranking), None)

    def _check_known(self) -> None:
        """See that trials that were kept are of this space. Raises: RunError"""
        for trial in self.trials:
            if not self.way.space.holds(trial.values):
                raise RunError(
                    f"{visible(self.store.path)} is damaged: trial {trial.number} tried "
                    f"{visible(repr(trial.values), 100)}, which is not in the space of the search"
                )

    @property
    def ranking(self) -> list[Trial]:
        """The trials that have a score, the best first."""
        return ranked(self.trials, larger_is_better=self.metric.larger_is_better)

    @property
    def seconds_left(self) -> float:
        """What is left of the budget."""
        budget = self.way.budget_seconds
        return math.inf if budget is None else budget - (time.perf_counter() - self._began)

    def events(self) -> Generator[Event, None, None]:
        """Run the search."""
        halves = self.way.method == "halving"
        while (batch := self._next()) and self.seconds_left > 0:
            yield from self._halve(batch) if halves else self._round(batch)
        if not self.ranking:
            raise self._nothing_found()

    def recipe_of(self, trial: Trial) -> Recipe:
        """Return the recipe of a trial that was not refused."""
        if trial.number not in self._recipes:
            self._recipes[trial.number] = self.candidates.recipe_of(trial.values)
        return self._recipes[trial.number]

    # ---- which trials

    def _next(self) -> list[Trial]:
        """Return trials that an earlier process left unfinished, and new ones beside them where that does no harm."""
        if self.way.method == "halving" and self.trials:
            return [] if self._rung_reached()[0] == RUNGS else self.trials
        open_ones = [trial for trial in self.trials if not trial.is_done]
        if open_ones and self.way.method == "bayes":
            return open_ones
        count = min(self._batch() - len(open_ones), self.way.trials - len(self.trials))
        return [*open_ones, *(self._propose(count) if count > 0 else [])]

    def _rung_reached(self) -> tuple[int, list[Trial]]:
        unrefused = [trial for trial in self.trials if trial.refused is None]
        return rung_reached(unrefused, self.store, larger_is_better=self.metric.larger_is_better)

    def _batch(self) -> int:
        """Return how many trials are run at once."""
        most = max(1, NETWORKS_AT_ONCE // self.candidates.folds)
        if self.way.method == "halving":
            return self.way.trials
        if self.way.method == "bayes":
            most = STARTS if not self.trials else BATCH
        if self.way.budget_seconds is None:
            return most
        done = sum(1 for trial in self.trials if trial.is_done)
        if not done:
            return 1
        each = (time.perf_counter() - self._began) / done
        return max(1, min(most, 2 * done, int(0.5 * self.seconds_left / each)))

    def _propose(self, count: int) -> list[Trial]:
        way = self.way
        known = tried(self.trials, larger_is_better=self.metric.larger_is_better)
        made: list[Trial] = []
        for values in propose(way.space, way.method, known, count, way.seed, way.trials):
            number = len(self.trials) + len(made)
            trial = Trial(number=number, values=values, folds=self.candidates.folds)
            recipe, trial.refused = refusal(self.candidates, values)
            if recipe is not None:
                self._recipes[number] = recipe
            made.append(trial)
        self.store.add_trials(made)
        self.trials += made
        return made

    # ---- rounds

    def _round(self, batch: Sequence[Trial]) -> Iterator[Event]:
        """Train what is missing of some trials to the end."""
        keys = [
            (trial.number, fold)
            for trial in batch
            if trial.refused is None
            for fold in range(trial.folds)
            if fold not in trial.networks
        ]
        yield from (self._ended(trial) for trial in batch if trial.refused is not None)
        if keys:
            run = self._population(keys)
            yield from self._train(run, keys, None, 0)

    def _halve(self, batch: Sequence[Trial]) -> Iterator[Event]:
        """Train all a little, keep the best quarter, train those four times as long, and so on."""
        yield from (self._ended(trial) for trial in batch if trial.refused is not None)
        first, alive = self._rung_reached()
        if not alive:
            return
        epochs = self.recipe_of(alive[0]).settings.epochs
        assert epochs is not None
        ends = rung_epochs(epochs)
        keys = [(trial.number, fold) for trial in alive for fold in range(trial.folds)]
        run = self._population(keys)
        made, keeps = 0, run.keeps_all
        if not keeps:
            yield Said(text=NOT_KEPT)
        for rung in range(first, RUNGS):
            yield from self._train(
                run, keys, ends[rung] - made, rung, alive, keeps=keeps and rung < RUNGS - 1
            )
            if self.seconds_left <= 0 or rung == RUNGS - 1:
                return
            alive = best_at(alive, self.store, rung, larger_is_better=self.metric.larger_is_better)
            stay = {trial.number for trial in alive}
            if keeps:
                made = ends[rung]
                gone = [place for place, key in enumerate(keys) if key[0] not in stay]
                run.leave(gone)
                run.release(gone)
            else:
                keys = [key for key in keys if key[0] in stay]
                run = self._population(keys)

    # ---- networks

    def _population(self, keys: Sequence[Key]) -> Networks:
        entries: list[Entry] = []
        of_trial: dict[int, list[Entry]] = {}
        for number, fold in keys:
            if number not in of_trial:
                of_trial[number] = self.candidates.entries(self.recipe_of(self.trials[number]))
            entries.append(of_trial[number][fold])
        if self.candidates.recipe.settings.model in CLASSICAL:
            return ClassicalRun(entries)
        way = self.way
        varied, metrics = list(way.space.settings), [self.metric.name]
        if self.cluster is not None:
            return ClusterRun(entries, self.cluster, metrics=metrics, most=way.most, varied=varied)
        known = self.store.ways()
        run = PopulationRun(
            entries, most=way.most, is_deterministic=way.is_deterministic, varied=varied, known_ways=known,
            judged="test", metrics=metrics,
        )  # fmt: skip
        self.store.add_ways({form: way for form, way in run.known_ways.items() if form not in known})
        if not self._said:
            run.notes.insert(0, str(run.memory))
        return run

    def _train(
        self,
        run: Networks,
        keys: Sequence[Key],
        epochs: int | None,
        rung: int,
        alive: Sequence[Trial] | None = None,
        *,
        keeps: bool = False,
    ) -> Iterator[Event]:
        """Train networks, and take up what each shows as soon as its lane is through. `keeps`: they train on later."""
        yield from self._say(run.notes)
        wanted = None if alive is None else {trial.number for trial in alive}
        places = [place for place, key in enumerate(keys) if wanted is None or key[0] in wanted]
        total = self._made + sum(self._left(run, place, epochs) for place in places)
        waiting = set(places)
        with closing(run.train(epochs)) as training:
            for made in training:
                self._made += made
                ready = waiting & run.ready
                if ready:
                    waiting -= ready
                    yield from self._take_up(run, keys, sorted(ready), rung)
                    run.release([] if keeps else sorted(ready))
                yield from self._say(run.notes)
                now = time.perf_counter()
                if now - self._told_at >= TELL_SECONDS:
                    self._told_at = now
                    yield Searched(made=self._made, epochs=total, workers=self._workers)
                if self.seconds_left <= 0:
                    return
        yield from self._take_up(run, keys, sorted(waiting), rung)
        run.release([] if keeps else sorted(waiting))
        yield from self._say(run.notes)
        yield Searched(made=self._made, epochs=self._made, workers=self._workers)

    @property
    def _workers(self) -> int | None:
        return None if self.cluster is None else self.cluster.workers

    def _say(self, notes: list[str]) -> Iterator[Event]:
        """Say what a population notes, and nothing about memory twice."""
        while notes:
            note = notes.pop(0)
            if note not in self._said:
                self._said.add(note)
                yield Said(text=note)

    def _left(self, run: Networks, place: int, epochs: int | None) -> int:
        whole = run.entries[place].recipe.settings.epochs or 1  # a classical model is fitted in one go
        return whole if epochs is None else min(epochs, whole)

    def _take_up(
        self, run: Networks, keys: Sequence[Key], places: Sequence[int], rung: int
    ) -> Iterator[Event]:
        """Keep what networks showed on the rows that they never saw, and tell of the trials that are complete."""
        found = [
            network_of(*keys[place], rung, run.shown(place), metric=self.metric.name) for place in places
        ]
        self.store.add_networks(found)
        for network in found:
            self.trials[network.trial].add(network)
        for number in dict.fromkeys(network.trial for network in found):
            trial = self.trials[number]
            if trial.is_done and trial.rung == rung:
                yield self._ended(trial)

    def _ended(self, trial: Trial) -> TrialEnded:
        known = [one for one in (self._leader, trial) if one is not None]
        best = ranked(known, larger_is_better=self.metric.larger_is_better)[:1]
        self._leader = best[0] if best else None
        return TrialEnded(
            trial=trial.number,
            settings=trial.values,
            score=trial.score,
            spread=trial.spread,
            epochs=trial.epochs,
            failure=trial.failure,
            best=best[0].score if best else None,
            is_best=bool(best) and best[0] is trial,
        )

    def _nothing_found(self) -> SettingError:
        """Say why no trial has a score."""
        failed = [trial for trial in self.trials if trial.failure is not None]
        if not failed or any(not trial.is_done for trial in self.trials):
            took = show_seconds(self.way.budget_seconds or 0.0)
            rate = self._made / max(1e-9, time.perf_counter() - self._began)
            trial = next(trial for trial in self.trials if not trial.is_done)
            needed = trial.folds * (self.recipe_of(trial).settings.epochs or 1) / rate if rate else math.inf
            about = f", which takes about {show_seconds(needed)}" if math.isfinite(needed) else ""
            return SettingError(
                f"--budget-seconds {self.way.budget_seconds:g} is too short for one trial of {trial.folds} networks{about}: none "
                f"was complete after {took}; take more seconds, fewer --epochs or fewer --folds"
            )
        first = failed[0]
        return SettingError(
            f"none of the {len(self.trials)} trials has a score; trial {first.number}: {first.failure}"
        )
