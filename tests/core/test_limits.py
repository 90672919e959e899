"""Limits that are declared beside a type are said in words and hold for every value of a list."""

from __future__ import annotations

from typing import Any

import pytest

from chainrule.core.errors import SettingError
from chainrule.core.limits import Limits


@pytest.mark.parametrize(
    ("limits", "value", "said"),
    [
        (Limits(low=1), 0, "x must be at least 1; got 0"),
        (Limits(low=1), (4, 0), "x must be at least 1; got 4,0"),
        (Limits(low=0, below=1), 1.0, "x must be at least 0 and below 1; got 1.0"),
        (Limits(low=0, below=1), float("nan"), "x must be at least 0 and below 1; got nan"),
        (Limits(words=("max", "average")), "mean", "x must be max or average; got 'mean'"),
    ],
)
def test_what_is_beyond_is_refused(limits: Limits, value: Any, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        limits.check("x", value)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("limits", "value"),
    [(Limits(low=1), 1), (Limits(low=1), (1, 5)), (Limits(low=1), None), (Limits(words=("max",)), "max")],
)
def test_what_is_within_passes(limits: Limits, value: Any) -> None:
    limits.check("x", value)
