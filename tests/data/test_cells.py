"""Cells before they mean anything."""

import polars as pl
import pytest

from chainrule.core.errors import DataError
from chainrule.data.cells import MISSING, blank_cells, clean_cells, codes_of


def test_missing_cells_in_every_spelling():
    spelled = [s for w in MISSING for s in (w, w.upper(), w.title(), f" {w} ")]
    assert clean_cells(pl.Series("c", [*spelled, None, "x"])).to_list() == [None] * (len(spelled) + 1) + ["x"]


def test_spaces_are_stripped_or_left():
    cells = pl.Series("^a$", [" a ", " NA ", "", None, "\tb"])
    assert clean_cells(cells).to_list() == ["a", None, None, None, "b"]
    assert blank_cells(cells).to_list() == [" a ", None, None, None, "\tb"]
    assert clean_cells(pl.Series([1.5, float("nan")])).to_list() == [1.5, None]
    assert clean_cells(pl.Series(["none", "x"]), MISSING - {"none"}).to_list() == ["none", "x"]


def test_what_cannot_be_read_is_named():
    with pytest.raises(
        DataError, match=r"column 'l' holds List\(Int64\); a column needs numbers, text, booleans or dates"
    ):
        clean_cells(pl.Series("l", [[1]]))


def test_codes():
    assert codes_of(pl.Series(["b", "x", None, "a"]), ("a", "b"), start=2, other=1).tolist() == [3, 1, 1, 2]
