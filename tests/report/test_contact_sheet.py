"""A sheet of pictures: a row per class with its count and examples."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from chainrule.report.contact_sheet import EXAMPLES, Group, draw_examples
from chainrule.report.svg import picture_bytes

RNG = np.random.default_rng(3)


def drawn(*groups: Group) -> ElementTree.Element:
    return ElementTree.fromstring(
        picture_bytes(draw_examples("pets", ("2 classes",), groups, ("and 3 more",)), ".svg")
    )


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 10), (3, 200, 300), (1, 1, 1)])
def test_names_counts_and_pictures(shape: tuple[int, ...]) -> None:
    pictures = [RNG.integers(0, 256, shape, np.uint8) for _ in range(4)]
    root = drawn(
        Group(name="<b>cat</b>", count=1200, examples=pictures), Group(name="nobody", count=0, examples=[]),
        Group(name="dog", count=1, examples=pictures[:1]),
    )  # fmt: skip
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    for wanted in (
        "pets",
        "2 classes",
        "<b>cat</b>",
        "1,200 pictures",
        "0 pictures",
        "1 picture",
        "and 3 more",
    ):
        assert wanted in texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 5


def test_no_more_examples_than_have_room() -> None:
    pictures = [np.zeros((1, 4, 4)) for _ in range(EXAMPLES + 5)]
    root = drawn(Group(name="a", count=15, examples=pictures))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == EXAMPLES
