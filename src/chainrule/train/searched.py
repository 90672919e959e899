"""Settings that can be searched, and what values each of them takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.catalog import parametrised
from chainrule.core.errors import ChainruleError, SettingError, UnknownNameError
from chainrule.core.kinds import in_words, is_of, options_of
from chainrule.core.text import visible
from chainrule.nn.activations import activation
from chainrule.train.named import NAMED
from chainrule.train.settings import DECLARED, SEARCHED, check_setting, kinds, unknown_setting

LAYERS = {"layers": int, "units": int}  # of models with hidden layers: so many, each with so many units
# Raises ChainruleError for a value that a setting of the model cannot have
Check = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Searched:
    """A setting that can be searched: its name, its type, and what else is asked of its values."""

    name: str
    kind: Any
    check: Check

    @property
    def types(self) -> tuple[Any, ...]:
        """The types that it may have."""
        return options_of(self.kind)

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        return in_words(self.kind)

    def read(self, value: Any, where: str) -> Any:
        """Return a value as the setting takes it. Raises: SettingError, UnknownNameError, beginning with `where`"""
        made: Any = tuple(value) if isinstance(value, list) else value
        if type(None) in self.types and isinstance(made, str) and made.strip().lower() == "none":
            return None  # for which TOML has no word
        if not is_of(made, self.kind):
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
            check_setting(self.name, value)
        if self.name in LAYERS and value < 1:
            raise SettingError(f"{self.name} must be at least 1; got {value}")
        self.check(self.name, value)
        if value is not None and self.name in _NAMES and value not in ((), ""):
            for one in value if isinstance(value, tuple) and self.name == "activation" else [value]:
                _NAMES[self.name](one)


def find_searched(
    of_model: Mapping[str, Any], check: Check, of_training: Collection[str] = SEARCHED
) -> dict[str, Searched]:
    """Return every setting that can be searched, by name: of the training, and of the model, whose types are given."""
    layers = LAYERS if "hidden" in of_model else {}
    own = {name: Searched(name, kind, check) for name, kind in {**of_model, **layers}.items()}
    training = {
        name: Searched(name, kind, unchecked) for name, kind in kinds().items() if name in of_training
    }
    return {**own, **training}


def unchecked(name: str, value: Any) -> None:
    """Refuse nothing."""


def unknown(name: str, known: Mapping[str, Searched], where: str) -> ChainruleError:
    """Return the error for a setting that cannot be searched, with the nearest that can."""
    if name in SEARCHED:
        return SettingError(
            f"{where}{name} is a setting of how networks are trained, and this model is fitted in one go; its own: "
            f"{', '.join(known)}"
        )
    if name in DECLARED:
        return SettingError(
            f"{where}{name} is the same for the whole search and cannot be searched; give it as fit takes it, such as "
            f"--set {name}=…"
        )
    return UnknownNameError(f"{where}{unknown_setting(name, known)}")


_NAMES: Mapping[str, Callable[[Any], Any]] = {
    **NAMED,
    "normalisation": lambda name: parametrised("normalisation", name),
    "activation": activation,
}
