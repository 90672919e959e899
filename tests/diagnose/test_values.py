"""Targets that are numbers: nearly constant ones, and ones that a few rows rule."""

import numpy as np
import pytest

from tests.diagnose.tables import houses, said_of


@pytest.mark.parametrize(("part", "count"), [(0.92, 1), (0.88, 0)])
def test_a_nearly_constant_target_is_named(part, count):
    columns = houses()
    constant = np.random.default_rng(0).random(1000) < part
    columns["price"] = np.where(constant, 0.0, columns["price"])
    said = [s for s in said_of(columns, "price") if "the target 'price' is 0 in 9" in s]
    assert len(said) == count


def test_a_slip_of_the_keyboard_is_named_with_its_row():
    columns = houses()
    columns["price"][16] = 9.9e9
    said = said_of(columns, "price", test=0.0, validation=0.0)
    assert len(said) == 1
    assert said[0].startswith("row 17 (9900000000) of the target 'price' lies far from the others (")
    assert "and makes up 99.9 % of all squared deviations in 1,000 rows" in said[0]
    assert said[0].endswith("else take the logarithm of the target or train with --set loss=absolute-error")


def test_three_slips_are_named_together_and_forty_are_a_tail():
    columns = houses()
    columns["price"][[1, 5, 9]] = [9e9, 8e9, 7e9]
    [said] = said_of(columns, "price", test=0.0, validation=0.0)
    assert said.startswith(
        "row 2 (9000000000), row 6 (8000000000), row 10 (7000000000) of the target 'price' lie far from the others"
    )
    columns["price"][:40] = 9e9
    assert said_of(columns, "price") == []


def test_a_long_tail_is_honest():
    columns = houses()
    columns["price"] = np.exp(np.random.default_rng(1).normal(12, 0.8, 1000))
    assert said_of(columns, "price") == []
