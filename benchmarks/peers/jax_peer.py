"""JAX with Optax: an update compiled by `jit` and called batch by batch, or an epoch of updates in one `scan`.

A batch of another size would be compiled a second time: the rows that do not fill a batch are left out of an epoch,
other ones each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from jax import lax
from jax import numpy as jnp

from .networks import Answer, Conv, Network, Pool, Scaled, Work

Parameters = list[tuple[jax.Array, jax.Array]]


def start(network: Network, seed: int) -> Parameters:
    """Draw the starting weights, He's for ReLU; a pool has none."""
    parameters: Parameters = []
    shape, key = network.inputs, jax.random.key(seed)
    for layer in network.layers:
        key, own = jax.random.split(key)
        if isinstance(layer, Pool):
            shape = (shape[0], *(side // 2 for side in shape[1:]))
            continue
        if isinstance(layer, Conv):
            size, inputs = (layer.size, layer.size, shape[0], layer.channels), layer.size**2 * shape[0]
            shape = (layer.channels, *(side + 2 * layer.padding - layer.size + 1 for side in shape[1:]))
        else:
            inputs, shape = int(np.prod(shape)), (layer.units,)
            size = (inputs, layer.units)
        parameters.append((jax.random.normal(own, size) * (2 / inputs) ** 0.5, jnp.zeros(size[-1])))
    return parameters


def outputs_of(network: Network, parameters: Parameters, x: jax.Array) -> jax.Array:
    """Compute the outputs; pictures have their channels last."""
    remaining = iter(parameters)
    for layer in network.layers:
        if isinstance(layer, Pool):
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            continue
        weights, bias = next(remaining)
        if isinstance(layer, Conv):
            sides = [(layer.padding, layer.padding)] * 2
            x = lax.conv_general_dilated(
                x, weights, (1, 1), sides, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x + bias)
        else:
            x = x.reshape(len(x), -1) @ weights + bias
            x = x if layer is network.layers[-1] else jax.nn.relu(x)
    return x


def make_update(network: Network, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """Return one update: (parameters, state), inputs, targets -> (parameters, state), loss."""

    def loss_of(parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
        outputs = outputs_of(network, parameters, x)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()

    def update(carry: Any, batch: Any) -> Any:
        parameters, state = carry
        loss, gradients = jax.value_and_grad(loss_of)(parameters, *batch)
        changes, state = optimizer.update(gradients, state, parameters)
        return (optax.apply_updates(parameters, changes), state), loss

    return update


def train(network: Network, x: np.ndarray, y: np.ndarray, work: Work, *, scan: bool = False) -> Answer:
    """Train on raw rows."""
    scaled = Scaled(network, x)
    inputs, targets = _channels_last(scaled(x)), y.astype(np.int32)
    optimizer = optax.adam(work.learning_rate)
    update = make_update(network, optimizer)
    parameters = start(network, work.seed)
    carry = (parameters, optimizer.init(parameters))
    step = jax.jit(update, donate_argnums=0)
    epoch = jax.jit(_epoch(update), donate_argnums=0)
    drawn = np.random.default_rng(work.seed)
    held = (jnp.asarray(inputs), jnp.asarray(targets)) if scan else (inputs, targets)
    batches = len(x) // work.batch_size
    for _ in range(work.epochs):
        orders = drawn.permutation(len(x))[: batches * work.batch_size].reshape(batches, -1)
        if scan:
            carry, _ = epoch(carry, orders, *held)
        else:
            for rows in orders:
                carry, _ = step(carry, (inputs[rows], targets[rows]))
    trained = jax.block_until_ready(carry)[0]
    return lambda rows: np.asarray(outputs_of(network, trained, _channels_last(scaled(rows)))).argmax(1)


def updates(
    network: Network, x: np.ndarray, y: np.ndarray, rate: float, count: int, *, scan: bool = False
) -> Callable[[], object]:
    """Return `count` updates on one prepared batch: gradient descent with momentum."""
    batch = (jnp.asarray(_channels_last(x)), jnp.asarray(y.astype(np.int32)))
    optimizer = optax.sgd(rate, momentum=0.9)
    update = make_update(network, optimizer)
    parameters = start(network, 0)
    carry = (parameters, optimizer.init(parameters))
    step = jax.jit(update, donate_argnums=0)
    # A batch for every update, as in training: with one and the same, the compiler could compute parts of it once.
    many = jax.tree.map(lambda part: jnp.stack([part] * count), batch) if scan else None
    steps = jax.jit(lambda carry, many: lax.scan(update, carry, many), donate_argnums=0)

    def run() -> None:
        nonlocal carry
        if scan:
            carry, _ = steps(carry, many)
        else:
            for _ in range(count):
                carry, _ = step(carry, batch)
        jax.block_until_ready(carry)

    return run


def _epoch(update: Callable[..., Any]) -> Callable[..., Any]:
    def epoch(carry: Any, orders: jax.Array, inputs: jax.Array, targets: jax.Array) -> Any:
        return lax.scan(lambda carry, rows: update(carry, (inputs[rows], targets[rows])), carry, orders)

    return epoch


def _channels_last(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows.transpose(0, 2, 3, 1)) if rows.ndim == 4 else rows
