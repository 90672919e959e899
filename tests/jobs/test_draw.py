"""`datasets NAME --draw`: any data becomes a picture that names what it holds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from chainrule.apps import cli
from chainrule.core.errors import DataError, SettingError
from chainrule.data.read import read
from chainrule.data.schema import find_schema
from chainrule.jobs.draw import MOST_PANELS, draw, sheet_of
from tests.data.samples import pets


def sheet(table: dict, target: str):
    source = read(table)
    schema, _ = find_schema(source, target=target)
    return sheet_of(source, schema, schema.encode(source))


@pytest.mark.parametrize("name", ["iris", "digits", "diabetes"])
def test_built_in_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = draw(name)
    with Image.open(tmp_path / f"{name}.png") as picture:
        width, height = picture.size
    assert said.startswith(f"{name} is drawn in {name}.png ({width} × {height} pixels, ")
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]


def test_tables_and_pictures_of_ones_own(tmp_path: Path) -> None:
    pl.DataFrame({"a": np.random.default_rng(0).normal(size=40), "city": ["Rome", "Bonn"] * 20, "day": [f"2024-0{1 + i % 9}-03" for i in range(40)],
                  "price": [i * 1.5 for i in range(40)]}).write_csv(tmp_path / "houses.csv")  # fmt: skip
    draw(str(tmp_path / "houses.csv"), target="city", output=tmp_path / "h.svg")
    text = (tmp_path / "h.svg").read_text("utf-8")
    assert all(
        f">{name}</text>" in text for name in ("houses.csv", "a", "day", "price", "city (the target)", "Bonn")
    )
    draw(str(pets(tmp_path / "pets")), output=tmp_path / "p.svg")
    text = (tmp_path / "p.svg").read_text("utf-8")
    assert ">cat</text>" in text and ">3 pictures</text>" in text and text.count("<image") == 6


def test_one_column_and_several_targets() -> None:
    assert [p.name for p in sheet({"a": [1, 2, 3, 4], "y": [1.5, 2.5, 3.5, 4.5]}, "y").panels] == ["a"]
    both = sheet({"a": range(9), "y": np.arange(9.0), "z": np.arange(9.0)}, "y,z")
    assert both.notes == ("the first of the targets 'y', 'z' gives the colours",)


def test_of_many_columns_the_most_telling_are_shown(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = {f"c{i}": random.normal(size=120) for i in range(2_000)}
    table["y"] = 3 * table["c77"] + 2 * table["c1900"] + 0.5 * random.normal(size=120)
    found = sheet(table, "y")
    assert [p.name for p in found.panels[:2]] == ["c77", "c1900"] and len(found.panels) == MOST_PANELS
    assert found.notes[0].startswith("of 2,000 columns the 30 are shown")


def test_missing_cells_and_categories_keep_their_places() -> None:
    found = sheet(
        {
            "city": ["b", "a", None, "b", "a", "b"],
            "on": [True, None, False, True, True, False],
            "y": range(6),
        },
        "y",
    )
    city, is_on = found.panels
    assert city.names == ("a", "b") and is_on.names == ("no", "yes")
    np.testing.assert_array_equal(city.cells, [1, 0, np.nan, 1, 0, 1])
    np.testing.assert_array_equal(is_on.cells, [1, np.nan, 0, 1, 1, 0])


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"--output takes a file ending in \.png, \.svg"):
        draw("iris", output=tmp_path / "iris.pdf")
    with pytest.raises(DataError, match="does not exist"):
        draw(str(tmp_path / "nothing.csv"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "said"), [
    (["datasets", "--draw"], "--draw needs data"), (["datasets", "iris", "--output", "x.png"], "go with --draw"),
])  # fmt: skip
def test_flags(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["chainrule", *arguments])
    assert cli.run() == 2
    assert said in capsys.readouterr().err
