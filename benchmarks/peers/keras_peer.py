"""Keras 3: Sequential, compile, fit. The variable KERAS_BACKEND says on what: torch or jax."""

from __future__ import annotations

import keras
import numpy as np

from .networks import Answer, Conv, Network, Pool, Scaled, Work

if keras.backend.backend() == "torch":
    import torch._dynamo  # noqa: F401  the first optimizer imports it: imports are not timed


def keras_model(network: Network) -> keras.Sequential:
    """Build the layers with Keras's own starting weights; pictures have their channels last."""
    channels_last = (*network.inputs[1:], network.inputs[0]) if len(network.inputs) > 1 else network.inputs
    model = keras.Sequential([keras.Input(channels_last)])
    is_flat = len(channels_last) == 1
    for layer in network.layers:
        if isinstance(layer, Conv):
            padding = "same" if layer.padding else "valid"
            model.add(keras.layers.Conv2D(layer.channels, layer.size, padding=padding, activation="relu"))
        elif isinstance(layer, Pool):
            model.add(keras.layers.MaxPooling2D(2))
        else:
            if not is_flat:
                model.add(keras.layers.Flatten())
                is_flat = True
            activation = None if layer is network.layers[-1] else "relu"
            model.add(keras.layers.Dense(layer.units, activation=activation))
    return model


def train(network: Network, x: np.ndarray, y: np.ndarray, work: Work) -> Answer:
    """Train on raw rows."""
    keras.utils.set_random_seed(work.seed)
    scaled = Scaled(network, x)
    model = keras_model(network)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=work.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(_channels_last(scaled(x)), y, batch_size=work.batch_size, epochs=work.epochs, verbose=0)
    return lambda rows: model.predict(_channels_last(scaled(rows)), verbose=0).argmax(1)


def _channels_last(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows.transpose(0, 2, 3, 1)) if rows.ndim == 4 else rows
