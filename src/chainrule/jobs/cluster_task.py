"""What a worker of a cluster does: it trains a group of networks, and says what each showed.

What comes and goes is plain: recipes as JSON, rows as NumPy arrays, figures as numbers. A worker keeps nothing between two
groups, so that a group that was lost with its worker is trained anywhere else, and ends with the same bits.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor

from chainrule.core.errors import SettingError
from chainrule.data.splits import Split
from chainrule.jobs.entries import Entry
from chainrule.jobs.material import ReadyRows
from chainrule.jobs.population import PopulationRun
from chainrule.train.course import Row
from chainrule.train.recipe import Recipe

PARTS = ("train", "validation", "test")
START = "RAY_AUTH_MODE=token ray start --head"
COMPARED = ("chainrule", "torch", "numpy")  # what the bits of a network depend on


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedRows:
    """Rows that came as arrays, as `jobs.material.ReadyRows` has them."""

    inputs: Tensor
    targets: np.ndarray
    split: Split
    weights: None = None

    def rows(self, part: str) -> np.ndarray:
        """Return the row numbers of a part of the split: train, validation or test."""
        return self.split.parts()[part]


def pack_rows(material: ReadyRows) -> dict[str, np.ndarray]:
    """Return rows made ready as plain arrays."""
    assert isinstance(material.inputs, Tensor) and material.weights is None
    parts = {part: material.rows(part) for part in PARTS}
    return {"inputs": np.ascontiguousarray(material.inputs.numpy()), "targets": material.targets, **parts}


def unpack_rows(arrays: Mapping[str, np.ndarray]) -> ArrivedRows:
    """Return what `pack_rows` made into arrays, in memory of their own."""
    own = {name: np.array(found) for name, found in arrays.items()}
    split = Split(**{part: own[part] for part in PARTS})
    return ArrivedRows(inputs=torch.from_numpy(own["inputs"]), targets=own["targets"], split=split)


def train_group(
    recipes: Sequence[str],
    arrays: Mapping[str, np.ndarray],
    epochs: int | None,
    metrics: Sequence[str],
    varied: Sequence[str],
    there: Mapping[str, str],
) -> list[tuple[Row | None, int, str | None]]:
    """Train networks of one shape on the same rows for so many epochs, or to their end, and judge them on the test rows.

    The fields of `networks.Shown` for each, in the order of the recipes. `there`: what `look_around` says where the search runs.
    Raises: SettingError where this machine, which may have come later, differs from it
    """
    refusal = why_not_there(look_around(), there)
    if refusal:
        raise SettingError(f"the machine {platform.node()} {refusal}")
    material = unpack_rows(arrays)
    read = [Recipe.from_json(json.loads(text), "the recipe of a network") for text in recipes]
    entries = [Entry(recipe=recipe, material=material) for recipe in read]
    run = PopulationRun(
        entries, cores=1, is_deterministic=True, varied=varied, judged="test", metrics=metrics
    )
    for _ in run.train(epochs):
        pass
    return [astuple(run.shown(place)) for place in range(len(entries))]


def look_around() -> dict[str, str]:
    """Return what has to be the same where networks are trained, and how this process may be reached."""
    return {
        **{name: version(name) for name in COMPARED},
        "authentication": os.environ.get("RAY_AUTH_MODE", ""),
    }


def why_not_there(there: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """Return why a machine cannot train for this one, by what `look_around` says of both; None if it can."""
    differ = [name for name in COMPARED if there[name] != here[name]]
    if differ:
        theirs, ours = (", ".join(f"{name} {one[name]}" for name in differ) for one in (there, here))
        return (
            f"has {theirs}, this one {ours}: networks would not have the same bits; install the same versions"
        )
    if there["authentication"].lower() != "token":
        return f"runs Ray without a token: whoever reaches it can run programs on it; start it with: {START}"
    return None
