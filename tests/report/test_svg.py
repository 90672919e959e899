"""Figures as inline SVG: theme, text, ids, bytes; and matplotlib left as it was."""

from __future__ import annotations

import re
from importlib import resources

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from chainrule.core.text import visible
from chainrule.report.svg import COLOURS, drawing, inline_svg
from tests.report.reading import read_page
from tests.report.test_html import TEXT


def drawn(label: str = "a", colour: str = COLOURS["ours"]) -> Figure:
    with drawing():
        figure = Figure(figsize=(3, 2), dpi=72)
        axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
        axes.plot([1, 2, 3], [1, 3, 2], marker="o", color=colour, label=label)
        axes.set_xlabel(label)
        axes.set_title(label)
        axes.text(1, 2, label, rotation=90, rotation_mode="anchor")
        axes.legend(frameon=False)
    return figure


@settings(max_examples=25)
@given(TEXT)
def test_text_of_a_figure_is_text(text: str) -> None:
    label = f"n{visible(text)}"  # matplotlib lists no empty label in a legend, and none with _ first
    read = read_page(inline_svg(drawn(label), "one", text).html)
    assert set(read.tags) <= {"svg", "title", "g", "defs", "path", "use", "text", "clippath", "rect"}
    assert [t for tag, t in read.texts if tag == "text"].count(label) == 4
    assert read.values("aria-label") == [visible(text, 2000)]


@pytest.mark.parametrize("text", ["$x^2$", "$", "@0@", "@0@x", "日本語", "عربي", "a_b", "\\alpha", "#0072b2"])
def test_names_that_mean_something_elsewhere(text: str) -> None:
    texts = [t for tag, t in read_page(inline_svg(drawn(text), "one", "d").html).texts if tag == "text"]
    assert texts.count(text) == 4


def test_formula_of_a_figure_made_elsewhere_is_text() -> None:
    figure = Figure(figsize=(3, 2), dpi=72)
    figure.text(0.5, 0.5, "$x^2$")
    assert [t for tag, t in read_page(inline_svg(figure, "one", "d").html).texts if tag == "text"] == [
        "$x^2$"
    ]


def test_two_texts_change_no_places() -> None:
    figure = drawn("日本")
    figure.axes[0].set_ylabel("@0@")
    texts = [t for tag, t in read_page(inline_svg(figure, "one", "d").html).texts if tag == "text"]
    assert texts.count("日本") == 4 and texts.count("@0@") == 1


def test_colours_are_those_of_the_sheet() -> None:
    sheet = resources.files("chainrule.report").joinpath("page.css").read_text("utf-8")
    light = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", sheet.partition("@media")[0]))
    for name, colour in COLOURS.items():
        assert name in light
        apart = [abs(int(colour[i : i + 2], 16) - int(light[name][i : i + 2], 16)) for i in (1, 3, 5)]
        assert max(apart) <= 1, name
    assert len(set(COLOURS.values())) == len(COLOURS)
    for name, colour in COLOURS.items():
        svg = inline_svg(drawn(colour=colour), "one", "d").html
        assert f'stroke="var(--{name})"' in svg


def test_no_colour_is_fixed_and_no_style_is_left() -> None:
    svg = inline_svg(drawn(), "one", "d").html
    assert not re.search(r"#[0-9a-f]{6}", svg) and "style" not in svg and "font-family" not in svg
    assert "http" not in svg and "xmlns" not in svg and "<!--" not in svg


def test_same_figure_same_bytes_and_ids_of_its_own() -> None:
    one, again, two = (inline_svg(drawn(), name, "d").html for name in ("one", "one", "two"))
    assert one == again
    ids = set(read_page(one).values("id"))
    assert ids and not ids & set(read_page(two).values("id"))
    assert all(re.fullmatch(r"one-\d+", i) for i in ids)


def test_size_is_in_units_of_text() -> None:
    read = read_page(inline_svg(drawn(), "one", "d").html)
    assert read.values("width")[0] == "14.4rem" and read.values("viewbox") == ["0 0 216 144"]


def test_settings_of_the_user_neither_change_nor_matter() -> None:
    plain = inline_svg(drawn(), "one", "d").html
    with matplotlib.rc_context(
        {"axes.facecolor": "black", "font.size": 30, "svg.fonttype": "path", "axes.grid": True}
    ):
        before = dict(matplotlib.rcParams)
        assert inline_svg(drawn(), "one", "d").html == plain
        assert dict(matplotlib.rcParams) == before


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_numbers_are_short(value: float) -> None:
    from chainrule.report.svg import _DECIMALS, _rounded

    written = _DECIMALS.sub(_rounded, f"{value:f}")
    assert abs(float(written) - value) <= 0.00501 + 1e-6 * abs(value)
    assert written != "-0" and len(written.partition(".")[2]) <= 2
