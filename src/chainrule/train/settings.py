"""One schema of settings, shared by flags, `--set`, recipes and search spaces. Imports neither torch nor polars.

A setting that is None is chosen by `suggestions.py` from the data; the recipe holds what was chosen.
"""

from __future__ import annotations

import contextlib
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from chainrule.core.errors import SettingError, UnknownNameError, unknown_name
from chainrule.core.text import visible
from chainrule.core.units import parse_bytes

FLAGS = frozenset(
    [
        "model",
        "task",
        "epochs",
        "batch_size",
        "optimizer",
        "learning_rate",
        "schedule",
        "weight_decay",
        "dropout",
        "augment",
        "patience",
        "metric",
        "class_weight",
        "merge_classes",
        "decimal",
        "encoding",
        "sheet",
        "validation",
        "test",
        "split",
        "by",
        "memory",
        "seed",
        "device",
        "plan",
        "members",
        "ensemble",
        "vote",
    ]
)


def _setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    words: tuple[str, ...] = (),
) -> Any:
    limits = {"low": low, "high": high, "above": above, "words": words}
    return field(default=default, metadata={"help": text, **limits})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to train. Every field is a key of `--set` and of `cr.fit(settings=…)`; those in FLAGS are flags of `fit` too."""

    # ---- question and network
    model: str | None = _setting(None, "name of a model (chainrule models), or package.module:Name")
    task: str | None = _setting(None, "regression or classification; without it, by the target")
    loss: str | None = _setting(None, "name of a loss; without it, the task's own")
    # ---- ensembles
    members: int | None = _setting(
        None, "networks that answer together as one; trained side by side where they can be", low=2
    )
    ensemble: str | None = _setting(
        None,
        "how the members differ: deep (in their seeds; the default), bagging (each on rows drawn with repetition), boosting "
        "(rows that one gets wrong weigh more for the next) or snapshot (stages of one training)",
    )
    vote: str | None = _setting(
        None,
        "how members answer together: average of probabilities or values; majority of the classes answered; median of "
        "values; without it average, and by weight in boosting",
    )
    # ---- length and order
    epochs: int | None = _setting(None, "passes over the training rows, at most", low=1)
    batch_size: int | str | None = _setting(
        None, "rows per update; all: every training row at once", low=1, words=("all",)
    )
    shuffle: bool = _setting(True, "whether every epoch takes the rows in a new order; else as they stand")
    # ---- starting weights
    initial: str | None = _setting(
        None, "starting weights: xavier, he, lecun, orthogonal, normal:STD, …; without it standard"
    )
    pretrain: int | None = _setting(
        None, "epochs in which each hidden layer of an mlp first learns to give back what reaches it", low=0
    )
    # ---- update rule
    optimizer: str | None = _setting(None, "update rule: sgd, momentum, nesterov, rmsprop, adam, adamw, …")
    learning_rate: float | None = _setting(None, "learning rate at its highest", above=0)
    momentum: float | None = _setting(
        None, "share of the velocity kept (0.9; momentum, nesterov)", low=0, high=1
    )
    beta1: float | None = _setting(
        None, "share of the past in the mean gradient (0.9; adam, adamw, nadam)", low=0, high=1
    )
    beta2: float | None = _setting(
        None, "share of the past in the mean squared gradient (0.999; adam, adamw, nadam)", low=0, high=1
    )
    rho: float | None = _setting(
        None, "share of the past in the mean squared gradient (0.9; rmsprop, adadelta)", low=0, high=1
    )
    epsilon: float | None = _setting(
        None, "added to divisors, so that none is 0 (1e-8; adadelta 1e-6, adagrad 1e-10)", above=0
    )
    # ---- schedule of the learning rate
    schedule: str | None = _setting(
        None, "learning rate over the run: constant, step, exponential, cosine, linear, plateau"
    )
    warmup_epochs: float | None = _setting(
        None, "epochs in which the rate rises to its highest, such as 2 or 0.5; 0: none", low=0
    )
    drop_epochs: int | None = _setting(None, "epochs between two drops of the schedule step", low=1)
    drop_factor: float | None = _setting(
        None, "factor of the rate at each drop of step and plateau (0.1)", above=0, high=1
    )
    decay_rate: float | None = _setting(
        None, "k of the schedule exponential: the rate falls as e^(-k t) over t epochs", above=0
    )
    schedule_patience: int | None = _setting(
        None, "epochs without a better validation loss before plateau drops the rate (10)", low=1
    )
    cycles: int | None = _setting(
        None, "times that the rate of the schedule cosine falls, each time anew from its highest (1)", low=1
    )
    lowest_rate: float | None = _setting(
        None, "rate where cosine and linear end (0), and below which plateau does not drop (1e-6)", low=0
    )
    # ---- regularisation
    weight_decay: float | None = _setting(
        None, "decay of the weights (an L2 penalty; decoupled for adamw)", low=0
    )
    l1: float | None = _setting(
        None,
        "strength of an L1 penalty, which sets weights to exactly 0; with --weight-decay an elastic net",
        low=0,
    )
    penalty: str | None = _setting(
        None,
        "where l1 and weight decay act: coupled (added to the loss) or decoupled (applied to the weights); without it, as "
        "the optimizer has it: decoupled for adamw, coupled for the others",
    )
    dropout: float | None = _setting(
        None, "part of the hidden values set to zero while training", low=0, high=1
    )
    label_smoothing: float | None = _setting(
        None, "part of the target given to the other classes", low=0, high=1
    )
    decay_with_loss: bool | None = _setting(
        None,
        "whether weight decay falls with the running training loss, in proportion to it once it is below 1",
    )
    # ---- clipping
    clip_norm: float | None = _setting(None, "longest gradient; longer ones are shortened to it", above=0)
    clip_value: float | None = _setting(
        None, "largest entry of a gradient; larger ones are cut to it", above=0
    )
    # ---- preparation
    augment: tuple[str, ...] = _setting(
        (), "changes drawn anew for every training picture: flip, flip-vertical, shift, crop"
    )
    scaling: str = _setting(
        "standard",
        "how numbers and pixels are scaled: standard (mean 0, deviation 1), range (0 to 1), symmetric (-1 to 1) or none",
    )
    picture_size: int | None = _setting(None, "pixels a side that pictures of a folder are resized to", low=1)
    # ---- how it is judged
    validation: float | None = _setting(
        None, "part of all rows that validates (0.1); 0: none, no early stopping", low=0, high=1
    )
    test: float | None = _setting(None, "part of all rows that is kept for the test (0.2)", low=0, high=1)
    folds: int | None = _setting(
        None,
        "networks that judge few rows in place of a test set; as many as rows: leave-one-out; 0: none",
        low=0,
    )
    split: str = _setting(
        "random",
        "how rows are divided: random (the default), time:COLUMN (the latest rows test), group:COLUMN (rows of a group stay "
        "together), predefined (as the data says) or predefined:COLUMN (words train, validation, test)",
    )
    metric: str | None = _setting(
        None,
        "score that chooses the best epoch and stands in tables: auc, f1, log-loss, mae, …; without it the validation "
        "loss chooses",
    )
    class_weight: str | None = _setting(
        None, "with balanced, every class counts alike in the loss, rare ones as much as frequent ones"
    )
    by: str | None = _setting(None, "column whose groups are judged apart in the report")
    # ---- how data is read
    columns: tuple[str, ...] = _setting(
        (), "what columns are, as NAME=KIND: number, category, boolean, date or ignore"
    )
    decimal: str | None = _setting(None, "decimal sign of numbers in text tables: . or ,; without it, found")
    encoding: str | None = _setting(None, "encoding of text tables, such as cp1252; without it, found")
    sheet: str | None = _setting(None, "sheet of a workbook; without it, the first that holds data")
    merge_classes: bool | None = _setting(
        None, "whether classes that differ in case and outer spaces alone are one"
    )
    memory: str | None = _setting(
        None,
        "most memory for the data, such as 1GB; what does not fit stays on disk; without it, by what is free",
    )
    # ---- when training ends
    patience: int | None = _setting(
        None,
        "epochs without a better validation loss before training stops; without it all epochs are made",
        low=1,
    )
    stop_tolerance: float | None = _setting(
        None,
        "training stops once the training loss of an epoch differs from that before by no more than this",
        low=0,
    )
    stop_on_no_decrease: bool | None = _setting(
        None, "training stops once the training loss of an epoch is no lower than that before"
    )
    # ---- chance and machine
    seed: int = _setting(
        0, "seed of all chance: split, starting weights, order, dropout, augmentation", low=0
    )
    device: str = _setting("auto", "where to run: auto (the default), cpu, cuda or mps")
    plan: str = _setting(
        "auto",
        "how to run: auto (the default) tries what applies and takes the fastest that computes the same; plain; dense "
        "(explicit backprop, for chains of dense layers); bfloat16, channels-last, compiled or several with commas between; "
        "or a run, whose plan is taken",
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item.name, str(item.type), getattr(self, item.name), item.metadata)
        if self.memory is not None:
            parse_bytes(self.memory)
        if self.class_weight is not None:
            check_class_weight(self.class_weight)
        if self.penalty not in (None, "coupled", "decoupled"):
            raise SettingError(f"penalty takes coupled or decoupled; got '{visible(self.penalty, 40)}'")

    def filled(self, chosen: Mapping[str, Any]) -> Settings:
        """Return these settings with `chosen` where nothing was said."""
        return replace(self, **{k: v for k, v in chosen.items() if getattr(self, k) is None})


def with_named(settings: Settings, named: Mapping[str, Any]) -> Settings:
    """Return settings with others put in by name. Raises: UnknownNameError; SettingError for a value that does not fit"""
    known = [item.name for item in fields(Settings)]
    for key in named:
        if key not in known:
            raise unknown_name("setting", key, known)
    return replace(settings, **named)


def check_class_weight(said: str) -> None:
    """Refuse a way to weigh classes that there is not. Raises: SettingError"""
    if said != "balanced":
        raise SettingError(f"--class-weight takes balanced; got '{visible(said, 40)}'")


def flag_of(name: str) -> str:
    """Return how a setting is given on the command line: as a flag of its own, or by --set."""
    return "--" + name.replace("_", "-") if name in FLAGS else f"--set {name}"


_STEP_SIZES = ("lr", "eta", "alpha", "step_size")  # what others call it


def help_text(name: str) -> str:
    """Return what a setting is, in one line."""
    return next(str(item.metadata["help"]) for item in fields(Settings) if item.name == name)


def parse_settings(
    pairs: Sequence[str], model_hints: Callable[[], Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read KEY=VALUE pairs: settings of the training, and settings of the model.

    `model_hints` gives the types of the model's own settings; it is called only if a key asks for it.
    Raises: SettingError for a pair that cannot be read; UnknownNameError for a key that does not exist
    """
    hints = typing.get_type_hints(Settings)
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
        if key not in of_model and key in _STEP_SIZES:
            raise UnknownNameError(f"no setting is called '{key}'; the step size is learning_rate")
        if key not in of_model:
            raise unknown_name("setting", key, list(dict.fromkeys([*hints, *of_model])))
        model[key] = parse_value(key, text, of_model[key])
    return training, model


def parse_training(name: str, text: str | None) -> Any:
    """Read the text of a flag as the setting of the training that it is. Raises: SettingError"""
    return None if text is None else parse_value(name, text, typing.get_type_hints(Settings)[name])


def parse_value(key: str, text: str, kind: Any) -> Any:
    """Read a setting's text as what its type says; lists are separated by commas.

    >>> parse_value("hidden", "128,64", Sequence[int]), parse_value("activation", "relu", str | Sequence[str])
    ((128, 64), 'relu')
    """
    options = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    text = text.strip()
    if type(None) in options and text.lower() in ("", "none", "auto"):
        return None
    lists = [o for o in options if typing.get_origin(o) is not None]
    singles = [o for o in options if o in (bool, int, float, str)]
    try:
        if lists and ("," in text or not singles or text == ""):
            inner = typing.get_args(lists[0])[0]
            return tuple(_scalar(part.strip(), inner) for part in text.split(",") if part.strip())
        return _first_of(text, singles or [str])
    except ValueError:
        wanted = " or ".join(_in_words(o) for o in options if o is not type(None))
        raise SettingError(f"{key} takes {wanted}; got {visible(text)!r}") from None


def _first_of(text: str, kinds: list[Any]) -> Any:
    """Read a text as the first of the types that it can be. Raises: ValueError if it can be none"""
    *others, last = kinds
    for kind in others:
        with contextlib.suppress(ValueError):
            return _scalar(text, kind)
    return _scalar(text, last)


def _in_words(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}
    inner = typing.get_args(kind)
    return f"a list like {_EXAMPLES.get(inner[0], 'a,b')}" if inner else words.get(kind, str(kind))


_EXAMPLES = {int: "128,64", float: "0.1,0.2"}


def _scalar(text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() in ("true", "yes", "1", "on"):
            return True
        if text.lower() in ("false", "no", "0", "off"):
            return False
        raise ValueError(text)
    if kind is int:
        number = float(text)
        if not number.is_integer():
            raise ValueError(text)
        return int(number)
    return kind(text)


def _check(name: str, kind: str, value: Any, limits: Mapping[str, Any]) -> None:
    """Refuse a value of another type, or outside its limits. `kind` is the annotation, such as "int | None"."""
    flag = "--" + name.replace("_", "-") if name in FLAGS else name
    if value is None and "None" in kind:
        return
    words = limits["words"]
    if value in words:
        return
    wanted, article = next(found for found in _KINDS if found[0] in kind)
    fits = {
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
        "tuple": isinstance(value, tuple) and all(isinstance(item, str) for item in value),
    }
    if not fits[wanted]:
        raise SettingError(f"{flag} takes {' or '.join([article, *words])}; got {value!r}")
    if wanted in ("bool", "str", "tuple"):
        return
    low, high, above = limits["low"], limits["high"], limits["above"]
    if low is not None and value < low:
        raise SettingError(f"{flag} must be at least {low:g}; got {value:g}")
    if high is not None and value >= high:
        raise SettingError(f"{flag} must be below {high:g}; got {value:g}")
    if above is not None and value <= above:
        raise SettingError(f"{flag} must be above {above:g}; got {value:g}")


_KINDS = (
    ("tuple", "a list"),
    ("bool", "true or false"),
    ("float", "a number"),
    ("int", "a whole number"),
    ("str", "a name"),
)
