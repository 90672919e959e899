"""What compiling cost on this machine and what it gained, kept in a folder of the user's own, and what it will cost next.

The table decides whether a compiler is started at all: it takes many seconds, and often gains nothing. A network is known
by its kind and its number of layers: a compiler takes about as long for each layer, and gains about the same where the same
operations take the time. What the table does not hold yet is guessed from what was measured on two cores.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from chainrule.core.errors import ChainruleError
from chainrule.core.files import write_json
from chainrule.core.processor import machine_name
from chainrule.core.typed_json import typed
from chainrule.core.user_cache import user_cache_folder
from chainrule.train.plan import Plan

FILE = "compile_costs.json"
MOST_ENTRIES = 200
MOST_BYTES = 1 << 20
MOST_SECONDS = 86_400.0  # of an entry that is believed
MOST_GAIN = 1_000.0
MOST_LAYERS = 1_000_000
WORTH = 2.0  # times its predicted cost must compiling save

POOLED = "convolutions and max pooling"
CONVOLVED = "convolutions"
OTHER = "no convolutions"

FIRST_SECONDS, LAYER_SECONDS = 6.0, 0.5  # LeNet, 12 layers: 9 to 13 s; ResNet-18, 62 layers: 20 to 42 s
WARM_SECONDS = 4.0  # to trace a network and load what an earlier run compiled: 2 to 8 s
FIRST_GAINS = {POOLED: 1.0, CONVOLVED: 1.08, OTHER: 1.15}

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_POOLINGS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One compilation: for what, how long to the first batch, and its speed beside the same way uncompiled.

    `gain` is 0 where the compiler failed or computed something else. `is_cold` says that nothing of it was compiled before.
    """

    where: str
    kind: str
    layers: int
    way: str
    seconds: float
    gain: float
    is_cold: bool = True

    def __post_init__(self) -> None:
        if not (
            0 <= self.seconds <= MOST_SECONDS
            and 0 <= self.gain <= MOST_GAIN
            and 0 < self.layers <= MOST_LAYERS
        ):
            raise ValueError(f"seconds, gain or layers of a compilation cannot be right: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What compiling a plan is predicted to cost and to save over the updates that remain."""

    plan: Plan
    seconds: float
    saving: float

    @property
    def is_worth_it(self) -> bool:
        """Whether it saves more than twice what it costs."""
        return self.saving > WORTH * self.seconds

    def __str__(self) -> str:
        return f"compiling should take about {self.seconds:.0f} s and save {self.saving:,.0f} s of the run"


def prospect(model: nn.Module, plan: Plan, updates: int) -> Prospect:
    """Predict what it costs and saves to compile a network that runs by a plan which was measured."""
    kind, layers = kind_of(model), layers_of(model)
    alike = [each for each in _known() if each.kind == kind]
    per_layer = [each.seconds / _weight(each.layers) for each in alike if each.is_cold]
    seconds = statistics.median(per_layer or [1.0]) * _weight(layers)
    gain = statistics.median([each.gain for each in _nearest(alike, layers)] or [FIRST_GAINS[kind]])
    took = updates * (plan.update_seconds or 0.0)
    return Prospect(plan=plan, seconds=seconds, saving=took * (1 - 1 / gain) if gain > 1 else 0.0)


def keep(model: nn.Module, plan: Plan, *, seconds: float, gain: float, is_cold: bool) -> str:
    """Enter what compiling a plan took and gained, and say in words why not where that fails."""
    try:
        entry = Entry(
            where=where(),
            kind=kind_of(model),
            layers=layers_of(model),
            way=plan.way,
            seconds=round(min(seconds, MOST_SECONDS), 3),
            gain=round(min(gain, MOST_GAIN), 4),
            is_cold=is_cold,
        )
        write_json(_path(), [asdict(each) for each in (*read(), entry)][-MOST_ENTRIES:])
    except (ChainruleError, OSError) as error:
        return f"what compiling cost is not kept for later runs: {error}"
    return ""


def read() -> list[Entry]:
    """Return the table; what is not an entry of it is left out, and a file that cannot be read is an empty one."""
    try:
        path = _path()
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                return []
            rows = json.loads(file.read())
    except (ChainruleError, OSError, ValueError, RecursionError):
        return []
    return [entry for row in rows if (entry := _entry(row))] if isinstance(rows, list) else []


def kind_of(model: nn.Module) -> str:
    """Return which operations take the time of a network."""
    layers = list(model.modules())
    if not any(isinstance(layer, _CONVOLUTIONS) for layer in layers):
        return OTHER
    return POOLED if any(isinstance(layer, _POOLINGS) for layer in layers) else CONVOLVED


def layers_of(model: nn.Module) -> int:
    """Count the layers that hold no other, at least one."""
    return max(1, sum(not any(True for _ in layer.children()) for layer in model.modules()))


def where() -> str:
    """Return what costs and gains depend on beside the network: machine, torch and compiler."""
    return f"{machine_name()}, torch {torch.__version__}, {compiler()}"


def compiler() -> str | None:
    """Return the path of the C++ compiler that torch would start; None where there is none."""
    return shutil.which(os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++"))


def _known() -> list[Entry]:
    here = where()
    return [entry for entry in read() if entry.where == here]


def _nearest(alike: list[Entry], layers: int) -> list[Entry]:
    """Return the entries whose number of layers is nearest: what a network of twelve gains says little of one of sixty."""
    apart = {id(each): abs(math.log(each.layers / layers)) for each in alike}
    least = min(apart.values(), default=0.0)
    return [each for each in alike if apart[id(each)] == least]


def _weight(layers: int) -> float:
    """Seconds that compiling so many layers took where the first guesses were measured."""
    return FIRST_SECONDS + LAYER_SECONDS * layers


def _entry(row: object) -> Entry | None:
    try:
        entry: Entry = typed(Entry, row)
    except (ValueError, TypeError, RecursionError):
        return None
    return entry


def _path() -> Path:
    return user_cache_folder("plans") / FILE
