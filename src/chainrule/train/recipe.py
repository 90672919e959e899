"""The recipe: everything that a run's bits depend on, as JSON, written before the first step."""

from __future__ import annotations

import functools
import math
import platform
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.core.typed_json import typed
from chainrule.data.schema import Schema
from chainrule.train.named import wrong_names
from chainrule.train.plan import Plan
from chainrule.train.settings import Settings

FORMAT = 2
_ORIGIN = {
    "kind": str, "name": str, "fingerprint": str, "target": str | None, "path": str, "paths": tuple[str, ...],
}  # fmt: skip
_SETTLED = ("model", "validation", "test")
_SETTLED_OF_NETWORKS = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule")
_NEEDED = ("kind", "name", "fingerprint", "target")
RECORDED = ("chainrule", "torch", "numpy", "polars", "scikit-learn", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Data reference and hash, schema, settings with nothing left open, model settings, plan, versions.

    `model_is_ours`: whether the model can be built from its name alone; one that was handed over as an object, or a
    loss that was, must be handed over again to resume.
    """

    data: dict[str, Any]
    schema: Schema
    settings: Settings
    model_settings: dict[str, Any]
    inputs: int | tuple[int, ...]
    plan: Plan
    versions: dict[str, str]
    notes: tuple[str, ...] = ()  # what was said aloud about the data
    warnings: tuple[str, ...] = ()  # what a careful colleague would object to in the data
    command: str = ""  # as it was typed, for the report
    given: tuple[str, ...] = ()  # "model", "loss": handed over as objects

    @property
    def size(self) -> int:
        """How many numbers the network takes per row."""
        return self.inputs if isinstance(self.inputs, int) else math.prod(self.inputs)

    @property
    def is_classical(self) -> bool:
        """Whether the model is one of the classical ones, which are fitted in one go."""
        return self.settings.model in CLASSICAL and "model" not in self.given

    @property
    def called(self) -> str:
        """What sentences call the model."""
        if self.settings.members is not None:
            return "ensemble"
        return "model" if self.is_classical else "network"

    def plan_here(self) -> Plan:
        """Return the plan for predicting here, which may be a machine without the device of the training."""
        return replace(self.plan, device="cpu")

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as it stands in recipe.json."""
        return {
            "format": FORMAT,
            "data": self.data,
            "schema": self.schema.to_json(),
            "settings": asdict(self.settings),
            "model_settings": self.model_settings,
            "inputs": self.inputs,
            "plan": self.plan.to_json(),
            "versions": self.versions,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "command": self.command,
            "given": list(self.given),
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> Recipe:
        """Read a recipe. Raises: RunError naming the file for anything that this version does not know."""
        found = value.get("format") if isinstance(value, dict) else None
        if isinstance(found, int) and found != FORMAT:
            raise RunError(f"{where} has format {found}; this version of chainrule reads {FORMAT}")
        try:
            content = {k: v for k, v in typed(dict[str, Any], value).items() if k != "format"}
            recipe: Recipe = typed(cls, content)
            _check_origin(recipe.data)
            recipe.schema.check()
            for name in (*_SETTLED, *(() if recipe.is_classical else _SETTLED_OF_NETWORKS)):
                if getattr(recipe.settings, name) is None:
                    raise ValueError(f"settings.{name} is left open")
            if isinstance(recipe.settings.batch_size, str):
                raise ValueError(
                    f"settings.batch_size is left open ({visible(recipe.settings.batch_size, 60)!r})"
                )
            for setting, error in wrong_names(recipe.settings).items():
                raise ValueError(f"settings.{setting}: {error}")
            if recipe.size < 1:
                raise ValueError(f"inputs should be positive; got {recipe.inputs}")
        except ValueError as error:
            raise RunError(f"{where} is damaged or of another version: {error}") from error
        lists = {k: tuple(v) for k, v in recipe.model_settings.items() if isinstance(v, list)}
        return replace(recipe, model_settings={**recipe.model_settings, **lists})


def _check_origin(data: dict[str, Any], name: str = "data", needed: tuple[str, ...] = _NEEDED) -> None:
    """See that a reference to data says what it must. Raises: ValueError naming what it does not."""
    for key in needed:
        if key not in data:
            raise ValueError(f"{name}.{key} is missing")
    for key, value in data.items():
        if key in _ORIGIN:
            typed(_ORIGIN[key], value, f"{name}.{key}")
        elif key.endswith("_data"):
            _check_origin(typed(dict[str, Any], value, f"{name}.{key}"), f"{name}.{key}", ("kind",))
    if data["kind"] == "built-in" and "name" not in data:
        raise ValueError(f"{name}.name is missing")


@functools.cache
def versions_here() -> dict[str, str]:
    """Return the versions of what bits depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in RECORDED}
