"""Settings whose values are names of the catalogue, and what refuses a name that there is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from chainrule.catalog import check_name
from chainrule.core.errors import ChainruleError
from chainrule.data.augmentation import check_augmentation
from chainrule.nn.initial import find_initial
from chainrule.nn.losses import loss
from chainrule.train.settings import Settings

NAMED: Mapping[str, Callable[[Any], Any]] = {
    "optimizer": partial(check_name, "optimizer"),
    "schedule": partial(check_name, "schedule"),
    "metric": partial(check_name, "metric"),
    "loss": loss,
    "initial": find_initial,
    "augment": check_augmentation,
}


def wrong_names(settings: Settings) -> dict[str, ChainruleError]:
    """Return the error of each setting whose name there is not."""
    found: dict[str, ChainruleError] = {}
    for setting, check in NAMED.items():
        said = getattr(settings, setting)
        if said is None or said == ():
            continue
        try:
            check(said)
        except ChainruleError as error:
            found[setting] = error
    return found
