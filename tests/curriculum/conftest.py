"""Training on the decks' tables, as a user does it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

import chainrule
from chainrule.jobs.run import Run


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Run]:
    """chainrule.fit into a folder of this test's."""
    return functools.partial(chainrule.fit, runs=tmp_path / "runs", quiet=True)


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
