"""A pass drawn as a graph: small networks unit by unit with their weights, large ones layer by layer."""

from __future__ import annotations

import math

from torch import Tensor, nn

from chainrule.core.units import rounded
from chainrule.explanations.columns import short
from chainrule.explanations.passes import Layer, PassExplanation, said_of
from chainrule.report.graph_drawing import Edge, Graph, Node, too_large
from chainrule.report.shapes import Label

MOST_WRITTEN = 18  # edges between two layers that still have room for their weights
MOST_CIRCLES = 5  # units of every layer where they are drawn as circles; more stand closer, as flat boxes
_SMALL = 12.0


def graph_of(content: PassExplanation) -> Graph | None:
    """Return the graph of a pass, unit by unit or layer by layer; None if it is too large."""
    layers = [layer for layer in content.layers if not layer.passes_on]
    graph = _units(content, layers) if shows_units(content) else _layers(content, layers)
    return graph if too_large(graph) is None else None


def shows_units(content: PassExplanation) -> bool:
    """Whether every unit has a place in the drawing: a small network of dense layers, and one row."""
    layers = [layer for layer in content.layers if not layer.passes_on]
    is_dense = all(layer.is_dense and layer.z.dim() == 2 for layer in layers)
    return content.is_small and is_dense and len(content.walk.inputs) == 1


def key_of(content: PassExplanation) -> tuple[Label, ...]:
    """Return what the colours of the drawing mean."""
    if shows_units(content) and all(written_out(layer) for layer in content.layers if layer.is_dense):
        said = ("values and weights", "gradients of the loss: δ of units, below a line that of its weight")
    elif shows_units(content):
        said = (
            "values; a line is blue for a weight above 0, orange below",
            "δ: gradients of the loss",
        )
    else:
        count = len(content.walk.inputs)
        rows = f" over all {count} rows" if count > 1 else ""
        said = (f"size (norm) of what is handed on{rows}", "size of its gradient, and of that of the weights")
    key = [Label(text=said[0], tone="ours"), Label(text=said[1], tone="wrong")]
    return tuple(key if content.end is not None else key[:1])


def _units(content: PassExplanation, layers: list[Layer]) -> Graph:
    """Draw a circle per unit with its value, below it what comes back; edges carry weights, or stand for them."""
    has_back = content.end is not None
    inputs = content.walk.inputs[0].reshape(-1).tolist()
    is_crowded = max(len(inputs), *(layer.z.shape[-1] for layer in layers)) > MOST_CIRCLES
    nodes = [_input_node(_value(x), _name(content, i), i, is_crowded) for i, x in enumerate(inputs)]
    edges: list[Edge] = []
    headings = {0: Label(text="input", tone="muted")}
    for place, layer in enumerate(layers, 1):
        headings[place] = Label(text=_heading(layer, place, len(layers)), tone="muted")
        nodes += _unit_nodes(layer, place, has_back, is_crowded)
        edges += _weights(layer, place, has_back)
    if content.end is not None:
        nodes.append(_loss_node(content, len(layers) + 1))
        edges += [
            Edge(start=f"{len(layers)}.{i}", end="loss", tone="muted")
            for i in range(content.end.read.shape[-1])
        ]
    return Graph(nodes=nodes, edges=edges, headings=headings)


def _input_node(value: Label, name: Label, place: int, is_crowded: bool) -> Node:
    if is_crowded:
        return Node(name=f"0.{place}", layer=0, rank=place, lines=[name, value], is_flat=True)
    return Node(name=f"0.{place}", layer=0, rank=place, shape="circle", lines=[value], below=[name])


def _unit_nodes(layer: Layer, place: int, has_back: bool, is_crowded: bool) -> list[Node]:
    z, a = layer.z[0].tolist(), layer.a[0].tolist()
    delta = layer.call.incoming[0].tolist()
    found = []
    for i in range(len(z)):
        back = [Label(text=f"δ {_brief(delta[i])}", tone="wrong", size=_SMALL)] if has_back else []
        sums = [Label(text=f"z {_brief(z[i])}", tone="muted", size=_SMALL)] if layer.activation else []
        name = f"{place}.{i}"
        if is_crowded:
            lines = [_value(a[i]), *back]
            found.append(Node(name=name, layer=place, rank=i, lines=lines, is_flat=True))
        else:
            found.append(
                Node(
                    name=name, layer=place, rank=i, shape="circle", lines=[_value(a[i])], below=[*sums, *back]
                )
            )
    return found


def written_out(layer: Layer) -> bool:
    """Whether the weights of a dense layer stand as numbers on its lines."""
    return layer.weights[0].value.numel() <= MOST_WRITTEN


def _weights(layer: Layer, place: int, has_back: bool) -> list[Edge]:
    dense = layer.call.layer
    assert isinstance(dense, nn.Linear)
    values = dense.weight.detach()
    gradients = layer.call.gradients.get("weight")
    is_written = written_out(layer)
    largest = float(values.abs().max()) or 1.0
    found = []
    for i, row in enumerate(values.tolist()):
        for j, w in enumerate(row):
            back = None
            if has_back and gradients is not None:
                back = Label(text=_brief(float(gradients[i, j])), tone="wrong", size=_SMALL)
            found.append(
                Edge(
                    start=f"{place - 1}.{j}",
                    end=f"{place}.{i}",
                    above=Label(text=_brief(w), tone="ours", size=_SMALL) if is_written else None,
                    below=back if is_written else None,
                    tone="rival" if is_written else "ours" if w > 0 else "wrong",
                    weight=1.5 if is_written else 0.3 + 3.2 * abs(w) / largest,
                    has_arrow=is_written,
                )
            )
    return found


def _layers(content: PassExplanation, layers: list[Layer]) -> Graph:
    """Draw a box per layer with weights, in the order of their calls; what follows it without weights stands in it."""
    nodes = [
        Node(name="0", layer=0, lines=[Label(text="input", is_strong=True), _shape(content.walk.inputs)])
    ]
    edges = []
    for place, group in enumerate(_groups(layers), 1):
        lines = [label for layer in group for label in _layer_lines(layer)]
        nodes.append(Node(name=str(place), layer=place, lines=lines, below=_sizes(group)))
        first = group[0].call
        back = first.outgoing if content.end is not None else None
        edges.append(
            Edge(
                start=str(place - 1),
                end=str(place),
                above=Label(text=_brief(_norm(first.inputs)), tone="ours", size=_SMALL),
                below=None if back is None else Label(text=_brief(_norm(back)), tone="wrong", size=_SMALL),
            )
        )
    if content.end is not None:
        last = len(nodes) - 1
        nodes.append(_loss_node(content, last + 1))
        edges.append(Edge(start=str(last), end="loss"))
    return Graph(nodes=nodes, edges=edges)


def _groups(layers: list[Layer]) -> list[list[Layer]]:
    found: list[list[Layer]] = []
    for layer in layers:
        if found and not layer.weights:
            found[-1].append(layer)
        else:
            found.append([layer])
    return found


def _layer_lines(layer: Layer) -> list[Label]:
    """Return what a layer is; how many go in and come out is told by the shapes."""
    what, comma, kernel = said_of(layer.call.layer).partition(",")
    name = (
        " ".join(word for word in what.split() if word != "→" and not word.isdigit())
        if layer.weights
        else what
    )
    lines = [Label(text=name + (kernel if comma and layer.weights else ""), is_strong=bool(layer.weights))]
    if layer.activation is not None:
        lines.append(Label(text=layer.activation_name))
    return [*lines, _shape(layer.a)]


def _sizes(group: list[Layer]) -> list[Label]:
    weights = [weight for layer in group for weight in layer.weights]
    if not weights:
        return []
    gradient = math.sqrt(sum(float(w.gradient.double().square().sum()) for w in weights))
    return [
        Label(text=f"{sum(w.value.numel() for w in weights):,} weights", tone="muted", size=_SMALL),
        Label(text=f"gradient {_brief(gradient)}", tone="wrong", size=_SMALL),
    ]


def _loss_node(content: PassExplanation, place: int) -> Node:
    assert content.end is not None
    lines = [Label(text="loss", is_strong=True), Label(text=_brief(content.end.cost))]
    if content.end.reading != "identity":
        lines.append(Label(text=f"after {content.end.reading}", tone="muted", size=_SMALL))
    return Node(name="loss", layer=place, lines=lines, tone="wrong")


def _heading(layer: Layer, place: int, last: int) -> str:
    what = "output" if place == last else f"layer {place}"
    return what if layer.activation is None else f"{what}: {layer.activation_name}"


def _name(content: PassExplanation, place: int) -> Label:
    name = content.came[place].name if place < len(content.came) else f"x{place + 1}"
    return Label(text=name if len(name) <= 18 else name[:17] + "…", tone="muted", size=_SMALL)


def _value(value: float) -> Label:
    return Label(text=_brief(value), tone="ours", is_strong=True)


def _shape(values: Tensor) -> Label:
    return Label(text=" × ".join(map(str, values.shape[1:])), tone="muted", size=_SMALL)


def _norm(values: Tensor) -> float:
    return float(values.double().norm())


def _brief(value: float) -> str:
    return short(rounded(value, 3))
