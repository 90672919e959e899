"""The page and the slide of a pass: the graph, what came in, the way forward, the loss, the way back, the update."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from chainrule.explanations.columns import short
from chainrule.explanations.largest import largest_weights
from chainrule.explanations.loss_end import LossEnd
from chainrule.explanations.passes import Layer, PassExplanation, Weight, summary
from chainrule.explanations.products import weighted_sums
from chainrule.report import html
from chainrule.report.canvas import WIDE
from chainrule.report.graph_drawing import Graph
from chainrule.report.graph_rows import draw_rows
from chainrule.report.histogram import draw_histogram
from chainrule.report.html import Cell, Child, Column, Markup
from chainrule.report.network_drawing import graph_of, key_of
from chainrule.report.pictures import is_tiny, png_uri
from chainrule.report.shapes import LIGHT, ON_PAGE, Drawing, Label, inline
from chainrule.report.slide import standalone

MOST_ROWS = 2_000  # rows of a table that opens on demand
MOST_MAPS = 32
LARGEST = 12
WIDEST = 1100.0  # what a page shows smaller instead of letting it scroll
MOST_FOLDS = 3  # rows that a long chain of layers is drawn in
SLIDE = (1488.0, 560.0)  # room of a drawing on a slide, about
LEAST_IN_HISTOGRAM = 100
_READ = {"softmax": "p = softmax(z)", "sigmoid": "p = sigmoid(z)", "identity": "p"}


def page(content: PassExplanation) -> html.Page:
    """Return the page."""
    found = html.Page(
        content.title, kicker="A network with its numbers" if content.source else "A row in its network"
    )
    found.head += [html.paragraph(content.answer, role="lead")]
    found.head += [html.paragraph(sentence, role="muted") for sentence in content.about]
    found.section("The network with its numbers", *_drawn(content))
    found.section("What came in", *_came(content))
    found.section("Forward", *_forward(content))
    if content.end is not None:
        found.section("The loss", *_loss(content.end))
        found.section("Backward", *_backward(content))
        if content.rule:
            found.section("The update", *_update(content))
    if content.source:
        found.section("The file", html.code(content.source))
    return found


def slide(content: PassExplanation) -> str:
    """Return the drawing as a slide."""
    graph = graph_of(content)
    lines = [Label(text=content.answer)]
    if content.end is not None:
        lines.append(Label(text=f"loss {short(content.end.cost)}{_after(content)}"))
    return standalone(
        content.title,
        None if graph is None else _largest_letters(graph),
        subtitle=content.about[0],
        legend=key_of(content),
        lines=lines,
        description=f"{content.title}: {content.answer}",
    )


def _after(content: PassExplanation) -> str:
    """Say what the loss is after one update, and why it may rise."""
    if content.cost_after is None or content.end is None:
        return ""
    rises = content.cost_after > content.end.cost
    longer = ": the step is too long for this row alone" if rises else ""
    return f", {short(content.cost_after)} after one update{longer}"


def _largest_letters(graph: Graph) -> Drawing:
    """Draw a graph for a slide, in one row or in several where that makes its letters larger."""
    drawings = [draw_rows(graph, rows, LIGHT) for rows in range(1, MOST_FOLDS + 1)]
    return max(drawings, key=lambda drawing: min(SLIDE[0] / drawing.width, SLIDE[1] / drawing.height, 3.0))


def _drawn(content: PassExplanation) -> list[Child]:
    graph = graph_of(content)
    if graph is None:
        return [html.paragraph("The network has more units and layers than a drawing can show.")]
    folds = (draw_rows(graph, rows, ON_PAGE) for rows in range(1, MOST_FOLDS + 1))
    drawing = next((drawing for drawing in folds if drawing.width <= WIDE), draw_rows(graph, 1, ON_PAGE))
    colours = {"ours": "Blue", "wrong": "Orange"}
    said = " ".join(f"{colours[label.tone]}: {label.text}." for label in key_of(content))
    if any(not edge.has_arrow for edge in graph.edges):
        said += " Lines without numbers are as wide as their weight is large."
    return [html.figure("", inline(drawing, content.title), said, is_wide=drawing.width > WIDEST)]


def _came(content: PassExplanation) -> list[Child]:
    if content.picture is not None:
        return [html.pictures([_picture(np.asarray(content.picture), "the row as it stands in the data")])]
    if not content.came:
        return [html.paragraph(f"{len(content.walk.inputs)} rows of {_shape(content.walk.inputs)} numbers.")]
    came = content.came[:MOST_ROWS]
    if all(c.is_as_it_stood for c in came):
        return [html.table(["input", Column("value")], [[c.name, c.raw] for c in came])]
    rows: list[list[Cell]] = [[c.name, c.raw, c.value] for c in came]
    return [html.table(["input", Column("in the data"), Column("what the network takes")], rows)]


def _forward(content: PassExplanation) -> list[Child]:
    if content.is_small:
        return [block for layer in content.layers for block in _forward_of(layer)]
    rows: list[list[Cell]] = []
    for layer in content.layers:
        z, a = summary(layer.z), summary(layer.a)
        rows.append(
            [layer.number, layer.title, _shape(layer.a), z["least"], z["most"], a["mean"], _share(a["zeros"])]
        )
    names = ["z from", "to", "mean of a"]
    table = html.table(["", "layer", "gives", *(Column(n) for n in names), Column("a = 0")], rows)
    return [table, *(_look_at(layer) for layer in content.layers)]


def _forward_of(layer: Layer) -> list[Child]:
    if layer.passes_on:
        return [html.paragraph(f"Layer {layer.number}: {layer.title}; it hands on what it takes.")]
    return [html.titled(f"Layer {layer.number}: {layer.title}", _values_table(layer), *_sums(layer))]


def _sums(layer: Layer) -> list[Child]:
    sums = weighted_sums(layer)
    if sums is None or len(layer.z) > 1:
        return []
    return [
        html.code(
            "\n".join(
                f"z{i} = {said} = {short(z)}"
                for i, (said, z) in enumerate(zip(sums, layer.z[0].tolist(), strict=True), 1)
            )
        )
    ]


def _values_table(layer: Layer) -> Markup:
    columns: list[tuple[str, Tensor]] = [("z" if layer.activation else "a = z", layer.z)]
    if layer.activation is not None:
        columns.append((f"a = {layer.activation_name}(z)", layer.a))
    return _numbers(columns)


def _numbers(columns: list[tuple[str, Tensor]], most: int = MOST_ROWS) -> Markup:
    """Return a table of one number per row and unit, from tensors of one shape."""
    first = columns[0][1]
    flat = [values.reshape(-1)[:most].tolist() for _, values in columns]
    names = [*(["row"] if len(first) > 1 else []), "unit", *(name for name, _ in columns)]
    rows: list[list[Cell]] = []
    for i, values in enumerate(zip(*flat, strict=True)):
        row, *unit = np.unravel_index(i, tuple(first.shape))
        where = ", ".join(str(int(u) + 1) for u in unit) or "1"
        rows.append([*([str(int(row) + 1)] if len(first) > 1 else []), where, *values])
    places = len(names) - len(columns)
    heads = [name if i < places else Column(name) for i, name in enumerate(names)]
    table = html.table(heads, rows)
    left = first.numel() - len(rows)
    return html.join(table, html.paragraph(f"… and {left:,} more", role="muted")) if left > 0 else table


def _look_at(layer: Layer) -> Markup:
    """Return what opens on demand: feature maps as pictures, or the values."""
    title = f"Layer {layer.number}: {layer.title}"
    if layer.a.dim() == 4 and len(layer.a) == 1 and min(layer.a.shape[2:]) > 1:
        maps = layer.a[0].double().numpy()
        pictures = [_picture(m[None], f"map {i}") for i, m in enumerate(maps[:MOST_MAPS], 1)]
        return html.details(f"{title}: its {len(maps)} maps", html.pictures(pictures))
    return html.details(f"{title}: its values", _values_table_of(layer))


def _values_table_of(layer: Layer) -> Markup:
    return _numbers([("z", layer.z), ("a", layer.a)], most=500)


def _loss(end: LossEnd) -> list[Child]:
    symbol = _READ[end.reading][0]
    by = "∂L/∂p" if end.reading == "identity" else "∂L/∂z"
    names = [
        end.names[i % end.read.shape[-1]] if end.names else str(i % end.read.shape[-1] + 1)
        for i in range(end.read.numel())
    ]
    flat = [t.reshape(-1).tolist() for t in (end.read, end.targets, end.read - end.targets, end.delta)]
    rows: list[list[Cell]] = [[name, *values] for name, *values in zip(names, *flat, strict=True)]
    heads = [_READ[end.reading], "target t", f"{symbol} − t", by]
    formula = f": L = {end.formula}" if end.formula else ""
    several = f", the mean of {len(end.losses)} rows" if len(end.losses) > 1 else ""
    return [
        html.paragraph(f"{end.cost:.6g}, {end.loss}{formula}{several}"),
        html.table(["output", *(Column(head) for head in heads)], rows),
    ]


def _backward(content: PassExplanation) -> list[Child]:
    shown: list[Child] = [
        html.paragraph(
            "Layer by layer from the loss to the inputs: ∂L/∂a comes from the layer behind, times the slope f'(z) it "
            "gives δ = ∂L/∂z, and δ times what went into the layer gives the gradient of each weight."
        )
    ]
    if content.nudges is not None:
        shown.append(
            html.paragraph(
                f"Beside each gradient: the loss when this weight alone is made larger by {content.nudges.amount:g}, and "
                "the change divided by that."
            )
        )
    layers = [layer for layer in reversed(content.layers) if not layer.passes_on]
    if content.is_small:
        return [*shown, *(block for layer in layers for block in _backward_of(content, layer))]
    return [*shown, _norms(layers), _largest(content), *(_drill(content, layer) for layer in layers)]


def _backward_of(content: PassExplanation, layer: Layer) -> list[Child]:
    tables = [_weight_table(content, weight) for weight in layer.weights]
    return [html.titled(f"Layer {layer.number}: {layer.title}", _deltas(layer), *tables)]


def _deltas(layer: Layer) -> Markup:
    columns = []
    if layer.activation is not None:
        columns.append(("∂L/∂a", layer.activation.incoming))
        if layer.activation.derivative is not None:
            columns.append((f"{layer.activation_name}'(z)", layer.activation.derivative))
    return _numbers([*columns, ("δ = ∂L/∂z", layer.call.incoming)], most=500)


def _weight_table(content: PassExplanation, weight: Weight, most: int = MOST_ROWS) -> Markup:
    columns = [("value", weight.value), ("gradient", weight.gradient)]
    if weight.update is not None:
        columns += [("update", weight.update), ("new value", weight.value + weight.update)]
    if content.nudges is not None and content.end is not None:
        amount, costs = content.nudges.amount, content.nudges.costs[weight.full_name]
        columns += [
            (f"loss at +{amount:g}", costs),
            (f"change / {amount:g}", (costs - content.end.cost) / amount),
        ]
    flat = [values.reshape(-1)[:most].tolist() for _, values in columns]
    rows: list[list[Cell]] = []
    for i, values in enumerate(zip(*flat, strict=True)):
        at = np.unravel_index(i, tuple(weight.value.shape)) if weight.value.dim() else ()
        rows.append([f"{weight.name} {', '.join(str(int(j) + 1) for j in at)}", *values])
    table = html.table(["", *(Column(name) for name, _ in columns)], rows)
    left = weight.value.numel() - len(rows)
    return html.join(table, html.paragraph(f"… and {left:,} more", role="muted")) if left > 0 else table


def _norms(layers: list[Layer]) -> Markup:
    rows: list[list[Cell]] = []
    for layer in layers:
        after = layer.activation or layer.call
        slope = after.derivative
        rows.append(
            [
                layer.number,
                layer.title,
                float(after.incoming.double().norm()),
                None if slope is None else float(slope.double().mean()),
                float(layer.call.incoming.double().norm()),
                _norm([w.gradient for w in layer.weights]),
                _moved(layer),
            ]
        )
    heads = ["‖∂L/∂a‖", "mean of f'(z)", "‖δ‖", "‖∂L/∂W‖", "‖update‖ / ‖W‖"]
    return html.table(["", "layer", *(Column(head) for head in heads)], rows)


def _moved(layer: Layer) -> str | None:
    updates = [w.update for w in layer.weights if w.update is not None]
    before, moved = _norm([w.value for w in layer.weights]), _norm(updates)
    return None if not before or moved is None else f"{100 * moved / before:.2g} %"


def _norm(tensors: list[Tensor]) -> float | None:
    return math.sqrt(sum(float(t.double().square().sum()) for t in tensors)) if tensors else None


def _largest(content: PassExplanation) -> Markup:
    found = largest_weights(content.layers, LARGEST)
    rows: list[list[Cell]] = [[f.layer, f.name, f.value, f.gradient, f.update] for f in found]
    heads = [Column("value"), Column("gradient"), Column("update")]
    return html.titled(
        "The largest gradients of single weights", html.table([Column("layer"), "weight", *heads], rows)
    )


def _drill(content: PassExplanation, layer: Layer) -> Markup:
    blocks: list[Child] = [_deltas_seen(layer)]
    for weight in layer.weights:
        if weight.gradient.numel() >= LEAST_IN_HISTOGRAM:
            blocks.append(_histogram(weight))
        if weight.gradient.dim() == 4 and min(weight.gradient.shape[2:]) > 1:
            blocks.append(_kernels(weight))
        blocks.append(_weight_table(content, weight, most=200))
    return html.details(f"Layer {layer.number}: {layer.title}: its gradients", *blocks)


def _deltas_seen(layer: Layer) -> Markup:
    delta = layer.call.incoming
    if delta.dim() == 4 and len(delta) == 1 and min(delta.shape[2:]) > 1:
        maps = delta[0].double().numpy()
        pictures = [_picture(m[None], f"∂L/∂z of map {i}") for i, m in enumerate(maps[:MOST_MAPS], 1)]
        return html.pictures(pictures)
    return _deltas(layer)


def _kernels(weight: Weight) -> Markup:
    """Return the gradients of kernels as pictures, the first input channel of each."""
    kernels = weight.gradient[:MOST_MAPS, 0].double().numpy()
    pictures = [_picture(k[None], f"gradient of kernel {i}") for i, k in enumerate(kernels, 1)]
    return html.pictures(pictures)


def _histogram(weight: Weight) -> Markup:
    gradient = weight.gradient
    zeros = float((gradient == 0).double().mean())
    others = gradient[gradient != 0]
    if not len(others):
        return html.paragraph(f"All {gradient.numel():,} gradients of {weight.name} are 0.")
    besides = f"; {_share(zeros)} are 0 and left out" if zeros else ""
    said = f"How the {gradient.numel():,} gradients of {weight.name} are spread{besides}"
    drawing = draw_histogram(others.double().numpy())
    return html.figure("", inline(drawing, said), f"{said}. Heights are shares of the tallest bar.")


def _update(content: PassExplanation) -> list[Child]:
    assert content.end is not None
    shown: list[Child] = [html.paragraph(content.rule)]
    if content.cost_after is not None:
        shown.append(
            html.facts({"loss before": short(content.end.cost), "loss after": short(content.cost_after)})
        )
    if content.rise:
        shown.append(html.paragraph(content.rise))
    return shown


def _picture(values: np.ndarray, said: str) -> html.Picture:
    shown = values if values.shape[0] in (1, 3) else values[:1]
    return html.Picture(source=png_uri(shown), description=said, lines=[said], is_pixelated=is_tiny(shown))


def _shape(values: Tensor) -> str:
    return " × ".join(map(str, values.shape[1:])) or "1"


def _share(part: float) -> str:
    return f"{100 * part:.0f} %"
