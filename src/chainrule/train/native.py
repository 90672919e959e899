"""What native.cpp takes and does, as Python says it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from chainrule.nn import losses
from chainrule.nn.activations import Activation
from chainrule.nn.noise import Dropout
from chainrule.train.dense_chain import DenseLayer
from chainrule.train.native_batches import NativeBatches
from chainrule.train.native_build import library
from chainrule.train.native_rule import RULES, NativeRule
from chainrule.train.task import Binary, Classification, MultiClass, Task

MOST_LAYERS = 64

# Their places are those of the enumerations in native.cpp.
ACTIVATIONS = (
    "identity", "linear", "relu", "leaky-relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "hard-sigmoid",
    "hard-tanh", "relu6",
)  # fmt: skip
CROSS_ENTROPY, BINARY_CROSS_ENTROPY, SQUARED_ERROR = range(3)
_int64, _double, _pointer = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


class _Tensors(ctypes.Structure):
    _fields_ = [("values", _pointer), ("state", _pointer * 2), ("gradients", _pointer)]


class _Layer(ctypes.Structure):
    _fields_ = [
        ("inputs", _int64), ("units", _int64), ("activation", _int64), ("number", _double), ("weights", _Tensors),
        ("biases", _Tensors), ("dropout", _pointer), ("noise_seeds", _pointer),
    ]  # fmt: skip


class _Stack(ctypes.Structure):
    _fields_ = [
        ("members", _int64), ("layers", _int64), ("layer", ctypes.POINTER(_Layer)), ("loss", _int64),
        ("smoothing", _double), ("error_scale", _double), ("class_weights", _pointer), ("rule", _int64),
        ("rule_number", _pointer), ("beta1", _pointer), ("beta2", _pointer), ("epsilon", _pointer), ("decays", _pointer),
        ("l1", _pointer), ("is_coupled", _int64), ("running", _pointer), ("running_share", _double),
        ("clip_norm", _double), ("clip_value", _double), ("stops_at_failure", _int64),
    ]  # fmt: skip


class _Rows(ctypes.Structure):
    _fields_ = [
        ("inputs", _pointer), ("input_member", _int64), ("targets", _pointer), ("target_member", _int64),
        ("weights", _pointer), ("weight_member", _int64), ("order", _pointer), ("order_member", _int64),
        ("rows", _int64), ("batch", _int64), ("rates", _pointer), ("step", _int64), ("updates_before", _int64), ("losses", _pointer),
        ("outputs", _pointer), ("work", _pointer),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeTensors:
    """Weights or biases of a layer for all members, the state of the rule that moves them, and where gradients go."""

    values: Tensor
    state: Sequence[Tensor] = ()
    gradients: Tensor | None = None


class _Single(NamedTuple):
    """What an update of one network by a batch of some size is handed over in; `kept` is memory that is pointed at."""

    given: _Rows
    reference: Any
    rate: ctypes.c_double
    outputs: Tensor
    kept: tuple[Tensor, Tensor]


class NativeStack:
    """Members of one chain, bound to their memory: `train` makes the updates of an epoch, `answer` predicts.

    Shapes: weights (members, inputs, wide units), of layers with few units (members, units, wide inputs); biases (members,
    wide units); wide is filled up to a multiple of 16
    """

    def __init__(
        self,
        chain: Sequence[DenseLayer],
        weights: Sequence[NativeTensors],
        biases: Sequence[NativeTensors],
        task: Task,
        rule: NativeRule,
        *,
        dropouts: Sequence[Dropout | None],
        flattens: bool = False,
        stops_at_failure: bool = False,
    ) -> None:
        """`dropouts` stand behind the layers; `flattens`: `step` takes rows with several axes.

        `stops_at_failure`: a loss that is not finite moves nothing.
        """
        assert why_not_native(chain, task) is None
        self.members = len(rule.number)
        self._library = library()
        self._library.work_floats.restype = _int64
        self._kept: list[object] = [*weights, *biases, rule]  # whose memory is pointed at
        layers = (_Layer * len(chain))()
        for place, (layer, dropout) in enumerate(zip(chain, dropouts, strict=True)):
            number, slope = _activation(layer.activation)
            rates, seeds = _noise(dropout)
            self._kept += [rates, seeds]
            layers[place] = _Layer(
                layer.inputs, layer.units, number, slope, _tensors(weights[place]), _tensors(biases[place]),
                _at(rates, torch.float64), _at(seeds, torch.int64),
            )  # fmt: skip
        self._layers = layers
        loss, scale, smoothing, class_weights = _loss(task)
        self._class_weights = class_weights
        self._stack = _Stack(
            self.members, len(chain), layers, loss, smoothing, scale, _at(class_weights), list(RULES).index(rule.name),
            *(_at(each, torch.float64) for each in (rule.number, rule.beta1, rule.beta2, rule.epsilon, rule.decays, rule.l1)),
            rule.is_coupled, _at(rule.running, torch.float64), rule.running_share, rule.clip_norm, rule.clip_value, stops_at_failure,
        )  # fmt: skip
        self._reference = ctypes.byref(self._stack)
        self._batches = NativeBatches(
            values=chain[0].inputs,
            units=chain[-1].units,
            has_classes=loss != SQUARED_ERROR,
            flattens=flattens,
        )
        self._work = torch.empty(0)
        self._single: dict[object, _Single] = {}  # by the shapes and types of a batch

    def train(
        self,
        inputs: Tensor,
        targets: Tensor,
        order: Tensor,
        batch: int,
        rates: Tensor,
        step: int,
        updates_before: int,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Make the updates of an epoch in place, and return the loss of each batch before its update.

        `step` is the number of the first, by which noise is drawn; the rule has made `updates_before`.

        Shapes: inputs (N, values) and targets (N, …) where all members share them, else after an axis of members; order
        (1 or members, rows) int64; rates (updates, members) float64; weights (members, N) -> (members, updates)
        """
        assert self._stack.rule >= 0, "the rule was forgotten"
        assert inputs.shape[-1] == self._batches.values
        of_all = inputs.dim() == 2
        rows = order.shape[1]
        losses = torch.empty(self.members, -(-rows // batch))
        given = _Rows(
            _at(inputs), 0 if of_all else inputs[0].numel(),
            _at(targets, self._batches.target_dtype), 0 if of_all else targets[0].numel(),
            _at(weights), 0 if weights is None else weights.shape[1],
            _at(order, torch.int64), 0 if len(order) == 1 else rows, rows, batch,
            _at(rates, torch.float64), step, updates_before, _at(losses), None, self._room(batch),
        )  # fmt: skip
        self._library.train(self._reference, ctypes.byref(given))
        return losses

    def step(
        self,
        inputs: Tensor,
        targets: Tensor,
        rate: float,
        step: int,
        updates_before: int,
        weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Make one update of the only member; return the loss of the batch before it, and what was answered.

        The answers are overwritten by the next call. A batch is looked at where none of its shapes and types was before.
        Shapes: inputs (B, …), targets (B, …), weights (B,) -> (), (B, units)
        Raises: ShapeError for a batch that does not fit
        """
        of_weights = None if weights is None else (weights.shape, weights.dtype)
        key = inputs.shape, inputs.dtype, targets.shape, targets.dtype, of_weights
        single = self._single.get(key)
        if single is None:
            self._batches.check(inputs, targets, weights)
            single = self._single[key] = self._new_single(len(inputs))
        inputs, targets, loss = inputs.contiguous(), targets.contiguous(), torch.empty(())
        given = single.given
        given.inputs, given.targets, given.losses = inputs.data_ptr(), targets.data_ptr(), loss.data_ptr()
        if weights is not None:
            weights = weights.contiguous()  # under a name: its memory has to outlive the call
        given.weights = None if weights is None else weights.data_ptr()
        single.rate.value, given.step, given.updates_before = rate, step, updates_before
        self._library.train(self._reference, single.reference)
        return loss, single.outputs

    def _new_single(self, rows: int) -> _Single:
        assert self._stack.rule >= 0, "the rule was forgotten"
        order, rate = torch.arange(rows), _double()
        outputs, work = torch.empty(rows, self._batches.units), torch.empty(self._floats(rows))
        given = _Rows(
            order=_at(order, torch.int64),
            rows=rows,
            batch=rows,
            rates=ctypes.addressof(rate),
            outputs=_at(outputs),
            work=_at(work),
        )
        return _Single(given, ctypes.byref(given), rate, outputs, (order, work))

    def answer(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """Return what every member answers to rows, as in prediction.

        Shapes: inputs (N, values), or (members, N, values); rows (n,) int64 -> (members, n, units)
        """
        assert inputs.shape[-1] == self._batches.values
        outputs = torch.empty(self.members, len(rows), self._batches.units)
        of_member = 0 if inputs.dim() == 2 else inputs[0].numel()
        given = _Rows(
            inputs=_at(inputs),
            input_member=of_member,
            order=_at(rows, torch.int64),
            rows=len(rows),
            work=self._room(1),
        )
        self._library.answer(self._reference, ctypes.byref(given), _pointer(outputs.data_ptr()))
        return outputs

    def rest(self) -> None:
        """Let go of memory that the next call makes anew."""
        self._work = torch.empty(0)
        self._single.clear()

    def forget_rule(self) -> None:
        """Let go of the state of the rule: no update comes."""
        for place in range(self._stack.layers):
            for tensors in (self._layers[place].weights, self._layers[place].biases):
                tensors.state = (_pointer * 2)()
        self._stack.rule = -1
        self._single.clear()
        self._kept = [given.values for given in self._kept if isinstance(given, NativeTensors)]

    def _room(self, batch: int) -> int:
        if len(self._work) < (floats := self._floats(batch)):
            self._work = torch.empty(floats)
        return self._work.data_ptr()

    def _floats(self, batch: int) -> int:
        found: int = self._library.work_floats(self._reference, _int64(batch))
        return found


def why_not_native(chain: Sequence[DenseLayer], task: Task) -> str | None:
    """Say in words why native.cpp cannot train a chain of dense layers, None if it can."""
    if len(chain) > MOST_LAYERS:
        return f"it has {len(chain)} layers; compiled backprop is written for {MOST_LAYERS} at the most"
    for layer in chain:
        if layer.linear.weight.dtype != torch.float32:
            return f"its weights are {layer.linear.weight.dtype}, not float32"
        if layer.rows == layer.inputs:
            return "a layer has no bias"
        if layer.activation is not None and _kind(layer.activation) not in ACTIVATIONS:
            return f"its activation {layer.activation.name} is not in the compiled part"
    if _loss_of(task) is None:
        return "its loss is not in the compiled part"
    return None


def _kind(activation: Activation) -> str:
    """Return the name without a number of its own (elu:0.5)."""
    return activation.name.partition(":")[0]


def _activation(activation: Activation | None) -> tuple[int, float]:
    if activation is None:
        return 0, 0.0
    return ACTIVATIONS.index(_kind(activation)), activation.number or 0.0


def _noise(dropout: Dropout | None) -> tuple[Tensor | None, Tensor | None]:
    if dropout is None or not any(dropout.rates):
        return None, None
    return torch.tensor(dropout.rates, dtype=torch.float64), torch.tensor(dropout.seeds)


def _loss_of(task: Task) -> int | None:
    if isinstance(task, MultiClass) and task.loss is losses.CROSS_ENTROPY:
        return CROSS_ENTROPY
    if isinstance(task, Binary) and task.loss is losses.BINARY_CROSS_ENTROPY:
        return BINARY_CROSS_ENTROPY
    if task.loss is losses.SQUARED_ERROR or task.loss is losses.HALF_SQUARED_ERROR:
        return SQUARED_ERROR if task.kind == "regression" else None
    return None


def _loss(task: Task) -> tuple[int, float, float, Tensor | None]:
    """Return the loss, the factor on squared errors, the label smoothing, and the weights of classes."""
    found = _loss_of(task)
    assert found is not None
    scale = 0.5 if task.loss is losses.HALF_SQUARED_ERROR else 1 / task.units
    if isinstance(task, Classification):
        weights = None if task.class_weights is None else task.class_weights.float().contiguous()
        return found, scale, task.label_smoothing, weights
    return found, scale, 0.0, None


def _tensors(given: NativeTensors) -> _Tensors:
    state = [_at(tensor) for tensor in given.state] + [None] * (2 - len(given.state))
    return _Tensors(_at(given.values), (_pointer * 2)(*state), _at(given.gradients))


def _at(tensor: Tensor | None, dtype: torch.dtype = torch.float32) -> int | None:
    """Return where the memory of a tensor begins."""
    if tensor is None:
        return None
    assert tensor.dtype is dtype, f"native.cpp takes {dtype} here; got {tensor.dtype}"
    assert tensor.is_contiguous(), "native.cpp takes memory without gaps"
    return tensor.data_ptr()
