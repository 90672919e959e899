"""What a user asked of `fit`, and what can be refused before any data is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from torch import nn

from chainrule.catalog import CLASSICAL, MODELS, load
from chainrule.core.errors import SettingError
from chainrule.core.text import visible
from chainrule.data.division import parse_split
from chainrule.data.reading import Divided
from chainrule.jobs.workshop import hyperparameters
from chainrule.models.classical import build_classical
from chainrule.nn.initial import find_initial
from chainrule.optim.rules import check_hyperparameters
from chainrule.train.named import wrong_names
from chainrule.train.plan import make_plan, names_a_way
from chainrule.train.settings import OF_ANY_MODEL, Settings, flag_of, with_named
from chainrule.train.task import LossFunction

CHECKPOINT_SECONDS = 1.0  # least time between two checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asked of `fit`."""

    data: Any = None
    target: str | None = None
    settings: Settings = field(default_factory=Settings)
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    model: nn.Module | None = None
    loss: LossFunction | None = None
    runs: Path = Path("runs")
    name: str | None = None
    resume: Path | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    track: Callable[..., Any] | None = None
    command: str | None = None
    verbose: bool = False


def make_request(
    data: Any,
    asked: Settings | None = None,
    *,
    target: str | None,
    model: str | nn.Module | None = None,
    loss: str | LossFunction | None = None,
    settings: Mapping[str, Any] | None,
    model_settings: Mapping[str, Any] | None = None,
    runs: str | Path,
) -> Request:
    """Return the request of a call from Python: model and loss are names or objects, `settings` are others by name.

    Raises: UnknownNameError, SettingError for settings that there are not
    """
    named = {"model": model, "loss": loss}
    words = {name: said for name, said in named.items() if isinstance(said, str)}
    return Request(
        data=data,
        target=target,
        settings=with_named(asked or Settings(), {**words, **(settings or {})}),
        model_settings=model_settings or {},
        model=model if isinstance(model, nn.Module) else None,
        loss=None if isinstance(loss, str) else loss,
        runs=Path(runs),
    )


def divided(data: Any, settings: Settings, validation_data: Any, test_data: Any) -> Any:
    """Return the data with parts that were given apart. Raises: SettingError for a part that is given and drawn."""
    for name, part, fraction in (
        ("validation", validation_data, settings.validation),
        ("test", test_data, settings.test),
    ):
        if part is not None and fraction is not None:
            raise SettingError(
                f"--{name} {fraction:g} draws rows for what --{name}-data gives; leave out one of them"
            )
    if validation_data is None and test_data is None:
        return data
    return Divided(train=data, validation=validation_data, test=test_data)


def called(data: Any) -> str:
    """Say in a few words what data was asked for. Raises: SettingError for none."""
    if data is None:
        raise SettingError(
            "no data: name a built-in data set, a file or a folder (chainrule datasets lists what is built in)"
        )
    if isinstance(data, Divided):
        others = [(name, part) for name, part in (("validation", data.validation), ("test", data.test))]
        return ", ".join(
            [called(data.train), *(f"{name}: {called(part)}" for name, part in others if part is not None)]
        )
    if isinstance(data, list | tuple) and all(isinstance(item, str | Path) for item in data):
        return f"{data[0]} and {len(data) - 1} more" if len(data) > 1 else str(data[0])
    return str(data) if isinstance(data, str | Path) else type(data).__name__


def check_trainable(model: str) -> None:
    """Refuse to train what is built by hand. Raises: SettingError."""
    if model in MODELS and not MODELS[model].is_trainable:
        raise SettingError(
            f"the model {model} is built by hand and has nothing to train: chainrule.build({model!r}, …) gives it in Python "
            f"(chainrule models {model}); perceptron, logistic-regression and mlp learn from data"
        )


def check_classical(settings: Settings) -> None:
    """Refuse settings that a model without epochs and weights has no use for. Raises: SettingError"""
    standard = Settings(device="cpu") if settings.device == "cpu" else Settings()
    name = settings.model
    assert name is not None
    # Loads it: what is not installed is said here
    build_classical(name, {}, question=CLASSICAL[name].questions[0])
    given = [
        flag_of(item.name)
        for item in fields(Settings)
        if item.name not in OF_ANY_MODEL and getattr(settings, item.name) != getattr(standard, item.name)
    ]
    if given:
        raise SettingError(
            f"{settings.model} is a classical model, fitted in one go, and {' and '.join(given)} "
            f"{'is' if len(given) == 1 else 'are'} of networks: leave {'it' if len(given) == 1 else 'them'} out "
            f"(chainrule models {settings.model} lists the model's own settings)"
        )


def check_names(settings: Settings) -> None:
    """Refuse unknown names before any data is read."""
    for error in wrong_names(settings).values():
        raise error
    if settings.model in CLASSICAL:
        check_classical(settings)
    elif settings.model is not None:
        load("model", settings.model)
        check_trainable(settings.model)
    if settings.optimizer is not None:
        check_hyperparameters(settings.optimizer, hyperparameters(settings))
    if names_a_way(settings.plan):
        make_plan(settings.plan, settings.device)
    parse_split(settings.split)


def check_loss(request: Request) -> None:
    """Refuse a loss of the user's for a model that is not trained by one. Raises: SettingError"""
    if request.loss is not None and request.settings.model in CLASSICAL:
        raise SettingError(
            f"{request.settings.model} is a classical model with a loss of its own, and loss= is of networks: leave it out"
        )


def check_initial(request: Request) -> None:
    """Refuse starting weights that there are not, or of a model that brings its own. Raises: ChainruleError"""
    initial, model = request.settings.initial, request.settings.model
    if initial is None:
        return
    find_initial(initial)
    if request.model is not None or (model is not None and model not in MODELS):
        whose = type(request.model).__name__ if request.model is not None else visible(model)
        raise SettingError(
            f"the model {whose} is not of the catalogue and starts from the weights that it brings; leave out "
            f"initial={visible(initial, 40)}"
        )
