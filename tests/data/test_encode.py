"""Columns encoded in threads give what they give alone."""

import numpy as np
import polars as pl
import pytest

from chainrule.core.errors import DataError
from chainrule.data import encode
from chainrule.data.columns import Column
from chainrule.data.source import Source

COLUMNS = [Column(name=f"n{i}", kind="number") for i in range(5)]
CATEGORIES = [Column(name=f"c{i}", kind="category", values=("a", "b")) for i in range(3)]


def at(row):
    return Source(name="t", origin={}).at(row)


def frame(rows):
    numbers = {f"n{i}": np.arange(rows) * (i + 1.0) for i in range(5)}
    return pl.DataFrame({**numbers, **{f"c{i}": ["a", "b", "c", None] * (rows // 4) for i in range(3)}})


def test_threads_change_nothing(monkeypatch):
    table = frame(1000)
    alone = encode.encode_numbers(table, COLUMNS, at), *encode.encode_codes(table, CATEGORIES)
    monkeypatch.setattr(encode, "ROWS_WORTH_THREADS", 1)
    together = encode.encode_numbers(table, COLUMNS, at), *encode.encode_codes(table, CATEGORIES)
    assert np.array_equal(alone[0], together[0]) and np.array_equal(alone[1], together[1])
    assert alone[2] == together[2] and len(alone[2]) == 3
    assert (
        "column 'c0' has 250 cells with other values than the 2"
        in encode._unseen_notes(CATEGORIES, alone[2])[0]
    )


def test_the_first_wrong_column_is_named(monkeypatch):
    monkeypatch.setattr(encode, "ROWS_WORTH_THREADS", 1)
    wrong = frame(8).with_columns(n1=pl.lit("x"), n3=pl.lit("y"))
    with pytest.raises(DataError, match=r"^t, row 1: column 'n1'"):
        encode.encode_numbers(wrong, COLUMNS, at)


def test_no_columns():
    assert encode.encode_numbers(frame(4), [], at).shape == (4, 0)
    assert encode.encode_codes(frame(4), [])[0].shape == (4, 0)
