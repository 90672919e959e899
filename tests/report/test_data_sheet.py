"""A picture of a table: every name stands in it as text, whatever it is; extremes draw in bounded time."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from chainrule.report.data_sheet import DataSheet, Panel, draw_data
from chainrule.report.svg import picture_bytes

RNG = np.random.default_rng(3)
ROWS = 200
CLASSES = Panel(name="kind", cells=RNG.integers(0, 3, ROWS).astype(float), names=("cat", "dog", "ox"))
VALUES = Panel(name="price", cells=RNG.normal(size=ROWS))
NUMBERS = Panel(name="length", cells=RNG.normal(size=ROWS))


def svg_texts(*panels: Panel, target: Panel = CLASSES, notes: tuple[str, ...] = ()) -> list[str]:
    sheet = DataSheet(title="pets", about=("200 rows",), target=target, panels=panels, notes=notes)
    root = ElementTree.fromstring(picture_bytes(draw_data(sheet), ".svg"))
    return [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("target", [CLASSES, VALUES], ids=["classes", "values"])
def test_names_counts_and_notes_stand_in_it(target: Panel) -> None:
    holes = np.where(np.arange(ROWS) % 8 == 0, np.nan, NUMBERS.cells)
    color = Panel(name="colour", cells=RNG.integers(0, 2, ROWS).astype(float), names=("red", "blue"))
    texts = svg_texts(Panel(name="age", cells=holes), color, target=target, notes=("not shown: 'id'",))
    for wanted in (
        "pets",
        "200 rows",
        target.name,
        "age",
        "25 missing (12.5 %)",
        "red",
        "blue",
        "not shown: 'id'",
    ):
        assert wanted in texts
    counts = np.bincount(color.cells.astype(int))
    assert [t.strip() for t in texts if t.strip() in map(str, counts)]


def test_png_is_a_picture_of_two_pixels_per_unit() -> None:
    figure = draw_data(DataSheet(title="pets", about=(), target=CLASSES, panels=(NUMBERS,)))
    picture = Image.open(io.BytesIO(picture_bytes(figure, ".png")))
    assert picture.format == "PNG" and picture.size[0] == round(figure.get_size_inches()[0] * 144)
    assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize(
    "name",
    [
        "$x^2$ and $",
        "<script>alert(1)</script>",
        "\x1b[31mred",
        "two\nlines",
        "&amp; {x} \\frac",
        "日本語",
        "\u202eevil",
        "",
    ],
)
def test_hostile_names_are_text(name: str) -> None:
    names = Panel(name=name, cells=np.arange(ROWS) % 2.0, names=(name, "other"))
    texts = "".join(svg_texts(names, Panel(name=name, cells=NUMBERS.cells)))
    assert "\x1b" not in texts and "\u202e" not in texts
    if name.isprintable():
        assert name in texts


def test_long_names_are_shortened() -> None:
    texts = svg_texts(Panel(name="n" * 500, cells=np.arange(ROWS) % 2.0, names=("v" * 500, "w")))
    assert max(map(len, texts)) < 60 and any(t.endswith("…") and t.startswith("nnn") for t in texts)


@pytest.mark.parametrize(
    "cells",
    [
        np.full(ROWS, np.nan),
        np.full(ROWS, 7.0),
        np.where(np.arange(ROWS) == 3, 1e150, 1.0),
        np.arange(ROWS) * 1e-300,
        np.append(np.nan, np.arange(ROWS - 1.0)),
        np.exp(RNG.normal(0, 4, ROWS)),
        np.where(np.arange(ROWS) % 2, -np.inf, 1.0),
    ],
    ids=["all missing", "constant", "one far", "tiny", "whole numbers", "crowded", "infinite"],
)
@pytest.mark.parametrize("target", [CLASSES, VALUES], ids=["classes", "values"])
def test_odd_numbers_draw(cells: np.ndarray, target: Panel) -> None:
    assert "length" in svg_texts(Panel(name="length", cells=cells), target=target)


def test_far_values_and_crowded_ones_are_said() -> None:
    assert "1 beyond" in svg_texts(Panel(name="x", cells=np.append(RNG.normal(size=ROWS - 1), 1e6)))
    assert "logarithmic" in svg_texts(Panel(name="x", cells=np.exp(RNG.normal(0, 3, ROWS))))


def test_dates_have_years() -> None:
    assert {"2021", "2022"} <= {
        *svg_texts(Panel(name="sold", cells=18628 + np.arange(ROWS) * 5.0, is_date=True))
    }


def test_many_classes_share_a_bar() -> None:
    many = Panel(name="kind", cells=np.arange(5000) % 1000.0, names=tuple(f"class {i}" for i in range(1000)))
    texts = svg_texts(Panel(name="a", cells=np.arange(5000.0)), target=many)
    assert "992 others" in texts and "class 0" in texts and "class 8" not in texts


def test_a_class_without_rows_draws() -> None:
    target = Panel(name="kind", cells=np.zeros(ROWS), names=("a", "nobody"))
    assert "nobody" in svg_texts(NUMBERS, target=target)
