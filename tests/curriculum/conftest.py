"""Training on the decks' tables, as a user does it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import chainrule
from chainrule.jobs.run import Run
from chainrule.train.plan import Plan
from chainrule.train.training import Training
from tests.jobs.making import make_training


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Run]:
    """chainrule.fit into a folder of this test's."""
    return functools.partial(chainrule.fit, runs=tmp_path / "runs", quiet=True)


@pytest.fixture(name="make_training")
def make_training_on_one_thread() -> Iterator[Callable[..., Training]]:
    """The training of a request on one thread, ready for its first update, with no folder and no report."""
    with Plan(device="cpu", threads=1).applied():
        yield make_training


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
