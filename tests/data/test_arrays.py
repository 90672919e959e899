"""Arrays from .npz and IDX files, from memory and from data sets; hostile files give a DataError and nothing else."""

import gzip
import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.core.errors import DataError, Interrupted
from chainrule.data import arrays
from chainrule.data.arrays import from_arrays, from_dataset, read_idx, read_npz
from chainrule.data.source import TEST, TRAIN, VALIDATION, Source

IN_ONE_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 1, 0, 1])


def npz(path, **content):
    np.savez(path, **content)
    return path


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


# ---- .npz


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
        with pytest.raises(DataError, match="d.npz"):
            read_npz(path)


def test_npz_size_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MOST_BYTES", 100)
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


def only_source_or_data_error(read, path):
    try:
        assert isinstance(read(path), Source)
    except DataError as error:
        assert path.name.split("-")[0] in str(error)


# ---- IDX


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


# ---- in memory


def test_arrays_lists_and_tensors_are_alike():
    for x, y in ((X, Y), (X.tolist(), Y.tolist()), (torch.tensor(X, requires_grad=True), torch.tensor(Y))):
        source = from_arrays(x, y)
        assert source.array.tolist() == X.tolist() and source.targets.tolist() == Y.tolist()
        assert source.array.dtype == np.float64 and source.notes == ()
    half = from_arrays(torch.tensor([[1.5]], dtype=torch.bfloat16), None)
    assert half.array.tolist() == [[1.5]] and half.targets is None


@pytest.mark.parametrize(
    "shape, shown, layout",
    [
        ((2, 5, 4), (2, 1, 5, 4), "grey pictures (N, H, W)"),
        ((2, 3, 5, 4), (2, 3, 5, 4), "pictures (N, C, H, W)"),
        ((2, 5, 4, 3), (2, 3, 5, 4), "pictures (N, H, W, C)"),
        ((2, 5, 4, 1), (2, 1, 5, 4), "pictures (N, H, W, C)"),
        ((2, 3, 4, 3), (2, 3, 4, 3), "though (N, H, W, C) would fit too"),
    ],
)
def test_layouts_of_pictures(shape, shown, layout):
    x = np.arange(np.prod(shape)).reshape(shape)
    source = from_arrays(x, [0, 1])
    assert source.array.shape == shown and source.is_pictures and source.array.dtype == np.uint8
    assert layout in source.notes[0]
    if shape[1:] == (5, 4, 3):
        np.testing.assert_array_equal(source.array[1, 2], x[1, :, :, 2])
    assert from_arrays(x - 0.5, [0, 1]).array.dtype == np.float32
    assert from_arrays(x - 5, [0, 1]).array.dtype == np.float32


def test_missing_numbers_are_allowed_and_infinite_ones_named():
    assert np.isnan(from_arrays([[1.0, float("nan")]], [1]).array[0, 1])
    x = np.zeros((5, 3))
    x[3, 2] = -np.inf
    with pytest.raises(
        DataError, match=r"x: row 3, column 2 \(counted from 0\) is -inf, one of 1 such values"
    ):
        from_arrays(x, np.zeros(5))


def test_one_number_per_row():
    assert from_arrays([1.0, 2.0], [3.0, 4.0]).array.shape == (2, 1)


BAD_ARRAYS = {
    "ragged": (
        ([[1, 2], [3]], [0, 1]),
        r"x cannot be read as one array \(row 1, counted from 0, has 1 values, row 0 has 2\)",
    ),
    "mixed": (
        (np.array([[1, "a"]], dtype=object), [0]),
        r"x holds '\\?'?a.*but an array has numbers only.*give mixed columns as a table",
    ),
    "nothing": (([[1, None]], [0]), r"x holds 'None'|x holds None"),
    "a mapping": (({"a": 1}, [0]), r"x holds "),
    "huge integers": (([[10**30]], [0]), r"x holds "),
    "fewer targets": ((X, [1]), r"x has 4 rows, but y has 1"),
    "complex": ((X * 1j, Y), r"x has values of type complex128"),
    "complex targets": ((X, Y * 1j), r"y has values of type complex128; targets are numbers or text"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_array_messages(case):
    (x, y), message = BAD_ARRAYS[case]
    with pytest.raises(DataError, match=message):
        from_arrays(x, y)


def test_sparse_matrices_are_named():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(DataError, match=r"x is a sparse matrix; give x.toarray\(\)"):
        from_arrays(scipy_sparse.csr_matrix(X), Y)


def test_large_unsigned_targets_do_not_wrap():
    assert from_arrays([[1.0]], np.array([2**64 - 1], np.uint64)).targets[0] > 0


class Items:
    def __init__(self, items, **attributes):
        self.items = items
        self.__dict__.update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        if isinstance(item, BaseException):
            raise item
        return item


def test_dataset_of_torch():
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    source = from_dataset(dataset, "mine")
    assert source.array.tolist() == X.tolist() and source.targets.tolist() == Y.tolist()
    assert source.name == "mine" and source.origin == {"kind": "dataset", "name": "mine"}


def test_dataset_of_pictures_with_classes():
    from PIL import Image

    pictures = [(Image.new("RGB", (4, 5), (i, 0, 9)), i) for i in range(2)]
    source = from_dataset(Items(pictures, classes=["cat", "dog"]))
    assert source.array.shape == (2, 3, 5, 4) and source.array[1, :, 0, 0].tolist() == [1, 0, 9]
    assert source.class_names == ("cat", "dog")
    assert from_dataset(Items(pictures, classes=["cat"])).class_names is None


def test_dataset_messages():
    ones = np.ones(3)
    cases = [
        (
            Items([(ones, 0), (np.ones(2), 1)]),
            r"item 1 of 'd' has x of shape \(2,\), but item 0 has \(3,\); all items need one shape",
        ),
        (Items([(ones, 0), (ones, [1, 2])]), r"item 1 of 'd' has y of shape \(2,\)"),
        (Items([ones]), r"item 0 of the data set should be \(x, y\); got ndarray"),
        (Items([(ones, 0), KeyError("gone")]), r"item 1 of the data set cannot be read \('gone'\)"),
        (Items([]), r"the data set 'd' has no items"),
        (iter([]), r"has a length and gives \(x, y\) for an index; got list_iterator"),
        (Items([(ones, 0), (ones, np.datetime64("2020-01-01"))]), r"y differs in type between the items"),
    ]
    for dataset, message in cases:
        with pytest.raises(DataError, match=message):
            from_dataset(dataset, "d")


def test_dataset_too_large_is_noticed_at_the_first_item(monkeypatch):
    monkeypatch.setattr(arrays, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="more than the limit of 100 B"):
        from_dataset(Items([(np.ones(4), 0), RuntimeError("never asked for"), *[(np.ones(4), 0)] * 9]))


def test_a_stop_is_not_taken_for_a_bad_item():
    with pytest.raises(Interrupted):
        from_dataset(Items([Interrupted("stopped by Ctrl-C")]))
