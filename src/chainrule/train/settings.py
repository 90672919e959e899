"""One table of settings, from which flags, `--set`, recipes and search spaces come. Imports neither torch nor polars.

A setting that is None is chosen by `suggestions.py` from the data; the recipe holds what was chosen.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from chainrule.core.errors import UnknownNameError, unknown_name
from chainrule.core.units import parse_bytes
from chainrule.train.declared import (
    DATA,
    ENSEMBLE,
    ENSEMBLES,
    JUDGE,
    JUDGING,
    NETWORK,
    READ,
    RUN,
    TRAIN,
    TRAINING,
    Declared,
    Flag,
    check,
    setting,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to train. Every field is a key of `--set` and of `cr.fit(settings=…)`; one with a flag is a flag of `fit` too."""

    # fmt: off
    # ---- question and network
    model: str | None = setting(
        "name of a model (chainrule models), or package.module:Name",
        flag=Flag("NAME", TRAINING, NETWORK), of_any_model=True
    )
    task: str | None = setting(
        "regression or classification; without it, by the target", flag=Flag("KIND", DATA, READ), of_any_model=True
    )
    loss: str | None = setting("name of a loss; without it, the task's own", searched=True)
    # ---- ensembles
    members: int | None = setting(
        "networks that answer together as one; trained side by side where they can be",
        low=2, flag=Flag("N", ENSEMBLE, ENSEMBLES)
    )
    ensemble: str | None = setting(
        "how the members differ: deep (in their seeds; the default), bagging (each on rows drawn with repetition), "
        "boosting (rows that one gets wrong weigh more for the next) or snapshot (stages of one training)",
        flag=Flag("KIND", ENSEMBLE, ENSEMBLES)
    )
    vote: str | None = setting(
        "how members answer together: average of probabilities or values; majority of the classes answered; median of "
        "values; without it average, and by weight in boosting",
        flag=Flag("KIND", ENSEMBLE, ENSEMBLES)
    )
    # ---- length and order
    epochs: int | None = setting(
        "passes over the training rows, at most", low=1, flag=Flag("N", TRAINING, JUDGE), searched=True
    )
    batch_size: int | str | None = setting(
        "rows per update; all: every training row at once",
        low=1, words=("all",), flag=Flag("N", TRAINING, NETWORK), searched=True
    )
    shuffle: bool = setting(
        "whether every epoch takes the rows in a new order; else as they stand", default=True, searched=True
    )
    # ---- starting weights
    initial: str | None = setting(
        "starting weights: xavier, he, lecun, orthogonal, normal:STD, …; without it standard", searched=True
    )
    pretrain: int | None = setting(
        "epochs in which each hidden layer of an mlp first learns to give back what reaches it", low=0, searched=True
    )
    # ---- update rule
    optimizer: str | None = setting(
        "update rule: sgd, momentum, nesterov, rmsprop, adam, adamw, …",
        flag=Flag("NAME", TRAINING, NETWORK), searched=True
    )
    learning_rate: float | None = setting(
        "learning rate at its highest", above=0, flag=Flag("X", TRAINING, TRAIN), searched=True
    )
    momentum: float | None = setting(
        "share of the velocity kept (0.9; momentum, nesterov)", low=0, high=1, searched=True
    )
    beta1: float | None = setting(
        "share of the past in the mean gradient (0.9; adam, adamw, nadam)", low=0, high=1, searched=True
    )
    beta2: float | None = setting(
        "share of the past in the mean squared gradient (0.999; adam, adamw, nadam)", low=0, high=1, searched=True
    )
    rho: float | None = setting(
        "share of the past in the mean squared gradient (0.9; rmsprop, adadelta)", low=0, high=1, searched=True
    )
    epsilon: float | None = setting(
        "added to divisors, so that none is 0 (1e-8; adadelta 1e-6, adagrad 1e-10)", above=0, searched=True
    )
    # ---- schedule of the learning rate
    schedule: str | None = setting(
        "learning rate over the run: constant, step, exponential, cosine, linear, plateau",
        flag=Flag("NAME", TRAINING, TRAIN), searched=True
    )
    warmup_epochs: float | None = setting(
        "epochs in which the rate rises to its highest, such as 2 or 0.5; 0: none", low=0, searched=True
    )
    drop_epochs: int | None = setting("epochs between two drops of the schedule step", low=1, searched=True)
    drop_factor: float | None = setting(
        "factor of the rate at each drop of step and plateau (0.1)", above=0, high=1, searched=True
    )
    decay_rate: float | None = setting(
        "k of the schedule exponential: the rate falls as e^(-k t) over t epochs", above=0, searched=True
    )
    schedule_patience: int | None = setting(
        "epochs without a better validation loss before plateau drops the rate (10)", low=1, searched=True
    )
    cycles: int | None = setting(
        "times that the rate of the schedule cosine falls, each time anew from its highest (1)", low=1
    )
    lowest_rate: float | None = setting(
        "rate where cosine and linear end (0), and below which plateau does not drop (1e-6)", low=0, searched=True
    )
    # ---- regularisation
    weight_decay: float | None = setting(
        "decay of the weights (an L2 penalty; decoupled for adamw)",
        low=0, flag=Flag("X", TRAINING, TRAIN), searched=True
    )
    l1: float | None = setting(
        "strength of an L1 penalty, which sets weights to exactly 0; with --weight-decay an elastic net",
        low=0, searched=True
    )
    penalty: str | None = setting(
        "where l1 and weight decay act: coupled (added to the loss) or decoupled (applied to the weights); without "
        "it, as the optimizer has it: decoupled for adamw, coupled for the others",
        words=("coupled", "decoupled"), searched=True
    )
    dropout: float | None = setting(
        "part of the hidden values set to zero while training",
        low=0, high=1, flag=Flag("X", TRAINING, TRAIN), searched=True
    )
    label_smoothing: float | None = setting(
        "part of the target given to the other classes", low=0, high=1, searched=True
    )
    decay_with_loss: bool | None = setting(
        "whether weight decay falls with the running training loss, in proportion to it once it is below 1",
        searched=True
    )
    # ---- clipping
    clip_norm: float | None = setting("longest gradient; longer ones are shortened to it", above=0, searched=True)
    clip_value: float | None = setting("largest entry of a gradient; larger ones are cut to it", above=0, searched=True)
    # ---- preparation
    augment: tuple[str, ...] = setting(
        "changes drawn anew for every training picture: flip, flip-vertical, shift, crop",
        default=(), flag=Flag("NAME,…", TRAINING, TRAIN), searched=True
    )
    scaling: str = setting(
        "how numbers and pixels are scaled: standard (mean 0, deviation 1), range (0 to 1), symmetric (-1 to 1) or "
        "none",
        default="standard", of_any_model=True
    )
    picture_size: int | None = setting(
        "pixels a side that pictures of a folder are resized to", low=1, of_any_model=True
    )
    # ---- how it is judged
    validation: float | None = setting(
        "part of all rows that validates (0.1); 0: none, no early stopping",
        low=0, high=1, flag=Flag("FRACTION", JUDGING, ("fit", "tune")), of_any_model=True
    )
    test: float | None = setting(
        "part of all rows that is kept for the test (0.2)",
        low=0, high=1, flag=Flag("FRACTION", JUDGING, JUDGE), of_any_model=True
    )
    folds: int | None = setting(
        "networks that judge few rows in place of a test set; as many as rows: leave-one-out; 0: none",
        low=0, of_any_model=True
    )
    split: str = setting(
        "how rows are divided: random (the default), time:COLUMN (the latest rows test), group:COLUMN (rows of a "
        "group stay together), predefined (as the data says) or predefined:COLUMN (words train, validation, test)",
        default="random", flag=Flag("KIND", JUDGING, JUDGE), of_any_model=True
    )
    metric: str | None = setting(
        "score that chooses the best epoch and stands in tables: auc, f1, log-loss, mae, …; without it the validation "
        "loss chooses",
        flag=Flag("NAME", JUDGING, TRAIN), of_any_model=True
    )
    class_weight: str | None = setting(
        "with balanced, every class counts alike in the loss, rare ones as much as frequent ones",
        words=("balanced",), flag=Flag("balanced", TRAINING, JUDGE), searched=True, of_any_model=True
    )
    by: str | None = setting(
        "column whose groups are judged apart in the report", flag=Flag("COLUMN", JUDGING, ("fit",)), of_any_model=True
    )
    # ---- how data is read
    columns: tuple[str, ...] = setting(
        "what a column is, as NAME=KIND: number, category, boolean, date or ignore",
        default=(), flag=Flag("NAME=KIND", DATA, READ, name="column"), of_any_model=True
    )
    decimal: str | None = setting(
        "decimal sign of numbers in text tables: . or ,; without it, found",
        flag=Flag("SIGN", DATA, READ), of_any_model=True
    )
    encoding: str | None = setting(
        "encoding of text tables, such as cp1252; without it, found", flag=Flag("NAME", DATA, READ), of_any_model=True
    )
    sheet: str | None = setting(
        "sheet of a workbook; without it, the first that holds data", flag=Flag("NAME", DATA, READ), of_any_model=True
    )
    merge_classes: bool | None = setting(
        "whether classes that differ in case and outer spaces alone are one",
        flag=Flag(None, DATA, READ), of_any_model=True
    )
    memory: str | None = setting(
        "most memory for the data, such as 1GB; what does not fit stays on disk; without it, by what is free",
        flag=Flag("AMOUNT", DATA, ("fit",)), of_any_model=True
    )
    # ---- when training ends
    patience: int | None = setting(
        "epochs without a better validation loss before training stops; without it all epochs are made",
        low=1, flag=Flag("N", TRAINING, TRAIN), searched=True
    )
    stop_tolerance: float | None = setting(
        "training stops once the training loss of an epoch differs from that before by no more than this",
        low=0, searched=True
    )
    stop_on_no_decrease: bool | None = setting(
        "training stops once the training loss of an epoch is no lower than that before", searched=True
    )
    # ---- chance and machine
    seed: int = setting(
        "seed of all chance: split, starting weights, order, dropout, augmentation",
        default=0, low=0, flag=Flag("N", TRAINING, READ), of_any_model=True
    )
    device: str = setting(
        "where to run: auto (the default), cpu, cuda or mps", default="auto", flag=Flag("NAME", RUN, ("fit", "bench"))
    )
    plan: str = setting(
        "how to run: auto (the default) tries what applies and takes the fastest that computes the same; plain; dense "
        "(explicit backprop, for chains of dense layers) or native (the same in C++); winograd (3 x 3 and 5 x 5 convolutions "
        "by minimal filtering); bfloat16, channels-last, compiled or several with commas between; or a run, whose plan is taken",
        default="auto", flag=Flag("WAY,…", RUN, ("fit",))
    )
    # fmt: on

    def __post_init__(self) -> None:
        for item in fields(self):
            if (value := getattr(self, item.name)) is not item.default:
                check_setting(item.name, value)
        if self.memory is not None:
            parse_bytes(self.memory)

    def filled(self, chosen: Mapping[str, Any]) -> Settings:
        """Return these settings with `chosen` where nothing was said."""
        return replace(self, **{k: v for k, v in chosen.items() if getattr(self, k) is None})


DECLARED: Mapping[str, Declared] = {item.name: item.metadata["declared"] for item in fields(Settings)}
FLAGS = {name: one.flag for name, one in DECLARED.items() if one.flag is not None}
SEARCHED = frozenset(name for name, one in DECLARED.items() if one.searched)
OF_ANY_MODEL = frozenset(name for name, one in DECLARED.items() if one.of_any_model)


@functools.cache
def kinds() -> Mapping[str, Any]:
    """Return the types of all settings."""
    return typing.get_type_hints(Settings)


def with_named(settings: Settings, named: Mapping[str, Any]) -> Settings:
    """Return settings with others put in by name. Raises: UnknownNameError; SettingError for a value that does not fit"""
    for key in named:
        if key not in DECLARED:
            raise unknown_setting(key)
    return replace(settings, **named)


def check_setting(name: str, value: Any) -> None:
    """Refuse a value that a setting does not take. Raises: SettingError"""
    check(_called(name), value, kinds()[name], DECLARED[name])


def unknown_setting(name: str, known: Iterable[str] = ()) -> UnknownNameError:
    """Return the error for a setting that there is not, with the nearest among `known`, or among all."""
    names = dict.fromkeys(known) or DECLARED
    if (ours := _OTHERS_SAY.get(name.lower())) in names:
        said = f"the step size is {ours}" if ours == "learning_rate" else f"it is {ours} here"
        return UnknownNameError(f"no setting is called '{name}'; {said}")
    return unknown_name("setting", name[:60], names)


_STEP_SIZES = ("lr", "eta", "alpha", "step_size")
_OTHERS_SAY = {
    **dict.fromkeys(_STEP_SIZES, "learning_rate"), "l2": "weight_decay", "kernel_size": "filter_size", "channels": "filters",
}  # fmt: skip


def flag_of(name: str) -> str:
    """Return how a setting is given on the command line: as a flag of its own, or by --set."""
    return _called(name) if name in FLAGS else f"--set {name}"


def help_text(name: str) -> str:
    """Return what a setting is, in one line."""
    return DECLARED[name].help


def _called(name: str) -> str:
    """Return what messages call a setting."""
    return f"--{FLAGS[name].name or name.replace('_', '-')}" if name in FLAGS else name
