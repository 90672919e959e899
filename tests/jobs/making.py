"""The training of a request, for tests that look at updates and need neither folder nor report."""

from __future__ import annotations

from typing import Any

import torch

from chainrule.data.read import read
from chainrule.jobs import workshop
from chainrule.jobs.material import reading_of
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.train.settings import Settings
from chainrule.train.training import Training


def make_training(
    data: Any, *, target: str | None = None, model_settings: Any = None, **settings: Any
) -> Training:
    """Return a training that is ready for its first update."""
    request = Request(
        data=data, target=target, settings=Settings(**settings), model_settings=model_settings or {}
    )
    recipe, material = prepare_run(request, read(data, reading_of(request.settings, target)))
    return workshop.make_training(recipe, material, torch.device("cpu"))
