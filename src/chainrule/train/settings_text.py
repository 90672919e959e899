"""Settings as text: the pairs KEY=VALUE of `--set`, and the values of flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.core.errors import SettingError
from chainrule.core.kinds import in_words, item_of, options_of, read_text
from chainrule.core.text import visible
from chainrule.train.settings import kinds, unknown_setting


def parse_settings(
    pairs: Sequence[str], model_hints: Callable[[], Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read KEY=VALUE pairs: settings of the training, and settings of the model.

    `model_hints` gives the types of the model's own settings; it is called only if a key asks for it.
    Raises: SettingError for a pair that cannot be read; UnknownNameError for a key that does not exist
    """
    hints = kinds()
    training: dict[str, Any] = {}
    model: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise SettingError(f"--set takes KEY=VALUE; got {visible(pair)!r}")
        if key in hints:
            training[key] = parse_value(key, text, hints[key])
            continue
        of_model = model_hints()
        if key not in of_model:
            raise unknown_setting(key, [*hints, *of_model])
        model[key] = parse_value(key, text, of_model[key])
    return training, model


def parse_training(name: str, text: str | None) -> Any:
    """Read the text of a flag as the setting of the training that it is. Raises: SettingError"""
    return None if text is None else parse_value(name, text, kinds()[name])


def parse_value(key: str, text: str, kind: Any) -> Any:
    """Read a setting's text as what its type says; lists are separated by commas.

    Raises: SettingError saying what is taken
    >>> parse_value("hidden", "128,64", Sequence[int]), parse_value("activation", "relu", str | Sequence[str])
    ((128, 64), 'relu')
    """
    try:
        return read_text(text, kind)
    except ValueError:
        wanted = " or ".join(_as_typed(one) for one in options_of(kind) if one is not type(None))
        raise SettingError(f"{key} takes {wanted}; got {visible(text.strip())!r}") from None


def _as_typed(kind: Any) -> str:
    item = item_of(kind)
    return in_words(kind) if item is None else f"a list like {_LISTS.get(item, 'a,b')}"


_LISTS = {int: "128,64", float: "0.1,0.2"}
