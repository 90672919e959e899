"""`explore` as users call it: from Python and from the command line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import chainrule as cr
from chainrule.apps import cli
from chainrule.jobs import explored_rows

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def chainrule(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, arguments)])
        capsys.readouterr()
        code = cli.run()
        return code, *capsys.readouterr()

    return run


def people(rows: int = 90) -> dict[str, list[object]]:
    """Return rows of three kinds: a number and a category that tell them apart, a number that does not; some gaps."""
    random = np.random.default_rng(0)
    kind = np.arange(rows) % 3
    size = np.array([10.0, 50.0, 90.0])[kind] + random.normal(0, 1, rows)
    return {
        "size": [None if place % 20 == 7 else float(value) for place, value in enumerate(size)],
        "town": [["Aa", "Bb", "Cc"][k] for k in kind],
        "noise": random.normal(0, 1, rows).tolist(),
        "label": [["low", "middle", "high"][k] for k in kind],
    }


def test_iris_in_an_empty_folder(chainrule: Run) -> None:
    code, out, error = chainrule("explore", "iris")
    assert (code, error) == (0, "")
    assert out.endswith("written: explore-iris.html\n")
    assert "'species' (3 classes) stands beside: it has no part in what is found" in out
    assert "2 of 4 principal components hold 95.8 % of the variance" in out
    assert "silhouette is highest at 2" in out and "adjusted Rand index 0.568" in out
    page = Path("explore-iris.html").read_text("utf-8")
    for heading in ("Map", "Clusters", "Components", "Densities and unusual rows", "How this was made"):
        assert f">{heading}</h2>" in page
    assert page.count("<svg") == 6 and "http://" not in page.replace("http://www.w3.org", "")


def test_json_has_every_number(chainrule: Run) -> None:
    code, out, _ = chainrule("explore", "iris", "--json", "--clusters", 3, "--output", "iris.json")
    assert code == 0
    event = json.loads(out)
    assert event["event"] == "explored" and event["written"] == "iris.json"
    assert event["clusters"]["number"] == 3 and sum(event["clusters"]["sizes"]) == 150
    assert list(event["clusters"]["labels"]) == [str(row) for row in range(1, 151)]
    assert json.loads(Path("iris.json").read_text("utf-8"))["components"] == event["components"]


def test_same_seed_same_figures() -> None:
    assert cr.explore("wine", seed=3).values() == cr.explore("wine", seed=3).values()


def test_a_table_with_categories_gaps_and_a_target_by_its_name() -> None:
    found = cr.explore(people(), clusters=3)
    assert found.target is not None and found.target.name == "label"
    assert found.target.agreement > 0.85, "rows without a size may fall into another cluster"
    assert found.features == ("size", "noise", "size missing", "town = Aa", "town = Bb", "town = Cc")
    told = [{one.column: one for one in cluster} for cluster in found.apart]
    assert {cluster["town"].value for cluster in told} == {"Aa", "Bb", "Cc"}
    assert all(int(cluster["town"].here[:-2]) > 90 for cluster in told)
    assert {cluster["town"].everywhere for cluster in told} == {"33 %"}
    assert any(9 < float(cluster["size"].here) < 11 for cluster in told if "size" in cluster)


def test_a_named_target_has_no_part_in_the_clusters() -> None:
    found = cr.explore(people(), target="size")
    assert found.target is not None and not found.target.classes
    assert not any("size" in name for name in found.features)
    assert "of its variance lies between clusters" in str(found)
    assert len(found.rows) == 90, "rows without a target are looked at all the same"


def test_without_a_target() -> None:
    table = people()
    del table["label"]
    found = cr.explore(table)
    assert found.target is None
    assert (
        "no column is set aside as a target (--target COLUMN compares one with the clusters)" in found.notes
    )


def test_unusual_rows_are_named_by_their_number() -> None:
    random = np.random.default_rng(0)
    table = {name: random.normal(size=80) for name in "abc"}
    table["b"][41] = 30
    for method in ("gaussian-mixture", "kernel-density"):
        found = cr.explore(table, method=method)
        assert found.row_names[0] == "row 42" and found.far[0][0].column == "b"


def test_pictures_without_class_folders(chainrule: Run) -> None:
    folder = Path("flat")
    folder.mkdir()
    random = np.random.default_rng(0)
    for place in range(24):
        pixels = random.integers(0, 40, (16, 16), np.uint8)
        pixels[:, 8 * (place % 2) : 8 * (place % 2) + 8] += 200
        Image.fromarray(pixels).save(folder / f"{place:02}.png")
    code, out, _ = chainrule("explore", folder, "--clusters", 2)
    assert code == 0 and "24 pictures, each 1 × 16 × 16" in out and "12 pictures" in out
    found = cr.explore(folder, clusters=2)
    assert found.labels.tolist() == [place % 2 for place in range(24)]
    assert {name for name, _ in found.sheets[0].nearest} <= {f"{place:02}.png" for place in range(0, 24, 2)}
    page = Path("explore-flat.html").read_text("utf-8")
    assert page.count("<img") == 2 * 6 + found.components.count + 10
    assert "Cluster 1: 12 pictures (50 %)" in page


def test_many_rows_are_drawn_from_aloud() -> None:
    table = {name: np.random.default_rng(place).normal(size=5000) for place, name in enumerate("ab")}
    found = cr.explore(table, method="spectral-clustering", clusters=2)
    assert len(found.rows) == len(found.labels) == 2000 and found.total == 5000
    assert any(
        note.startswith("2,000 of 5,000 rows are looked at, drawn by --seed 0") for note in found.notes
    )
    assert set(found.rows.tolist()) != set(range(2000)), "from the whole table"


def test_wide_rows_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explored_rows, "NUMBERS", 64 * 200)
    found = cr.explore("digits")
    assert len(found.rows) == 200
    assert "clusters are looked for in the first 50 principal components of 64 columns" in found.notes


@pytest.mark.parametrize(
    ("content", "flags", "said"),
    [
        ("a,b\n1,2\n", [], "has 1 row; at least 4 are needed"),
        ("a\n1.5\n2.5\n3.7\n4.1\n5.9\n", [], "has one column to explore ('a'); at least 2 are needed"),
        ("a,b\n1,2\n1,2\n1,2\n1,2\n", [], "has no column to learn from (left out: 'a', 'b')"),
        ("a,b\n1,2\n1,3\n1,4\n1,2\n", [], "has one column to explore ('b')"),
        (None, ["--clusters", 200], "--clusters 200 asks for more clusters than there are 149 different rows"),
        (None, ["--clusters", 0], "--clusters takes a number from 1; got 0"),
        (None, ["--method", "kmeans"], "no method is called 'kmeans'; did you mean 'k-means'"),
        (None, ["--method", "pca", "--method", "factor-analysis"], "are both for dimensionality-reduction"),
        (None, ["--method", "mean-shift", "--clusters", 3], "leave out --clusters 3"),
        (None, ["--method", "mean-shift:-1"], "must be above 0"),
        (None, ["--method", "pca:3"], "the method pca takes no number"),
        (None, ["--components", 7], "asks for more than 150 rows of 4 numbers have: at most 4"),
        (None, ["--components", 1], "--components takes a number from 2"),
        (None, ["--target", "spezies"], "did you mean 'species'?"),
        (None, ["--output", "x.pdf"], "--output takes a file ending in .html, .json"),
        (None, ["--seed", -1], "--seed must be at least 0; got -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_explored(chainrule: Run, content: str | None, flags: list[object], said: str) -> None:
    if content is not None:
        Path("given.csv").write_text(content)
    code, _, error = chainrule("explore", "iris" if content is None else "given.csv", *flags)
    assert code == 2 and error.count("\n") == 1
    assert said in error
    assert not list(Path().glob("explore-*"))


def test_all_rows_equal_in_an_array() -> None:
    with pytest.raises(cr.ChainruleError, match="all rows are equal"):
        cr.explore(np.ones((10, 3)))
    with pytest.raises(cr.ChainruleError, match="only one column varies"):
        cr.explore(np.stack([np.arange(10), np.ones(10)], 1))


def test_a_target_of_one_class_is_told_not_refused() -> None:
    table = {**people(), "label": ["same"] * 90}
    found = cr.explore(table)
    assert found.target is None and "'label' is not set beside the clusters" in found.notes[0]
    assert not any("label" in name for name in found.features)


def test_names_teach_the_methods(chainrule: Run) -> None:
    code, out, _ = chainrule("names", "method", "mean-shift")
    assert code == 0
    text = re.sub(r"\s+", " ", out)
    assert "tag clustering" in text and "chainrule explore DATA --method mean-shift" in text
