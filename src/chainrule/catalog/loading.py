"""The one loader of names: each kind has one target room.

Models also come from the entry-point group `chainrule.models` of other packages, and from `package.module:Name`.
"""

from __future__ import annotations

import math
import re
from importlib import import_module
from typing import Any

from chainrule.catalog.entries import CLASSICAL, KINDS
from chainrule.core.errors import SettingError, unknown_name
from chainrule.core.text import visible

ENTRY_POINTS = "chainrule.models"


def load(kind: str, name: str) -> Any:
    """Return what `name` means among the names of its kind.

    Raises: UnknownNameError with the nearest names; SettingError if a name from outside cannot be imported
    """
    entries = KINDS[kind].entries
    if name in entries:
        return _resolve(entries[name].target)
    if kind == "model":
        if ":" in name:
            return _from_outside(name)
        others = _entry_points()
        if name in others:
            return _from_outside(others[name])
        if name in CLASSICAL:
            raise SettingError(
                f"{name} is a classical model, not a network: chainrule fit DATA --model {name}"
            )
        raise unknown_name(kind, name, [*entries, *others, *CLASSICAL])
    raise unknown_name(kind, name, entries)


def check_name(kind: str, name: str) -> None:
    """Refuse a name that is none of its kind, importing nothing. Raises: UnknownNameError with the nearest names"""
    if name not in (entries := KINDS[kind].entries):
        raise unknown_name(kind, name, entries)


def parametrised(kind: str, text: str) -> tuple[Any, float | None]:
    """Read NAME or NAME:NUMBER; return what the name means, and the number or None.

    Raises: UnknownNameError for the name; SettingError for a number that is none, or after a name that takes none
    """
    name, colon, number = (part.strip() for part in text.partition(":"))
    found = load(kind, name)
    if not colon:
        return found, None
    meaning = KINDS[kind].entries[name].number
    if not meaning:
        raise SettingError(f"the {kind} {name} takes no number; got {visible(text)!r}")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SettingError(f"{name}:NUMBER takes a number, its {meaning}; got {visible(text)!r}")
    return found, value


def names(kind: str) -> dict[str, str]:
    """Return the names of a kind with their summaries; for models, those of other packages too."""
    found = {name: entry.summary for name, entry in KINDS[kind].entries.items()}
    if kind == "model":
        found |= {name: f"from {target}" for name, target in _entry_points().items() if name not in found}
    return found


def outside_target(name: str) -> str:
    """Return what a model from outside the catalogue means, as package.module:Name."""
    return name if ":" in name else _entry_points()[name]


def _resolve(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}


def _from_outside(target: str) -> Any:
    if not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", target):
        raise SettingError(f"a model of your own is written package.module:Name; got {visible(target)!r}")
    module, _, attribute = target.partition(":")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # the module is the user's own code: whatever it raises belongs in the message
        why = error if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
        raise SettingError(f"the model {visible(target)!r} cannot be imported: {why}") from error
    if not callable(found):
        raise SettingError(
            f"the model {visible(target)!r} is of type {type(found).__name__}, not a class or a function that builds one"
        )
    return found
