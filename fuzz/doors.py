"""What a user does with what was handed over: the whole road of each command up to its first long piece of work."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import chainrule as cr
from chainrule.apps import cli
from chainrule.core.errors import ChainruleError
from chainrule.data.pictures import read_picture_inputs
from chainrule.data.read import read
from chainrule.data.reading import Reading
from chainrule.data.source import Source
from chainrule.jobs.classical import ESTIMATOR, open_classical
from chainrule.jobs.compare import compare_runs
from chainrule.jobs.events import Opened, SearchOpened
from chainrule.jobs.fit import run_fit
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.predict import evaluate_on, predict_file
from chainrule.jobs.preparation import load_model_settings, prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.search_folder import SearchFolder
from chainrule.jobs.search_request import SearchRequest
from chainrule.jobs.search_trials import ranked
from chainrule.jobs.tune import run_tune
from chainrule.jobs.workshop import empty_task, make_training
from chainrule.train.settings import Settings
from chainrule.train.settings_text import parse_settings
from fuzz import seeds


def _prepare(source: Source, settings: Settings | None = None, **model_settings: Any) -> None:
    """Do what `fit` does with rows before it trains."""
    request = Request(data=source, settings=settings or Settings(), model_settings=model_settings)
    recipe, material = prepare_run(request, source)
    recipe.to_json()
    make_training(recipe, material, _cpu())


def _cpu() -> Any:
    import torch

    return torch.device("cpu")


def fit_table(folder: Path) -> None:
    """`chainrule fit rows.csv`."""
    _prepare(read(next(folder.glob("rows.*"))))


def fit_table_here(folder: Path) -> None:
    """The same without the process in which readers run that a damaged file can bring down."""
    with mock.patch.object(sys, "frozen", True, create=True):  # a frozen program has no Python to start
        fit_table(folder)


def fit_arrays(folder: Path) -> None:
    """`chainrule fit rows.npz`."""
    _prepare(read(folder / "rows.npz"))


def fit_idx(folder: Path) -> None:
    """`chainrule fit FOLDER` for files like MNIST's."""
    _prepare(read(folder))


def fit_cifar(folder: Path) -> None:
    """`chainrule fit cifar-10-binary.tar.gz`."""
    _prepare(read(folder / "cifar-10-binary.tar.gz"))


def open_pictures(folder: Path) -> None:
    """`chainrule fit pets/` and `chainrule predict RUN pets/`."""
    _each(
        lambda: _prepare(read(folder / "pets")),
        lambda: read_picture_inputs(folder / "pets", channels=3, height=20, width=16),
        lambda: read_picture_inputs(folder / "pets", channels=1, height=7, width=9),
    )


def open_cached(folder: Path) -> None:
    """`chainrule fit pets/`, again."""
    source = read(folder / "pets", Reading(cache=folder / ".cache"))
    assert source.array is not None and source.array.shape == (2, 3, 20, 16), source.array
    assert source.array.dtype == np.uint8


def predict_rows(folder: Path) -> None:
    """`chainrule predict RUN new.csv` and `chainrule evaluate RUN new.csv`."""
    run = cr.load(folder / "runs/run")
    _each(
        lambda: predict_file(str(run.path), folder / "new.csv", None, folder / "runs"),
        lambda: run.evaluate(folder / "new.csv"),
    )


def open_run(folder: Path) -> None:
    """Everything that opens a run folder: `runs`, `runs --compare`, `predict`, `evaluate`, `fit --resume`, `load`."""
    _command("runs", str(folder / "runs"))
    with contextlib.suppress(ChainruleError):
        run = cr.load(folder / "runs/run")
        repr(run)
        new = folder / "rows.csv"
        _each(
            lambda: run.history,
            lambda: run.metrics,
            run.plot,
            lambda: predict_file(str(run.path), new, None, folder / "runs"),
            lambda: evaluate_on(str(run.path), None, folder / "runs"),
            lambda: compare_runs(folder / "runs", ["run", "run"]),
            lambda: _resume(run.path),
            run.code,
        )


def _resume(path: Path) -> None:
    """Take a run up again, as far as its first update."""
    events = run_fit(Request(resume=path))
    for event in events:
        if isinstance(event, Opened):
            break
    events.close()


def open_search(folder: Path) -> None:
    """`Tuned.trials` and `chainrule tune --resume`, as far as its first training."""
    found = SearchFolder(RunFolder(folder / "runs/run"))
    _each(
        lambda: [trial.to_json() for trial in ranked(found.trials(), larger_is_better=True)],
        lambda: _resume_search(found.run.path),
    )


def _resume_search(path: Path) -> None:
    events = run_tune(SearchRequest(fit=Request(resume=path)))
    for event in events:
        if isinstance(event, SearchOpened):
            break
    events.close()


def open_estimator(folder: Path) -> None:
    """What `predict` does with the estimator in the checkpoint of a run."""
    content = torch.from_numpy(np.frombuffer((folder / "model.skops").read_bytes(), np.uint8).copy())
    for recipe, _ in seeds.fitted().values():
        with contextlib.suppress(ChainruleError):
            model = open_classical(recipe, empty_task(recipe), {ESTIMATOR: content}, "model.skops")
            _each(*(functools.partial(model.outputs, rows) for rows in _kinds_of_rows(recipe.size)))


def _kinds_of_rows(inputs: int) -> list[np.ndarray]:
    """Return prepared rows as they come: at the mean, beside it, here and there, and far from all that was seen."""
    drawn = np.random.Generator(np.random.PCG64(0)).normal(size=(8, inputs))
    return [np.zeros((1, inputs)), np.ones((3, inputs)), drawn, 1e4 * drawn, 1e30 * drawn]


def _command(*arguments: str) -> None:
    """Run a command of the command line; what it refuses it must refuse with exit code 2."""
    shown = io.StringIO()
    with (
        contextlib.redirect_stdout(shown),
        contextlib.redirect_stderr(shown),
        mock.patch.object(sys, "argv", ["chainrule", *arguments]),
    ):
        code = cli.run()
    assert code in (0, 2), f"exit code {code}: {shown.getvalue()}"


def use_settings(folder: Path) -> None:
    """`chainrule fit DATA --set KEY=VALUE …` on a small table."""
    pairs = (folder / "settings.txt").read_bytes().decode(errors="replace").split("\n")
    training, model = parse_settings(pairs, lambda: load_model_settings("mlp"))
    settings = Settings(**training)
    numbers = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
    _prepare(read((numbers, numbers[:, 0])), settings, **model)


def _each(*actions: Callable[[], object]) -> None:
    for action in actions:
        with contextlib.suppress(ChainruleError):
            action()
