"""Class names: one spelling, an order, and names that look like one class."""

import polars as pl
import pytest

from chainrule.data.classes import EXACT, FOLDED, STRIPPED, class_cells, find_classes, natural_order


@pytest.mark.parametrize(
    ("names", "merge", "counts", "spelling", "alike"),
    [
        (["a", "b", "a"], None, {"a": 2, "b": 1}, STRIPPED, ()),
        ([" a", " a", "b "], None, {"a": 2, "b": 1}, STRIPPED, ()),
        (["1", "1.0 ", "2"], None, {"1": 2, "2": 1}, STRIPPED, ()),
        (["True", "true ", "FALSE"], None, {"true": 2, "false": 1}, STRIPPED, ()),
        (["a", "A", "a"], None, {"a": 2, "A": 1}, STRIPPED, (("a", "A"),)),
        (["a", "a ", "a"], None, {"a": 2, "a ": 1}, EXACT, (("a", "a "),)),
        (["a", "a ", "\tb"], None, {"a": 1, "a ": 1, "\tb": 1}, EXACT, (("a", "a "),)),
        (["a", "A ", "\tb"], None, {"a": 1, "A": 1, "b": 1}, STRIPPED, (("A", "a"),)),
        (["a", "a ", "A", "b"], True, {"a": 3, "b": 1}, FOLDED, ()),
        (["B", " b", "b"], True, {"b": 3}, FOLDED, ()),
        (["none", "mild", "None "], True, {"none": 2, "mild": 1}, FOLDED, ()),
    ],
)  # fmt: skip
def test_classes_of_a_column(names, merge, counts, spelling, alike):
    found = find_classes(pl.Series(names), merge)
    assert {k.lower() if spelling == FOLDED else k: v for k, v in found.counts.items()} == counts
    assert (found.spelling, found.alike) == (spelling, alike)


def test_many_that_look_alike_are_said_in_short():
    found = find_classes(pl.Series([name for i in range(6) for name in (f"c{i}", f"C{i}")]), None)
    assert found.question() == (
        "classes 'C0' (1 row) and 'c0' (1 row); 'C1' (1 row) and 'c1' (1 row); 'C2' (1 row) and 'c2' (1 row); and 3 more "
        "such cases look like one: --merge-classes merges them, --no-merge-classes keeps them apart"
    )


def test_cells_are_compared_in_one_spelling():
    raw = pl.Series([" Yes", "YES ", "no", "NA"])
    assert [c.to_list() if isinstance(c, pl.Series) else c for c in class_cells(raw, ("Yes", "no"), FOLDED)] == [
        ["yes", "yes", "no", None], ["yes", "no"],
    ]  # fmt: skip
    assert class_cells(raw, ("Yes", "no"), EXACT)[0].to_list() == [" Yes", "YES ", "no", None]
    assert class_cells(raw, ("Yes", "no"), STRIPPED)[0].to_list() == ["Yes", "YES", "no", None]


def test_classes_that_are_numbers_stand_in_order_of_value():
    assert natural_order(["10", "9", "-1", "2.5"]) == ["-1", "2.5", "9", "10"]
