"""Read a page back the way a browser does: elements, texts, attributes, and whether every element is closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "br"}


@dataclass
class Read:
    """What stands on a page."""

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def text(self, *inside: str) -> str:
        """Return the text of the page, or of the elements with these tags."""
        return " ".join(text for tag, text in self.texts if tag != "style" and (not inside or tag in inside))

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute."""
        return [value for _, attribute, value in self.attributes if attribute == name]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.read = Read()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read.tags.append(tag)
        self.read.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.read.texts.append((self.open[-1], data))


def read_page(page: str) -> Read:
    """Read a page; fails if an element is not closed where it should be."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open, f"never closed: {reader.open}"
    return reader.read


def check_safe(page: str) -> Read:
    """Check what holds for every page: closed, no script, no style or event attribute, nothing from outside."""
    read = read_page(page)
    assert not {"script", "iframe", "object", "base", "form"} & set(read.tags)
    names = {name for _, name, _ in read.attributes}
    assert "style" not in names and not {n for n in names if n.startswith("on")}
    for name in ("src", "href", "xlink:href", "action"):
        assert all(value.startswith(("#", "data:")) for value in read.values(name)), name
    assert "http://" not in page and "https://" not in page
    assert (
        read.tags.count("style") == 1
        and "@import" not in page
        and "url(" not in page.partition("</style>")[0]
    )
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    linked = [v[1:] for v in read.values("href") if v.startswith("#")]
    linked += [v[5:-1] for v in read.values("clip-path")]
    assert set(linked) <= set(ids)
    return read
