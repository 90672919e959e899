"""A search space: for each setting the values that it may take, read from JSON or TOML and checked before anything runs.

A setting is given a list of values, or a range `{low, high, log, steps}`. With `steps` a range has so many values from
low to high, both included; without, it has every value between them.
"""

from __future__ import annotations

import itertools
import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.core.errors import DataError, SettingError, UnknownNameError, nearest
from chainrule.core.text import visible
from chainrule.train.searched import LAYERS, Searched, unknown

Values = dict[str, Any]
MOST_VALUES = 10_000  # of one setting
_RANGE = ("low", "high", "log", "steps")


@dataclass(frozen=True, slots=True)
class Choices:
    """Values in a list."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """Return the value that lies at a share, from 0 to below 1, of all of them."""
        return self.values[int(share * len(self.values))]

    def holds(self, value: Any) -> bool:
        """Whether this is one of the values."""
        return value in self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from low to high, both included; of a logarithmic one, factors count instead of differences."""

    low: float
    high: float
    is_log: bool = False
    steps: int | None = None
    is_whole: bool = False

    @property
    def values(self) -> tuple[Any, ...] | None:
        """The values of a range with steps, None of one without.

        >>> Range(low=1e-4, high=1e-1, is_log=True, steps=4).values, Range(low=16, high=64, steps=3, is_whole=True).values
        ((0.0001, 0.001, 0.01, 0.1), (16, 40, 64))
        """
        if self.steps is None:
            return None
        between = [self._number(place / (self.steps - 1)) for place in range(1, self.steps - 1)]
        return tuple(dict.fromkeys([self._read(self.low), *between, self._read(self.high)]))

    def at(self, share: float) -> Any:
        """Return the value that lies at a share, from 0 to below 1, of the way."""
        if (values := self.values) is not None:
            return values[int(share * len(values))]
        if self.is_whole and not self.is_log:
            return int(self.low) + int(share * (self.high - self.low + 1))
        return self._number(share)

    def holds(self, value: Any) -> bool:
        """Whether this is a number of the range."""
        return isinstance(value, int if self.is_whole else float) and self.low <= value <= self.high

    def _number(self, share: float) -> Any:
        if self.is_log:
            exact = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            exact = self.low + share * (self.high - self.low)
        return self._read(min(self.high, max(self.low, float(f"{exact:.12g}"))))

    def _read(self, number: float) -> Any:
        return round(number) if self.is_whole else float(number)


@dataclass(frozen=True, slots=True)
class Space:
    """What a search may choose from, setting by setting."""

    settings: Mapping[str, Choices | Range]

    @property
    def size(self) -> int | None:
        """The number of combinations; None where a range has no steps."""
        counts = [part.values for part in self.settings.values()]
        return None if None in counts else math.prod(len(values) for values in counts if values is not None)

    def combinations(self) -> Iterator[Values]:
        """Give every combination once, the last setting changing fastest. Raises: SettingError for a range without steps"""
        for name, part in self.settings.items():
            if part.values is None:
                raise SettingError(
                    f'a grid needs every value, but the range of {name} has no steps; add them, such as "steps": 8, or take '
                    "--method random"
                )
        values = [part.values or () for part in self.settings.values()]
        for chosen in itertools.product(*values):
            yield dict(zip(self.settings, chosen, strict=True))

    def at(self, shares: Sequence[float]) -> Values:
        """Return the combination that lies at a share of each setting. Shapes: shares, one for each setting, in [0, 1)"""
        return {
            name: part.at(share) for (name, part), share in zip(self.settings.items(), shares, strict=True)
        }

    def holds(self, values: Values) -> bool:
        """Whether this is a combination of the space."""
        return values.keys() == self.settings.keys() and all(
            part.holds(values[name]) for name, part in self.settings.items()
        )

    def to_json(self) -> dict[str, Any]:
        """Return the space as it is written in a file."""
        return {name: _written(part) for name, part in self.settings.items()}


def read_space(path: Path, known: Callable[[], Mapping[str, Searched]]) -> Space:
    """Read a space from a .json or .toml file, for a model with these settings.

    Raises: DataError for a file that cannot be read; as `parse_space` for what it says
    """
    shown = visible(path)
    if path.suffix.lower() not in (".json", ".toml"):
        raise SettingError(f"--space takes a .json or .toml file, or the word defaults; got {shown}")
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise DataError(
            f"there is no file {shown}; --space takes a .json or .toml file, or the word defaults"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{shown} cannot be read: {visible(error)}") from error
    try:
        if path.suffix.lower() == ".toml":
            content: Any = tomllib.loads(text)
        else:
            content = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shown} is no {path.suffix[1:].upper()}: {visible(error)}") from error
    return parse_space(content, known, f"{shown}: ")


def parse_space(said: Any, known: Callable[[], Mapping[str, Searched]], where: str = "space: ") -> Space:
    """Check a space that was given by name. Messages begin with `where`.

    Raises: UnknownNameError for a setting that there is not, with the nearest; SettingError for a range that is empty,
    values of another type or beyond the setting's limits
    """
    if not isinstance(said, Mapping) or not said:
        raise SettingError(
            f'{where}a space maps settings to values, such as {{"learning_rate": [0.001, 0.01]}}; got '
            f"{'nothing' if not said else visible(repr(said), 60)}"
        )
    settings = known()
    found: dict[str, Choices | Range] = {}
    for key, value in said.items():
        name = str(key).strip().replace("-", "_")
        if name not in settings:
            raise unknown(name, settings, where)
        if name in found:
            raise SettingError(f"{where}{name} stands there twice")
        found[name] = _part(settings[name], value, f"{where}{name}: ")
    if "hidden" in found and (both := [name for name in LAYERS if name in found]):
        raise SettingError(f"{where}hidden says what {' and '.join(both)} say; leave out one or the other")
    return Space(found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return found


def _part(setting: Searched, said: Any, where: str) -> Choices | Range:
    if isinstance(said, Mapping):
        return _range(setting, said, where)
    if not isinstance(said, list | tuple):
        raise SettingError(
            f"{where}takes a list of values, or {{low, high, log, steps}}; got {visible(repr(said), 40)} "
            f"(one value: [{visible(json.dumps(said, default=str), 40)}])"
        )
    if not said:
        raise SettingError(f"{where}the list is empty; it needs one value at least")
    values = tuple(setting.read(value, where) for value in said)
    for place, value in enumerate(values):
        if value in values[:place]:
            raise SettingError(f"{where}{visible(repr(value), 40)} stands there twice")
    return Choices(values)


def _range(setting: Searched, said: Mapping[str, Any], where: str) -> Range:
    for key in said:
        if key not in _RANGE:
            close = nearest(str(key), _RANGE)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise UnknownNameError(
                f"{where}a range has low, high, log and steps; got '{visible(key, 40)}'{hint}"
            )
    for key in ("low", "high"):
        if key not in said:
            raise SettingError(f"{where}a range needs low and high; {key} is missing")
        if isinstance(said[key], bool) or not isinstance(said[key], int | float):
            raise SettingError(f"{where}{key} takes a number; got {visible(repr(said[key]), 40)}")
    if not {int, float} & set(setting.types):
        raise SettingError(f"{where}takes {setting.takes}, which has no range; write a list of values")
    is_whole = float not in setting.types
    low, high = (setting.read(said[key], f"{where}{key}: ") for key in ("low", "high"))
    is_log, steps = said.get("log", False), said.get("steps")
    if not isinstance(is_log, bool):
        raise SettingError(f"{where}log takes true or false; got {visible(repr(is_log), 40)}")
    if steps is not None and (
        isinstance(steps, bool) or not isinstance(steps, int) or not 2 <= steps <= MOST_VALUES
    ):
        raise SettingError(
            f"{where}steps is how many values there are from low to high, 2 to {MOST_VALUES:,}; got {visible(repr(steps), 40)}"
        )
    if low >= high:
        one = f" (one value: [{low:g}])" if low == high else ""
        raise SettingError(
            f"{where}the range is empty: low must be below high; got low {low:g} and high {high:g}{one}"
        )
    if is_log and low <= 0:
        raise SettingError(f"{where}a logarithmic range begins above 0; got low {low:g}")
    return Range(low=low, high=high, is_log=is_log, steps=steps, is_whole=is_whole)


def _written(part: Choices | Range) -> Any:
    if isinstance(part, Choices):
        return [list(value) if isinstance(value, tuple) else value for value in part.values]
    steps = {} if part.steps is None else {"steps": part.steps}
    return {"low": part.low, "high": part.high, "log": part.is_log, **steps}
