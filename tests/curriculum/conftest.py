"""Training on the decks' tables, as a user does it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import chainrule
from chainrule.data.read import read
from chainrule.jobs import workshop
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.run import Run
from chainrule.train.plan import Plan
from chainrule.train.settings import Settings
from chainrule.train.training import Training


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Run]:
    """chainrule.fit into a folder of this test's."""
    return functools.partial(chainrule.fit, runs=tmp_path / "runs", quiet=True)


@pytest.fixture
def make_training() -> Iterator[Callable[..., Training]]:
    """The training of a request on one thread, ready for its first update, with no folder and no report."""

    def make(
        data: Any, *, target: str | None = None, model_settings: Any = None, **settings: Any
    ) -> Training:
        request = Request(
            data=data, target=target, settings=Settings(**settings), model_settings=model_settings or {}
        )
        recipe, material = prepare_run(request, read(data, workshop.reading_of(request.settings, target)))
        return workshop.make_training(recipe, material, torch.device("cpu"))

    with Plan(device="cpu", threads=1).applied():
        yield make


@pytest.fixture
def least_squares(fit: Callable[..., Run]) -> Callable[..., Run]:
    """Fit linear regression by gradient descent on all rows at once, until it stands still."""
    return functools.partial(
        fit,
        model="linear-regression",
        test=0,
        validation=0,
        batch_size=100,
        epochs=2000,
        optimizer="momentum",
        learning_rate=0.1,
        schedule="linear",
    )
