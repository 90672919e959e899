"""The page and the slide of a model: what every layer gives, and where parameters, work and memory are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from chainrule.core.units import show_bytes
from chainrule.explanations.costs import LayerCost, ModelCosts, show_shape
from chainrule.report.canvas import WIDE
from chainrule.report.html import Column, Markup, Page, facts, figure, join, paragraph, table
from chainrule.report.shapes import LIGHT, ON_PAGE, Drawing, Label, Palette, box, inline, write
from chainrule.report.slide import standalone

MOST_ROWS = 14  # of the drawing; a slide holds no more
_LINE, _GAP = 26.0, 22.0
_LEAST_BAR, _MOST_BAR = 24.0, 150.0
_FEW_LETTERS = 38


def page(content: ModelCosts) -> Page:
    """Return the page of a model."""
    made = Page(title=content.title, kicker="Layer by layer")
    made.head.append(paragraph(f"Rows of {show_shape(content.input)}", role="lead"))
    made.head.append(
        facts(
            {
                "parameters": f"{content.parameters:,}",
                "multiply-adds a row": f"{content.multiply_adds:,}",
                "activations kept a row": show_bytes(content.kept_bytes),
            },
            role="tiles",
        )
    )
    said = "Where the parameters, the work and the memory are; bars of one colour share a scale."
    drawing = inline(_drawing(content, ON_PAGE, WIDE), _described(content))
    made.section("Where the costs are", figure("", drawing, said, is_wide=True))
    made.section("Every layer", _table(content), *(paragraph(line) for line in content.words()))
    return made


def slide(content: ModelCosts) -> str:
    """Return the drawing as a slide."""
    return standalone(
        content.title,
        _drawing(content, LIGHT, 2 * WIDE),
        subtitle=f"rows of {show_shape(content.input)} · {content.parameters:,} parameters · "
        f"{content.multiply_adds:,} multiply-adds",
        description=_described(content),
    )


def _described(content: ModelCosts) -> str:
    return f"{content.title}: {len(content.layers)} layers with their output shapes and costs"


def _table(content: ModelCosts) -> Markup:
    heads: list[Column | str] = ["layer", "", Column("output"), Column("weights"), Column("biases")]
    heads += [Column("multiply-adds"), Column("memory")]
    rows = [
        (
            layer.name,
            layer.says,
            show_shape(layer.shape),
            "as above" if layer.is_repeated and layer.weights else layer.weights,
            0 if layer.is_repeated else layer.biases,
            layer.multiply_adds,
            show_bytes(layer.kept_bytes) if layer.kept_bytes else 0,
        )
        for layer in content.layers
    ]
    sums = (content.weights, content.biases, content.multiply_adds, show_bytes(content.kept_bytes))
    return table(heads, [*rows, ("", "sum", "", *sums)])


def grouped(layers: Sequence[LayerCost], most: int) -> list[LayerCost]:
    """Return at most so many lines: layers as they are, else merged by the first part of their names, else cut.

    What is cut is merged into one last line, so that nothing of the sums is missing.
    """
    if len(layers) <= most:
        return list(layers)
    groups: dict[str, list[LayerCost]] = {}
    for layer in layers:
        groups.setdefault(layer.name.partition(".")[0], []).append(layer)
    merged = [_merged(name, members) for name, members in groups.items()]
    if len(merged) <= most:
        return merged
    rest = _merged("", merged[most - 1 :])
    return [*merged[: most - 1], replace(rest, says=f"{len(merged) - most + 1} more")]


def _merged(name: str, layers: Sequence[LayerCost]) -> LayerCost:
    if len(layers) == 1:
        return layers[0]
    own = [layer for layer in layers if not layer.is_repeated]
    return LayerCost(
        name=name,
        kind="",
        says=f"{len(layers)} layers",
        shape=layers[-1].shape,
        weights=sum(layer.weights for layer in own),
        biases=sum(layer.biases for layer in own),
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        kept_bytes=sum(layer.kept_bytes for layer in layers),
    )


def _drawing(content: ModelCosts, colours: Palette, width: float) -> Drawing:
    """Draw a line per layer: what it is, its output, and three bars; no wider than `width` where they can be short."""
    rows = grouped(content.layers, MOST_ROWS)
    names = [Label(text=_shortened(row.name), tone="muted") for row in rows]
    said = [Label(text=_shortened(row.says)) for row in rows]
    shapes = [Label(text=show_shape(row.shape)) for row in rows]
    start = max(label.width for label in names) + 8
    middle = start + _GAP + max(label.width for label in said) + max(50.0, *(s.width for s in shapes))
    bars: list[tuple[str, str, list[int], Callable[[int], str]]] = [
        ("parameters", "ours", [0 if r.is_repeated else r.weights + r.biases for r in rows], "{:,}".format),
        ("multiply-adds", "good", [r.multiply_adds for r in rows], "{:,}".format),
        ("memory", "wrong", [r.kept_bytes for r in rows], show_bytes),
    ]
    shown = [write(Label(text="output", tone="muted"), middle, 18, colours, anchor="end")]
    for line, (name, what, shape) in enumerate(zip(names, said, shapes, strict=True)):
        base = _LINE * (line + 1) + 18
        shown.append(write(name, 0, base, colours, anchor="start"))
        shown.append(write(what, start, base, colours, anchor="start"))
        shown.append(write(shape, middle, base, colours, anchor="end"))
    left = middle + _GAP
    rooms = [max(Label(text=written(amount)).width for amount in amounts) for *_, amounts, written in bars]
    free = width - left - sum(rooms) - len(bars) * (8 + _GAP) + _GAP
    longest = min(_MOST_BAR, max(_LEAST_BAR, free / len(bars)))
    for (title, tone, amounts, written), room in zip(bars, rooms, strict=True):
        shown.append(write(Label(text=title, tone="muted"), left, 18, colours, anchor="start"))
        shown += _bars(amounts, written, tone, (left, longest), colours)
        left += longest + 8 + room + _GAP
    return Drawing(left - _GAP, _LINE * (len(rows) + 1) + 4, join(*shown))


def _bars(
    amounts: Sequence[int],
    written: Callable[[int], str],
    tone: str,
    place: tuple[float, float],
    colours: Palette,
) -> list[Markup]:
    left, longest = place
    shown = []
    for line, amount in enumerate(amounts):
        if not amount:
            continue
        long, base = longest * amount / max(amounts), _LINE * (line + 1) + 18
        bar = box(left, base - 13, max(1.0, long), 16, radius=2, fill=colours[tone], line="none")
        shown += [bar, write(Label(text=written(amount)), left + long + 6, base, colours, anchor="start")]
    return shown


def _shortened(text: str) -> str:
    return text if len(text) <= _FEW_LETTERS else f"{text[: _FEW_LETTERS - 1]}…"
