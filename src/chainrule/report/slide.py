"""One slide for a lecture hall: an SVG document of its own, 16:9, in plain colours, readable from the back."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.report.html import Markup, element, join
from chainrule.report.shapes import LIGHT, Drawing, Label, box, place, write
from chainrule.report.svg import FONT

WIDTH, HEIGHT = 1600.0, 900.0
# Sizes of letters; drawings keep theirs at or above the least where they fit.
TITLE, TEXT, LEAST = 46.0, 28.0, 18.0
_EDGE, _MOST_SCALE = 56.0, 3.0
_FONTS = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', Arial, sans-serif"


def standalone(
    title: str,
    drawing: Drawing | None,
    *,
    subtitle: str = "",
    legend: Sequence[Label] = (),
    lines: Sequence[Label] = (),
    description: str = "",
) -> str:
    """Return a slide: the title, a drawing as large as it fits, a legend, lines of text in columns at the bottom.

    The drawing must have been made with the colours `shapes.LIGHT`.
    """
    shown = [box(0, 0, WIDTH, HEIGHT, fill=LIGHT["paper"], line="none")]
    heading = _heading(title)
    for i, label in enumerate(heading):
        shown.append(_fitted(label, _EDGE, _EDGE + 0.8 * TITLE + i * 1.25 * label.size, WIDTH - 2 * _EDGE))
    top = _EDGE + sum(1.25 * label.size for label in heading)
    if subtitle:
        top += 1.3 * TEXT
        shown.append(_fitted(Label(text=subtitle, tone="muted", size=TEXT), _EDGE, top, WIDTH - 2 * _EDGE))
    bottom = HEIGHT - _EDGE
    if drawing:
        shown += _columns(lines, bottom)
        bottom -= _columns_height(lines)
    if legend:
        shown += _row(legend, bottom if drawing else top + 2.5 * TEXT)
        bottom -= 1.7 * TEXT
    if drawing:
        shown.append(_centred(drawing, top + 0.8 * TEXT, bottom - 0.3 * TEXT))
    else:
        shown += _columns(lines, top + 3.5 * TEXT + _columns_height(lines))
    return _document(join(*shown), description or title)


def _heading(title: str) -> list[Label]:
    """Return the title in one line, or in two smaller ones where it is long."""
    whole = Label(text=title, is_strong=True, size=TITLE)
    if whole.width * 0.75 <= WIDTH - 2 * _EDGE or " " not in title:
        return [whole]
    spaces = [i for i, letter in enumerate(title) if letter == " "]
    cut = min(spaces, key=lambda i: abs(i - len(title) / 2))
    return [Label(text=part, is_strong=True, size=0.75 * TITLE) for part in (title[:cut], title[cut + 1 :])]


def is_legible(drawing: Drawing, *, lines: Sequence[Label] = ()) -> bool:
    """Whether a drawing's letters, which are `svg.FONT` high in it, are large enough on a slide above these lines."""
    used = 1.25 * TITLE + 4 * TEXT + _columns_height(lines)
    scale = min((WIDTH - 2 * _EDGE) / drawing.width, (HEIGHT - 2 * _EDGE - used) / drawing.height)
    return scale * FONT >= LEAST


def _document(content: Markup, description: str) -> str:
    look = {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "width": f"{WIDTH:g}", "height": f"{HEIGHT:g}"}
    look |= {"role": "img", "font-family": _FONTS, "xmlns": "http://www.w3.org/2000/svg"}
    whole = element("svg", element("title", description), content, attributes=look)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{whole.html}\n'


def _fitted(label: Label, left: float, baseline: float, most: float) -> Markup:
    """Write a line, with smaller letters where it would be too wide, shortened where those would be too small."""
    size = min(label.size, max(LEAST, label.size * most / max(1.0, label.width)))
    text = label.text
    while len(text) > 1 and Label(text=text + "…", is_strong=label.is_strong, size=size).width > most:
        text = text[:-1]
    shown = text if text == label.text else f"{text.rstrip()}…"
    smaller = Label(text=shown, tone=label.tone, is_strong=label.is_strong, size=size)
    return write(smaller, left, baseline, LIGHT, anchor="start")


def _centred(drawing: Drawing, top: float, bottom: float) -> Markup:
    across, down = WIDTH - 2 * _EDGE, bottom - top
    scale = min(_MOST_SCALE, across / drawing.width, down / drawing.height)
    left = _EDGE + (across - scale * drawing.width) / 2
    return place(drawing, left, top + (down - scale * drawing.height) / 2, scale)


def _row(labels: Sequence[Label], baseline: float) -> list[Markup]:
    shown, left = [], _EDGE
    for label in labels:
        sized = Label(text=label.text, tone=label.tone, is_strong=label.is_strong, size=TEXT)
        shown.append(write(sized, left, baseline, LIGHT, anchor="start"))
        left += sized.width + 2 * TEXT
    return shown


def _shape(lines: Sequence[Label]) -> tuple[int, int]:
    """Return in how many columns and rows lines stand: as many columns as the longest of them leaves room for."""
    widest = max((Label(text=label.text, size=TEXT).width for label in lines), default=1.0) + 1.5 * TEXT
    columns = max(1, min(4, len(lines) // 2, int((WIDTH - 2 * _EDGE + 1.5 * TEXT) / widest)))
    return columns, -(-len(lines) // columns)


def _columns_height(lines: Sequence[Label]) -> float:
    return _shape(lines)[1] * 1.4 * TEXT + (0.3 * TEXT if lines else 0.0)


def _columns(lines: Sequence[Label], bottom: float) -> list[Markup]:
    columns, rows = _shape(lines)
    across = (WIDTH - 2 * _EDGE) / columns
    shown = []
    for i, label in enumerate(lines):
        left, down = _EDGE + i // rows * across, bottom - (rows - 1 - i % rows) * 1.4 * TEXT
        sized = Label(text=label.text, tone=label.tone, is_strong=label.is_strong, size=TEXT)
        shown.append(_fitted(sized, left, down, across - 0.5 * TEXT))
    return shown
