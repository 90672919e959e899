"""Architectures: one family, one file, readable from top to bottom."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from chainrule.catalog import MODELS, load
from chainrule.core.errors import SettingError, unknown_name
from chainrule.core.limits import Limits
from chainrule.core.memory import memory_bytes
from chainrule.core.text import visible
from chainrule.core.units import show_bytes


def build(name: str, **settings: Any) -> nn.Module:
    """Build the network called `name`: a name of the catalogue, or `package.module:Name`.

    Every model of the catalogue takes `inputs` (a number of features, or (channels, height, width)) and `units` (the
    number of outputs), and settings of its own; `chainrule models NAME` lists them.
    Raises: UnknownNameError for a name or a setting that does not exist, with the nearest ones
    >>> build("mlp", inputs=64, units=10, hidden=(32,), activation="tanh")[0]
    Linear(in_features=64, out_features=32, bias=True)
    """
    builder: Callable[..., nn.Module] = load("model", name)
    accepted = inspect.signature(builder).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values()):
        for key in settings:
            if key not in accepted:
                raise unknown_name(
                    f"setting of {name}", key, [k for k in accepted if k not in ("inputs", "units")]
                )
    for key, value in settings.items():
        check_setting(name, key, value)
    try:
        if name in MODELS:
            _check_memory(name, builder, settings)
        model = builder(**settings)
    except (TypeError, RuntimeError, MemoryError) as error:
        raise SettingError(
            f"the model {name} cannot be built from these settings: {visible(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise SettingError(f"{name} gives a {type(model).__name__}, not a torch.nn.Module")
    return model


def _check_memory(name: str, builder: Callable[..., nn.Module], settings: dict[str, Any]) -> None:
    """Refuse a network that this machine cannot hold before it is begun, by building it without memory."""
    with torch.device("meta"):
        wanted = sum(weight.nbytes for weight in builder(**settings).parameters())
    there = memory_bytes()
    if there is not None and wanted > there:
        raise SettingError(
            f"the model {name} with these settings has weights of {show_bytes(wanted)}, but this machine has "
            f"{show_bytes(there)} of memory; choose fewer units"
        )


def check_setting(name: str, key: str, value: Any) -> None:
    """Refuse a value beyond the limits that a model of the catalogue declares for a setting. Raises: SettingError"""
    if key in (limits := model_limits(name)):
        limits[key].check(key, value)


def model_limits(name: str) -> dict[str, Limits]:
    """Return the limits that a model of the catalogue declares, by setting; other models declare none.

    >>> model_limits("lenet")["stride"]
    Limits(low=1, below=None, words=())
    """
    return _limits_of(load("model", name)) if name in MODELS else {}


@functools.cache
def _limits_of(model: Callable[..., Any]) -> dict[str, Limits]:
    hints = typing.get_type_hints(model, include_extras=True)
    found = {key: getattr(hint, "__metadata__", ()) for key, hint in hints.items()}
    return {key: extra[0] for key, extra in found.items() if extra and isinstance(extra[0], Limits)}


def model_settings(name: str) -> dict[str, inspect.Parameter]:
    """Return the settings that a model takes beside `inputs` and `units`."""
    accepted = inspect.signature(load("model", name)).parameters
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {k: p for k, p in accepted.items() if k not in ("inputs", "units") and p.kind in named}
