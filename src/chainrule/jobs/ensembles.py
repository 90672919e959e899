"""What an ensemble is made of: its settings, the recipe of each member, and the rows that each trains on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chainrule.core.errors import SettingError
from chainrule.core.seeds import mix
from chainrule.core.text import visible
from chainrule.jobs.material import Material
from chainrule.jobs.request import Request
from chainrule.models.ensemble import VOTES, check_vote
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings, flag_of

DEEP, BAGGING, BOOSTING, SNAPSHOT = "deep", "bagging", "boosting", "snapshot"
KINDS = (DEEP, BAGGING, BOOSTING, SNAPSHOT)


def check_ensemble(request: Request) -> None:
    """Refuse an ensemble that there is not, or that cannot be, before any data is read. Raises: SettingError"""
    settings = request.settings
    if settings.members is None:
        for name in ("ensemble", "vote"):
            if (said := getattr(settings, name)) is not None:
                raise SettingError(
                    f"--{name} {visible(said, 40)} is about the members of an ensemble: say how many with --members, such as "
                    "--members 5"
                )
        return
    kind = settings.ensemble or DEEP
    if kind not in KINDS:
        raise SettingError(
            f"--ensemble takes {', '.join(KINDS[:-1])} or {KINDS[-1]}; got '{visible(kind, 40)}'"
        )
    if settings.vote is not None and settings.vote not in VOTES:
        raise SettingError(
            f"--vote takes {', '.join(VOTES[:-1])} or {VOTES[-1]}; got '{visible(settings.vote, 40)}'"
        )
    (_check_stages if kind == SNAPSHOT else _check_members)(request, kind)


def _check_members(request: Request, kind: str) -> None:
    """Refuse what members that are trained apart cannot have. Raises: SettingError"""
    settings = request.settings
    if request.model is not None or request.loss is not None:
        what = "model" if request.model is not None else "loss"
        raise SettingError(
            f"the members of a {kind} ensemble are built from a name, each with starting weights of its own, and this {what} "
            f"was handed over as an object; name a {what}, or take --ensemble snapshot, which trains one network"
        )
    if settings.plan != "auto":
        raise SettingError(
            f"--plan {visible(settings.plan, 40)} is for one network; the members of a {kind} ensemble are trained together, "
            "in stacks where their layers allow it: leave --plan out"
        )
    if settings.device not in ("auto", "cpu"):
        raise SettingError(
            f"the members of a {kind} ensemble are trained side by side on the cores of the processor; leave out --device "
            f"{visible(settings.device, 40)}, or take --ensemble snapshot"
        )


def _check_stages(request: Request, kind: str) -> None:
    """Refuse settings that do not go with snapshots of one training. Raises: SettingError"""
    settings = request.settings
    assert settings.members is not None
    for name, fitting, why in (
        ("schedule", (None, "cosine"), "the rate falls along a cosine in each stage"),
        ("cycles", (None, settings.members), "there is one stage a member"),
        ("patience", (None,), "every stage is made to its end"),
        ("stop_tolerance", (None,), "every stage is made to its end"),
        ("stop_on_no_decrease", (None, False), "every stage is made to its end"),
    ):
        if (said := getattr(settings, name)) not in fitting:
            raise SettingError(f"{flag_of(name)} {said} does not go with --ensemble {kind}: {why}")
    if settings.epochs is not None and settings.epochs < settings.members:
        raise SettingError(
            f"--ensemble snapshot divides the epochs into a stage per member, and {settings.epochs} are too few for "
            f"{settings.members} members; take --epochs {10 * settings.members} or so"
        )


def settle_ensemble(settings: Settings, kind: str) -> Settings:
    """Return settings with nothing left open about an ensemble. `kind` is that of the task. Raises: SettingError"""
    if settings.members is None:
        return settings
    weighs = settings.ensemble == BOOSTING
    usual = ("median" if kind == "regression" else "majority") if weighs else "average"
    settings = settings.filled({"ensemble": DEEP, "vote": usual})
    assert settings.members is not None and settings.vote is not None and settings.epochs is not None
    check_vote(settings.vote, kind)
    if settings.ensemble != SNAPSHOT:
        return settings
    return replace(settings, schedule="cosine", epochs=max(settings.epochs, settings.members))


def trains_apart(settings: Settings) -> bool:
    """Whether a run trains several networks, which are then put together."""
    return settings.members is not None and settings.ensemble != SNAPSHOT


def network_recipe(recipe: Recipe, member: int = 0) -> Recipe:
    """Return the recipe of one network: of a member, of the training that gives all snapshots, or as it is.

    The first member has the seed of the run: in a deep ensemble it is the network that `fit` trains without members.
    """
    settings = recipe.settings
    if settings.members is None:
        return recipe
    cycles = settings.members if settings.ensemble == SNAPSHOT else settings.cycles
    seed = mix(settings.seed, "member", member) if member else settings.seed
    own = replace(settings, members=None, ensemble=None, vote=None, cycles=cycles, seed=seed)
    return replace(recipe, settings=own)


def bag(recipe: Recipe, material: Material, member: int) -> np.ndarray:
    """Return the training rows of a member of a bagging ensemble: as many as there are, drawn with repetition."""
    rows = material.split.train
    random = np.random.Generator(np.random.PCG64(mix(recipe.settings.seed, "bag", member)))
    return rows[random.integers(0, len(rows), len(rows))]


def out_of_bag(material: Material, drawn: np.ndarray) -> np.ndarray:
    """Return which training rows a member has not seen, nor a copy of them. Shapes: drawn (n,) -> (n,) bool"""
    return ~np.isin(material.copies[material.split.train], material.copies[drawn])
