"""Quantities as people write them."""

from __future__ import annotations

import math
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chainrule.core.units import show_bytes, show_interval, show_number, show_seconds


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (90_061, "25 h 01 min"),
    ],
)
def test_seconds(seconds: float, shown: str) -> None:
    assert show_seconds(seconds) == shown


@given(st.floats(-2, 0), st.floats(1e-3, 2))
def test_no_interval_shows_a_negative_zero(low: float, width: float) -> None:
    assert not re.search(r"-0(\.0+)?( |$)", show_interval(low, low + width))


@given(st.floats(0, 1e6))
def test_seconds_never_show_sixty(seconds: float) -> None:
    shown = show_seconds(seconds)
    for part in re.findall(r"([\d.]+) (ms|s|min|h)", shown):
        assert float(part[0]) < {"ms": 1000, "s": 60, "min": 60, "h": math.inf}[part[1]]


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1e6, "1.0 MB"), (2.55e9, "2.5 GB")]
)
def test_bytes(count: float, shown: str) -> None:
    assert show_bytes(count) == shown


@given(st.floats(-1e300, 1e300))
def test_number_keeps_four_digits(value: float) -> None:
    shown = float(show_number(value))
    assert math.isclose(shown, value, rel_tol=5.1e-4) or value == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (123456.0, "123500"),
        (-0.5, "-0.5"),
        (1e20, "1e+20"),
    ],
)
def test_number(value: float, shown: str) -> None:
    assert show_number(value) == shown
