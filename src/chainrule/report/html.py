"""The one HTML kit: pages that need no network and no script, and where text is escaped by construction.

A block is a `Markup`, made by the functions below out of other blocks and of plain text. Plain text (`str`) is
escaped wherever it stands, so a name from data cannot become a tag, an attribute or a style. The page forbids
everything but its own style sheet (named by its hash) and pictures that it carries itself.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from chainrule.core.units import show_number, signed

_VOID = frozenset({"br", "img", "link", "meta"})
_SPACES = "\n\t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
_ABSENT = "–"


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML that is safe on a page. Only the kit makes one out of text; data stays `str` and is escaped."""

    html: str


Child = Markup | str
Cell = Markup | str | int | float | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; numbers stand at the right, floats of one column with the same decimals."""

    name: str
    is_numeric: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a grid: its data URI (see `pictures.png_uri`), what it shows in words, lines of text below."""

    source: str
    description: str
    lines: Sequence[Child] = ()
    is_pixelated: bool = False


def escape(text: str) -> str:
    """Return text as HTML, for content and attributes alike; control characters are written out.

    >>> escape('<b> & "q"'), escape("bell\\x07")
    ('&lt;b&gt; &amp; &quot;q&quot;', 'bell\\\\x07')
    """
    shown = "".join(
        c if c.isprintable() or c in _SPACES else c.encode("unicode_escape").decode() for c in text
    )
    return html.escape(shown, quote=True)


def element(tag: str, *children: Child, attributes: Mapping[str, str] | None = None) -> Markup:
    """Return one element around its children; attributes are escaped like all text.

    >>> element("td", "a < b", attributes={"class": "number"}).html
    '<td class="number">a &lt; b</td>'
    """
    written = "".join(_attribute(name, value) for name, value in (attributes or {}).items())
    assert re.fullmatch(r"[a-z][a-z0-9]*", tag) and tag not in ("script", "style"), tag
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(*children).html}</{tag}>")


def join(*children: Child) -> Markup:
    """Return the children one after the other, without an element around them."""
    return Markup("".join(c.html if isinstance(c, Markup) else escape(c) for c in children))


def paragraph(*children: Child, role: str = "") -> Markup:
    """Return a paragraph; `role` is a class of the sheet such as muted, lead or kicker."""
    return element("p", *children, attributes={"class": role} if role else None)


def subheading(text: str) -> Markup:
    """Return a heading below that of a section."""
    return element("h3", text)


def bullets(items: Sequence[Child]) -> Markup:
    """Return a list of points."""
    return element("ul", *(element("li", item) for item in items))


def facts(values: Mapping[str, Child], *, role: str = "facts") -> Markup:
    """Return names and values; role "tiles" sets them side by side for the few that matter most."""
    rows = (element("div", element("dt", k), element("dd", v)) for k, v in values.items())
    flat = (part for k, v in values.items() for part in (element("dt", k), element("dd", v)))
    return element("dl", *(rows if role == "tiles" else flat), attributes={"class": role})


def table(
    columns: Sequence[Column | str], rows: Sequence[Sequence[Cell]], *, marked: int | None = None
) -> Markup:
    """Return a table in a box of its own that scrolls where the page is too narrow.

    `marked` is the row that is ours among others.
    """
    kinds = [Column(c, is_numeric=False) if isinstance(c, str) else c for c in columns]
    shown = list(zip(*(_cells([row[i] for row in rows]) for i in range(len(kinds))), strict=True))
    head = element("tr", *(_cell("th", kind.name, kind) for kind in kinds))
    body = (
        element(
            "tr",
            *(_cell("td", cell, kind) for cell, kind in zip(row, kinds, strict=True)),
            attributes={"class": "ours"} if i == marked else None,
        )
        for i, row in enumerate(shown)
    )
    whole = element("table", element("thead", head), element("tbody", *body))
    return element("div", whole, attributes={"class": "scroll"})


def figure(title: str, drawing: Markup, caption: Child = "", *, is_wide: bool = False) -> Markup:
    """Return a drawing with its title and caption; a wide one scrolls in its box instead of shrinking."""
    parts = [element("p", title, attributes={"class": "figure-title"})] if title else []
    parts.append(element("div", drawing, attributes={"class": "scroll"}))
    if caption:
        parts.append(element("figcaption", caption))
    return element("figure", *parts, attributes={"class": "wide"} if is_wide else None)


def pictures(items: Sequence[Picture]) -> Markup:
    """Return a grid of small pictures with their lines of text."""
    return element("ul", *(_picture(item) for item in items), attributes={"class": "pictures"})


def titled(title: str, *blocks: Child) -> Markup:
    """Return blocks below a title of their own, such as stands above a figure."""
    return element("div", element("p", title, attributes={"class": "figure-title"}), *blocks)


def columns(*blocks: Child) -> Markup:
    """Return blocks side by side where the page is wide enough, else one below the other."""
    return element("div", *(element("div", block) for block in blocks), attributes={"class": "columns"})


def code(text: str) -> Markup:
    """Return a block of code or a command, its lines as they are."""
    return element("pre", element("code", text))


def note(label: str, *blocks: Child, kind: str = "plain") -> Markup:
    """Return a callout; text among its blocks becomes a paragraph.

    Kinds: plain, good, behind. The label says in words what the colour says.
    """
    shown = (paragraph(block) if isinstance(block, str) else block for block in blocks)
    return element("div", paragraph(element("strong", label)), *shown, attributes={"class": f"note {kind}"})


def details(summary: str, *children: Child) -> Markup:
    """Return blocks that open on demand; on paper they stand open."""
    return element("details", element("summary", summary), *children)


@dataclass(slots=True)
class Page:
    """A page: a title, what stands above the sections, and the sections in order."""

    title: str
    kicker: str = ""
    head: list[Markup] = field(default_factory=list)
    sections: list[tuple[str, list[Child]]] = field(default_factory=list)
    foot: str = ""

    def section(self, heading: str, *blocks: Child) -> None:
        """Append a section."""
        self.sections.append((heading, list(blocks)))

    def render(self) -> str:
        """Return the whole document, the same bytes for the same content."""
        style, policy = _style()
        meta = (
            {"charset": "utf-8"},
            {"http-equiv": "Content-Security-Policy", "content": policy},
            {"name": "viewport", "content": "width=device-width, initial-scale=1"},
            {"name": "color-scheme", "content": "light dark"},
            {"name": "referrer", "content": "no-referrer"},
        )
        icon = element("link", attributes={"rel": "icon", "href": "data:,"})
        tags = (element("meta", attributes=values) for values in meta)
        head = element("head", *tags, icon, element("title", self.title), Markup(f"<style>{style}</style>"))
        root = element(
            "html", head, element("body", element("main", *self._blocks())), attributes={"lang": "en"}
        )
        return f"<!doctype html>\n{root.html}\n"

    def _blocks(self) -> list[Markup]:
        kicker = [paragraph(self.kicker, role="kicker")] if self.kicker else []
        ids = [f"s{i}-{_slug(heading)}".rstrip("-") for i, (heading, _) in enumerate(self.sections, 1)]
        links = [
            element("li", element("a", heading, attributes={"href": f"#{name}"}))
            for name, (heading, _) in zip(ids, self.sections, strict=True)
        ]
        contents = element("nav", element("ul", *links), attributes={"aria-label": "Contents"})
        return [
            element("header", *kicker, element("h1", self.title), *self.head),
            *([contents] if len(links) > 2 else []),
            *(
                element("section", element("h2", heading), *blocks, attributes={"id": name})
                for name, (heading, blocks) in zip(ids, self.sections, strict=True)
            ),
            *([element("footer", paragraph(self.foot))] if self.foot else []),
        ]


@cache
def _style() -> tuple[str, str]:
    sheet = resources.files("chainrule.report").joinpath("page.css").read_text(encoding="utf-8")
    assert "<" not in sheet and "\r" not in sheet, "the sheet stands in a style element as it is"
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    return sheet, policy


def _attribute(name: str, value: str) -> str:
    assert re.fullmatch(r"[a-z][a-z-]*|viewBox", name) and name != "style" and not name.startswith("on"), name
    if name in ("href", "src"):
        assert value.startswith(("#", "data:")), f"a page links only to itself; got {value[:60]!r}"
    return f' {name}="{escape(value)}"'


def _cell(tag: str, content: Child, column: Column) -> Markup:
    return element(tag, content, attributes={"class": "number"} if column.is_numeric else None)


def _cells(values: Sequence[Cell]) -> list[Child]:
    floats = [v for v in values if isinstance(v, float)]
    written = iter(aligned(floats))
    return [next(written) if isinstance(v, float) else _plain(v) for v in values]


def _plain(value: Markup | str | int | None) -> Child:
    if value is None:
        return _ABSENT
    return f"{value:,}" if isinstance(value, int) else value


def aligned(values: Sequence[float], digits: int = 4) -> list[str]:
    """Write numbers of one kind with the same decimals, four significant digits for the largest (or `digits`).

    >>> aligned([0.98, 0.91234, float("nan")]), aligned([54.2, 7.0])
    (['0.9800', '0.9123', '–'], ['54.20', '7.00'])
    """
    finite = [abs(v) for v in values if v - v == 0]
    largest = max(finite, default=0.0)
    if largest and not 1e-4 <= largest < 1e7:
        return [_ABSENT if v != v else signed(show_number(v)) for v in values]
    decimals = next(d for d in range(digits, -1, -1) if d == 0 or largest < 10 ** (digits - d))
    decimals += 2 if 0 < largest < 0.01 else 0
    return [_ABSENT if v != v else signed(f"{v + 0:,.{decimals}f}") for v in values]


def _picture(item: Picture) -> Markup:
    shown = {"src": item.source, "alt": item.description} | (
        {"class": "pixelated"} if item.is_pixelated else {}
    )
    return element("li", element("img", attributes=shown), *(element("span", line) for line in item.lines))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
