"""Matplotlib figures as inline SVG that follows the theme of the page.

Matplotlib draws with the colours of `COLOURS`; here each of them becomes the variable of the style sheet that has
this value in the light theme. Style attributes, which the page forbids, become presentation attributes. What is
written in a figure takes part as text only, never as a formula or as markup.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from chainrule.core.text import visible
from chainrule.report.html import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT = 15.0  # CSS pixels: the text of the page; a unit of a drawing is a pixel too
COLOURS = {  # in the light theme of page.css, so that a figure outside the page looks the same
    "ink": "#1b1f23",
    "muted": "#59636e",
    "line": "#d5dae0",
    "paper": "#ffffff",
    "rival": "#a9b3bd",
    "ours": "#0072b2",
    "good": "#009e73",
    "wrong": "#d55e00",
    "cell-right": "#0072b3",  # one step beside ours and wrong: cells keep these colours in the dark theme
    "cell-wrong": "#d55e01",
}
_VARIABLES = {value: f"var(--{name})" for name, value in COLOURS.items()}
_KEPT = re.compile(r"fill|stroke|opacity|font-(size|weight|style)|text-anchor")
_DECIMALS = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_UNDATED = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # the same drawing, the same bytes
_HREF = "{http://www.w3.org/1999/xlink}href"


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Draw within matplotlib's own defaults and ours, whatever the user has set; their settings come back after."""
    import matplotlib

    defaults: dict[Any, Any] = {
        k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")
    }
    ours: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "chainrule",
        "font.size": FONT,
        "text.color": COLOURS["ink"],
        "text.parse_math": False,
        "axes.labelcolor": COLOURS["muted"],
        "axes.edgecolor": COLOURS["line"],
        "xtick.color": COLOURS["muted"],
        "ytick.color": COLOURS["muted"],
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
        "grid.color": COLOURS["line"],
        "grid.linewidth": 1,
    }
    with matplotlib.rc_context({**defaults, **ours}):
        yield


def inline_svg(figure: Figure, name: str, description: str) -> Markup:
    """Return a figure as SVG for a page; `name` (a-z, 0-9, -) must be unique there, it begins every id.

    The same figure gives the same bytes.
    """
    assert re.fullmatch(r"[a-z][a-z0-9-]*", name), name
    texts = _hide_texts(figure)
    root = ElementTree.fromstring(_written(figure))
    _, _, width, height = root.attrib["viewBox"].split()
    root.attrib.clear()
    root.attrib |= {
        "viewBox": f"0 0 {width} {height}",
        "width": f"{float(width) / FONT:g}rem",
        "role": "img",
        "aria-label": visible(description, 2000),
    }
    _clean(root, texts)
    _rename_ids(root, name)
    title = ElementTree.Element("title")
    title.text = visible(description, 2000)
    root.insert(0, title)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def picture_bytes(figure: Figure, ending: str) -> bytes:
    """Return a figure as the bytes of a PNG file, or of an SVG file with its texts as text."""
    buffer = io.BytesIO()
    is_svg = ending == ".svg"
    look: dict[str, Any] = {"dpi": 72, "metadata": _UNDATED} if is_svg else {"dpi": 144}
    with drawing(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the drawing font lacks becomes a box
        figure.savefig(buffer, format=ending[1:], **look)
    return buffer.getvalue()


def _written(figure: Figure) -> str:
    buffer = io.StringIO()
    look: dict[str, Any] = {"dpi": 72, "metadata": _UNDATED}
    with drawing():
        figure.patch.set_visible(False)
        figure.savefig(buffer, format="svg", **look)
    return buffer.getvalue()


def _hide_texts(figure: Figure) -> dict[str, str]:
    """Put a stand-in for texts that the drawing font may lack, so that matplotlib need not measure them."""
    from matplotlib.text import Text

    texts: dict[str, str] = {}
    for artist in figure.findobj(Text):
        assert isinstance(artist, Text)
        artist.set_parse_math(False)
        text = visible(artist.get_text())
        if not text.isascii() or text.startswith("@"):
            stand_in = f"@{len(texts)}@".ljust(len(text), "x")
            texts[stand_in] = text
            text = stand_in
        artist.set_text(text)
    return texts


def _clean(node: ElementTree.Element, texts: dict[str, str]) -> None:
    """Make attributes of styles, shorten numbers, drop groups and sheets that say nothing."""
    node.tag = node.tag.rpartition("}")[2]
    _clean_attributes(node)
    if node.tag in ("text", "tspan"):
        node.text = texts.get(node.text or "", node.text)
    kept: list[ElementTree.Element] = []
    for child in list(node):
        if child.tag.endswith(("}style", "}metadata")):
            continue
        _clean(child, texts)
        is_bare = child.tag == "g" and not (child.attrib.keys() - {"id"})
        kept += list(child) if is_bare else [child]
    node[:] = [child for child in kept if child.tag not in ("g", "defs") or len(child)]
    if node.tag != "text":
        node.text = None
    node.tail = None
    _hoist(node)


def _clean_attributes(node: ElementTree.Element) -> None:
    style = dict(_styles(node.attrib.pop("style", "")))
    href = node.attrib.pop(_HREF, None)
    for key, value in {**node.attrib, **style}.items():
        node.attrib[key] = " ".join(_DECIMALS.sub(_rounded, value).split())
    if href:
        node.attrib["href"] = href
    if node.attrib.get("transform", "").startswith("rotate(-0 "):
        del node.attrib["transform"]


def _styles(style: str) -> Iterator[tuple[str, str]]:
    for part in style.split(";"):
        key, _, value = (piece.strip() for piece in part.partition(":"))
        size = re.search(r"([\d.]+)px", value)
        if key == "font" and size:  # matplotlib before 3.10 writes the shorthand
            key, value = "font-size", size[1]
        if _KEPT.match(key) and (key, value) != ("stroke-dashoffset", "0"):
            yield key, _VARIABLES.get(value.lower(), value.removesuffix("px"))


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _hoist(node: ElementTree.Element) -> None:
    """Move what all marks of a group share to the group: thousands of points need it once."""
    if node.tag != "g" or len(node) < 2 or any(child.tag != "use" for child in node):
        return
    shared = set(node[0].attrib.items()).intersection(*(child.attrib.items() for child in node))
    for key, value in sorted(shared):
        if _KEPT.match(key):
            node.attrib[key] = value
            for child in node:
                del child.attrib[key]


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    used = re.compile(r"url\(#([^)]+)\)|^#(.+)$")
    fresh: dict[str, str] = {}
    for node in root.iter():
        for key in ("href", "clip-path"):
            found = used.search(node.attrib.get(key, ""))
            if found:
                old = found[1] or found[2]
                new = fresh.setdefault(old, f"{name}-{len(fresh) + 1}")
                node.attrib[key] = f"#{new}" if key == "href" else f"url(#{new})"
    for node in root.iter():
        old_id = node.attrib.pop("id", None)
        if old_id in fresh:
            node.attrib["id"] = fresh[old_id]
