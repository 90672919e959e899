"""The kit: what is text stays text, and a page asks for nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.report import html
from tests.report.reading import Read, check_safe, read_page

HOSTILE = [
    "<script>alert(1)</script>",
    "[red]",
    "&amp; & &#0;",
    "\"q\" 'x' onload=x",
    "</style><b>",
    "$x^2$",
    "-->",
]
TEXT = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(HOSTILE)


def visible(text: str) -> str:
    """What a reader sees of a text: control characters written out."""
    return "".join(
        c if c.isprintable() or c in "\n\t\xa0\u202f" else c.encode("unicode_escape").decode() for c in text
    )


def full_page(text: str) -> html.Page:
    """A page with the text in every place that the kit offers."""
    page = html.Page(text, kicker=text, foot=text)
    page.head.append(html.paragraph(text, role="lead"))
    picture = html.Picture(source="data:,", description=text, lines=[text])
    page.section(
        text,
        text,
        html.subheading(text),
        html.bullets([text]),
        html.facts({text: text}),
        html.facts({text: text}, role="tiles"),
        html.table([text, html.Column(text)], [[text, text]], marked=0),
        html.figure(text, html.element("svg"), text),
        html.pictures([picture]),
        html.columns(text, html.titled(text, text)),
        html.code(text),
        html.note(text, text),
        html.details(text, text),
    )
    return page


def places(read: Read, text: str) -> int:
    """How often a text stands alone in an element or describes a picture."""
    return sum(text == shown for shown in [t for _, t in read.texts] + read.values("alt"))


@given(TEXT.filter(bool))
def test_text_is_text_in_every_place(text: str) -> None:
    page = full_page(text).render()
    page.encode()  # surrogates are written out
    read, neutral = check_safe(page), read_page(full_page("~").render())
    assert read.tags == neutral.tags
    assert places(read, visible(text)) == places(neutral, "~") == 29


@given(TEXT)
def test_attribute_cannot_be_left(text: str) -> None:
    read = read_page(html.element("p", "x", attributes={"aria-label": text}).html)
    assert read.attributes == [("p", "aria-label", visible(text))]


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("script", {}),
        ("style", {}),
        ("p", {"style": "color: red"}),
        ("p", {"onclick": "x"}),
        ("a", {"href": "https://example.org"}),
        ("img", {"src": "//example.org/a.png"}),
        ('p onload="x"', {}),
        ("p", {'a="" onload': "x"}),
    ],
)
def test_what_the_policy_forbids_cannot_be_built(tag: str, attributes: dict[str, str]) -> None:
    with pytest.raises(AssertionError):
        html.element(tag, attributes=attributes)


def test_policy_names_the_sheet_by_its_hash() -> None:
    page = full_page("x").render()
    sheet = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert sheet and len(sheet[1]) > 1000
    digest = base64.b64encode(hashlib.sha256(sheet[1].encode()).digest()).decode()
    policy = next(v for v in read_page(page).values("content") if "default-src" in v)
    wanted = {
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    }
    assert set(policy.split("; ")) == wanted
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_sheet_has_two_sizes_of_type_and_three_looks() -> None:
    sheet = full_page("x").render().partition("<style>")[2].partition("</style>")[0]
    screen = sheet.partition("@media print")[0]
    sizes = set(re.findall(r"font-size: ([^;]+);", screen)) | set(re.findall(r"font: ([\d.]+\w+)/", screen))
    assert sizes == {"93.75%", "1rem", "var(--heading)"}
    assert "prefers-color-scheme: dark" in sheet and "@media print" in sheet and "max-width: 30rem" in sheet


def test_numbers_stand_right_with_the_same_decimals() -> None:
    columns = ["name", html.Column("n"), html.Column("score")]
    read = read_page(html.table(columns, [["a", 12345, 0.5], ["b", None, 0.12345]], marked=1).html)
    assert [t for tag, t in read.texts if tag == "td"] == ["a", "12,345", "0.5000", "b", "–", "0.1235"]
    numbers = [v for tag, name, v in read.attributes if tag == "td" and name == "class"]
    assert numbers == ["number"] * 4
    assert [v for tag, _, v in read.attributes if tag == "tr"] == ["ours"]


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([], []),
        ([0.0], ["0.0000"]),
        ([1234.5, 2.0], ["1,234", "2"]),
        ([0.00123, 0.001], ["0.001230", "0.001000"]),
        ([float("inf"), 2.0], ["inf", "2.000"]),
        ([3e9, 1.0], ["3000000000", "1"]),
        ([2e-7], ["2e−07"]),
    ],
)
def test_aligned(values: list[float], written: list[str]) -> None:
    assert html.aligned(values) == written


def test_contents_link_to_the_sections() -> None:
    page = html.Page("t")
    for heading in ("Über <all>", "Über <all>", "日本"):
        page.section(heading, "x")
    read = check_safe(page.render())
    assert [v[1:] for v in read.values("href") if v.startswith("#")] == read.values("id")
    assert len(read.values("id")) == 3
    few = html.Page("t")
    few.section("one")
    assert "nav" not in read_page(few.render()).tags


def test_markup_is_not_escaped_twice() -> None:
    assert html.paragraph("a ", html.element("strong", "b & c")).html == "<p>a <strong>b &amp; c</strong></p>"
