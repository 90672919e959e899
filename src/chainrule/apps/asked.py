"""What the flags of a command say of data and training, and the request that they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chainrule.apps.flags import SET, TARGET, option_of, type_of, value_of
from chainrule.core.errors import SettingError
from chainrule.train.settings import FLAGS, Settings, flag_of
from chainrule.train.settings_text import parse_settings

if TYPE_CHECKING:
    from chainrule.jobs.request import Request

Command = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was said: the target, settings by their flags, and others as pairs KEY=VALUE."""

    target: str | None
    flags: Mapping[str, Any]
    pairs: Sequence[str]

    def request(
        self,
        data: Sequence[str] | None,
        *,
        runs: Path,
        track: Callable[..., Any] | None,
        validation_data: str | None = None,
        test_data: str | None = None,
    ) -> Request:
        """Return the request for a job. Raises: SettingError, UnknownNameError for settings that there are not"""
        training, of_model = parse_settings(self.pairs, self._model_hints)
        settings = Settings(
            **{**training, **{name: value_of(name, given) for name, given in self.flags.items()}}
        )
        from chainrule.jobs.request import Request, divided

        named = data[0] if data and len(data) == 1 else data or None
        return Request(
            data=divided(named, settings, validation_data, test_data),
            target=self.target,
            settings=settings,
            model_settings=of_model,
            runs=runs,
            track=track,
        )

    def words(self) -> list[str]:
        """Return what was said, as it is typed."""
        target = [] if self.target is None else ["--target", self.target]
        flags = [word for name, given in self.flags.items() for word in _words(name, given)]
        return [*target, *flags, *(word for pair in self.pairs for word in ("--set", pair))]

    def said(self) -> list[str]:
        """Return the flags that were given."""
        target = ["--target"] if self.target is not None else []
        return [*target, *map(flag_of, self.flags), *(["--set"] if self.pairs else [])]

    def _model_hints(self) -> Mapping[str, Any]:
        """Return the types of the settings of the model that is named, of an mlp where none is."""
        from chainrule.jobs.preparation import load_model_settings

        named = [pair.partition("=")[2] for pair in self.pairs if pair.startswith("model=")]
        return load_model_settings(self.flags.get("model") or (named[0] if named else "mlp"))


def takes_settings(**texts: str) -> Callable[[Command], Command]:
    """Spread a command's parameter `asked`, where it stands, into --target, the flags of the settings that it shows, and --set.

    `texts` are what --help says of settings that mean something else to this command.
    """

    def spread(command: Command) -> Command:
        shown = command.__name__.replace("_", "-")
        names = [name for name, flag in FLAGS.items() if shown in flag.commands]

        @functools.wraps(command)
        def spread_out(*, target: str | None, set_: list[str] | None, **given: Any) -> None:
            flags = {name: given.pop(name) for name in names}
            said = {name: value for name, value in flags.items() if value not in (None, [])}
            command(asked=Asked(target=target, flags=said, pairs=set_ or []), **given)

        parameters: list[Parameter] = []
        for own in inspect.signature(command, eval_str=True).parameters.values():
            parameters += (
                _flags(names, texts) if own.name == "asked" else [own.replace(kind=Parameter.KEYWORD_ONLY)]
            )
        spread_out.__annotations__ = {one.name: one.annotation for one in parameters}
        vars(spread_out)["__signature__"] = Signature(parameters)
        return spread_out

    return spread


def _flags(names: Sequence[str], texts: Mapping[str, str]) -> list[Parameter]:
    """Return --target, the flags of settings and --set as parameters."""
    annotations = {
        "target": TARGET,
        **{name: Annotated[type_of(name) | None, option_of(name, texts.get(name))] for name in names},
        "set_": SET,
    }
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=one)
        for name, one in annotations.items()
    ]


def _words(name: str, given: Any) -> list[str]:
    flag = flag_of(name)
    if isinstance(given, bool):
        return [flag if given else f"--no-{flag[2:]}"]
    return [word for one in (given if isinstance(given, list) else [given]) for word in (flag, str(one))]


def nothing_beside_resume(
    where: str, data: Sequence[str] | None, asked: Asked, given: Mapping[str, Any]
) -> None:
    """Refuse what stands beside --resume. Raises: SettingError"""
    extra = [f"DATA ({' '.join(data)})"] if data else []
    extra += [
        *asked.said(),
        *("--" + name.replace("_", "-") for name, value in given.items() if value is not None),
    ]
    if extra:
        raise SettingError(f"--resume takes everything from {where}; leave out {', '.join(extra)}")
