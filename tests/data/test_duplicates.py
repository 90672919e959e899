"""Copies of rows: found however they were rounded, and not where few values make rows equal."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.builtin import breast_cancer, diabetes, iris, wine
from chainrule.data.duplicates import copies_said, duplicate_groups, join_groups
from chainrule.data.schema import Examples, find_schema
from chainrule.data.source import Source


def groups_of(frame, target="y"):
    source = Source(name="t", origin={}, frame=frame, target_names=(target,))
    schema, _ = find_schema(source, target=target)
    return duplicate_groups(schema.encode(source), schema)


def table(rows=300, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "a": random.normal(size=rows).round(4),
            "b": random.normal(1000, 300, size=rows).round(2),
            "kind": random.choice(["x", "y", "z"], rows),
            "y": random.normal(size=rows),
        }
    )


def test_rows_that_differ_are_alone():
    assert groups_of(table()).tolist() == list(range(300))


def test_equal_rows_share_a_group_whatever_their_target():
    frame = pl.concat([table(), table()[7:10].with_columns(y=pl.lit(9.0))])
    groups = groups_of(frame)
    assert groups[300:].tolist() == [7, 8, 9]
    assert groups[:300].tolist() == list(range(300))
    kept = "copies are kept on one side of the split"
    assert copies_said(groups, "rows") == f"6 rows equal another, in 3 pairs; {kept}"
    assert copies_said(groups, "pictures") == f"6 pictures show the same as another, in 3 pairs; {kept}"


def test_another_programs_rounding_does_not_hide_a_copy():
    frame = table()
    single = frame.with_columns(pl.col("a", "b").cast(pl.Float32).cast(pl.Float64))
    assert (groups_of(pl.concat([frame, single]))[300:] == np.arange(300)).mean() > 0.98
    nearly = frame.with_columns(pl.col("b") + 0.01)  # another value, in the sixth digit
    assert groups_of(pl.concat([frame, nearly])).tolist() == list(range(600))


def test_a_whole_table_twice():
    assert groups_of(pl.concat([table(), table()])).tolist() == [*range(300), *range(300)]


def test_missing_cells_are_equal():
    frame = table().with_columns(
        kind=pl.when(pl.int_range(300) % 3 == 0).then(None).otherwise("kind"),
        c=pl.when(pl.int_range(300) % 3 == 1).then(None).otherwise(pl.int_range(300) % 7),
    )
    assert groups_of(pl.concat([frame, frame[:50]]))[300:].tolist() == list(range(50))


def test_times_that_differ_late_in_the_number_are_different():
    frame = table().with_columns(t=1_700_000_000 + 60 * pl.int_range(300), a=pl.lit(None), b=pl.lit(None))
    assert groups_of(frame).tolist() == list(range(300))


def test_passengers_of_the_same_class_are_not_copies():
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "class": random.choice(["first", "second", "third", "crew"], 2201),
            "age": random.choice(["adult", "child"], 2201, p=[0.95, 0.05]),
            "sex": random.choice(["m", "f"], 2201),
            "y": random.choice(["no", "yes"], 2201),
        }
    )
    assert groups_of(frame).tolist() == list(range(2201))


def test_dates_of_a_day_are_one_value_not_five():
    day = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), eager=True)
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"day": day.sample(3000, with_replacement=True, seed=0), "open": random.choice([0, 1], 3000), "y": random.normal(size=3000)}
    )  # fmt: skip
    assert groups_of(frame).tolist() == list(range(3000))


def test_a_row_that_is_everywhere_is_no_copy():
    frame = table(400).with_columns(
        a=pl.when(pl.int_range(400) < 100).then(0.5).otherwise("a"),
        b=pl.when(pl.int_range(400) < 100).then(7.5).otherwise("b"),
        kind=pl.when(pl.int_range(400) < 100).then(pl.lit("x")).otherwise("kind"),
    )
    assert groups_of(frame).tolist() == list(range(400))


@pytest.mark.parametrize("data", [iris, wine, breast_cancer, diabetes])
def test_clean_sets_have_none(data):
    source = data()
    schema, _ = find_schema(source)
    groups = duplicate_groups(schema.encode(source), schema)
    assert groups.tolist() == list(range(len(source))) and not copies_said(groups, "rows")


def test_arrays_of_numbers():
    array = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)
    array[60] = array[20]
    source = Source(name="t", origin={}, array=array, targets=np.arange(100.0))
    schema, _ = find_schema(source)
    assert duplicate_groups(schema.encode(source), schema)[60] == 20


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 1000))
def test_joined_groups_are_the_finest_that_hold_both(one, seed):
    one = np.array(one)
    other = np.random.default_rng(seed).integers(0, 8, len(one))
    joined = join_groups(one, other)
    for groups in (one, other):
        assert all(len(set(joined[groups == g])) == 1 for g in groups)
    links = {
        (i, j) for i in range(len(one)) for j in range(len(one)) if one[i] == one[j] or other[i] == other[j]
    }
    while more := {(i, k) for i, j in links for j2, k in links if j == j2} - links:
        links |= more
    assert all(
        (joined[i] == joined[j]) == ((i, j) in links) for i in range(len(one)) for j in range(len(one))
    )


def test_order_of_rows_does_not_matter():
    frame = pl.concat([table(), table()[:40]])
    order = np.random.default_rng(3).permutation(340)
    plain, moved = groups_of(frame), groups_of(frame[order])
    together = plain[order][:, None] == plain[order][None]
    assert np.array_equal(moved[:, None] == moved[None], together)


def test_no_rows_and_one():
    for rows in (0, 1):
        examples = Examples(
            numbers=np.zeros((rows, 2)),
            codes=np.zeros((rows, 0), np.int64),
            targets=None,
            rows=np.arange(rows),
        )
        schema = find_schema(Source(name="t", origin={}, array=np.eye(9, 2), targets=np.arange(9.0)))[0]
        assert duplicate_groups(examples, schema).tolist() == list(range(rows))


def test_copies_do_not_make_a_column_look_as_if_its_cells_agreed_often():
    """One column of measures beside two of few values: what is equal in it is equal in copies alone."""
    random = np.random.default_rng(4)
    columns = {"area": random.uniform(30, 200, 400), "rooms": random.integers(1, 7, 400).astype(float)}
    columns["city"] = random.choice(["Bern", "Genf", "Basel"], 400)
    frame = pl.DataFrame({**columns, "y": random.normal(size=400)})
    groups = groups_of(pl.concat([frame, frame.head(100)]))
    assert (groups[400:] == groups[:100]).all() and groups.max() == 399
