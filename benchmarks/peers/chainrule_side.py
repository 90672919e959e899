"""chainrule's side: a run of `fit`, and the step of the plan that `fit` decides on."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chainrule.data.read import read
from chainrule.data.reading import Divided
from chainrule.jobs.events import Finished, Opened
from chainrule.jobs.fit import run_fit
from chainrule.jobs.material import Material, make_material, reading_of
from chainrule.jobs.request import Request
from chainrule.jobs.run import Run
from chainrule.jobs.workshop import make_training
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings

from .networks import Network, Work
from .torch_model import torch_model

AS_PEERS = Settings(schedule="constant", weight_decay=0.0, validation=0.0, label_smoothing=0.0)
LONG = 100_000  # updates of the run whose step is timed: start-up pays


def train(
    network: Network,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    work: Work,
    plan: str,
) -> Finished:
    """Fit on raw rows, with checkpoints and the weights written to disk, and judge the test rows."""
    settings = replace(
        AS_PEERS, optimizer="adam", epochs=work.epochs, batch_size=work.batch_size,
        learning_rate=work.learning_rate, seed=work.seed, plan=plan,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as runs:
        request = _request(Divided(train=train, test=test), network, settings, Path(runs))
        return next(event for event in run_fit(request) if isinstance(event, Finished))


def updates(
    network: Network, x: np.ndarray, y: np.ndarray, rate: float, count: int, *, plan: str
) -> tuple[Callable[[], object], str]:
    """Return `count` updates on one prepared batch, as the plan of a long run makes them, and that plan."""
    settings = replace(
        AS_PEERS, optimizer="momentum", momentum=0.9, learning_rate=rate, batch_size=len(x),
        epochs=LONG // 8, test=0.0, folds=0, plan=plan,
    )  # fmt: skip
    rows = np.tile(np.arange(len(x)), 8)
    recipe, material, request = opened(functools.partial(_request, (x[rows], y[rows]), network, settings))
    stack = ExitStack()  # the plan stays applied: this process does nothing else
    device = stack.enter_context(recipe.plan.applied())
    training = make_training(recipe, material, device, model=request.model)
    inputs, targets = next(iter(training.batches.epoch(0)))
    training.step.objective.train()

    def run() -> None:
        for _ in range(count):
            training.step.prepare(0, 1.0)
            training.step(inputs, targets)

    run.stack = stack  # type: ignore[attr-defined]
    return run, str(recipe.plan)


def opened(make_request: Callable[[Path], Request]) -> tuple[Recipe, Material, Request]:
    """Begin a run as `fit` does, up to its first update, and return what it has decided: its recipe and its data."""
    with tempfile.TemporaryDirectory() as runs:
        request = make_request(Path(runs))
        with closing(_events(request)) as events:
            run = next(event.run for event in events if isinstance(event, Opened))
            recipe = Run(run).recipe
    source = read(request.data, reading_of(recipe.settings, request.target))
    material = make_material(source, recipe.schema.encode(source), recipe.schema, recipe.settings)
    return recipe, material, request


def _events(request: Request) -> Iterator[Any]:
    yield from run_fit(request)


def _request(data: Any, network: Network, settings: Settings, runs: Path) -> Request:
    """Ask for the network of the catalogue, or hand over the module that PyTorch's sides train."""
    if network.catalogue is None:
        torch.manual_seed(0)
        return Request(data=data, settings=settings, model=torch_model(network), runs=runs)
    own = {"hidden": network.hidden} if network.is_dense else {}
    settings = replace(settings, model=network.catalogue, dropout=0.0)
    return Request(data=data, settings=settings, model_settings=own, runs=runs)
