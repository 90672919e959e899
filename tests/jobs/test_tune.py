"""A search: every combination under the same folds, the winner an ordinary run, the test rows unseen until then."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.catalog import CLASSICAL
from chainrule.core.errors import LockedError, RunError, SettingError
from chainrule.jobs import population_memory
from chainrule.jobs import search as search_module
from chainrule.jobs.events import Event, Said, SearchFinished, TrialEnded
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.preparation import load_model_settings, searched_of
from chainrule.jobs.request import Request
from chainrule.jobs.search_folder import SearchFolder
from chainrule.jobs.search_request import SearchRequest
from chainrule.jobs.tune import Tuned, run_tune
from chainrule.train.search_defaults import default_space
from chainrule.train.settings import Settings
from chainrule.train.space import parse_space

SPACE = {"learning_rate": [0.03, 0.003, 0.0003], "weight_decay": [0.0, 0.01]}


def tune(data: Any = "iris", space: Any = SPACE, **options: Any) -> Tuned:
    chosen = {"model": "mlp", "method": "grid", "epochs": 6, "folds": 3, "quiet": True, **options}
    return cr.tune(data, space=space, **chosen)


def events_of(
    tmp_path: Path, space: Any = SPACE, settings: dict[str, Any] | None = None, **options: Any
) -> list[Event]:
    chosen = Settings(**{"model": "mlp", "epochs": 6, **(settings or {})})
    request = Request(data="iris", settings=chosen, runs=tmp_path)
    return list(
        run_tune(SearchRequest(fit=request, space=space, **{"method": "grid", "folds": 3, **options}))
    )


def ranking(events: list[Event]) -> dict[int, tuple[float | None, str | None]]:
    return {event.trial: (event.score, event.failure) for event in events if isinstance(event, TrialEnded)}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A finished search; who changes its folder takes `a_copy`."""
    return tune(runs=tmp_path_factory.mktemp("searched"))


@pytest.fixture
def a_copy(searched: Tuned, tmp_path: Path) -> Path:
    return Path(shutil.copytree(searched.run.path, tmp_path / "copied"))


def test_the_winner_is_an_ordinary_run(searched: Tuned) -> None:
    found = searched
    assert [trial.number for trial in found.trials] == list(range(6)) and found.networks == 18
    best = max(found.trials, key=lambda trial: (trial.score, -(trial.loss or 0.0)))
    assert found.best == {"settings": best.values, "score": best.score}
    run = found.run
    assert run.is_finished and run.recipe.settings.learning_rate == best.values["learning_rate"]
    assert run.evaluate()["accuracy"] == found.metrics["test"]["accuracy"]
    assert cr.verify(run.path).outcome == "equal bits"
    rows = (run.path / "search" / "trials.csv").read_text().splitlines()
    assert len(rows) == 7 and rows[1].startswith(f"1,{best.number},{best.score!r}")


@pytest.mark.curriculum("HPO-09")
def test_test_rows_are_seen_by_no_network_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by its preparation; and the winner trains on all the others."""
    seen: list[np.ndarray] = []
    train = PopulationRun.__init__

    def spied(self: PopulationRun, entries: Any, **options: Any) -> None:
        for entry in entries:
            split = entry.material.split
            seen.extend([entry.trains_on, split.validation, split.test])
        train(self, entries, **options)

    monkeypatch.setattr(search_module.PopulationRun, "__init__", spied)
    found = tune(runs=tmp_path)
    material = found.run.recipe.settings
    assert material.validation == 0.0
    rows = found.run.record["rows"]
    used = np.unique(np.concatenate(seen))
    assert len(used) == rows["train"] == 150 - rows["test"] and rows["validation"] == 0


@pytest.mark.curriculum("HPO-02")
def test_the_five_other_settings_reach_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L2 penalty, dropout rate, batch size, activation and loss."""
    seen: list[Any] = []
    train = PopulationRun.__init__

    def spied(self: PopulationRun, entries: Any, **options: Any) -> None:
        seen.extend(entry.recipe for entry in entries)
        train(self, entries, **options)

    monkeypatch.setattr(search_module.PopulationRun, "__init__", spied)
    space = {
        "weight_decay": [0.0, 0.1],
        "dropout": [0.0, 0.3],
        "batch_size": [16, 32],
        "activation": ["relu", "tanh"],
        "loss": ["cross-entropy", "focal"],
    }
    found = tune(space=space, runs=tmp_path, epochs=1, folds=2)
    assert len(found.trials) == 32 and all(trial.score is not None for trial in found.trials)
    for recipe, trial in zip(seen[::2], found.trials, strict=True):
        own = {
            name: getattr(recipe.settings, name) for name in ("weight_decay", "dropout", "batch_size", "loss")
        }
        assert {**own, "activation": recipe.model_settings["activation"]} == trial.values
        assert recipe.model_settings["dropout"] == trial.values["dropout"]


def test_layers_and_units_make_the_network(tmp_path: Path) -> None:
    found = tune(space={"layers": [1, 2], "units": [4, 8]}, runs=tmp_path, epochs=2, folds=2)
    best = found.best["settings"]
    assert found.run.recipe.model_settings["hidden"] == (best["units"],) * best["layers"]


def test_what_does_not_fit_together_is_refused_alone(tmp_path: Path) -> None:
    """Momentum is no setting of adam, and two activations are none of one layer."""
    found = tune(space={"optimizer": ["adam", "momentum"], "momentum": [0.5], "activation": ["relu", ["relu", "tanh"]]}, runs=tmp_path)  # fmt: skip
    said = [trial.failure for trial in found.trials]
    assert said[0] is not None and "momentum" in said[0] and said[2] is None
    assert said[3] is not None and "one per hidden layer" in said[3]
    with pytest.raises(SettingError, match=r"none of the 1 trials has a score; trial 0: .*momentum"):
        tune(space={"optimizer": ["adam"], "momentum": [0.5]}, runs=tmp_path)


def test_a_trial_that_diverges_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    base = {"optimizer": "sgd", "schedule": "constant", "loss": "squared-error"}
    both = tune(
        "diabetes", {"learning_rate": [0.01, 1e6, 0.02]}, settings=base, runs=tmp_path, deterministic=True
    )
    alone = tune(
        "diabetes", {"learning_rate": [0.01, 0.02]}, settings=base, runs=tmp_path, deterministic=True
    )
    assert both.trials[1].failure is not None and "not finite" in both.trials[1].failure
    assert [both.trials[k].scores for k in (0, 2)] == [trial.scores for trial in alone.trials]


def test_ties_go_to_the_lower_loss_and_then_to_the_lower_number(tmp_path: Path) -> None:
    found = tune(space={"learning_rate": [1e-9, 1e-8], "shuffle": [True]}, runs=tmp_path, deterministic=True)
    first, second = found.trials
    assert first.score == second.score and found.best["settings"]["learning_rate"] == 1e-8


@pytest.mark.parametrize("method", ["grid", "halving"])
def test_the_result_does_not_depend_on_the_size_of_stacks(tmp_path: Path, method: str) -> None:
    space = {**SPACE, "dropout": [0.0, 0.2]}
    found = [
        events_of(tmp_path, space, method=method, most=most, is_deterministic=True, folds=4)
        for most in (1, 7, 320)
    ]
    first, *others = ([event for event in one if isinstance(event, TrialEnded)] for one in found)
    for other in others:
        assert {(e.trial, e.epochs): (e.score, e.spread) for e in other} == {(e.trial, e.epochs): (e.score, e.spread) for e in first}  # fmt: skip
    ends = [one[-1] for one in found]
    assert all(isinstance(end, SearchFinished) and end.metrics == ends[0].metrics for end in ends)  # type: ignore[union-attr]


def test_halving_takes_a_quarter_further(tmp_path: Path) -> None:
    space = {"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True, "steps": 9}}
    found = tune(space=space, method="halving", epochs=18, runs=tmp_path)
    by_epochs = sorted((trial.epochs, trial.rung) for trial in found.trials)
    assert by_epochs == [(2, 0)] * 6 + [(5, 1)] * 2 + [(18, 2)]
    assert found.best["settings"] == max(found.trials, key=lambda trial: trial.rung).values


@pytest.mark.parametrize("method", ["grid", "halving"])
def test_a_search_larger_than_memory_has_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """With room for few networks at a time, and, by halving, none to keep those that wait for the next rung."""
    options: dict[str, Any] = {"method": method, "is_deterministic": True, "folds": 3}
    space = {"learning_rate": [0.03, 0.01, 0.003, 0.001, 0.0003], "weight_decay": [0.0, 0.01]}
    free = events_of(tmp_path, space, {"epochs": 18}, **options)
    monkeypatch.setattr(population_memory, "available_bytes", lambda: 400_000)
    short = events_of(tmp_path, space, {"epochs": 18}, **options)
    assert ranking(short) == ranking(free) and short[-1].best == free[-1].best  # type: ignore[union-attr]
    said, before = ([event.text for event in events if isinstance(event, Said)] for events in (short, free))
    assert any(" of memory are for those under way: " in text for text in said)
    assert any("networks of the next rung begin again" in text for text in said) == (method == "halving")
    assert sum(text.startswith("memory: a network takes ") for text in before) == 1
    assert not any("under way" in text or "begin again" in text for text in before)


@pytest.mark.curriculum("HPO-10")
def test_a_budget_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a hundredth of a second whenever the search looks at it."""
    looks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(looks) / 100)
    monkeypatch.setattr(search_module, "time", clock)
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    found = tune(space=space, method="random", trials=400, budget_seconds=2, epochs=20, runs=tmp_path)
    done = [trial for trial in found.trials if trial.score is not None]
    assert 1 <= len(done) < 400
    with pytest.raises(
        SettingError, match=r"--budget-seconds 0\.001 is too short for one trial of 3 networks"
    ):
        tune(space=space, method="random", budget_seconds=0.001, epochs=500, runs=tmp_path)
    folders = [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name[0] != "."]
    assert folders == [found.run.path.name]


KILLED = """
import sys
from pathlib import Path
from chainrule.jobs import population, search
from chainrule.jobs.request import Request
from chainrule.jobs.search_request import SearchRequest
from chainrule.jobs.tune import run_tune
from chainrule.train.settings import Settings
settings = Settings(model="mlp", epochs=12, seed=5)
request = Request(data="iris", settings=settings, runs=Path(sys.argv[1]), name="killed")
space = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "dropout": {"low": 0.0, "high": 0.5}}
asked = SearchRequest(fit=request, space=space, method=sys.argv[2], trials=12, folds=3, is_deterministic=True, most=2)
for event in run_tune(asked):
    print(type(event).__name__, flush=True)
"""


@pytest.mark.parametrize("method", ["random", "halving"])
def test_a_search_that_is_killed_goes_on(tmp_path: Path, method: str) -> None:
    """By SIGKILL, after some trials: they stay, and the ranking is that of a search that nobody ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), method], stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )  # fmt: skip
    assert process.stdout is not None
    ended = 0
    for line in process.stdout:
        ended += line.strip() == "TrialEnded"
        if ended == 5:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    kept = sum(len(trial.networks) for trial in SearchFolder(RunFolder(tmp_path / "killed")).trials())
    assert kept >= 5
    with pytest.raises(
        RunError, match="is a search that has not come to its end; go on with: chainrule tune --resume"
    ):
        cr.load(tmp_path / "killed")
    again = list(run_tune(SearchRequest(fit=Request(resume=tmp_path / "killed", runs=tmp_path))))
    assert method == "halving" or sum(isinstance(event, TrialEnded) for event in again) <= 12 - kept // 3
    resumed = Tuned(next(event for event in again if isinstance(event, SearchFinished)))
    space = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "dropout": {"low": 0.0, "high": 0.5}}
    whole = cr.tune("iris", model="mlp", epochs=12, seed=5, space=space, method=method, trials=12, folds=3, deterministic=True, runs=tmp_path, quiet=True)  # fmt: skip
    assert [(t.values, t.scores, t.epochs) for t in resumed.trials] == [
        (t.values, t.scores, t.epochs) for t in whole.trials
    ]
    assert resumed.best == whole.best and resumed.metrics == whole.metrics


def test_a_finished_search_is_resumed_without_training(searched: Tuned, a_copy: Path) -> None:
    again = list(run_tune(SearchRequest(fit=Request(resume=a_copy))))
    assert not [event for event in again if isinstance(event, TrialEnded)]
    assert (
        isinstance(again[-1], SearchFinished) and again[-1].best == searched.best and again[-1].networks == 18
    )


def test_a_locked_store_is_said(a_copy: Path) -> None:
    path = a_copy / "search" / "search.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM networks WHERE trial = 0")
    other.close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(LockedError, match=r"search\.sqlite is locked by another process"):
            cr.tune(resume=a_copy, quiet=True)
    finally:
        holder.close()


def test_two_processes_do_not_go_on_with_one_search(a_copy: Path) -> None:
    files = {path: path.read_bytes() for path in a_copy.rglob("*.sqlite*")}
    first = run_tune(SearchRequest(fit=Request(resume=a_copy)))
    next(first)  # its reading is told when it is the one writer
    with pytest.raises(
        LockedError, match=f"is being written by another process .process {os.getpid()}.; wait"
    ):
        cr.tune(resume=a_copy, quiet=True)
    first.close()
    assert files == {path: path.read_bytes() for path in a_copy.rglob("*.sqlite*")}


def test_damage_is_said(tmp_path: Path, a_copy: Path) -> None:
    folder = a_copy / "search"
    whole = (folder / "search.json").read_bytes()
    asked = json.loads(whole)
    (folder / "search.json").write_text(json.dumps({**asked, "format": 99}))
    with pytest.raises(RunError, match=r"search\.json has format 99"):
        cr.tune(resume=a_copy, quiet=True)
    for change, said in (
        ({"method": "guess"}, "there is no method 'guess'"),
        ({"trials": -1}, "-1 trials of 3 folds"),
        ({"budget_seconds": -2.0}, "budget_seconds should be above 0"),
        ({"folds": 4}, r"search\.sqlite holds the trials of another search than the one that search\.json"),
    ):
        (folder / "search.json").write_text(json.dumps({**asked, **change}))
        with pytest.raises(RunError, match=said):
            cr.tune(resume=a_copy, quiet=True)
    (folder / "search.json").write_bytes(whole)
    with sqlite3.connect(folder / "search.sqlite") as store:
        store.execute("UPDATE trials SET settings = replace(settings, '0.003', '0.5')")
    store.close()
    with pytest.raises(RunError, match=r"trial 2 tried .*0\.5.*, which is not in the space of the search"):
        cr.tune(resume=a_copy, quiet=True)
    (folder / "search.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(RunError, match=r"search\.sqlite is damaged"):
        cr.tune(resume=a_copy, quiet=True)
    run = cr.fit("iris", model="mlp", epochs=1, runs=tmp_path, quiet=True)
    with pytest.raises(RunError, match="is a run of fit and holds no search"):
        cr.tune(resume=run.path, quiet=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 90}, "--folds 90 needs 90 different rows of every class"),
        ({"folds": -1}, "--folds takes 0 or more"),
        ({"method": "gird"}, "no method is called 'gird'; did you mean 'grid'"),
        ({"test": 0.0}, "--test 0 leaves no rows that the search does not see"),
        ({"budget_seconds": 0}, "--budget-seconds must be above 0"),
        ({"settings": {"learning_rate": 0.1}}, "learning_rate is in the space and given as --learning-rate"),
        (
            {"model": "random-forest", "epochs": None},
            "learning_rate is a setting of how networks are trained, and this model",
        ),
        (
            {"model": "random-forest", "space": {"trees": [5]}},
            "is a classical model, fitted in one go, and --epochs is of networks",
        ),
        (
            {"model": "random-forest", "epochs": None, "space": {"trees": [5]}, "method": "halving"},
            "halving trains a little first, and random-forest is fitted in one go",
        ),
        (
            {"model": "random-forest", "epochs": None, "space": {"trees": [0]}},
            "space: trees: trees takes a whole number of at least 1; got 0",
        ),
        (
            {"model": "random-forest", "epochs": None, "space": {"tree": [1]}},
            "no setting is called 'tree'; did you mean 'trees'",
        ),
        (
            {"model": "naive-bayes", "epochs": None, "space": "defaults"},
            "naive-bayes has no settings to search",
        ),
        ({"method": "halving", "space": {"epochs": [1, 2]}, "epochs": None}, "epochs cannot be searched"),
        ({"name": "a/b"}, "--name must be a plain folder name"),
    ],
)
def test_bad_input(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises((SettingError, LookupError), match=message):
        tune(runs=tmp_path, **options)
    assert not [path for path in tmp_path.iterdir() if path.name != ".cache"]


def test_one_part_held_out_and_fewer_folds_for_rare_classes(tmp_path: Path) -> None:
    found = tune(folds=1, runs=tmp_path)
    assert found.networks == 6 and found.trials[0].spread is None
    table = tmp_path / "rare.csv"
    rows = [f"{k % 17},{k % 5},{'rare' if k < 4 else 'often'}" for k in range(60)]
    table.write_text("a,b,kind\n" + "\n".join(rows) + "\n")
    found = tune(str(table), {"learning_rate": [0.01]}, folds=None, target="kind", runs=tmp_path)
    assert found.trials[0].folds == 3


def test_a_classical_model_is_searched(tmp_path: Path) -> None:
    """By the same folds, and the winner is an ordinary run of that model."""
    space = {"smallest_leaf": [1, 40], "depth": ["none", 1]}
    found = tune(space=space, model="decision-tree", epochs=None, runs=tmp_path)
    assert found.networks == 12 and all(trial.failure is None for trial in found.trials)
    assert found.best["settings"] == {"smallest_leaf": 1, "depth": None}
    worst = min(found.trials, key=lambda trial: trial.score or 0.0)
    assert worst.values["depth"] == 1 and (worst.score or 0.0) < 0.7 < found.best["score"]
    assert found.run.recipe.model_settings["smallest_leaf"] == 1 and found.metrics["test"]["accuracy"] > 0.85
    assert cr.verify(found.run.path).outcome == "equal bits"
    again = list(run_tune(SearchRequest(fit=Request(resume=found.run.path))))
    assert isinstance(again[-1], SearchFinished) and again[-1].best == found.best
    page = (found.run.path / "search" / "report.html").read_text()
    assert "the mean of 3 models" in page


@pytest.mark.parametrize("name", CLASSICAL)
def test_defaults_of_classical_models_are_spaces(name: str) -> None:
    said = default_space(name, (), load_model_settings(name))
    assert bool(said) == (name != "naive-bayes")
    assert not said or (parse_space(said, lambda: searched_of(name)).size or 0) > 1


@pytest.mark.curriculum("HPO-03")
def test_filters_are_searched_and_those_that_do_not_fit_refused(tmp_path: Path) -> None:
    """Number and size of filters, stride, padding: on 7 × 7 pictures, filters of 3 moved by 3 fit with padding 1 alone."""
    random = np.random.default_rng(0)
    x = random.integers(0, 255, (60, 7, 7), dtype=np.uint8)
    space = {"filters": [4, 8], "filter_size": [2, 3], "stride": [1, 3], "padding": [0, 1]}
    found = tune(
        (x, np.arange(60) % 2), space, model="lenet", model_settings={"convolutions": 1, "pooling": "none", "hidden": (8,)},
        epochs=1, folds=2, runs=tmp_path,
    )  # fmt: skip
    assert len(found.trials) == 16
    for trial in found.trials:
        room = 7 + 2 * trial.values["padding"] - trial.values["filter_size"]
        assert (trial.failure is None) == (room % trial.values["stride"] == 0)
    said = {
        trial.failure
        for trial in found.trials
        if trial.values == {**trial.values, "filter_size": 3, "stride": 3, "padding": 0}
    }
    assert len(
        said
    ) == 1 and "(7 + 2·0 − 3)/3 + 1 = 2.33; what fits, all else equal: a side of 6 or 9; padding 1" in str(
        said
    )
    best = found.best["settings"]
    filters = found.run.model[0]
    assert (filters.out_channels, filters.kernel_size[0], filters.stride[0], filters.padding[0]) == tuple(
        best.values()
    )


def test_limits_of_a_model_hold_in_a_space(tmp_path: Path) -> None:
    for space, said in (
        ({"stride": [0]}, "space: stride: stride must be at least 1; got 0"),
        ({"filters": {"low": 0, "high": 8}}, "space: filters: low: filters must be at least 1; got 0"),
        ({"pooling": ["mean"]}, "space: pooling: pooling must be max, average or none; got 'mean'"),
        ({"kernel_size": [3]}, "no setting is called 'kernel_size'; it is filter_size here"),
    ):
        with pytest.raises((SettingError, LookupError), match=said):
            tune("digits", space, model="lenet", runs=tmp_path)


def test_a_metric_of_which_less_is_better(tmp_path: Path) -> None:
    """It also chooses the best epoch, so that a tenth of the rows validates, in the folds and for the winner."""
    found = tune("diabetes", {"learning_rate": [0.03, 1e-6]}, metric="mae", runs=tmp_path)
    scores = [trial.score or 0.0 for trial in found.trials]
    assert found.best["score"] == min(scores) and scores[0] < scores[1]
    rows = found.run.record["rows"]
    assert found.run.recipe.settings.validation == 0.1 and 30 < rows["validation"] < 60
