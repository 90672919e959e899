"""What sets rows apart, in words: a group by shares and means, a single row by what it has."""

import numpy as np

from chainrule.explanations.apart import Cells, differences

GARDEN = Cells(name="garden", cells=np.array([1.0] * 19 + [0.0]), names=("no", "yes"))
AREA = Cells(name="area", cells=np.array([50.0, 52.0] * 9 + [51.0, 200.0]))


def test_a_group_is_told_by_its_share_or_mean_and_that_of_all_rows() -> None:
    last = np.arange(20) >= 18
    assert [one.text for one in differences([GARDEN, AREA], last)] == [
        "garden = no 50 % (all rows 5 %)",
        "area 125.5 (all rows 58.45)",
    ]


def test_a_single_row_is_told_by_the_value_that_it_has_and_how_rare_that_is() -> None:
    """Of two values one is as far below its share as the other is above: the one that the row has is told."""
    (found,) = differences([GARDEN], np.arange(20) == 19)
    assert found.text == "garden = no (5.0 % of all rows)"
    yes = Cells(name="garden", cells=1 - GARDEN.cells, names=("no", "yes"))
    (found,) = differences([yes], np.arange(20) == 19)
    assert found.text == "garden = yes (5.0 % of all rows)"
