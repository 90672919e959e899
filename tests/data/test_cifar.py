"""CIFAR in the formats that its authors give away."""

import io
import tarfile

import numpy as np
import pytest

import chainrule as cr
from chainrule.core.errors import DataError
from chainrule.data.read import named_by, read
from chainrule.data.reading import Reading
from chainrule.data.schema import find_schema
from chainrule.data.source import TEST, TRAIN
from tests.data.test_pickled import python2

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FINE, COARSE = [f"fine {i}" for i in range(100)], [f"coarse {i}" for i in range(20)]
RNG = np.random.default_rng(0)
ROWS = {f"data_batch_{i}": 20 for i in range(1, 6)} | {"test_batch": 30}
PIXELS = {name: RNG.integers(0, 256, (rows, 3072), np.uint8) for name, rows in ROWS.items()}
LABELS = {name: np.arange(rows) % 10 for name, rows in ROWS.items()}


def binary10() -> dict[str, bytes]:
    batches = {
        f"{name}.bin": np.column_stack([LABELS[name].astype(np.uint8), PIXELS[name]]).tobytes()
        for name in ROWS
    }
    return {**batches, "batches.meta.txt": ("\n".join(NAMES) + "\n\n").encode(), "readme.html": b"<p>"}


def python10() -> dict[str, bytes]:
    batches = {
        name: python2({"batch_label": name, "labels": LABELS[name].tolist(), "data": PIXELS[name], "filenames": ["a"]})
        for name in ROWS
    }  # fmt: skip
    meta = python2({"num_cases_per_batch": 20, "label_names": NAMES, "num_vis": 3072})
    return {**batches, "batches.meta": meta, "readme.html": b"<p>"}


def hundred(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.arange(rows) % 20, np.arange(rows) % 100, RNG.integers(0, 256, (rows, 3072), np.uint8)


def binary100() -> dict[str, bytes]:
    parts = {
        f"{name}.bin": np.column_stack(hundred(rows)).astype(np.uint8).tobytes()
        for name, rows in (("train", 200), ("test", 100))
    }
    texts = {f"{k}_label_names.txt": "\n".join(v).encode() for k, v in (("fine", FINE), ("coarse", COARSE))}
    return {**parts, **texts}


def python100() -> dict[str, bytes]:
    parts = {}
    for name, rows in (("train", 200), ("test", 100)):
        coarse, fine, data = hundred(rows)
        parts[name] = python2({"coarse_labels": coarse.tolist(), "fine_labels": fine.tolist(), "data": data})
    return {**parts, "meta": python2({"fine_label_names": FINE, "coarse_label_names": COARSE})}


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def archive(path, files, folder="cifar-10-batches"):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def refusal(path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.curriculum("DAT-02")
@pytest.mark.parametrize("files", [binary10(), python10()], ids=["binary", "python"])
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_cifar_10(tmp_path, files, packed):
    """32 × 32 × 3 pictures in 10 classes, with the test rows that the authors chose."""
    path = (archive if packed else put)(tmp_path / ("cifar-10.tar.gz" if packed else "cifar-10"), files)
    source = read(path)
    assert source.array.shape == (130, 3, 32, 32) and source.array.dtype == np.uint8
    assert (
        source.name == "cifar-10" and source.class_names == tuple(NAMES) and source.target_names == ("label",)
    )
    assert source.fixed_split.tolist() == [TRAIN] * 100 + [TEST] * 30
    for place, name in ((0, "data_batch_1"), (20, "data_batch_2"), (100, "test_batch")):
        assert (source.array[place : place + 20].reshape(20, -1) == PIXELS[name][:20]).all()
        assert (source.targets[place : place + 20] == LABELS[name][:20]).all()
    assert len(find_schema(source)[0].target.classes) == 10
    assert read(named_by(source.origin)).fingerprint() == source.fingerprint()


@pytest.mark.parametrize("files", [binary100(), python100()], ids=["binary", "python"])
def test_cifar_100_fine_and_coarse(tmp_path, files):
    path = put(tmp_path / "cifar-100", files)
    source = read(path)
    assert source.class_names == tuple(FINE) and source.target_names == ("fine_label",)
    assert source.notes == ("target: the 100 fine_labels (--target names the others)",)
    assert source.targets[:120].tolist() == [i % 100 for i in range(120)]
    coarse = read(path, Reading(target="coarse_label"))
    assert coarse.class_names == tuple(COARSE) and coarse.targets[:25].tolist() == [i % 20 for i in range(25)]
    assert (coarse.array == source.array).all()


def test_a_run_on_cifar_keeps_its_test_rows(tmp_path):
    path = put(tmp_path / "cifar-10", python10())
    run = cr.fit(path, model="softmax-regression", epochs=1, runs=tmp_path / "runs", quiet=True)
    assert cr.verify(run.path).outcome == "equal bits"
    assert run.evaluate() == run.metrics["test"]
    outside = put(tmp_path / "again" / "cifar-10-batches-py", python10()).parent
    assert len(run.predict(outside).names) == 130  # the folder around the one that unpacking made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batches.meta.txt": None}, "the names of its classes"),
        ({"data_batch_1.bin": b"12345"}, "data_batch_1.bin has 5 bytes, which is no multiple of 3,073"),
        ({"data_batch_1.bin": b""}, "data_batch_1.bin has 0 bytes"),
        ({"batches.meta.txt": b"cat\ndog\n"}, "data_batch_1.bin: a label is 9, but there are 2 names of classes"),
    ],
)  # fmt: skip
def test_damaged_binary_batches(tmp_path, change, message):
    files = {k: v for k, v in {**binary10(), **change}.items() if v is not None}
    assert message in refusal(put(tmp_path / "cifar", files))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_batch_2": b"cos\nsystem\n(S'true'\ntR."}, "wants os.system imported, which could run any code"),
        ({"data_batch_2": python2({"labels": []})}, "data_batch_2 should hold 'data', an array of rows of 3,072"),
        ({"data_batch_2": python2({"data": PIXELS["test_batch"], "labels": [1]})}, "a list of 30 numbers of classes"),
        ({"batches.meta": python2([])}, "batches.meta should hold the names"),
        ({"batches.meta": python2({"label_names": [1]})}, "a list with the names of the classes"),
        ({"batches.meta": python2({"label_names": ["cat", "ox", "ox"]})}, "batches.meta calls two classes 'ox'"),
    ],
)  # fmt: skip
def test_damaged_python_batches(tmp_path, change, message):
    assert message in refusal(put(tmp_path / "cifar", {**python10(), **change}))


def test_batches_that_lack_are_said(tmp_path):
    files = {k: v for k, v in binary10().items() if k not in ("data_batch_4.bin", "test_batch.bin")}
    source = read(put(tmp_path / "cifar", files))
    assert source.notes == ("not there, and not used: 'data_batch_4'",) and source.fixed_split is None


def test_archives_that_are_cut_short_or_too_large(tmp_path, monkeypatch):
    whole = archive(tmp_path / "cifar-10.tar.gz", binary10()).read_bytes()
    (tmp_path / "cifar-cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    assert "cifar-cut.tar.gz is damaged" in refusal(tmp_path / "cifar-cut.tar.gz")
    (tmp_path / "cifar-text.tar.gz").write_bytes(b"no archive")
    assert "is damaged, or no .tar.gz" in refusal(tmp_path / "cifar-text.tar.gz")
    monkeypatch.setattr("chainrule.data.cifar.MOST_ARCHIVE_BYTES", 1000)
    assert "holds far more than CIFAR does" in refusal(tmp_path / "cifar-10.tar.gz")


def test_members_named_outside_and_links_are_not_followed(tmp_path):
    path = tmp_path / "cifar-evil.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("cifar/data_batch_1.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        meta = tarfile.TarInfo("../../batches.meta.txt")
        meta.size = 4
        tar.addfile(meta, io.BytesIO(b"cat\n"))
    assert "should hold the batches of CIFAR" in refusal(path)
    assert not (tmp_path.parent / "batches.meta.txt").exists()
    assert not (tmp_path.parent.parent / "batches.meta.txt").exists()
