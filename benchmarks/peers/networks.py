"""The networks, the data and the settings that every peer gets, in words of no library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Conv:
    """A convolution with square kernels, ReLU after it."""

    channels: int
    size: int
    padding: int


@dataclass(frozen=True)
class Pool:
    """Max pooling over 2 × 2."""


@dataclass(frozen=True)
class Dense:
    """A dense layer, ReLU after it unless it is the last."""

    units: int


@dataclass(frozen=True)
class Network:
    """Layers one after another; the last has as many units as there are classes.

    `inputs` is (features,) or (channels, height, width); `catalogue` is what chainrule calls the network, if it has it.
    """

    name: str
    inputs: tuple[int, ...]
    layers: tuple[Conv | Pool | Dense, ...]
    catalogue: str | None = None

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers of a network of dense layers alone."""
        return tuple(layer.units for layer in self.layers[:-1] if isinstance(layer, Dense))

    @property
    def is_dense(self) -> bool:
        return all(isinstance(layer, Dense) for layer in self.layers)


@dataclass(frozen=True)
class Work:
    """How to train: Adam with the same rate throughout."""

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int


Answer = Callable[[np.ndarray], np.ndarray]  # raw rows -> class numbers


def mlp(*widths: int) -> Network:
    """Return dense layers of these widths, inputs first."""
    return Network("MLP " + "-".join(map(str, widths)), widths[:1], tuple(map(Dense, widths[1:])), "mlp")


LENET = Network(
    "LeNet",
    (1, 28, 28),
    (Conv(6, 5, 2), Pool(), Conv(16, 5, 0), Pool(), Dense(120), Dense(84), Dense(10)),
    "lenet",
)
CNN = Network(
    "CNN 5×5, 32 and 64 channels",
    (3, 32, 32),
    (Conv(32, 5, 2), Pool(), Conv(64, 5, 2), Pool(), Dense(256), Dense(10)),
)


class Scaled:
    """Pictures as float32 with mean 0 and deviation 1, by the training rows, in the shape that the network takes."""

    def __init__(self, network: Network, rows: np.ndarray) -> None:
        self.shape = network.inputs
        pixels = rows.astype(np.float32)
        self.mean, self.deviation = pixels.mean(), pixels.std()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return ((rows.astype(np.float32) - self.mean) / self.deviation).reshape(len(rows), *self.shape)
