"""How much memory a network of a population takes, told before it is trained.

Memory grows linearly in members: weights with their gradients and the state of the rule, what layers answer to a batch,
and to the rows that are judged at once, the order of the rows. What all members share (rows, schedules) is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.optim.rules import optimizer
from chainrule.train.dense_chain import dense_chain
from chainrule.train.stacked_memory import filled_up
from chainrule.train.stacked_step import EVALUATION_ROWS

FLOAT, NUMBER = 4, 8  # bytes of a value, and of the number of a row
START = 1  # tensors as large as the weights that hold what it starts from
SCRATCH = 1  # tensors as large as the weights that an update writes to
AT_BATCHES = 2  # times that a batch lies in memory: picked, and where the first layer reads it
OF_OUTPUTS = 4  # tensors as large as a batch's outputs: themselves, δ, logarithms, what is picked of them
OF_HIDDEN = 3  # as large as what a hidden layer answers: itself, δ, the derivative
OF_DROPOUT = 2  # the mask, and what it leaves
OF_LAYER = 2  # where autograd goes through a layer: what it answers, and its gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberBytes:
    """What one network takes: while it trains; between the parts of its training; when it is over, for its weights."""

    training: int
    resting: int
    over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the memory of a training depends on beside its network: rule, rows of a batch, that train, that are judged."""

    optimizer: str
    hyperparameters: dict[str, Any]
    batch: int
    rows: int
    judged: int
    is_weighted: bool = False
    keeps_best: bool = False


def bytes_of_member(network: nn.Module, inputs: Tensor, load: Load, *, kind: str) -> MemberBytes:
    """Return what a network takes in a stack of a kind, or by itself. Shapes: inputs (1, …), a row as it takes it"""
    is_dense = kind in ("dense", "native")
    values = inputs[0].numel()
    weights, of_row, outputs = _dense(network) if is_dense else _any(network, inputs)
    state = _state_of_rule(load)
    best = weights * load.keeps_best
    parts, judged = _sizes(load.rows, load.batch), _sizes(load.judged, EVALUATION_ROWS)
    if kind == "native":  # one member's pass at a time: its memory is the stack's
        passes = 0
    elif is_dense:
        passes = sum(parts) * (of_row + values + _noise(network))
        answered = sum(filled_up(layer.units) for layer in dense_chain(network))
        passes += sum(judged) * answered  # all are judged by the same rows
    else:
        passes = max([*parts, *judged]) * (of_row + values)
    passes += load.batch * values * (AT_BATCHES - 1) * (kind != "native")
    order = load.rows * NUMBER * 2 + load.judged * outputs * FLOAT * 2
    of_weights = FLOAT * weights * (1 + state + (kind != "native") * (1 + SCRATCH)) + FLOAT * best
    of_rows = FLOAT * load.rows * load.is_weighted
    start = FLOAT * weights * START
    return MemberBytes(
        training=start + of_weights + FLOAT * passes + order + of_rows,
        resting=of_weights,
        over=FLOAT * (weights + best),
    )


def _sizes(rows: int, batch: int) -> list[int]:
    """Return the sizes of the batches that rows are cut into. Each has memory of its own."""
    return [size for size in (batch * (rows >= batch), rows % batch) if size]


def _dense(network: nn.Module) -> tuple[int, int, int]:
    """Return values of the weights, of what a pass makes of a row, and of its outputs, filled up as in a stack."""
    chain = dense_chain(network)
    inputs, weights, of_row = filled_up(chain[0].linear.in_features), 0, 0
    for layer in chain:
        units = filled_up(layer.units)
        weights += units * (inputs + 1)
        of_row += units * (OF_OUTPUTS if layer is chain[-1] else OF_HIDDEN)
        inputs = units
    return weights, of_row, filled_up(chain[-1].units)


def _noise(network: nn.Module) -> int:
    """Return values of what dropout makes of a row while a chain trains."""
    return sum(OF_DROPOUT * filled_up(layer.units) for layer in dense_chain(network) if layer.dropout)


def _any(network: nn.Module, inputs: Tensor) -> tuple[int, int, int]:
    """Return the same of any network, by sending a row through it."""
    made: list[int] = []

    def look(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            made.append(output.numel())

    hooks = [layer.register_forward_hook(look) for layer in network.modules() if not list(layer.children())]
    was_training = network.training
    try:
        with torch.inference_mode():
            outputs = network.eval()(inputs)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return sum(p.numel() for p in network.parameters()), OF_LAYER * sum(made), outputs.numel()


def _state_of_rule(load: Load) -> int:
    """Return how many tensors as large as the weights the rule of a stack keeps."""
    weight = nn.Parameter(torch.zeros(1, 2, 2))
    rule = optimizer(load.optimizer, [weight], learning_rate=1.0, members=1, **load.hyperparameters)
    return sum(tensor.shape == weight.shape for tensor in rule.tensors().values())
