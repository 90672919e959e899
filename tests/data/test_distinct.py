"""Rows as a set: neither their order nor how often one stands there changes what they are."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chainrule.data.distinct import HEAVIEST, WeightedRows, distinct_rows

FEW = st.sampled_from([-1.5, -0.0, 0.0, 1.0, 1e-300])


def same(ours: WeightedRows, theirs: WeightedRows) -> bool:
    return all(
        np.array_equal(getattr(ours, part), getattr(theirs, part))
        for part in ("inputs", "targets", "weights")
    )


@st.composite
def counted_rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 3)))
    inputs = draw(arrays.arrays(np.float64, shape, elements=FEW))
    targets = draw(arrays.arrays(np.int64, shape[:1], elements=st.integers(0, 2)))
    counts = draw(arrays.arrays(np.int64, shape[:1], elements=st.integers(0, 4)))
    return inputs, targets, counts, np.array(draw(st.permutations(range(shape[0]))))


@given(counted_rows())
def test_weights_are_repetitions_in_any_order(drawn: tuple[np.ndarray, ...]) -> None:
    inputs, targets, counts, order = drawn
    assume(counts.any())
    weighted = distinct_rows(inputs[order], targets[order], counts[order].astype(np.float64))
    repeated = distinct_rows(inputs.repeat(counts, axis=0), targets.repeat(counts))
    assert same(weighted, repeated)
    assert weighted.weights.sum() == counts.sum()
    kept = {(*x, y) for x, y, count in zip(inputs.tolist(), targets.tolist(), counts, strict=True) if count}
    assert len(weighted) == len(kept)


def test_rows_with_other_targets_stay_apart() -> None:
    inputs = np.array([[1.0], [1.0], [1.0]])
    found = distinct_rows(inputs, np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 1.0]]))
    assert found.targets.shape == (2, 2) and sorted(found.weights) == [1.0, 2.0]


def test_a_heavy_row_stands_several_times_with_its_share() -> None:
    rows = distinct_rows(np.arange(10.0)[:, None], np.arange(10), np.array([1.0] * 9 + [96.0]))
    spread = rows.spread()
    assert spread.weights.max() <= HEAVIEST * rows.weights.mean() and spread.weights.sum() == 105
    assert np.bincount(spread.targets).tolist() == [1] * 9 + [3]
    assert distinct_rows(spread.inputs, spread.targets, spread.weights).weights.max() == 96
