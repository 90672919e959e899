"""A pass as text for a terminal: number by number for small networks, summaries for large ones."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from torch import Tensor

from chainrule.core.text import visible
from chainrule.core.units import signed
from chainrule.explanations.columns import Column, lines_of, short, written
from chainrule.explanations.largest import largest_weights
from chainrule.explanations.loss_end import LossEnd
from chainrule.explanations.passes import Layer, PassExplanation, Weight, summary
from chainrule.explanations.products import gradient_products, weighted_sums

MOST_CAME = 40  # numbers that came in, one line each
LARGEST = 10
_READ = {"softmax": "p = softmax(z)", "sigmoid": "p = sigmoid(z)", "identity": "p"}


def write(content: PassExplanation, width: int) -> str:
    """Return the text of a pass in so many columns."""
    lines = [content.title]
    for sentence in content.about:
        lines += textwrap.wrap(sentence, width)
    lines += _came(content, width)
    lines += ["", "FORWARD"]
    lines += list(_forward(content, width)) if content.is_small else _forward_summary(content, width)
    if content.end is not None:
        lines += ["", *_loss(content.end, width)]
    lines += ["", *textwrap.wrap(content.answer, width)]
    if content.end is not None:
        lines += ["", *textwrap.wrap("BACKWARD" + _nudged(content), width)]
        lines += list(_backward(content, width)) if content.is_small else _backward_summary(content, width)
        lines += ["", *_update(content, width)]
    return "\n".join(lines)


def _nudged(content: PassExplanation) -> str:
    if content.nudges is None or not content.is_small:
        return ""
    return f" (beside each gradient: what one weight alone does when it is made larger by {content.nudges.amount:g})"


def _came(content: PassExplanation, width: int) -> list[str]:
    came = content.came
    if not came or len(content.walk.inputs) > 1:
        return []
    kept = came[:MOST_CAME]
    if all(c.is_as_it_stood for c in came):
        return ["", *textwrap.wrap("input: " + ", ".join(f"{c.name} = {c.raw}" for c in kept), width)]
    columns = [
        Column(title="", cells=[visible(c.name, 40) for c in kept], is_text=True),
        Column(title="what came in", cells=[visible(c.raw, 30) for c in kept]),
        Column(title="the network takes", cells=written([c.value for c in kept])),
    ]
    more = [f"  … and {len(came) - len(kept):,} more"] if len(came) > len(kept) else []
    return ["", "INPUT", *lines_of(columns, width), *more]


def _forward(content: PassExplanation, width: int) -> Iterator[str]:
    for layer in content.layers:
        if layer.passes_on:
            yield f"layer {layer.number}: {layer.title}; it hands on what it takes"
            continue
        yield f"layer {layer.number}: {layer.title}"
        is_read = (
            layer is content.layers[-1] and content.end is not None and content.end.reading != "identity"
        )
        yield from lines_of([*_places(layer.z), *_sums(layer), *_values(layer, is_read=is_read)], width)


def _places(values: Tensor) -> list[Column]:
    """Return the columns that say which row and which unit a number belongs to."""
    rows, units = len(values), math.prod(values.shape[1:])
    columns = [Column(title="unit", cells=[str(u) for _ in range(rows) for u in range(1, units + 1)])]
    if rows > 1:
        columns.insert(
            0, Column(title="row", cells=[str(r) for r in range(1, rows + 1) for _ in range(units)])
        )
    return columns


def _sums(layer: Layer) -> list[Column]:
    cells = weighted_sums(layer)
    return [] if cells is None else [Column(title="w·x + b", cells=cells, is_text=True, may_go=True)]


def _values(layer: Layer, *, is_read: bool) -> list[Column]:
    """Return z and a of a layer; of the last, `is_read` through a sigmoid or softmax, the loss shows what follows z."""
    name = "z" if layer.activation is not None or is_read else "a = z"
    columns = [Column(title=name, cells=_cells(layer.z))]
    if layer.activation is not None:
        columns.append(Column(title=f"a = {layer.activation_name}(z)", cells=_cells(layer.a)))
    return columns


def _cells(values: Tensor) -> list[str]:
    return written(values.reshape(-1).tolist())


def _loss(end: LossEnd, width: int) -> list[str]:
    places = _places(end.read)
    if end.names:
        shown = [visible(name, 30) for _ in end.losses for name in end.names]
        places[-1] = Column(title="", cells=shown, is_text=True)
    columns = [
        *places,
        Column(title=_READ[end.reading], cells=_cells(end.read)),
        Column(title="target t", cells=_cells(end.targets)),
        Column(title=f"{_READ[end.reading][0]} − t", cells=_cells(end.read - end.targets)),
        Column(title="∂L/∂z" if end.reading != "identity" else "∂L/∂p", cells=_cells(end.delta)),
    ]
    if end.by_read is not None:
        columns[-1:-1] = [
            Column(title="∂L/∂p", cells=_cells(end.by_read), may_go=True),
            Column(title="p (1 − p)", cells=_cells(end.read * (1 - end.read)), may_go=True),
        ]
    formula = f": L = {end.formula}" if end.formula else ""
    if len(end.losses) > 1:
        formula += f", the mean of {len(end.losses)} rows"
    heading = textwrap.wrap(f"LOSS {short(end.cost)}, {end.loss}{formula}", width)
    return [*heading, *lines_of(columns, width)]


def _backward(content: PassExplanation, width: int) -> Iterator[str]:
    for layer in reversed([layer for layer in content.layers if not layer.passes_on]):
        yield f"layer {layer.number}: {layer.title}"
        yield from lines_of([*_places(layer.z), *_way_back(layer)], width)
        for weight in layer.weights:
            yield ""
            yield from lines_of(list(_weights(content, layer, weight)), width, indent="    ")
        if layer.number > 1:
            yield ""


def _way_back(layer: Layer) -> list[Column]:
    if layer.activation is None:
        return [Column(title="δ = ∂L/∂z", cells=_cells(layer.call.incoming))]
    columns = [Column(title="∂L/∂a", cells=_cells(layer.activation.incoming))]
    if layer.activation.derivative is not None:
        name = f"{layer.activation_name}'(z)"
        columns.append(Column(title=name, cells=_cells(layer.activation.derivative)))
    columns.append(Column(title="δ = ∂L/∂a · f'(z)", cells=_cells(layer.call.incoming)))
    return columns


def _weights(content: PassExplanation, layer: Layer, weight: Weight) -> Iterator[Column]:
    letter = {"weight": "w", "bias": "b"}.get(weight.name, weight.name)
    places = [()] if weight.value.dim() == 0 else list(_indices(tuple(weight.value.shape)))
    yield Column(title="", cells=[letter + ",".join(str(i + 1) for i in at) for at in places], is_text=True)
    yield Column(title="value", cells=_cells(weight.value))
    if (products := gradient_products(layer, weight)) is not None:
        yield Column(title="δ·x", cells=products, may_go=True)
    yield Column(title="∂L/∂" + letter, cells=_cells(weight.gradient))
    if weight.update is not None:
        yield Column(title="update", cells=_cells(weight.update))
        yield Column(title=f"new {letter}", cells=_cells(weight.value + weight.update), may_go=True)
    if content.nudges is not None and content.end is not None:
        amount, costs = content.nudges.amount, content.nudges.costs[weight.full_name].reshape(-1)
        outputs = content.nudges.outputs[weight.full_name]
        if outputs.shape[-2:].numel() == 1:
            yield Column(title=f"y at +{amount:g}", cells=_cells(outputs))
        yield Column(title=f"L at +{amount:g}", cells=_cells(costs))
        yield Column(title=f"ΔL/{amount:g}", cells=_cells((costs - content.end.cost) / amount))


def _indices(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if not shape:
        yield ()
        return
    for first in range(shape[0]):
        for rest in _indices(shape[1:]):
            yield (first, *rest)


def _update(content: PassExplanation, width: int) -> list[str]:
    lines = []
    if content.rule:
        lines += textwrap.wrap(f"update: {content.rule}", width)
    if content.cost_after is not None and content.end is not None:
        lines.append(f"loss after it: {short(content.cost_after)} (before: {short(content.end.cost)})")
        lines += textwrap.wrap(content.rise, width)
    if not lines:
        lines += textwrap.wrap("The file gives no learning_rate, so no update is shown.", width)
    return lines


def _forward_summary(content: PassExplanation, width: int) -> list[str]:
    layers, ends = content.layers, [summary(layer.a) for layer in content.layers]
    z = [summary(layer.z) for layer in layers]
    return lines_of(
        [
            Column(title="", cells=[str(layer.number) for layer in layers]),
            Column(title="layer", cells=[visible(layer.title, 44) for layer in layers], is_text=True),
            Column(title="gives", cells=[_shape(layer.a) for layer in layers]),
            Column(title="z from", cells=_brief(z, "least")),
            Column(title="to", cells=_brief(z, "most")),
            Column(title="mean a", cells=_brief(ends, "mean")),
            Column(title="a = 0", cells=[f"{100 * e['zeros']:.0f} %" for e in ends], may_go=True),
        ],
        width,
    )


def _backward_summary(content: PassExplanation, width: int) -> list[str]:
    rows = list(reversed(content.layers))
    gradients = [_norm([w.gradient for w in layer.weights]) for layer in rows]
    moved = [_norm([w.update for w in layer.weights if w.update is not None]) for layer in rows]
    sizes = [_norm([w.value for w in layer.weights]) for layer in rows]
    lines = lines_of(
        [
            Column(title="", cells=[str(layer.number) for layer in rows]),
            Column(
                title="layer", cells=[visible(layer.title, 44) for layer in rows], is_text=True, may_go=True
            ),
            Column(
                title="‖∂L/∂a‖",
                cells=[_g((layer.activation or layer.call).incoming.norm().item()) for layer in rows],
            ),
            Column(title="mean f'(z)", cells=[_slope(layer) for layer in rows]),
            Column(title="‖δ‖", cells=[_g(layer.call.incoming.norm().item()) for layer in rows]),
            Column(title="‖∂L/∂W‖", cells=[_g(n) for n in gradients]),
            Column(title="‖update‖/‖W‖", cells=[_ratio(u, s) for u, s in zip(moved, sizes, strict=True)]),
        ],
        width,
    )
    return [*lines, "", f"the {LARGEST} largest gradients", *_largest(content, width)]


def _largest(content: PassExplanation, width: int) -> list[str]:
    found = largest_weights(content.layers, LARGEST)
    columns = [
        Column(title="layer", cells=[str(f.layer) for f in found]),
        Column(title="weight", cells=[visible(f.name, 50) for f in found], is_text=True),
        Column(title="value", cells=written([f.value for f in found])),
        Column(title="gradient", cells=written([f.gradient for f in found])),
    ]
    if all(f.update is not None for f in found):
        columns.append(Column(title="update", cells=written([f.update or 0.0 for f in found])))
    return lines_of(columns, width)


def _norm(tensors: list[Tensor]) -> float | None:
    return math.sqrt(sum(t.double().square().sum().item() for t in tensors)) if tensors else None


def _ratio(moved: float | None, size: float | None) -> str:
    return "" if moved is None or not size else f"{100 * moved / size:.2g} %"


def _slope(layer: Layer) -> str:
    derivative = layer.call.derivative if layer.activation is None else layer.activation.derivative
    return "" if derivative is None else _g(derivative.mean().item())


def _g(value: float | None) -> str:
    return "" if value is None else signed(f"{value:.3g}")


def _brief(found: list[dict[str, float]], key: str) -> list[str]:
    return [_g(each[key]) for each in found]


def _shape(values: Tensor) -> str:
    return " × ".join(map(str, values.shape[1:])) or "1"
