"""The cache of decoded pictures: used, renewed, and never trusted when damaged."""

import os

import numpy as np
import pytest
from safetensors.numpy import load_file

from chainrule.data import picture_cache, picture_workers
from chainrule.data.decoding import decode_picture
from chainrule.data.pictures import read_pictures
from tests.data.samples import pets, save


@pytest.fixture
def decodings(monkeypatch):
    """Count the pictures that are decoded in this process."""
    seen = []
    original = decode_picture
    monkeypatch.setattr(
        picture_workers, "decode_picture", lambda path, shape: seen.append(path.name) or original(path, shape)
    )
    return seen


def test_the_cache_is_used_and_renewed(tmp_path, decodings):
    folder, cache = pets(tmp_path / "pets"), tmp_path / "cache"
    first = read_pictures(folder, cache=cache)
    assert len(decodings) == 6
    second = read_pictures(folder, cache=cache)
    assert len(decodings) == 6
    np.testing.assert_array_equal(first.array, second.array)
    assert first.notes == second.notes and first.fingerprint() == second.fingerprint()
    save(folder / "cat" / "000.png")
    third = read_pictures(folder, cache=cache)
    assert len(decodings) == 12 and not (third.array[0] == first.array[0]).all()
    assert len(list(cache.iterdir())) == 1
    os.utime(folder / "cat" / "000.png", ns=(1, 1))
    read_pictures(folder, cache=cache)
    assert len(decodings) == 18
    save(folder / "cat" / "003.png")
    assert len(read_pictures(folder, cache=cache)) == 7
    assert len(decodings) == 25
    assert read_pictures(folder, cache=cache, size=(8, 8)).array.shape[2:] == (8, 8)
    assert len(list(cache.iterdir())) == 2


def test_the_cache_belongs_to_one_folder_and_one_decoder(tmp_path, decodings, monkeypatch):
    folder, cache = pets(tmp_path / "pets"), tmp_path / "cache"
    read_pictures(folder, cache=cache)
    other = pets(tmp_path / "other")
    for file in folder.rglob("*.png"):
        stat = file.stat()
        os.utime(other / file.relative_to(folder), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    read_pictures(other, cache=cache)
    monkeypatch.setattr(picture_cache, "DECODER_VERSION", -1)
    read_pictures(folder, cache=cache)
    assert len(decodings) == 18


@pytest.mark.parametrize("damage", ["cut", "pixel", "header", "notes", "empty", "length"])
def test_a_damaged_cache_is_noticed_and_rebuilt(tmp_path, decodings, damage):
    folder, cache = pets(tmp_path / "pets"), tmp_path / "cache"
    first = read_pictures(folder, cache=cache)
    (file,) = cache.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "cut":
        content = content[:-100]
    elif damage == "pixel":
        content[-5] ^= 1
    elif damage == "header":
        content[8] ^= 1
    elif damage == "notes":
        content = content.replace(b"keep that size", b"lose that size")
    elif damage == "length":
        content[:8] = b"\xff" * 8
    else:
        content = bytearray()
    file.write_bytes(content)
    again = read_pictures(folder, cache=cache)
    np.testing.assert_array_equal(first.array, again.array)
    assert len(decodings) == 12
    assert f"the cache {file} is damaged" in again.notes[-1] and "decoded again" in again.notes[-1]
    assert read_pictures(folder, cache=cache).notes == first.notes
    assert len(decodings) == 12


def test_the_cache_is_a_safetensors_file(tmp_path):
    source = read_pictures(pets(tmp_path / "pets"), cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    np.testing.assert_array_equal(load_file(file)["pictures"], source.array)


def test_a_cache_that_cannot_be_written_is_only_said(tmp_path):
    (tmp_path / "cache").write_text("a file stands in the way")
    source = read_pictures(pets(tmp_path / "pets"), cache=tmp_path / "cache")
    assert len(source) == 6
    assert "the decoded pictures could not be kept for the next time" in source.notes[-1]


def test_notes_about_files_are_fresh_when_the_cache_is_used(tmp_path):
    folder = pets(tmp_path / "pets")
    read_pictures(folder, cache=tmp_path / "cache")
    (folder / "notes.txt").write_text("x")
    assert "'notes.txt'" in read_pictures(folder, cache=tmp_path / "cache").notes[0]
