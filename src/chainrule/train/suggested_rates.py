"""Learning rate and weight decay of a network with hidden layers, for the update rule that a user chose.

A rate belongs to its rule: a step of adamw is about as long as the rate, one of sgd the rate times the gradient. And a
weight decay belongs to where it acts: coupled, λ is part of the loss, and its best value is the same for every rule.
What was measured stands in docs/decisions/defaults.md.
"""

from __future__ import annotations

import math

from chainrule.core.errors import unknown_name
from chainrule.core.units import rounded
from chainrule.optim.penalties import is_coupled

RATES = {
    "gradient-descent": 0.2,
    "sgd": 0.2,
    "mini-batch": 0.2,
    "momentum": 0.02,
    "nesterov": 0.02,
    "adagrad": 0.03,
    "adadelta": 1.0,
    "rmsprop": 3e-3,
    "adam": 3e-3,
    "adamw": 3e-3,
    "nadam": 3e-3,
    "simple-nadam": 3e-3,
}
MOMENTUM = 0.9  # at which the rates of momentum and nesterov were measured
MOST_TIMES = 5.0  # the usual rate, however many rows an update sees
WITH_MOMENTUM = ("momentum", "nesterov")
DIVIDING_RULES = frozenset(RATES) - {"gradient-descent", "sgd", "mini-batch", *WITH_MOMENTUM}
# A step is about as long as the rate
OF_ADAM = frozenset({"rmsprop", "adam", "adamw", "nadam", "simple-nadam"})
LARGEST_SHRINK = 0.1  # part of a weight that decoupled decay takes away in one update


def suggest_rate(
    rule: str,
    *,
    scale: float = 1.0,
    momentum: float | None = None,
    batches: float = 1.0,
    most: float = math.inf,
) -> float:
    """Return the learning rate of a rule; `scale` is that of the network, 1 for an mlp.

    Rules that go along the gradient: a velocity that keeps the share μ adds up to 1/(1 − μ) gradients, so the rate goes
    with 1 − μ. It goes with the root of the rows per update, `batches` times the usual ones, as the noise of their mean
    falls (Krizhevsky 2014); and where the loss is steep, plain descent diverges above `most`.
    """
    if rule in DIVIDING_RULES:
        return _rounded(RATES[rule] * scale)
    if rule not in RATES:
        raise unknown_name("optimizer", rule, RATES)
    rate = RATES[rule] * min(scale, 1.0) * min(math.sqrt(batches), MOST_TIMES)
    if rule in WITH_MOMENTUM:
        return _rounded(rate if momentum is None else rate * (1 - momentum) / (1 - MOMENTUM))
    return _rounded(min(rate, most))


def suggest_decay(rule: str, penalty: str | None, *, decoupled: float, coupled: float, rate: float) -> float:
    """Return the weight decay: `coupled`, or for a decoupled one what adamw would have.

    A decoupled step shrinks weights by rate times decay. Of plain descent that is the coupled penalty; of adagrad and
    adadelta, whose own steps become ever shorter, any such share would in the end be all that moves: none is suggested.
    """
    if is_coupled(penalty, rule):
        return coupled
    beside = decoupled if rule in OF_ADAM else 0.0 if rule in DIVIDING_RULES else coupled
    return min(beside, _rounded(LARGEST_SHRINK / rate))


def _rounded(value: float) -> float:
    return rounded(value, 2)
