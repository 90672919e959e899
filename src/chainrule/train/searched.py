"""Settings that can be searched, and what values each of them takes."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from chainrule.catalog import load, parametrised
from chainrule.core.errors import ChainruleError, SettingError, UnknownNameError, nearest
from chainrule.core.text import visible
from chainrule.data.augmentation import check_augmentation
from chainrule.nn.activations import activation
from chainrule.nn.initial import find_initial
from chainrule.nn.losses import loss
from chainrule.train.settings import Settings

SEARCHED = (
    "loss", "epochs", "batch_size", "shuffle", "initial", "pretrain", "optimizer", "learning_rate", "momentum", "beta1",
    "beta2", "rho", "epsilon", "schedule", "warmup_epochs", "drop_epochs", "drop_factor", "decay_rate",
    "schedule_patience", "lowest_rate", "weight_decay", "l1", "penalty", "dropout", "label_smoothing", "decay_with_loss",
    "clip_norm", "clip_value", "augment", "class_weight", "patience", "stop_tolerance", "stop_on_no_decrease",
)  # fmt: skip
LAYERS = {"layers": int, "units": int}  # of models with hidden layers: so many, each with so many units
_OTHERS_SAY = {
    "l2": "weight_decay", "lr": "learning_rate", "eta": "learning_rate", "alpha": "learning_rate", "kernel_size": "filter_size",
    "channels": "filters",
}  # fmt: skip

Check = Callable[
    [str, Any], None
]  # raises ChainruleError for a value that a setting of the model cannot have


@dataclass(frozen=True, slots=True)
class Searched:
    """A setting that can be searched: its name, its type, and what else is asked of its values."""

    name: str
    kind: Any
    check: Check

    @property
    def types(self) -> tuple[Any, ...]:
        """The types that it may have."""
        is_union = typing.get_origin(self.kind) in (typing.Union, types.UnionType)
        return typing.get_args(self.kind) if is_union else (self.kind,)

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        said = [
            f"a list of {_WORDS[typing.get_args(one)[0]].removeprefix('a ')}s"
            if typing.get_origin(one)
            else _WORDS[one]
            for one in self.types
        ]
        return " or ".join(said)

    def read(self, value: Any, where: str) -> Any:
        """Return a value as the setting takes it. Raises: SettingError, UnknownNameError, beginning with `where`"""
        made: Any = tuple(value) if isinstance(value, list) else value
        if type(None) in self.types and isinstance(made, str) and made.strip().lower() == "none":
            return None  # for which TOML has no word
        if not any(_is_of(made, one) for one in self.types):
            raise SettingError(f"{where}takes {self.takes}; got {visible(repr(value), 40)}")
        try:
            self._check(made)
        except UnknownNameError as error:
            raise UnknownNameError(f"{where}{error}") from error
        except ChainruleError as error:
            raise SettingError(f"{where}{error}") from error
        return float(made) if self.kind is float and not isinstance(made, bool) else made

    def _check(self, value: Any) -> None:
        if self.name in SEARCHED:
            Settings(**{self.name: value})
        if self.name in LAYERS and value < 1:
            raise SettingError(f"{self.name} must be at least 1; got {value}")
        self.check(self.name, value)
        if value is not None and self.name in _NAMED and value not in ((), ""):
            for one in value if isinstance(value, tuple) and self.name == "activation" else [value]:
                _NAMED[self.name](one)


def find_searched(of_model: Mapping[str, Any], check: Check) -> dict[str, Searched]:
    """Return every setting that can be searched, by name: of the training, and of the model, whose types are given."""
    hints = typing.get_type_hints(Settings)
    layers = LAYERS if "hidden" in of_model else {}
    own = {name: Searched(name, kind, check) for name, kind in {**of_model, **layers}.items()}
    return {**own, **{name: Searched(name, hints[name], unchecked) for name in SEARCHED}}


def unchecked(name: str, value: Any) -> None:
    """Refuse nothing."""


def unknown(name: str, known: Mapping[str, Searched], where: str) -> ChainruleError:
    """Return the error for a setting that cannot be searched, with the nearest that can."""
    if name in {item.name for item in fields(Settings)}:
        return SettingError(
            f"{where}{name} is the same for the whole search and cannot be searched; give it as fit takes it, such as "
            f"--set {name}=…"
        )
    shown = visible(name, 40)
    if _OTHERS_SAY.get(name.lower()) in known:
        return UnknownNameError(
            f"{where}no setting is called '{shown}'; it is {_OTHERS_SAY[name.lower()]} here"
        )
    close = nearest(name, known)
    hint = f"; did you mean {' or '.join(repr(one) for one in close)}?" if close else ""
    return UnknownNameError(
        f"{where}no setting is called '{shown}'{hint} (of {len(known)}: {', '.join(sorted(known))})"
    )


_NAMED: dict[str, Callable[[Any], Any]] = {
    "optimizer": lambda name: load("optimizer", name),
    "schedule": lambda name: load("schedule", name),
    "loss": loss,
    "initial": find_initial,
    "normalisation": lambda name: parametrised("normalisation", name),
    "augment": check_augmentation,
    "activation": activation,
}


def _is_of(value: Any, kind: Any) -> bool:
    if kind in (type(None), None):
        return value is None
    if typing.get_origin(kind) is not None:
        inner = typing.get_args(kind)[0]
        return isinstance(value, tuple) and all(_is_of(item, inner) for item in value)
    if kind is bool:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return isinstance(value, kind)


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a name", type(None): "none"}
