"""Data larger than the memory it may take: the bits are those of the same data in memory."""

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

import chainrule as cr
import chainrule.data.picture_cache as picture_cache
import chainrule.data.stored_table as stored_table
from chainrule.core.errors import RunError, SettingError, StorageError
from chainrule.data.pictures import read_pictures
from chainrule.data.prepared import PreparedRows
from chainrule.data.store import Store, StoredRows
from chainrule.jobs.code import code_file
from chainrule.train.checkpoint import load_checkpoint


def numbers_file(path, save=np.savez, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(6000, 30)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(np.int64)
    x[random.random(x.shape) < 0.02] = np.nan
    save(path, x=x, y=y)
    return path


def fit_both(data, runs, monkeypatch, **settings):
    """Fit in memory and on disk; return both runs and how many batches were read from disk."""
    reads, read = [], PreparedRows._read
    monkeypatch.setattr(PreparedRows, "_read", lambda self, rows: reads.append(1) or read(self, rows))
    here = cr.fit(data, runs=runs, name="here", quiet=True, **settings)
    assert not reads
    there = cr.fit(data, runs=runs, name="there", quiet=True, memory="1MB", **settings)
    return here, there, len(reads)


def assert_same_bits(here, there):
    ours, theirs = (load_checkpoint(run.folder.checkpoint)[0] for run in (here, there))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert here.metrics == there.metrics
    assert here.record["yardsticks"][1]["metrics"] == there.record["yardsticks"][1]["metrics"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_on_disk_train_to_the_same_bits(tmp_path, monkeypatch, save):
    path = numbers_file(tmp_path / "numbers.npz", save)
    here, there, reads = fit_both(path, tmp_path / "runs", monkeypatch, epochs=2)
    assert reads > 2 * 6000 * 0.7 / 64
    assert_same_bits(here, there)
    assert "numbers.npz would take about 2.2 MB in memory, more than --memory 1.0 MB" in there.recipe.notes[0]
    assert there.evaluate() == there.metrics["test"]
    assert cr.verify(there.path).outcome == "equal bits"
    assert not list(tmp_path.glob("runs/.cache/*"))


def test_what_is_in_memory_already_is_prepared_batch_by_batch(tmp_path, monkeypatch):
    with np.load(numbers_file(tmp_path / "numbers.npz")) as file:
        data = (np.concatenate([file["x"]] * 2), np.concatenate([file["y"]] * 2))
    here, there, reads = fit_both(data, tmp_path / "runs", monkeypatch, epochs=2)
    assert reads
    assert_same_bits(here, there)


def test_a_stopped_run_on_disk_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    path = numbers_file(tmp_path / "numbers.npz")
    whole = cr.fit(path, runs=tmp_path / "runs", name="whole", quiet=True, epochs=2)
    part = cr.fit(path, runs=tmp_path / "runs", name="part", quiet=True, memory="1MB", epochs=2)
    part.folder.checkpoint.unlink()
    assert_same_bits(whole, cr.fit(resume=part.path, quiet=True))


@pytest.mark.parametrize("text", ["a lot", "1", "12 parsecs", "0MB", "-1GB", "10kB", "1e3MB", ""])
def test_amounts_of_memory_that_are_none(text):
    with pytest.raises(SettingError, match="--memory"):
        cr.fit("iris", memory=text)


def table_file(path, rows=3000):
    """A table of numbers, categories, truth values and dates, with missing cells."""
    random = np.random.default_rng(0)
    columns = {f"n{i}": random.normal(size=rows).round(4) for i in range(3)}
    columns["target"] = (columns["n0"] * 2 + random.normal(size=rows)).round(3)
    columns["n1"][::17] = np.nan
    columns["kind"] = random.choice(["red", "green", "blue"], rows)
    columns["flag"] = random.choice(["yes", "no"], rows)
    columns["day"] = np.datetime64("2020-01-01") + random.integers(0, 900, rows).astype("timedelta64[D]")
    frame = pl.DataFrame(columns, nan_to_null=True)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_on_disk_train_to_the_same_bits(tmp_path, monkeypatch, ending):
    for name, value in (
        ("BLOCK_BYTES", 1 << 14),
        ("ROWS_AT_ONCE", 700),
        ("TIMES_TEXT", 100),
        ("BYTES_OF_CELL", 100),
    ):
        monkeypatch.setattr(stored_table, name, value)
    path = table_file(tmp_path / f"table.{ending}")
    here, there, reads = fit_both(path, tmp_path / "runs", monkeypatch, target="target", epochs=2)
    assert reads > 2 * 3000 * 0.7 / 64
    assert_same_bits(here, there)
    assert here.recipe.schema == there.recipe.schema and here.recipe.warnings == there.recipe.warnings
    assert there.evaluate() == there.metrics["test"]
    assert np.array_equal(there.predict(path).values, here.predict(path).values)
    assert cr.verify(there.path).outcome == "equal bits"
    assert not list(tmp_path.glob("runs/.cache/*"))


def test_no_script_is_written_for_what_was_on_disk(tmp_path):
    path = numbers_file(tmp_path / "numbers.npz")
    run = cr.fit(path, runs=tmp_path / "runs", quiet=True, memory="1MB", epochs=1)
    with pytest.raises(RunError, match="its data was kept on disk"):
        code_file(str(run.path), None, tmp_path)


def picture_folder(folder, count=300, side=24):
    """Grey pictures of two classes: lighter on the left, or on the right."""
    random = np.random.default_rng(0)
    for number in range(count):
        label = ["left", "right"][number % 2]
        pixels = random.integers(0, 120, (side, side))
        pixels[:, : side // 2] += 60 * (label == "left")
        pixels[:, side // 2 :] += 60 * (label == "right")
        below = folder / label
        below.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(below / f"{number}.png")
    return folder


def test_pictures_on_disk_train_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_cache, "bytes_in_memory", lambda pixels: 10 * pixels)  # 1.7 MB
    folder = picture_folder(tmp_path / "sides")
    here, there, reads = fit_both(folder, tmp_path / "runs", monkeypatch, epochs=2)
    assert reads > 2 * 300 * 0.7 / 32
    assert_same_bits(here, there)
    assert there.evaluate() == there.metrics["test"]
    assert [path.suffix for path in (tmp_path / "runs" / ".cache").iterdir()] == [".safetensors"]


def test_pictures_are_decoded_straight_to_disk_and_a_damaged_cache_is_made_anew(tmp_path):
    folder, cache = picture_folder(tmp_path / "sides", 40), tmp_path / "cache"
    store = Store(folder=cache, most_bytes=1)
    here = read_pictures(folder)
    first, second = (read_pictures(folder, cache=cache, store=store) for _ in range(2))
    for source in (first, second):
        assert isinstance(source.array, StoredRows) and np.array_equal(source.array[:], here.array)
        assert "sides would take about" in source.notes[-1] and source.notes[:-1] == here.notes
    (kept,) = cache.iterdir()
    content = bytearray(kept.read_bytes())
    for damaged in (content[:-9], content[:-1] + bytes([content[-1] ^ 1]), b"nothing"):
        kept.write_bytes(damaged)
        again = read_pictures(folder, cache=cache, store=store)
        assert np.array_equal(again.array[:], here.array)
        assert any("is damaged" in note and "decoded again" in note for note in again.notes)
        assert kept.read_bytes() == content


def test_pictures_that_fit_nowhere_say_what_to_do(tmp_path):
    folder = picture_folder(tmp_path / "sides", 40)
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(StorageError, match="cache should be a folder"):
        read_pictures(folder, cache=tmp_path / "cache", store=Store(folder=tmp_path / "cache", most_bytes=1))
