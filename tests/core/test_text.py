"""Text from data cannot command a terminal, and stays short."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chainrule.core.text import listed, visible


@given(st.text(st.characters(), max_size=300), st.integers(2, 250))
def test_visible_is_printable_and_bounded(text: str, most: int) -> None:
    shown = visible(text, most)
    assert shown.isprintable()
    assert len(shown) <= most
    shown.encode("utf-8")


@given(st.text("abc äπ€'\"", max_size=50))
def test_plain_text_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\u202eb", r"a\u202eb"),
        ("\ud800", r"\ud800"),
        (b"x", "b'x'"),
        (3, "3"),
    ],
)
def test_control_characters_are_written_out(text: object, shown: str) -> None:
    assert visible(text) == shown


def test_listed() -> None:
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed([f"c{i}" for i in range(10)]).endswith("'c7' and 2 more")
    assert listed([]) == ""
    assert "\x1b" not in listed(["\x1b[31m"])
