"""Copies among pictures that were found before: the same answer without a second look, and a cache that may be damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chainrule.data import copies_cache, picture_copies
from chainrule.data.copies_cache import copies_of
from chainrule.data.picture_copies import picture_groups


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(copies_cache, "FEWEST", 100)
    return tmp_path / "chainrule" / "copies" / copies_cache.FILE


def pictures(rows: int = 120) -> np.ndarray:
    """Noise, in which rows 3, 50 and 7, 8, 90 show the same."""
    found = np.random.default_rng(0).integers(0, 256, (rows, 1, 12, 12), np.uint8)
    found[50], found[8], found[90] = found[3], found[7], found[7]
    return found


def unused(_: object) -> np.ndarray:
    raise AssertionError("the pictures are compared again")


def test_what_was_found_is_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = picture_groups(pictures())
    assert np.array_equal(copies_of(pictures()), expected)
    assert expected[50] == expected[3] and expected[7] == expected[8] == expected[90]
    monkeypatch.setattr(picture_copies, "picture_groups", unused)
    again = copies_of(pictures())
    assert np.array_equal(again, expected) and again.dtype == expected.dtype
    assert list(json.loads(cache.read_text()).values()) == [[[3, 50], [7, 8, 90]]]


def test_other_pictures_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    copies_of(pictures())
    other = pictures()
    other[50] ^= 255
    other[50, :, ::2] = 0
    assert copies_of(other)[50] != copies_of(other)[3]
    monkeypatch.setattr(copies_cache, "_code", lambda: "of another version")
    monkeypatch.setattr(picture_copies, "picture_groups", unused)
    with pytest.raises(AssertionError, match="again"):
        copies_of(pictures())


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', "\\udcff", "[[[[", "KEY:7", "KEY:[[3, 120]]", 'KEY:[["3"]]', "KEY:[[]]"])  # fmt: skip
def test_a_damaged_cache_is_a_second_look(cache: Path, content: str) -> None:
    expected = copies_of(pictures())
    key = next(iter(json.loads(cache.read_text())))
    cache.write_text(f'{{"{key}": {content[4:]}}}' if content.startswith("KEY:") else content)
    assert np.array_equal(copies_of(pictures()), expected)
    assert json.loads(cache.read_text())[key] == [[3, 50], [7, 8, 90]]


def test_a_cache_that_cannot_be_written_stops_nothing(cache: Path) -> None:
    cache.parent.parent.mkdir(mode=0o700)
    cache.parent.write_text("a file where the folder should be")
    assert np.array_equal(copies_of(pictures()), picture_groups(pictures()))


def test_sets_with_many_copies_are_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies_cache, "MOST_COPIES", 4)
    copies_of(pictures())
    assert not cache.exists()
    copies_of(pictures(101)[:20])  # too few to be worth it
    assert not cache.exists()
