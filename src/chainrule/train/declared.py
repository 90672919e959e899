"""What a setting declares beside its name, its type and its default: what it is, its limits, and who may give it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chainrule.core.errors import SettingError
from chainrule.core.kinds import in_words, is_of, options_of
from chainrule.core.text import visible

# panels of --help
DATA, JUDGING, TRAINING, ENSEMBLE, RUN = "Data and question", "Judging", "Training", "Ensemble", "Run"
# commands by what they do: read data, judge by parts of it, build a network, train one to its end, train several as one
READ = ("fit", "tune", "cross-validate", "compare", "lr-range", "bench")
JUDGE = ("fit", "tune", "cross-validate", "compare")
NETWORK = ("fit", "tune", "cross-validate", "lr-range", "bench")
TRAIN = ("fit", "tune", "cross-validate")
ENSEMBLES = ("fit", "cross-validate")


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting on the command line: what stands for its value in --help, the panel there, the commands that show it.

    One without a value is switched on and off; one with a `name` of its own is given once for each item of a list.
    """

    value: str | None
    panel: str
    commands: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What is said of a setting: in one line what it is, its limits and the words that it takes (beside numbers)."""

    help: str
    low: float | None = None
    high: float | None = None  # below which it is
    above: float | None = None
    words: tuple[str, ...] = ()
    flag: Flag | None = None
    searched: bool = False  # may differ between the trials of a search
    of_any_model: bool = False  # has a meaning for classical models too


def setting(
    help: str,
    *,
    default: Any = None,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    words: tuple[str, ...] = (),
    flag: Flag | None = None,
    searched: bool = False,
    of_any_model: bool = False,
) -> Any:
    """Return the field of a setting with what it declares."""
    declared = Declared(
        help=help, low=low, high=high, above=above, words=words, flag=flag, searched=searched,
        of_any_model=of_any_model,
    )  # fmt: skip
    return field(default=default, metadata={"declared": declared})


def check(called: str, value: Any, kind: Any, declared: Declared) -> None:
    """Refuse a value of another type, or outside the limits. Raises: SettingError"""
    words = declared.words
    if value in words or (value is None and type(None) in options_of(kind)):
        return
    if (words and isinstance(value, str)) or not is_of(value, kind):
        options = [one for one in options_of(kind) if one is not type(None) and not (words and one is str)]
        wanted = " or ".join([*map(in_words, options), *words])
        raise SettingError(f"{called} takes {wanted}; got {visible(repr(value), 60)}")
    if isinstance(value, int | float):
        _check_limits(called, value, declared)


def _check_limits(called: str, value: float, limits: Declared) -> None:
    if limits.low is not None and value < limits.low:
        raise SettingError(f"{called} must be at least {limits.low:g}; got {value:g}")
    if limits.high is not None and value >= limits.high:
        raise SettingError(f"{called} must be below {limits.high:g}; got {value:g}")
    if limits.above is not None and value <= limits.above:
        raise SettingError(f"{called} must be above {limits.above:g}; got {value:g}")
