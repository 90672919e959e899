"""One forward and one backward pass through any network, layer by layer, with every value and gradient on the way.

The forward pass is cut before and after every call of a leaf layer. What a cut carries back is then worked out from
the loss to the inputs, one call at a time: by the chain rule as it is taught where the layer's derivative is declared
(`derivatives.py`), else by the layer's own vector-Jacobian product. What a model computes between its layers (sums of
branches, reshapes, weights of its own) is walked back the same way, so that the gradients are those of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from chainrule.core.errors import ShapeError
from chainrule.core.text import visible
from chainrule.explanations.derivatives import Backward, local_rule
from chainrule.nn.visits import layers_of

OfOutputs = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a layer: what went through it, and what came back.

    `incoming` is the gradient of the loss by `outputs`, `outgoing` that by `inputs`; `derivative` is f'(z) where the
    layer is an activation. `gradients` are those of its weights from this call alone. `is_by_rule`: whether they come
    from the declared derivative. `number` counts the calls of the same layer from 0.
    """

    name: str
    layer: nn.Module
    number: int
    inputs: Tensor
    outputs: Tensor
    incoming: Tensor
    outgoing: Tensor | None
    gradients: dict[str, Tensor]
    derivative: Tensor | None = None
    is_by_rule: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A forward pass and, where there is a loss, the way back.

    `delta` is the gradient of the loss by the outputs; `gradients` holds one per parameter, over all calls.
    Shapes: inputs (B, …), outputs (B, …), loss ()
    """

    inputs: Tensor
    outputs: Tensor
    loss: Tensor
    delta: Tensor
    calls: tuple[Call, ...]
    gradients: dict[str, Tensor]
    input_gradient: Tensor | None


def backpropagate(
    model: nn.Module, inputs: Tensor, loss: OfOutputs, derivative: OfOutputs | None = None
) -> Pass:
    """Return everything that a forward and a backward pass of the rows go through, as in prediction.

    `loss` gives one number from the outputs, `derivative` its gradient by them; without it, autograd's is taken.
    The model's own gradients and its mode stay as they are.
    Raises: ShapeError if the model does not return one tensor
    """
    recording = _Recording(model, inputs)
    with torch.enable_grad(), _as_in_prediction(model), recording.hooks():
        outputs = model(recording.inputs.clone() if recording.is_real else recording.inputs)
        if not isinstance(outputs, Tensor):
            raise ShapeError(f"a model must return one tensor to be explained; got {type(outputs).__name__}")
        end = outputs.detach().requires_grad_()
        value = loss(end)
    delta = _of_loss(value, end) if derivative is None else derivative(end.detach())
    return _Walk(recording).back(outputs, value.detach(), delta.detach())


@dataclass(slots=True)
class _Cut:
    """A call as it was recorded. Leaves of the graph: `taken` stand for its inputs, `given` for its outputs."""

    name: str
    layer: nn.Module
    number: int
    arguments: list[Tensor]
    taken: list[Tensor]
    results: list[Tensor] = field(default_factory=list)
    given: list[Tensor] = field(default_factory=list)


class _Recording:
    """Runs beside a forward pass and cuts it at every call of a leaf layer."""

    def __init__(self, model: nn.Module, inputs: Tensor) -> None:
        self.model = model
        self.is_real = inputs.is_floating_point()
        self.inputs = inputs.detach().requires_grad_() if self.is_real else inputs
        self.cuts: list[_Cut] = []
        self._open: list[_Cut] = []
        self._seen: Counter[str] = Counter()

    @contextmanager
    def hooks(self) -> Iterator[None]:
        handles: list[Any] = []
        for name, layer in layers_of(self.model):
            handles.append(layer.register_forward_pre_hook(self._before(name), with_kwargs=True))
            handles.append(layer.register_forward_hook(self._after))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _before(self, name: str) -> Callable[..., Any]:
        def hook(layer: nn.Module, args: Any, kwargs: Any) -> Any:
            leaves, shape = pytree.tree_flatten((args, kwargs))
            cut = _Cut(name, layer, self._seen[name], [], [])
            self._seen[name] += 1
            handed = [self._cut(leaf, cut.arguments, cut.taken) for leaf in leaves]
            self._open.append(cut)
            return pytree.tree_unflatten(handed, shape)

        return hook

    def _after(self, layer: nn.Module, args: Any, output: Any) -> Any:
        leaves, shape = pytree.tree_flatten(output)
        cut = self._open.pop()
        handed = [self._cut(leaf, cut.results, cut.given) for leaf in leaves]
        self.cuts.append(cut)
        return pytree.tree_unflatten(handed, shape)

    @staticmethod
    def _cut(value: Any, before: list[Tensor], after: list[Tensor]) -> Any:
        if not isinstance(value, Tensor):
            return value
        before.append(value)
        if not value.is_floating_point():
            after.append(value)
            return value
        after.append(value.detach().clone().requires_grad_())
        return after[-1].clone()  # layers that work in place must not write into what is kept


class _Walk:
    """The way back through a recording. `owed` holds, per leaf of the graph, the gradient that reached it so far."""

    def __init__(self, recording: _Recording) -> None:
        self.recording = recording
        self.names = {id(p): name for name, p in recording.model.named_parameters() if p.requires_grad}
        self.parameters = [p for p in recording.model.parameters() if p.requires_grad]
        self.owed: dict[int, Tensor] = {}

    def back(self, outputs: Tensor, loss: Tensor, delta: Tensor) -> Pass:
        cuts = self.recording.cuts
        sources = [leaf for cut in cuts for leaf in cut.given if leaf.requires_grad]
        if self.recording.is_real:
            sources.append(self.recording.inputs)
        self._between([outputs], [delta], sources)
        calls = []
        for cut in reversed(cuts):
            call, outgoing = self._through(cut)
            calls.append(call)
            self._between(cut.arguments, outgoing, sources)
        return Pass(
            inputs=self.recording.inputs.detach(),
            outputs=outputs.detach(),
            loss=loss,
            delta=delta,
            calls=tuple(reversed(calls)),
            gradients={self.names[id(p)]: self._owed(p) for p in self.parameters},
            input_gradient=self._owed(self.recording.inputs) if self.recording.is_real else None,
        )

    def _through(self, cut: _Cut) -> tuple[Call, list[Tensor | None]]:
        """Go back through one layer: from the gradients by its outputs to those by its inputs and weights."""
        incoming = [self._owed(leaf) for leaf in cut.given]
        rule = local_rule(cut.layer)
        if rule is not None and len(cut.taken) == len(cut.given) == 1 and cut.taken[0].requires_grad:
            found = rule(cut.layer, cut.taken[0].detach(), cut.given[0].detach(), incoming[0])
            outgoing: list[Tensor | None] = [found.outgoing]
        else:
            found, outgoing = _own_product(cut, incoming)
        for name, gradient in found.gradients.items():
            self._owe(getattr(cut.layer, name), gradient)
        first = next((i for i, leaf in enumerate(cut.taken) if leaf.requires_grad), 0)
        call = Call(
            name=cut.name,
            layer=cut.layer,
            number=cut.number,
            inputs=cut.taken[first].detach(),
            outputs=cut.given[0].detach(),
            incoming=incoming[0],
            outgoing=outgoing[first],
            gradients=found.gradients,
            derivative=found.derivative,
            is_by_rule=rule is not None,
        )
        return call, outgoing

    def _between(
        self, ends: Sequence[Tensor], arrived: Sequence[Tensor | None], sources: list[Tensor]
    ) -> None:
        """Go back through what the model computes between its layers."""
        pairs = [(e, g) for e, g in zip(ends, arrived, strict=True) if e.requires_grad and g is not None]
        if not pairs:
            return
        tensors, gradients = zip(*pairs, strict=True)
        targets = [*sources, *self.parameters]
        found = torch.autograd.grad(tensors, targets, gradients, retain_graph=True, allow_unused=True)
        for leaf, gradient in zip(targets, found, strict=True):
            if gradient is not None:
                self._owe(leaf, gradient)

    def _owe(self, leaf: Tensor, gradient: Tensor) -> None:
        before = self.owed.get(id(leaf))
        self.owed[id(leaf)] = gradient if before is None else before + gradient

    def _owed(self, leaf: Tensor) -> Tensor:
        found = self.owed.get(id(leaf))
        return torch.zeros_like(leaf, requires_grad=False) if found is None else found.detach()


def _own_product(cut: _Cut, incoming: list[Tensor]) -> tuple[Backward, list[Tensor | None]]:
    """Go back through a layer by its own vector-Jacobian product."""
    weights = {n: p for n, p in cut.layer.named_parameters(recurse=False) if p.requires_grad}
    real = [leaf for leaf in cut.taken if leaf.requires_grad]
    ends = [(y, g) for y, g in zip(cut.results, incoming, strict=True) if y.requires_grad]
    targets = [*real, *weights.values()]
    found: Sequence[Tensor | None] = [None] * len(targets)
    if ends and targets:
        ys, gs = zip(*ends, strict=True)
        found = torch.autograd.grad(ys, targets, gs, retain_graph=True, allow_unused=True)
    full = [torch.zeros_like(t) if g is None else g for t, g in zip(targets, found, strict=True)]
    ways = iter(full[: len(real)])
    outgoing = [next(ways) if leaf.requires_grad else None for leaf in cut.taken]
    gradients = dict(zip(weights, full[len(real) :], strict=True))
    return Backward(outgoing=full[0] if real else None, gradients=gradients), outgoing


def _of_loss(value: Tensor, end: Tensor) -> Tensor:
    if value.dim():
        raise ShapeError(f"the loss must be one number; got the shape {visible(tuple(value.shape), 60)}")
    if not value.requires_grad:
        return torch.zeros_like(end)
    return torch.autograd.grad(value, end)[0]


@contextmanager
def _as_in_prediction(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training
