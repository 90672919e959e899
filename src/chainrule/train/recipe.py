"""The recipe: everything that a run's bits depend on, as JSON, written before the first step."""

from __future__ import annotations

import functools
import platform
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from chainrule.core.errors import RunError
from chainrule.data.schema import Schema
from chainrule.train.plan import Plan
from chainrule.train.settings import Settings

FORMAT = 1
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
        try:
            if value["format"] != FORMAT:
                raise RunError(
                    f"{where} has format {value['format']}; this version of chainrule reads {FORMAT}"
                )
            inputs = value["inputs"]
            return cls(
                data=value["data"],
                schema=Schema.from_json(value["schema"]),
                settings=Settings(**_tuples(value["settings"])),
                model_settings=_tuples(value["model_settings"]),
                inputs=tuple(inputs) if isinstance(inputs, list) else int(inputs),
                plan=Plan.from_json(value["plan"]),
                versions=dict(value["versions"]),
                notes=tuple(value.get("notes", ())),
                warnings=tuple(value.get("warnings", ())),
                command=str(value.get("command", "")),
                given=tuple(value["given"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, RunError):
                raise
            raise RunError(
                f"{where} is damaged or of another version: {type(error).__name__} {error}"
            ) from error


def _tuples(value: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}


@functools.cache
def versions_here() -> dict[str, str]:
    """Return the versions of what bits depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in RECORDED}
