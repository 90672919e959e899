import contextlib
import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.errors import DataError, StorageError
from chainrule.data.store import Store, StoredRows, find_store, only, parts_of


def stored(folder, array):
    rows = Store(folder=folder, most_bytes=10**6).rows(array.shape, array.dtype)
    rows.write(0, array)
    return rows


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    array = np.random.default_rng(0).normal(size=(50, 3))
    return array, stored(tmp_path_factory.mktemp("store"), array)


@given(st.lists(st.integers(-50, 49), max_size=60))
def test_row_numbers_choose_the_rows_that_an_array_gives(numbers, rows):
    array, kept = numbers
    chosen = np.array(rows, np.int64)
    assert np.array_equal(kept[chosen], array[chosen])


@given(st.integers(-60, 60) | st.none(), st.integers(-60, 60) | st.none(), st.integers(1, 9) | st.none())
def test_slices_choose_the_rows_that_an_array_gives(numbers, start, stop, step):
    array, kept = numbers
    assert np.array_equal(kept[start:stop:step], array[start:stop:step])


def test_looks_like_the_array_and_gives_one_row_masks_and_the_whole(numbers):
    array, kept = numbers
    mask = array[:, 0] > 0
    assert (kept.shape, kept.dtype, kept.ndim, kept.nbytes, len(kept)) == (
        array.shape, array.dtype, array.ndim, array.nbytes, len(array),
    )  # fmt: skip
    assert np.array_equal(kept[-1], array[-1]) and np.array_equal(kept[mask], array[mask])
    assert np.array_equal(np.asarray(kept), array)
    with pytest.raises(IndexError, match="there are 50 rows"):
        kept[np.array([50])]


def test_chosen_and_changed_rows_are_read_when_they_are_asked_for(numbers):
    array, kept = numbers
    mask = array[:, 1] > 0
    some = only(kept, mask)
    assert isinstance(some, StoredRows) and np.array_equal(some[3:7], array[mask][3:7])
    assert np.array_equal(only(some, np.arange(len(some)) % 2 == 0)[:], array[mask][::2])
    turned = some.changed(lambda rows: rows[:, None].astype(np.float32))
    assert (turned.shape, turned.dtype) == ((int(mask.sum()), 1, 3), np.float32)
    assert np.array_equal(turned.changed(np.negative)[2:4], -array[mask][2:4, None].astype(np.float32))


def test_parts_are_bounded_and_complete(numbers, monkeypatch):
    array, kept = numbers
    monkeypatch.setattr("chainrule.data.store.BYTES_AT_ONCE", 24 * 8)
    starts, parts = zip(*parts_of(kept), strict=True)
    assert starts == tuple(range(0, 50, 8)) and max(map(len, parts)) == 8
    assert np.array_equal(np.concatenate(parts), array)
    assert [start for start, _ in parts_of(array)] == [0]


def test_the_file_has_no_name_and_nobody_else_may_read_it(tmp_path):
    rows = stored(tmp_path / "runs" / ".cache", np.zeros((5, 2)))
    assert list((tmp_path / "runs" / ".cache").iterdir()) == []
    assert os.fstat(rows.file._file.fileno()).st_mode & 0o777 == 0o600


def test_a_file_that_was_cut_short_is_said(tmp_path):
    rows = stored(tmp_path, np.zeros((5, 2)))
    os.ftruncate(rows.file._file.fileno(), 40)
    assert rows[:2].shape == (2, 2)
    with pytest.raises(DataError, match="cut short while it was in use"):
        rows[3:]


def test_a_full_disk_says_what_is_needed_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        StorageError, match=r"needs 80 B for data .*no space left on device; .*are free.*--runs"
    ):
        Store(folder=tmp_path / "cache", most_bytes=10**6).rows((5, 2), float)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StorageError, match="cache should be a folder"):
        Store(folder=tmp_path / "cache", most_bytes=10**6).file()
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with contextlib.suppress(PermissionError):
        (folder / "root may write").touch()
        pytest.skip("this user may write everywhere")
    with pytest.raises(StorageError, match=r"permission denied.*--runs, or give more --memory"):
        Store(folder=folder, most_bytes=10**6).file()


def test_the_limit_is_what_was_given_or_a_share_of_what_is_free():
    given_one, chosen = find_store(Path("cache"), "2MB"), find_store(Path("cache"), None)
    assert given_one.most_bytes == 2_000_000 and given_one.holds(2e6) and not given_one.holds(2_000_001)
    assert chosen.most_bytes > 10**7
    assert given_one.note("a.npz", 5e6) == (
        "a.npz would take about 5.0 MB in memory, more than --memory 2.0 MB: it is kept on disk"
    )
    assert "more than 60 % of the free memory" in chosen.note("a.npz", 1e15)
