"""What our own drawings are made of, as SVG: texts, boxes, circles, lines. A unit is a CSS pixel.

Colours are named as in page.css. On a page a name becomes a variable of the sheet, which follows the theme; in a
document of its own it becomes a plain colour, since programs that show slides know no variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.core.text import visible
from chainrule.report.canvas import text_width
from chainrule.report.html import Markup, element
from chainrule.report.svg import COLOURS, FONT

Palette = Mapping[str, str]
LIGHT: Palette = {**COLOURS, "panel": "#f3f5f7"}
ON_PAGE: Palette = {name: f"var(--{name})" for name in LIGHT}
LINE_HEIGHT = 1.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A line of text; `tone` is the name of a colour."""

    text: str
    tone: str = "ink"
    is_strong: bool = False
    size: float = FONT

    @property
    def width(self) -> float:
        """About how wide it is, rather more than less."""
        return text_width(self.text, self.size) * (1.06 if self.is_strong else 1.0)

    @property
    def height(self) -> float:
        """How much room its line takes."""
        return self.size * LINE_HEIGHT


@dataclass(frozen=True, slots=True)
class Drawing:
    """Something drawn, from (0, 0) to (width, height)."""

    width: float
    height: float
    content: Markup


def write(label: Label, x: float, y: float, colours: Palette, *, anchor: str = "middle") -> Markup:
    """Return a text whose baseline begins, has its middle or ends at (x, y)."""
    look = {
        "x": _number(x),
        "y": _number(y),
        "font-size": _number(label.size),
        "text-anchor": anchor,
        "fill": colours[label.tone],
    }
    strong = {"font-weight": "650"} if label.is_strong else {}
    return element("text", visible(label.text, 400), attributes=look | strong)


def write_lines(labels: Sequence[Label], x: float, middle: float, colours: Palette) -> list[Markup]:
    """Return lines of text, one below the other, around the height `middle`."""
    top = middle - sum(label.height for label in labels) / 2
    shown = []
    for label in labels:
        shown.append(write(label, x, top + 0.5 * label.height + 0.35 * label.size, colours))
        top += label.height
    return shown


def box(
    left: float, top: float, width: float, height: float, *, radius: float = 0, fill: str, line: str
) -> Markup:
    """Return a box with round corners; half its width as radius makes a square one a circle."""
    place = {"x": left, "y": top, "width": width, "height": height, "rx": radius}
    numbers = {name: _number(value) for name, value in place.items()}
    return element("rect", attributes={**numbers, "fill": fill, "stroke": line, "stroke-width": "1.5"})


def line(points: str, colour: str, *, weight: float = 1.5, dashes: str = "") -> Markup:
    """Return a line along an SVG path."""
    look = {"d": points, "fill": "none", "stroke": colour, "stroke-width": _number(weight)}
    return element("path", attributes=look | ({"stroke-dasharray": dashes} if dashes else {}))


def arrow_head(x: float, y: float, colour: str, *, size: float = 7) -> Markup:
    """Return the head of an arrow that goes to the right and ends at (x, y)."""
    points = f"M{x:.1f} {y:.1f}l{-1.3 * size:.1f} {-0.55 * size:.1f}v{1.1 * size:.1f}z"
    return element("path", attributes={"d": points, "fill": colour})


def place(drawing: Drawing, left: float, top: float, scale: float = 1.0) -> Markup:
    """Return a drawing moved and scaled, as a part of a larger one."""
    move = f"translate({_number(left)} {_number(top)}) scale({scale:.4f})"
    return element("g", drawing.content, attributes={"transform": move})


def inline(drawing: Drawing, description: str) -> Markup:
    """Return a drawing for a figure of a page; it must have been drawn with the colours ON_PAGE."""
    shown = visible(description, 2000)
    look = {
        # two pixels more on each side: lines around the outermost shapes are as wide as that
        "viewBox": f"-2 -2 {_number(drawing.width + 4)} {_number(drawing.height + 4)}",
        "width": f"{(drawing.width + 4) / FONT:.2f}rem",
        "role": "img",
        "aria-label": shown,
    }
    return element("svg", element("title", shown), drawing.content, attributes=look)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
