"""The fingerprint follows the content and nothing else."""

import datetime as dt
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data.source import Source
from chainrule.data.tables import read_table


def of(frame=None, **arrays):
    return Source(name="s", origin={}, frame=frame, **arrays).fingerprint()


def test_a_file_has_the_hash_of_its_bytes(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "same.csv").write_text("a,b\n1,2\n")
    (tmp_path / "other.csv").write_text("a,b\n1,3\n")
    prints = [read_table(tmp_path / f"{n}.csv").fingerprint() for n in ("t", "same", "other")]
    assert prints[0] == prints[1] != prints[2]


COLUMNS = {
    "whole": [1, 2, None],
    "part": [0.5, None, float("nan")],
    "text": ["ab", "c", None],
    "is": [True, None, False],
    "day": [dt.date(2024, 1, 1), None, dt.date(2024, 1, 2)],
    "at": [dt.datetime(2024, 1, 1), None, dt.datetime(2024, 1, 2)],
    "span": [dt.timedelta(1), None, dt.timedelta(2)],
    "money": [Decimal("1.5"), None, Decimal("2.5")],
    "list": [[1], None, [2, 3]],
    "raw": [b"a", None, b"b"],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_cell_of_every_type_counts(name):
    column = pl.Series(name, COLUMNS[name])
    before = of(pl.DataFrame([column]))
    assert before == of(pl.DataFrame([column.clone()]))
    for order in ([1, 0, 2], [0, 2, 1], [0, 0, 2], [0, 1]):
        assert of(pl.DataFrame([column.gather(order)])) != before
    assert of(pl.DataFrame([column.alias("other")])) != before


@pytest.mark.parametrize("name", ["*", "^a$", "^.*$", ""])
def test_names_are_no_patterns(name):
    frames = [pl.DataFrame({name: values, "b": ["x", "y"]}) for values in (["p", "q"], ["p", "r"], [1, None])]
    assert len({of(frame) for frame in frames}) == 3


def test_categories_count_by_their_text():
    text = pl.DataFrame({"c": ["x", "y", "y"]}, schema={"c": pl.Categorical})
    assert of(text) == of(text.reverse().reverse()) != of(text.reverse())


def test_texts_do_not_run_into_each_other():
    assert of(pl.DataFrame({"t": ["ab", "c"]})) != of(pl.DataFrame({"t": ["a", "bc"]}))
    assert of(pl.DataFrame({"t": ["", None]})) != of(pl.DataFrame({"t": [None, ""]}))


def test_the_number_of_chunks_does_not_count(monkeypatch):
    frame = pl.DataFrame({"a": range(100), "t": [str(i) for i in range(100)]})
    assert of(frame) == of(pl.concat([frame[:30], frame[30:]], rechunk=False))


def test_arrays_count_with_shape_type_and_targets():
    x, y = np.arange(6.0).reshape(2, 3), np.array([0, 1])
    base = of(array=x, targets=y)
    others = [
        of(array=x.reshape(3, 2), targets=y),
        of(array=x.astype(np.float32), targets=y),
        of(array=x, targets=y[::-1]),
        of(array=x),
        of(array=x, targets=y, class_names=("a", "b")),
        of(array=x, targets=y, fixed_split=np.array([0, 2], np.int8)),
        of(array=x, targets=np.array(["a", "b"])),
        of(array=x, targets=np.array(["a", "b"], dtype=object)),
    ]
    assert base not in others and base == of(array=np.asfortranarray(x), targets=y.copy())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=1, max_size=6), st.data())
def test_one_changed_text_changes_the_hash(texts, data):
    place = data.draw(st.integers(0, len(texts) - 1))
    other = [*texts[:place], data.draw(st.text(max_size=4)), *texts[place + 1 :]]
    prints = [of(pl.DataFrame({"t": t}, schema={"t": pl.String})) for t in (texts, other)]
    assert (prints[0] == prints[1]) == (texts == other)
