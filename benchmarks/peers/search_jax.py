"""JAX: all settings of a fold in one `vmap`, all updates of an epoch in one `scan`; compiled once for all folds.

A batch of another size would be compiled a second time: the rows that do not fill a batch are left out of an epoch,
other ones each time. Folds are cut to one length for the same reason.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax
from jax import lax
from jax import numpy as jnp
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from .searching import Found, Search

Parameters = list[tuple[jax.Array, jax.Array]]


def start(widths: list[int]) -> Parameters:
    """Draw the starting weights, He's for ReLU."""
    keys = jax.random.split(jax.random.key(0), len(widths) - 1)
    sizes = zip(keys, widths[:-1], widths[1:], strict=True)
    return [(jax.random.normal(key, (a, b)) * (2 / a) ** 0.5, jnp.zeros(b)) for key, a, b in sizes]


def outputs_of(parameters: Parameters, x: jax.Array) -> jax.Array:
    """Dense layers with ReLU between."""
    for weights, bias in parameters[:-1]:
        x = jax.nn.relu(x @ weights + bias)
    weights, bias = parameters[-1]
    return x @ weights + bias


def _loss(parameters: Parameters, x: jax.Array, y: jax.Array, decay: jax.Array) -> jax.Array:
    loss = optax.softmax_cross_entropy_with_integer_labels(outputs_of(parameters, x), y).mean()
    return loss + 0.5 * decay * sum((weights**2).sum() for weights, _ in parameters)


def _train(
    parameters: Parameters, rate: jax.Array, decay: jax.Array, x: Any, y: Any, orders: Any
) -> Parameters:
    optimizer = optax.scale_by_adam()

    def update(carry: Any, rows: jax.Array) -> Any:
        parameters, state = carry
        gradients = jax.grad(_loss)(parameters, x[rows], y[rows], decay)
        changes, state = optimizer.update(gradients, state)
        return (jax.tree.map(lambda p, c: p - rate * c, parameters, changes), state), None

    (parameters, _), _ = lax.scan(update, (parameters, optimizer.init(parameters)), orders)
    return parameters


def search(asked: Search, x: np.ndarray, y: np.ndarray) -> Found:
    """Search from raw rows to the refitted winner."""
    settings = [(rate, decay) for rate in asked.rates for decay in asked.decays]
    rates, decays = (jnp.asarray(column) for column in np.array(settings, np.float32).T)
    parameters = start([x.shape[1], *asked.hidden, int(y.max()) + 1])
    train = jax.jit(jax.vmap(_train, (None, 0, 0, None, None, None)))
    answer = jax.jit(jax.vmap(outputs_of, (0, None)))
    folds = list(StratifiedKFold(asked.folds, shuffle=True, random_state=0).split(x, y))
    rows, held = min(len(a) for a, _ in folds), min(len(b) for _, b in folds)
    scores = []
    for train_rows, test_rows in folds:
        scaled = StandardScaler().fit(x[train_rows])
        inputs = jnp.asarray(scaled.transform(x[train_rows[:rows]]), jnp.float32)
        trained = train(
            parameters, rates, decays, inputs, jnp.asarray(y[train_rows[:rows]]), _orders(asked, rows)
        )
        outputs = answer(trained, jnp.asarray(scaled.transform(x[test_rows[:held]]), jnp.float32))
        scores.append((np.asarray(outputs).argmax(-1) == y[test_rows[:held]]).mean(-1))
    means = np.mean(scores, 0)
    best = int(means.argmax())
    scaled = StandardScaler().fit(x)
    inputs = jnp.asarray(scaled.transform(x), jnp.float32)
    winner = jax.jit(_train)(
        parameters, rates[best], decays[best], inputs, jnp.asarray(y), _orders(asked, len(x))
    )
    jax.block_until_ready(winner)
    return Found(
        float(means[best]), *settings[best],
        lambda rows: np.asarray(outputs_of(winner, jnp.asarray(scaled.transform(rows), jnp.float32))).argmax(-1),
    )  # fmt: skip


def _orders(asked: Search, rows: int) -> jax.Array:
    """Draw the rows of every update."""
    drawn = np.random.default_rng(0)
    batches = max(1, rows // asked.batch_size)
    size = min(rows, asked.batch_size)
    epochs = [drawn.permutation(rows)[: batches * size].reshape(batches, size) for _ in range(asked.epochs)]
    return jnp.asarray(np.concatenate(epochs))
