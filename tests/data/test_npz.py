"""Arrays from .npz files; hostile files give a DataError and nothing else."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.core.errors import DataError
from chainrule.data import untrusted
from chainrule.data.npz import read_npz
from chainrule.data.source import TEST, TRAIN, VALIDATION
from tests.data.samples import IN_ONE_FOLDER, X, Y, only_source_or_data_error


def npz(path, **content):
    np.savez(path, **content)
    return path


def header(shape, descr="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def zipped(path, members):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "x, y", [("x", "y"), ("X", "Y"), ("images", "labels"), ("data", "targets"), ("features", "target")]
)
def test_npz_names(tmp_path, x, y):
    source = read_npz(npz(tmp_path / "d.npz", **{x: X, y: Y}))
    np.testing.assert_array_equal(source.array, X)
    assert source.targets.tolist() == Y.tolist() and source.fixed_split is None and source.name == "d"
    assert source.origin == {"kind": "npz", "path": str(tmp_path / "d.npz"), "target": None}


@pytest.mark.parametrize("names", ["x_{}", "{}_x"])
def test_npz_splits(tmp_path, names):
    content = {}
    for part, start in (("train", 0), ("val", 2), ("test", 3)):
        stop = {0: 2, 2: 3, 3: 4}[start]
        content |= {names.format(part): X[start:stop], names.format(part).replace("x", "y"): Y[start:stop]}
    source = read_npz(npz(tmp_path / "d.npz", **content))
    np.testing.assert_array_equal(source.array, X)
    assert source.fixed_split.tolist() == [TRAIN, TRAIN, VALIDATION, TEST]


def test_npz_compressed_fortran_and_positional(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", np.asfortranarray(X), Y)
    source = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(source.array, X)
    assert source.targets.tolist() == [0, 1, 0, 1]


def test_npz_target_by_name_and_unused_arrays(tmp_path):
    path = npz(tmp_path / "d.npz", x=X, y=Y, weight=Y * 2)
    source = read_npz(path, "weight")
    assert source.targets.tolist() == [0, 2, 0, 2] and source.target_names == ("weight",)
    assert source.notes == ("not used: 'y'",)
    with pytest.raises(
        DataError, match=r"d.npz has no array 'wight'; it has 'weight', 'x', 'y'; did you mean 'weight'\?"
    ):
        read_npz(path, "wight")


def test_npz_text_labels_and_columns(tmp_path):
    source = read_npz(npz(tmp_path / "d.npz", x=X, y=np.array([["cat"], ["dog"], ["cat"], ["dog"]])))
    assert source.targets.tolist() == ["cat", "dog", "cat", "dog"]
    source = read_npz(npz(tmp_path / "e.npz", x=X, y=np.array([b"cat", b"d\xffg", b"", b"dog"])))
    assert source.targets.tolist() == ["cat", "d�g", "", "dog"]


def test_npz_refuses_pickles_without_reading_them(tmp_path):
    ran = []

    class Bomb:
        def __reduce__(self):
            return ran.append, (1,)

    path = npz(tmp_path / "d.npz", x=X, y=np.array([Bomb()] * 4, dtype=object))
    with pytest.raises(
        DataError, match=r"d.npz: 'y' holds Python objects.*pickle.*could run code.*y.astype\(str\)"
    ):
        read_npz(path)
    assert not ran


BAD_NPZ = {
    "another number of rows": (
        {"x": X, "y": Y[:3]},
        r"'x' has 4 rows, but .*'y' has 3; each row needs its target",
    ),
    "no known names": ({"a": X, "b": Y}, r"should hold arrays x and y, or x_train.*it has 'a', 'b'"),
    "test only": ({"x_test": X, "y_test": Y}, r"should hold arrays x and y"),
    "two inputs": ({"x": X, "images": X, "y": Y}, r"'images', 'x' could each be meant; keep one"),
    "a split without targets": ({"x": X, "y": Y, "x_test": X}, r"'x' has targets, but .*'x_test' has none"),
    "splits of unequal width": (
        {"x_train": X, "x_test": X[:, :2]},
        r"'x_test' has rows of shape \(2,\), but .*'x_train' has \(3,\)",
    ),
    "infinite": (
        {"x": np.array([[1.0, 2.0], [3.0, np.inf]])},
        r"'x': row 1, column 1 \(counted from 0\) is inf.*NaN is read as missing",
    ),
    "text": (
        {"x": np.array([["a"]])},
        r"'x' has values of type <U1, but inputs are numbers; give text and dates as a table",
    ),
    "dates": ({"x": np.array([["2020-01-01"]], "M8[D]")}, r"values of type datetime64"),
    "a single number": ({"x": np.array(3.0)}, r"'x' has shape \(\); wanted are \(N, features\), or pictures"),
    "no rows": ({"x": X[:0]}, r"'x' is empty: its shape is \(0, 3\)"),
    "many channels": ({"x": np.zeros((2, 5, 6, 7))}, r"pictures have 1 or 3 channels"),
    "pictures with NaN": (
        {"x": np.full((2, 4, 4), np.nan)},
        r"row 0 \(counted from 0\) is nan.*pictures cannot have missing values",
    ),
    "infinite target": (
        {"x": X, "y": np.array([0, 1, -np.inf, 1])},
        r"'y': row 2 \(counted from 0\) is -inf",
    ),
    "deep targets": ({"x": X, "y": np.zeros((4, 2, 2))}, r"'y' has shape \(4, 2, 2\); targets are"),
}


@pytest.mark.parametrize("case", BAD_NPZ)
def test_npz_messages(tmp_path, case):
    content, message = BAD_NPZ[case]
    with pytest.raises(DataError, match=message) as error:
        read_npz(npz(tmp_path / "d.npz", **content))
    assert "d.npz" in str(error.value)


BAD_ZIPS = {
    "a promise of 8 TB": (
        [("x.npy", header((10**6, 10**6)) + bytes(80))],
        r"'x'.*should have 8000000000000 bytes, but has 80",
    ),
    "trailing bytes": ([("x.npy", header((2, 2)) + bytes(40))], r"should have 32 bytes, but has 40"),
    "a negative side": ([("x.npy", header((-2, 2)) + bytes(32))], r"damaged header \(shape \(-2, 2\)\)"),
    "a header that is code": (
        [("x.npy", b"\x93NUMPY\x01\x00\x12\x00__import__('os')\n")],
        r"'x' has a damaged header",
    ),
    "a type that does not exist": ([("x.npy", header((2,), "<q9") + bytes(80))], r"'x' has a damaged header"),
    "no array": ([("x.npy", b"hello")], r"'x' has a damaged header"),
    "twice": ([("x.npy", header((1,)) + bytes(8))] * 2, r"has two arrays called 'x'"),
    "a header of 4 GB": (
        [("x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 10**6)],
        r"'x' has a damaged header",
    ),
}


@pytest.mark.parametrize("case", BAD_ZIPS)
def test_npz_hostile(tmp_path, case):
    members, message = BAD_ZIPS[case]
    with pytest.raises(DataError, match=message):
        read_npz(zipped(tmp_path / "d.npz", members))


def test_npz_lying_directory(tmp_path):
    """The zip's directory promises fewer or more bytes than the member has."""
    path = zipped(tmp_path / "d.npz", [("x.npy", header((2, 2)) + bytes(32))])
    content = path.read_bytes()
    size = len(header((2, 2))) + 32
    for lie in (size - 16, size + 16):
        place = content.rindex(struct.pack("<I", size))
        path.write_bytes(content[:place] + struct.pack("<I", lie) + content[place + 4 :])
        with pytest.raises(DataError, match=r"d\.npz"):
            read_npz(path)


def test_npz_size_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "MOST_BYTES", 100)
    with pytest.raises(DataError, match=r"d.npz holds 128 B of numbers, more than the limit of 100 B"):
        read_npz(npz(tmp_path / "d.npz", x=X, y=Y.astype(np.int64)))


def test_npz_not_a_zip(tmp_path):
    (tmp_path / "d.npz").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"d.npz is not a .npz file, or damaged"):
        read_npz(tmp_path / "d.npz")
    with pytest.raises(DataError, match=r"e.npz should be a .npz file, but no file stands there"):
        read_npz(tmp_path / "e.npz")


@IN_ONE_FOLDER
@given(data=st.data())
def test_npz_round_trip(tmp_path, data):
    x = data.draw(
        hnp.arrays(
            st.sampled_from(["f4", ">f8", "i4", ">u2", "u1", "f2", "?"]),
            st.tuples(st.integers(1, 5), st.integers(1, 4)),
        )
    )
    y = data.draw(hnp.arrays(st.sampled_from(["i8", "u1", ">f8", "?", "<U3"]), len(x)))
    path = npz(tmp_path / "d.npz", x=x, y=y)
    try:
        source = read_npz(path)
    except DataError as error:
        assert any(word in str(error) for word in ("inf", "characters"))
        return
    np.testing.assert_array_equal(source.array, x)
    np.testing.assert_array_equal(source.targets, y)
    torch.from_numpy(source.array)


@IN_ONE_FOLDER
@given(
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    cut=st.floats(0, 1),
)
def test_npz_of_any_bytes(tmp_path, damage, cut):
    content = bytearray(npz(tmp_path / "w.npz", x=X, y=np.array(list("abca"))).read_bytes())
    for place, value in damage:
        content[int(place * len(content))] = value
    (tmp_path / "d.npz").write_bytes(content[: int(len(content) * (1 if cut > 0.3 else cut))])
    only_source_or_data_error(read_npz, tmp_path / "d.npz")


@IN_ONE_FOLDER
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=2), is_numpy=st.booleans())
def test_npz_of_any_members(tmp_path, parts, is_numpy):
    start = b"\x93NUMPY\x01\x00" if is_numpy else b""
    zipped(
        tmp_path / "d.npz", [(f"{name}.npy", start + part) for name, part in zip("xy", parts, strict=False)]
    )
    only_source_or_data_error(read_npz, tmp_path / "d.npz")


def test_a_signalling_nan_is_a_missing_value_like_any_other(tmp_path):
    x = np.ones((6, 2), np.float32)
    x.view(np.uint32)[3, 1] = 0x7F800001
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(6.0))
    array = read_npz(tmp_path / "a.npz").array
    assert np.isnan(array[3, 1]) and array.view(np.uint32)[3, 1] == 0x7FC00000
