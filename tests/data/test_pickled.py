"""Pickles are read, never run."""

import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.errors import DataError
from chainrule.data.pickled import read_pickle

ROWS = np.arange(12, dtype=np.uint8).reshape(3, 4) + 200


def python2(value) -> bytes:
    """Pickle a value as cPickle of Python 2 did with protocol 2, which the batches of CIFAR were written with."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value) -> bytes:
    if isinstance(value, dict):
        return b"}q\x01(" + b"".join(_python2(k) + _python2(v) for k, v in value.items()) + b"u"
    if isinstance(value, list):
        return b"]q\x02(" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, (bytes, str)):
        content = value.encode() if isinstance(value, str) else value
        if len(content) < 256:
            return b"U" + bytes([len(content)]) + content + b"q\x03"
        return b"T" + struct.pack("<i", len(content)) + content
    if isinstance(value, int):
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)
    assert isinstance(value, np.ndarray)
    rows, columns = (_python2(side) for side in value.shape)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t(K\x01"
        + rows
        + columns
        + b"\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<i", value.size)
        + value.tobytes()
        + b"tb"
    )


def refusal(content: bytes) -> str:
    with pytest.raises(DataError) as caught:
        read_pickle(content, "data_batch_1")
    assert str(caught.value).startswith("data_batch_1 ")
    return str(caught.value)


def test_python_itself_reads_these_pickles_alike():
    value = {"data": ROWS, "labels": [1, 300], "batch_label": "one"}
    loaded = pickle.loads(python2(value), encoding="bytes")  # noqa: S301 - made above
    assert loaded[b"labels"] == [1, 300] and (loaded[b"data"] == ROWS).all()


def test_what_python_2_wrote():
    value = read_pickle(python2({"data": ROWS, "labels": [1, 300], "batch_label": "one", "empty": []}), "x")
    assert (value["data"] == ROWS).all() and value["data"].dtype == np.uint8
    assert value["labels"] == [1, 300] and value["batch_label"] == b"one" and value["empty"] == []


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_python_3_writes(protocol, order):
    value = {
        "data": np.array(ROWS, order=order),
        "names": ["a", "ü"],
        "more": (1, -5, 2**40, 1.5, None, True),
    }
    if protocol == 5:  # arrays are kept by another function there
        assert "wants numpy._core.numeric._frombuffer imported" in refusal(pickle.dumps(value, protocol))
        return
    read = read_pickle(pickle.dumps(value, protocol), "x")
    assert (read["data"] == ROWS).all() and read["names"] == ["a", "ü"]
    assert read["more"] == (1, -5, 2**40, 1.5, None, True)


def test_nothing_is_imported_or_called(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    for protocol in range(6):
        assert "imported" in refusal(pickle.dumps(Evil(), protocol)) or protocol < 2
    assert "os.system imported, which could run any code" in refusal(b"cos\nsystem\n(S'echo'\ntR.")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({1, 2}, 4), "the instruction EMPTY_SET"),
        (pickle.dumps(np.zeros(3), 4), "objects than lists and arrays of bytes"),
        (pickle.dumps(pytest.Item, 4), "wants _pytest.nodes.Item imported"),
        (b"", "is damaged"),
        (python2({"a": 1})[:-1], "is damaged"),
        (b"\x80\x02e.", "a list ends that never began"),
        (b"\x80\x02K\x01K\x02a.", "it fills a list that is none"),
        (b"\x80\x02h\x05.", "is damaged"),
        (b"\x80\x02T\xff\xff\xff\x7fab.", "is damaged"),
        (python2({"data": ROWS}).replace(b"K\x03K\x04", b"K\x03K\x05"), "an array of shape (3, 5) with 12 values"),
    ],
)  # fmt: skip
def test_what_is_refused(content, message):
    assert message in refusal(content)


def test_lists_that_hold_each_other_without_end_are_not_printed():
    doubled = b"\x80\x02]q\x00" + b"".join(b"(h\x00h\x00lq\x00" for _ in range(60))
    assert "has no name" in refusal(doubled + b"h\x00\x93.")
    array = python2(ROWS)[2:-1].replace(b"K\x03K\x04\x86", b"h\x00h\x00\x86")
    assert "whose shape is damaged" in refusal(doubled + array + b".")


@given(st.binary(max_size=40), st.integers(0, 200))
def test_any_bytes_give_a_value_or_a_data_error(inserted, place):
    whole = python2({"data": ROWS, "labels": [1, 300]})
    for content in (inserted, whole[:place] + inserted + whole[place + len(inserted) :]):
        try:
            read_pickle(content, "data_batch_1")
        except DataError as error:
            assert "data_batch_1" in str(error)
