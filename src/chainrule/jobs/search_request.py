"""What a user asks of a search: what is refused before any data is read, and the space that is searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import SettingError
from chainrule.jobs.cluster import check_address
from chainrule.jobs.folds import needs_validation
from chainrule.jobs.preparation import load_model_settings, searched_of
from chainrule.jobs.request import Request
from chainrule.jobs.search_candidates import VALIDATION
from chainrule.train.proposals import check_method, load_optuna
from chainrule.train.search_defaults import default_space
from chainrule.train.settings import Settings, flag_of
from chainrule.train.space import Space, parse_space, read_space

DEFAULTS = "defaults"
METHOD = "random"
TEST = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What a user asked of `tune`: a fit, and what is searched around it. `space` is a file, a mapping or defaults."""

    fit: Request
    space: str | Path | Mapping[str, Any] = DEFAULTS
    method: str = METHOD
    trials: int | None = None
    folds: int | None = None
    budget_seconds: float | None = None
    is_deterministic: bool = False
    most: int | None = None  # members of a stack
    cluster: str | None = None  # an address


def check_search(search: SearchRequest) -> None:
    """Refuse what cannot be searched before any data is read."""
    check_method(search.method)
    if search.method == "bayes":
        load_optuna()
    if search.cluster is not None:
        check_address(search.cluster)
    if search.folds is not None and search.folds < 0:
        raise SettingError(
            f"--folds takes 0 or more (0 and 1: one part of the rows is held out); got {search.folds}"
        )
    if search.budget_seconds is not None and not search.budget_seconds > 0:
        raise SettingError(f"--budget-seconds must be above 0; got {search.budget_seconds:g}")
    settings = search.fit.settings
    if settings.model in CLASSICAL and search.cluster is not None:
        raise SettingError(
            f"--cluster spreads networks, and {settings.model} is a classical model: leave it out"
        )
    if settings.model in CLASSICAL and search.method == "halving":
        raise SettingError(
            f"halving trains a little first, and {settings.model} is fitted in one go; take --method grid, random or bayes"
        )
    if settings.folds:
        raise SettingError("the setting folds is about judging few rows with fit; tune takes --folds")
    if settings.test == 0:
        raise SettingError(
            "--test 0 leaves no rows that the search does not see, to say what its winner is worth; leave it out, or "
            "give --test-data"
        )


def held_back(search: SearchRequest) -> Request:
    """Return the request with the rows that are held back: for the test always, to validate where something waits."""
    settings = search.fit.settings
    validation = (settings.validation or VALIDATION) if needs_validation(settings) else 0.0
    held = replace(
        settings, folds=0, validation=validation, test=TEST if settings.test is None else settings.test
    )
    return replace(search.fit, settings=held)


def space_of(search: SearchRequest, model: str) -> Space:
    """Read the space that was asked for, or take that of the model. Raises: SettingError for a setting said twice"""
    given = {*search.fit.model_settings, *_said(search.fit.settings)}
    if search.space == DEFAULTS:
        usual = default_space(model, given, load_model_settings(model))
        if not usual:
            raise SettingError(
                f"{model} has no settings to search; chainrule cross-validate DATA --model {model} judges it"
            )
        return parse_space(usual, partial(searched_of, model))
    if isinstance(search.space, str | Path):
        space = read_space(Path(search.space), partial(searched_of, model))
    else:
        space = parse_space(search.space, partial(searched_of, model))
    both = [name for name in space.settings if name in given]
    if both:
        raise SettingError(
            f"{both[0]} is in the space and given as {flag_of(both[0])}; leave out one of them"
        )
    if search.method == "halving" and "epochs" in space.settings:
        raise SettingError(
            "halving trains by epochs itself, so that epochs cannot be searched; give them as --epochs"
        )
    return space


def _said(settings: Settings) -> list[str]:
    usual = Settings()
    return [
        item.name for item in fields(Settings) if getattr(settings, item.name) != getattr(usual, item.name)
    ]
