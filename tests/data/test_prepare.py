"""Preparation: fitted on training rows, exact in float64, the same for one row as for all."""

import math
import warnings

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chainrule.core.errors import SettingError
from chainrule.data import prepare as prepare_file
from chainrule.data.columns import Column
from chainrule.data.prepare import Prepare
from chainrule.data.schema import Examples, Schema, find_schema
from chainrule.data.source import Source
from chainrule.data.target import Target

TARGET = Target(kind="regression", names=("y",))


def of_numbers(numbers, rows=None):
    numbers = np.asarray(numbers)
    schema = Schema(shape=numbers.shape[1:], is_pictures=numbers.ndim == 4, target=TARGET)
    none = np.empty((len(numbers), 0), np.int64)
    examples = Examples(numbers=numbers, codes=none, targets=None, rows=np.arange(len(numbers)))
    return Prepare(schema).fit(
        examples, np.arange(len(numbers)) if rows is None else np.asarray(rows)
    ), examples


def mixed(rows=40, seed=0):
    random = np.random.default_rng(seed)
    columns = {
        "n": [None if random.random() < 0.2 else float(random.normal(5, 3)) for _ in range(rows)],
        "b": random.integers(0, 2, rows).astype(bool),
        "c": [str(v) for v in random.choice(["x", "y", "z"], rows)],
        "d": [None if random.random() < 0.2 else str(v) for v in random.choice(["p", "q"], rows)],
        "y": random.normal(size=rows),
    }
    source = Source(name="t", origin={}, frame=pl.DataFrame(columns))
    schema, _ = find_schema(source, target="y")
    return schema, schema.encode(source)


def test_scaled_numbers_have_mean_zero_and_deviation_one():
    prepare, examples = of_numbers(np.random.default_rng(0).normal(7, 3, (500, 4)))
    prepared = prepare.tensors(examples)
    assert prepared.dtype == torch.float32 and prepare.features == 4
    assert prepared.mean(0).abs().max() < 1e-5 and (prepared.std(0, correction=0) - 1).abs().max() < 1e-5


def test_a_small_spread_about_a_large_mean_keeps_its_information():
    values = 1e9 + 1e-3 * np.arange(10.0)
    prepare, examples = of_numbers(values[:, None])
    expected = np.arange(10.0) - 4.5
    np.testing.assert_allclose(prepare.tensors(examples)[:, 0], expected / expected.std(), atol=1e-3)


@pytest.mark.parametrize("size", [1e-30, 1e-13, 1.0, 1e13, 1e100])
def test_units_do_not_matter(size):
    numbers = np.random.default_rng(0).normal(3, 2, (50, 2))
    plain, examples = of_numbers(numbers)
    scaled, others = of_numbers(numbers * size)
    torch.testing.assert_close(scaled.tensors(others), plain.tensors(examples))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, -1e100])
def test_a_column_that_does_not_vary_says_nothing_ever(value):
    prepare, examples = of_numbers(np.full((11, 1), value))
    assert prepare.tensors(examples).tolist() == [[0.0]] * 11
    later = torch.tensor([[value + 1e6], [float("nan")]], dtype=torch.float64)
    assert prepare(later, torch.empty(2, 0, dtype=torch.int64)).tolist() == [[0.0], [0.0]]


def test_one_number_or_none_says_which():
    prepare, examples = of_numbers([[7.0], [math.nan], [7.0], [math.nan]])
    assert prepare.tensors(examples).tolist() == [[0, 0], [0, 1], [0, 0], [0, 1]]


def test_a_column_missing_in_all_training_rows_says_only_that():
    prepare, examples = of_numbers([[np.nan, 1.0], [np.nan, 2.0], [1e6, 3.0]], rows=[0, 1])
    assert prepare.tensors(examples)[:, 0].tolist() == [0, 0, 0]
    assert prepare.tensors(examples)[:, 2].tolist() == [1, 1, 0]


def test_missing_numbers_become_the_mean_and_say_so():
    prepare, examples = of_numbers([[1.0, 5.0], [np.nan, 6.0], [3.0, 7.0]])
    assert prepare.features == 3 and prepare.tells_missing.tolist() == [True, False]
    prepared = prepare.tensors(examples)
    assert prepared[:, 0].tolist() == [-1, 0, 1] and prepared[:, 2].tolist() == [0, 1, 0]


def test_a_number_missing_for_the_first_time_later_is_the_mean():
    prepare, _ = of_numbers([[1.0], [3.0]])
    later = prepare(torch.tensor([[float("nan")]], dtype=torch.float64), torch.empty(1, 0, dtype=torch.int64))
    assert later.tolist() == [[0.0]]


def test_categories_become_units():
    schema, examples = mixed()
    prepare = Prepare(schema).fit(examples, np.arange(len(examples)))
    assert prepare.sizes == [3, 2] and prepare.features == 2 + 1 + 4 + 3
    codes = torch.tensor([[0, 0], [1, 1], [2, 3], [4, 2]])
    units = prepare(torch.zeros(4, 2, dtype=torch.float64), codes)[:, 3:]
    assert units.tolist() == [
        [1, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0, 1, 0],
    ]


def test_rows_beside_the_training_rows_do_not_matter():
    schema, examples = mixed()
    train = np.arange(0, 40, 2)
    before = Prepare(schema).fit(examples, train).state_dict()
    examples.numbers[1::2] = np.nan
    examples.numbers[3::4] = 1e9
    examples.codes[1::2] = 1
    after = Prepare(schema).fit(examples, train).state_dict()
    assert before.keys() == after.keys() == {"mean", "scale", "fill", "tells_missing"}
    assert all(torch.equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize("make", [mixed, lambda: (None, of_numbers(np.arange(60.0).reshape(5, 3, 2, 2))[1])])
def test_one_row_at_a_time_is_all_rows_at_once(make, monkeypatch):
    schema, examples = make()
    schema = schema or Schema(shape=(3, 2, 2), is_pictures=True, target=TARGET)
    prepare = Prepare(schema).fit(examples, np.arange(len(examples)))
    whole = prepare.tensors(examples)
    for name in ("NUMBERS_AT_ONCE", "PREPARED_AT_ONCE"):
        monkeypatch.setattr(prepare_file, name, 1)
    assert torch.equal(prepare.tensors(examples), whole)
    again = Prepare(schema).fit(examples, np.arange(len(examples)))
    torch.testing.assert_close(again.scale, prepare.scale)


def test_a_saved_preparation_is_the_same():
    schema, examples = mixed()
    prepare = Prepare(schema).fit(examples, np.arange(30))
    again = Prepare(schema)
    again.load_state_dict(prepare.state_dict())
    assert again.features == prepare.features
    assert torch.equal(again.tensors(examples), prepare.tensors(examples))
    assert not list(prepare.parameters())


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_pictures_are_scaled_by_channel(dtype):
    pictures = np.random.default_rng(0).integers(0, 255, (20, 3, 4, 4)).astype(dtype)
    prepare, examples = of_numbers(pictures)
    prepared = prepare.tensors(examples)
    assert prepare.features == (3, 4, 4) and prepared.dtype == torch.float32 and prepare.mean.shape == (3,)
    assert prepared.mean((0, 2, 3)).abs().max() < 1e-5
    assert (prepared.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-4


def test_arrays_that_may_not_be_written_are_taken():
    numbers = np.arange(6.0).reshape(3, 2)
    numbers.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare, examples = of_numbers(numbers)
        assert prepare.tensors(examples).shape == (3, 2)


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 8), st.integers(1, 3)),
        elements=st.one_of(st.just(np.nan), st.floats(-1e150, 1e150)),
    )
)
def test_prepared_numbers_are_always_finite(numbers):
    prepare, examples = of_numbers(numbers)
    prepared = prepare.tensors(examples)
    assert torch.isfinite(prepared).all() and prepared.shape == (len(numbers), prepare.features)


@pytest.mark.curriculum("PRE-03")
@pytest.mark.parametrize(("scaling", "wanted"), [("range", [0, 0.5, 1]), ("symmetric", [-1, 0, 1])])
def test_range_scaling_of_a_column(scaling, wanted):
    schema = Schema(
        columns=(Column(name="x", kind="number"),), target=Target(kind="regression", names=("y",))
    )
    numbers = np.array([[10.0], [20.0], [30.0], [math.nan], [50.0]])
    examples = Examples(numbers=numbers, codes=np.empty((5, 0), np.int64), targets=None, rows=np.arange(5))
    prepare = Prepare(schema).fit(examples, np.arange(4), scaling)
    prepared = prepare.tensors(examples)
    assert prepared[:3, 0].tolist() == wanted
    assert prepared[3].tolist() == [wanted[1], 1.0]  # missing: the mean, and said
    assert prepared[4, 0].item() == (2 if scaling == "range" else 3)  # beyond what training saw


@pytest.mark.curriculum("PRE-04")
def test_pixels_are_divided_by_255():
    schema = Schema(
        shape=(1, 1, 3), is_pictures=True, target=Target(kind="binary", names=("y",), classes=("a", "b"))
    )
    pixels = np.array([[[[0, 4, 246]]], [[[9, 9, 9]]]], np.uint8)
    examples = Examples(numbers=pixels, codes=np.empty((2, 0), np.int64), targets=None, rows=np.arange(2))
    prepared = Prepare(schema).fit(examples, np.arange(1), "range").tensors(examples)
    assert prepared[0, 0, 0].tolist() == pytest.approx([0, 0.015686, 0.964706], abs=1e-6)


def test_statistics_of_bytes_are_those_of_numbers():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3, 5, 4), np.uint8)
    schema = Schema(
        shape=(3, 5, 4), is_pictures=True, target=Target(kind="binary", names=("y",), classes=("a", "b"))
    )

    def fitted(array):
        examples = Examples(
            numbers=array, codes=np.empty((20, 0), np.int64), targets=None, rows=np.arange(20)
        )
        return Prepare(schema).fit(examples, np.arange(15))

    of_bytes, of_floats = fitted(pixels), fitted(pixels.astype(np.float64))
    assert torch.allclose(of_bytes.mean, of_floats.mean, rtol=1e-12)
    assert torch.allclose(of_bytes.scale, of_floats.scale, rtol=1e-12)


def test_unknown_scaling_is_refused():
    with pytest.raises(SettingError, match="scaling takes standard, range, symmetric, none; got 'log'"):
        Prepare(Schema(target=Target(kind="regression", names=("y",)))).fit(None, None, "log")


def test_without_scaling_numbers_stay_and_missing_ones_become_the_mean():
    schema = Schema(shape=(2,), target=TARGET)
    numbers = np.array([[1.0, 1000.0], [3.0, math.nan], [8.0, 3000.0], [6.0, 5000.0]])
    examples = Examples(numbers=numbers, codes=np.empty((4, 0), np.int64), targets=None, rows=np.arange(4))
    prepare = Prepare(schema).fit(examples, np.arange(3), "none")
    expected = [[1, 1000, 0], [3, 2000, 1], [8, 3000, 0], [6, 5000, 0]]
    assert prepare.tensors(examples).tolist() == expected


def test_without_scaling_bytes_stay_bytes():
    pictures = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    schema = Schema(shape=(3, 4, 4), is_pictures=True, target=TARGET)
    examples = Examples(numbers=pictures, codes=np.empty((2, 0), np.int64), targets=None, rows=np.arange(2))
    prepared = Prepare(schema).fit(examples, np.arange(2), "none").tensors(examples)
    assert (prepared.numpy() == pictures).all()
