"""What stays of training on arrays: how columns are scaled, and a network that answers rows and can be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.core.errors import DataError, SettingError
from chainrule.data.columns import LARGEST, too_large
from chainrule.data.distinct import WeightedRows
from chainrule.data.prepare import SCALINGS
from chainrule.models import build
from chainrule.train.loop import outputs_of
from chainrule.train.plan import Plan
from chainrule.train.task import Classification, Regression, Task, build_task

ONE_THREAD = Plan(device="cpu", threads=1)  # small work waits for other threads longer than it takes
FEW = 500_000_000  # multiply-adds of a prediction: 0.05 s on one thread, as long as others may take to wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What is subtracted from each column, and what it is divided by then: infinite where it does not vary."""

    centre: np.ndarray
    scale: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = (inputs - self.centre) / self.scale
        return scaled


def fit_scaling(rows: WeightedRows, way: str) -> Scaling:
    """Take from rows how their columns are scaled, as `scaling` of the settings has it.

    Raises: SettingError for another way; DataError for numbers that are too large to compute with
    """
    if way not in SCALINGS:
        raise SettingError(f"scaling takes {', '.join(SCALINGS)}; got {way!r}")
    inputs = rows.inputs
    low, high = inputs.min(0), inputs.max(0)
    largest = np.maximum(-low, high)
    if (largest > LARGEST).any():
        column = int(largest.argmax())
        raise DataError(f"column {column} holds {too_large(float(largest[column]))}")
    mean = rows.weights @ inputs / rows.weights.sum()
    if way == "standard":
        centre, scale = mean, np.sqrt(rows.weights @ np.square(inputs - mean) / rows.weights.sum())
    elif way == "none":
        centre, scale = np.zeros_like(mean), np.ones_like(mean)
    else:
        centre = low if way == "range" else (low + high) / 2
        scale = (high - low) / (1 if way == "range" else 2)
    varies = (low < high) & (scale > 0)
    return Scaling(centre=np.where(varies, centre, mean), scale=np.where(varies, scale, np.inf))


class TrainedNetwork:
    """A network that answers rows; outputs are taken in float64, so that a row's do not hang on the rows beside it.

    One of the catalogue is copied and stored as its name, its settings and its weights.
    """

    def __init__(
        self, module: nn.Module, task: Task, name: str = "", settings: Mapping[str, Any] | None = None
    ) -> None:
        self.module = module.double().eval().requires_grad_(False)
        self.task = task.eval()
        self.name = name
        self.settings = dict(settings or {})

    def outputs(self, inputs: np.ndarray) -> Tensor:
        """Return the outputs for prepared rows. Shapes: (N, D) float64 -> (N, units)."""
        work = len(inputs) * sum(p.numel() for p in self.module.parameters())
        with ONE_THREAD.applied() if work < FEW else nullcontext():
            return outputs_of(self.module, torch.from_numpy(inputs))

    def __getstate__(self) -> dict[str, Any]:
        state = {
            "kind": self.task.kind,
            "names": names_of(self.task),
            "task": _as_arrays(self.task),
            "name": self.name,
            "settings": self.settings,
        }
        return {**state, **({"weights": _as_arrays(self.module)} if self.name else {"module": self.module})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        module = state.get("module") or _rebuilt(
            state["name"], state["settings"], _as_tensors(state["weights"])
        )
        task = reading(state["kind"], state["names"], _as_tensors(state["task"]))
        self.__init__(module, task, state["name"], state["settings"])  # type: ignore[misc]


def names_of(task: Task) -> tuple[str, ...]:
    if isinstance(task, Regression):
        return task.names
    assert isinstance(task, Classification)
    return task.classes


def reading(kind: str, names: Sequence[str], buffers: Mapping[str, Tensor]) -> Task:
    """Return a task for reading outputs alone: its loss is the usual one of its kind."""
    task = build_task(kind, names)
    task.load_state_dict(dict(buffers))
    return task


def _rebuilt(name: str, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """Build a network by its name and give it weights, in float64."""
    with torch.random.fork_rng(devices=[]):
        module = build(name, **settings).double()
    module.load_state_dict(dict(weights))
    return module


def _as_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def _as_tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.tensor(value) for name, value in arrays.items()}
