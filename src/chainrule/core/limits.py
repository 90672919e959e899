"""Limits of a setting, declared beside its type: `filter_size: Annotated[int, Limits(low=1)]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.core.errors import SettingError
from chainrule.core.text import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a value, or each of a list, may be: a number from `low`, below `below`; or one of `words`."""

    low: float | None = None
    below: float | None = None
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say them in words.

        >>> str(Limits(low=0, below=1)), str(Limits(words=("max", "average", "none")))
        ('at least 0 and below 1', 'max, average or none')
        """
        if self.words:
            return " or ".join(filter(None, [", ".join(self.words[:-1]), self.words[-1]]))
        said = {"at least": self.low, "below": self.below}
        return " and ".join(f"{word} {number:g}" for word, number in said.items() if number is not None)

    def check(self, name: str, value: Any) -> None:
        """Refuse a value that is beyond them; what is no number, or no word, is for others to refuse.

        Raises: SettingError
        """
        for one in value if isinstance(value, list | tuple) else [value]:
            if not self._allow(one):
                shown = ",".join(map(str, value)) if isinstance(value, list | tuple) else repr(value)
                raise SettingError(f"{name} must be {self}; got {visible(shown, 40)}")

    def _allow(self, value: Any) -> bool:
        if self.words:
            return not isinstance(value, str) or value in self.words
        if not isinstance(value, int | float):
            return True
        return (self.low is None or value >= self.low) and (self.below is None or value < self.below)
