"""MNIST's IDX files, plain and compressed; hostile files give a DataError and nothing else."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.core.errors import DataError
from chainrule.data.idx import read_idx
from chainrule.data.source import TEST, TRAIN
from tests.data.samples import IN_ONE_FOLDER, only_source_or_data_error


def idx(path, array, *, kind=8, dtype="u1"):
    array = np.asarray(array)
    content = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content += array.astype(dtype).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def mnist_folder(folder, ending=""):
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (7, 5, 4)), np.array([0, 1, 2, 0, 1, 2, 0])
    for part, rows in (("train", slice(5)), ("t10k", slice(5, 7))):
        idx(folder / f"{part}-images-idx3-ubyte{ending}", pictures[rows])
        idx(folder / f"{part}-labels-idx1-ubyte{ending}", labels[rows])
    return pictures, labels


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_folder(tmp_path, ending):
    pictures, labels = mnist_folder(tmp_path, ending)
    source = read_idx(tmp_path)
    np.testing.assert_array_equal(source.array[:, 0], pictures)
    assert source.array.dtype == np.uint8 and source.is_pictures
    assert source.targets.tolist() == labels.tolist()
    assert source.fixed_split.tolist() == [TRAIN] * 5 + [TEST] * 2
    assert source.notes == ("read as grey pictures (N, H, W): 1 channels of 5 × 4 (height × width)",)


def test_idx_file_and_twins(tmp_path):
    pictures, _ = mnist_folder(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"its plain twin is taken")
    assert len(read_idx(tmp_path)) == 7
    source = read_idx(tmp_path / "t10k-images-idx3-ubyte")
    np.testing.assert_array_equal(source.array[:, 0], pictures[5:])
    assert source.fixed_split is None


def test_idx_other_types(tmp_path):
    values = np.array([[1.5, -2.0], [3.0, 4.0]])
    idx(tmp_path / "images-idx2-float", values, kind=13, dtype=">f4")
    idx(tmp_path / "labels-idx1-float", [1, 2], kind=12, dtype=">i4")
    source = read_idx(tmp_path / "images-idx2-float")
    assert source.array.tolist() == values.tolist() and source.targets.tolist() == [1, 2]
    assert source.array.dtype.isnative and not source.is_pictures


def test_idx_messages(tmp_path):
    mnist_folder(tmp_path)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    whole = images.read_bytes()
    cases = [
        (
            whole[:-3],
            r"train-images-idx3-ubyte should have 100 bytes of values after its header, but has only 97",
        ),
        (whole + b"!", r"should have 100 bytes of values after its header, but has more"),
        (whole[:9], r"is cut short: its header should have 16 bytes, but has 9"),
        (
            b"\0\0\7\3" + whole[4:],
            r"is not an IDX file: it should begin with 00 00.*but begins with 00 00 07 03",
        ),
        (b"", r"begins with nothing"),
        (
            gzip.compress(whole)[:-9],
            r"train-images-idx3-ubyte is damaged or cut short \(Compressed file ended",
        ),
        (
            gzip.compress(whole + bytes(10**6)),
            r"should have 100 bytes of values after its header, but has more",
        ),
        (whole[:4] + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 255) + whole[16:], r"more than the limit of"),
    ]
    for content, message in cases:
        images.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(tmp_path)
    images.write_bytes(whole)
    idx(labels, [1, 2, 3])
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte has 5 rows, but .*train-labels-idx1-ubyte has 3"
    ):
        read_idx(tmp_path)
    idx(labels, np.zeros((5, 2)))
    with pytest.raises(
        DataError, match=r"train-labels-idx1-ubyte: labels have 1 dimension, but the file says 2"
    ):
        read_idx(tmp_path)
    labels.unlink()
    with pytest.raises(
        DataError,
        match=r"needs its labels beside it, in train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz",
    ):
        read_idx(images)
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte should be a file of images"):
        read_idx(tmp_path / "t10k-labels-idx1-ubyte")
    images.unlink()
    with pytest.raises(DataError, match=r"should hold train-images-idx3-ubyte and train-labels-idx1-ubyte"):
        read_idx(tmp_path)


def test_idx_folder_with_two_data_sets(tmp_path):
    idx(tmp_path / "emnist-letters-train-images-idx3-ubyte", np.zeros((1, 2, 2)))
    idx(tmp_path / "emnist-digits-train-images-idx3-ubyte", np.zeros((1, 2, 2)))
    with pytest.raises(DataError, match=r"emnist-digits.* and .*emnist-letters.* could each be meant"):
        read_idx(tmp_path)


def test_idx_gzip_bomb_is_unpacked_no_further_than_promised(tmp_path, monkeypatch):
    read = []
    original = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda self, size=-1: read.append(size) or original(self, size)
    )
    mnist_folder(tmp_path, ".gz")
    images = tmp_path / "train-images-idx3-ubyte.gz"
    images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes()) + bytes(50_000_000)))
    read.clear()
    with pytest.raises(DataError, match="but has more"):
        read_idx(tmp_path)
    assert read and min(read) >= 0 and sum(read) <= 16 + 101


@IN_ONE_FOLDER
@given(array=hnp.arrays("u1", hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)), zip_it=st.booleans())
def test_idx_round_trip(tmp_path, array, zip_it):
    ending = ".gz" if zip_it else ""
    path = idx(tmp_path / f"images-idx3-ubyte{ending}", array)
    idx(tmp_path / "labels-idx1-ubyte", np.arange(len(array)))
    source = read_idx(path)
    np.testing.assert_array_equal(source.array[:, 0], array)
    assert source.targets.tolist() == list(range(len(array)))


@IN_ONE_FOLDER
@given(
    magic=st.sampled_from([b"\0\0\x08\3", b"\0\0\x08\1", b"\0\0\x0d\2", b"\x1f\x8b\x08", b""]),
    sizes=st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**32 - 1]), max_size=3),
    rest=st.binary(max_size=40),
)
def test_idx_of_any_bytes(tmp_path, magic, sizes, rest):
    idx(tmp_path / "labels-idx1-ubyte", [1, 2])
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(magic + struct.pack(f">{len(sizes)}I", *sizes) + rest)
    only_source_or_data_error(read_idx, path)
