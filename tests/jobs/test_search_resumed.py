"""A search that was ended goes on with the same bits, wherever it stood: its store is cut after every one of its writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chainrule.jobs import tune
from chainrule.jobs.entries import DENSE
from chainrule.jobs.entry_trainings import EntryTrainings
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.request import Request
from chainrule.jobs.search_folder import SearchFolder
from chainrule.jobs.search_request import SearchRequest
from chainrule.jobs.search_store import SearchStore
from chainrule.jobs.tune import run_tune
from chainrule.train.settings import Settings

FOLDS = 2
SPACES: dict[str, dict[str, Any]] = {
    "hyper-parameters of the rule": {
        "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
        "beta1": [0.9, 0.8],
        "epsilon": [1e-8, 1e-6],
        "weight_decay": [0.0, 0.01],
    },
    "penalties and clipping": {
        "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
        "l1": [0.0, 1e-3],
        "dropout": [0.0, 0.3],
        "clip_norm": [0.1, 1.0],
        "hidden": [[8], [8, 8, 8, 8]],
    },
}


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """What is written to stores, in order; winners are not trained."""
    found: list[tuple[str, list[Any]]] = []
    monkeypatch.setattr(tune, "refit", lambda *asked: iter(()))
    for name in ("add_trials", "add_networks"):
        monkeypatch.setattr(SearchStore, name, _noting(getattr(SearchStore, name), found))
    return found


def _noting(method: Any, found: list[tuple[str, list[Any]]]) -> Any:
    def noted(store: SearchStore, rows: Iterable[Any]) -> None:
        kept = list(rows)
        found.append((method.__name__, kept))
        method(store, kept)

    return noted


def search(request: SearchRequest) -> None:
    for _ in run_tune(request):
        pass


@pytest.mark.parametrize(("method", "space"), [*zip(["halving", "random"], SPACES, strict=True)])
def test_a_search_goes_on_after_any_write(
    tmp_path: Path, writes: list[tuple[str, list[Any]]], method: str, space: str
) -> None:
    settings = Settings(model="mlp", epochs=4, optimizer="adam")
    asked = Request(data="iris", settings=settings, runs=tmp_path, name="whole")
    search(
        SearchRequest(
            fit=asked,
            space=SPACES[space],
            method=method,
            trials=8,
            folds=FOLDS,
            is_deterministic=True,
            most=3,
        )
    )
    whole, made = tmp_path / "whole" / "search", list(writes)
    assert len(made) > 4
    for cut in range(len(made)):
        folder = tmp_path / f"cut-{cut}" / "search"
        folder.mkdir(parents=True)
        (folder / "search.json").write_bytes((whole / "search.json").read_bytes())
        with closing(SearchFolder(RunFolder(folder.parent)).open_store()) as store:
            for name, rows in made[:cut]:
                for row in rows if name == "add_trials" else []:
                    row.networks.clear()
                getattr(store, name)(rows)
        search(SearchRequest(fit=Request(resume=folder.parent, runs=tmp_path)))
        found = [(path / "trials.csv").read_text() for path in (folder, whole)]
        assert found[0] == found[1], f"after {cut} of {len(made)} writes"


def test_a_network_that_is_left_over_goes_the_way_of_the_others(
    tmp_path: Path, writes: list[tuple[str, list[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Sequence[str]] = []

    def fastest(_: EntryTrainings, __: list[int], ways: Sequence[str]) -> str:
        measured.append(ways)
        return DENSE

    monkeypatch.setattr(EntryTrainings, "fastest", fastest)
    asked = Request(
        data="iris", settings=Settings(model="mlp", epochs=4, optimizer="adam"), runs=tmp_path, name="whole"
    )
    search(SearchRequest(fit=asked, space={"learning_rate": [0.01, 0.03]}, method="grid", folds=FOLDS))
    assert len(measured) == 1  # once for both folds
    whole, folder = (SearchFolder(RunFolder(tmp_path / name)) for name in ("whole", "cut"))
    folder.asked.parent.mkdir(parents=True)
    folder.asked.write_bytes(whole.asked.read_bytes())
    networks = [one for name, rows in writes if name == "add_networks" for one in rows]
    with closing(whole.open_store()) as before, closing(folder.open_store()) as store:
        store.add_trials([replace(trial, networks={}) for trial in before.trials(FOLDS)])
        store.add_ways(before.ways())
        store.add_networks(networks[:-1])
    search(SearchRequest(fit=Request(resume=folder.run.path, runs=tmp_path)))
    assert len(measured) == 1
    found = [(tmp_path / name / "search" / "trials.csv").read_text() for name in ("whole", "cut")]
    assert found[0] == found[1]
