"""`tune`: search settings by cross-validation, train the winner on all rows outside the test, and judge it there once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.core import signals
from chainrule.core.errors import Interrupted, SettingError
from chainrule.core.text import visible
from chainrule.data.read import read
from chainrule.jobs import folder as folders
from chainrule.jobs.cluster import Cluster, connected
from chainrule.jobs.events import Event, Said, SearchFinished, SearchOpened, Warned
from chainrule.jobs.material import make_material, read_again, reading_of
from chainrule.jobs.preparation import prepare_run, searched_of
from chainrule.jobs.request import called, check_initial, check_names, divided, make_request
from chainrule.jobs.run import Run
from chainrule.jobs.search import Search, Way
from chainrule.jobs.search_candidates import Candidates
from chainrule.jobs.search_folder import Asked, SearchFolder, find_search, read_asked
from chainrule.jobs.search_request import DEFAULTS, METHOD, SearchRequest, check_search, held_back, space_of
from chainrule.jobs.search_trials import Trial
from chainrule.jobs.show import Terminal
from chainrule.jobs.winner import how_to_resume, refit
from chainrule.jobs.workshop import empty_task
from chainrule.train.metrics import metric_named
from chainrule.train.proposals import count_trials
from chainrule.train.settings import Settings
from chainrule.train.space import Space, parse_space


class Tuned:
    """What a search found: `run` is the winner, an ordinary run; `best` its settings and score; `trials` all of them."""

    def __init__(self, finished: SearchFinished, data: Any = None) -> None:
        self.run = Run(finished.run, data=data)
        self.best = finished.best
        self.networks = finished.networks
        self.search_seconds = finished.search_seconds
        self.metrics = finished.metrics
        self.folder = SearchFolder(self.run.folder)
        self.trials: list[Trial] = self.folder.trials()

    def __repr__(self) -> str:
        return f"Tuned({str(self.run.path)!r}, score={self.best['score']:.4g}, settings={self.best['settings']!r})"


def tune(
    data: Any = None,
    *,
    target: str | None = None,
    model: str | None = None,
    model_settings: Mapping[str, Any] | None = None,
    space: str | Path | Mapping[str, Any] = DEFAULTS,
    method: str = METHOD,
    trials: int | None = None,
    folds: int | None = None,
    budget_seconds: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    metric: str | None = None,
    test: float | None = None,
    validation: float | None = None,
    test_data: Any = None,
    validation_data: Any = None,
    split: str = "random",
    seed: int = 0,
    deterministic: bool = False,
    cluster: str | None = None,
    settings: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    name: str | None = None,
    resume: str | Path | None = None,
    quiet: bool = False,
) -> Tuned:
    """Search settings by cross-validation, train the winner on all rows outside the test, and judge it there once.

    `space` is a .json or .toml file, or maps the names of settings to lists of values or to {low, high, log, steps};
    "defaults" is one that suits the model. `method` is grid, random, bayes (needs Optuna) or halving; `folds` 1 holds one
    part of the rows out instead of each in turn. The score of a trial is the mean of the metric over the folds; among
    equals the lower loss is better, then the earlier trial. `budget_seconds` ends the search, whatever is left to try.
    `deterministic` gives the same bits however networks are grouped. `cluster` is the address of a Ray cluster to train
    on, "local" one that is started here; the result is that of a deterministic search on one machine. The rest is as in
    `fit`, and so is the run folder: it is the winner's, with the search beside it. `resume` goes on with a search that
    was ended.
    Raises: ChainruleError for what cannot be done; Interrupted (a KeyboardInterrupt) after Ctrl-C
    """
    asked = Settings(
        epochs=epochs, batch_size=batch_size, metric=metric, test=test, validation=validation, split=split, seed=seed,
    )  # fmt: skip
    request = make_request(
        data, asked, target=target, model=model, settings=settings, model_settings=model_settings, runs=runs
    )
    request = replace(
        request,
        data=divided(data, request.settings, validation_data, test_data),
        name=name,
        resume=None if resume is None else Path(resume),
    )
    search = SearchRequest(
        fit=request,
        space=space,
        method=method,
        trials=trials,
        folds=folds,
        budget_seconds=budget_seconds,
        is_deterministic=deterministic,
        cluster=cluster,
    )
    events = run_tune(search) if quiet else Terminal().show(run_tune(search))
    finished = next(event for event in list(events) if isinstance(event, SearchFinished))
    return Tuned(finished, request.data)


def run_tune(search: SearchRequest) -> Iterator[Event]:
    """Do what a request asks, and tell of it as it happens."""
    check_search(search)
    with connected(search.cluster) as cluster:
        yield from _begin(search, cluster) if search.fit.resume is None else _resume(search, cluster)


def _begin(search: SearchRequest, cluster: Cluster | None) -> Iterator[Event]:
    """Read the data, make the folder, and search."""
    request = held_back(search)
    check_names(request.settings)
    check_initial(request)
    folders.check_place(request.runs, request.name)
    early = space_of(search, request.settings.model) if request.settings.model else None
    yield Said(text=f"reading {visible(called(request.data))}")
    reading = reading_of(request.settings, request.target, cache=request.runs / ".cache", track=request.track)
    source = read(request.data, reading)
    began = time.perf_counter()
    recipe, material = prepare_run(request, source)
    yield from (Said(text=note) for note in recipe.notes)
    yield from (Warned(text=warning) for warning in recipe.warnings)
    assert recipe.settings.model is not None
    space = early or space_of(search, recipe.settings.model)
    trials = count_trials(space, search.method, search.trials)
    candidates = Candidates(request, recipe, material, search.folds)
    asked = Asked(
        recipe=recipe,
        settings=request.settings,
        model_settings=dict(request.model_settings),
        space=space.to_json(),
        method=search.method,
        trials=trials,
        folds=candidates.folds,
        budget_seconds=search.budget_seconds,
        is_deterministic=search.is_deterministic or cluster is not None,
    )
    stem = f"{folders.stem_of(source.name, source.origin.get('paths', ()))}-{recipe.settings.model}-search"
    folder = SearchFolder(folders.make(request.runs, request.name, stem))
    with folder.run.locked():
        folder.write_asked(asked)
        try:
            yield from _search(search, candidates, asked, space, folder, began, cluster)
        except SettingError:
            if all(trial.score is None for trial in folder.trials()):
                folder.discard()  # nothing is there to go on with
            raise


def _resume(search: SearchRequest, cluster: Cluster | None) -> Iterator[Event]:
    """Go on with a search that was ended, by what its folder says."""
    given = search.fit
    assert given.resume is not None
    folder = find_search(given.resume, given.runs)
    asked = read_asked(folder)
    recipe = asked.recipe
    with folder.run.locked():
        yield Said(text=f"resuming {folder.run.path}")
        source = read_again(recipe, given.data, folder.run, track=given.track)
        began = time.perf_counter()
        material = make_material(source, recipe.schema.encode(source), recipe.schema, recipe.settings)
        request = replace(given, settings=asked.settings, model_settings=asked.model_settings)
        candidates = Candidates(request, recipe, material, asked.folds)
        space = parse_space(
            asked.space, partial(searched_of, recipe.settings.model or ""), f"{folder.asked}: "
        )
        yield from _search(search, candidates, asked, space, folder, began, cluster)


def _search(
    search: SearchRequest,
    candidates: Candidates,
    asked: Asked,
    space: Space,
    folder: SearchFolder,
    began: float,
    cluster: Cluster | None,
) -> Iterator[Event]:
    recipe = candidates.recipe
    metric = metric_named(empty_task(recipe).metric)
    way = Way(
        space=space,
        method=asked.method,
        trials=asked.trials,
        seed=recipe.settings.seed,
        budget_seconds=search.budget_seconds or asked.budget_seconds,
        is_deterministic=asked.is_deterministic,
        most=search.most,
    )
    with closing(folder.open_store()) as store, signals.held_back() as stop:
        made = Search(way, candidates, metric, store, cluster)
        yield SearchOpened(
            run=folder.run.path,
            rows=candidates.material.split.counts(),
            model=recipe.settings.model or "",
            method=asked.method,
            trials=asked.trials,
            folds=candidates.folds,
            metric=metric.name,
            space=asked.space,
            done=sum(trial.is_done for trial in made.trials),
            workers=None if cluster is None else cluster.workers,
        )
        with closing(made.events()) as events:
            for event in events:
                yield event
                if stop:
                    raise Interrupted(how_to_resume(made, folder), stop.number)
        folder.write_trials(made)
        yield from refit(search.fit.runs, made, folder, began, stop)
