"""Where the parts of a layered graph stand: the order in each column, heights, columns from left to right.

After Sugiyama, Tagawa and Toda 1981: an edge over several columns is a chain of parts, each with its own lane, so no
line goes through a node. Texts of edges are parts as well, so no two of them overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_SWEEPS = 12


@dataclass(slots=True, eq=False)
class Part:
    """Something that takes room in a column: a node, the text of an edge, an edge that passes by.

    `rank` orders nodes of a column where it is given, the smallest on top. The rest is found: its middle, its left, and
    the sides of its column, between which lines go straight.
    """

    column: int
    width: float
    height: float
    rank: float | None = None
    middle: float = 0.0
    left: float = 0.0
    sides: tuple[float, float] = (0.0, 0.0)
    before: list[Part] = field(default_factory=list, repr=False)
    after: list[Part] = field(default_factory=list, repr=False)


def connect(chain: Sequence[Part]) -> None:
    """Make neighbours of the parts of an edge, from its start to its end."""
    for start, end in pairwise(chain):
        start.after.append(end)
        end.before.append(start)


def arrange(parts: Sequence[Part], gaps: Sequence[float]) -> tuple[float, float]:
    """Give every part its middle and left, and return width and height of the whole.

    `parts` stand in the order in which a reader expects them from top to bottom; `gaps` are the spaces after each
    column. Connected parts stand in columns that follow each other, but for empty ones.
    """
    count = 1 + max(part.column for part in parts)
    columns: list[list[Part]] = [[part for part in parts if part.column == i] for i in range(count)]
    filled = [column for column in columns if column]
    _order(filled)
    _set_heights(filled)
    left = 0.0
    for column, gap in zip(columns, gaps, strict=True):
        width = max((part.width for part in column), default=0.0)
        for part in column:
            part.left, part.sides = left + (width - part.width) / 2, (left, left + width)
        left += width + gap
    top = min(part.middle - part.height / 2 for part in parts)
    for part in parts:
        part.middle -= top
    return left - gaps[-1], max(part.middle + part.height / 2 for part in parts)


def _order(columns: list[list[Part]]) -> None:
    """Sort each column by where its neighbours stand, to and fro, and keep the order with the fewest crossings."""
    for column in columns:
        _keep_ranks(column)
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        to_right = sweep % 2 == 0
        for column in columns if to_right else reversed(columns):
            _sort(column, _places(columns), to_right)
        if (now := _crossings(columns)) < fewest:
            best, fewest = [list(column) for column in columns], now
    columns[:] = best


def _places(columns: Sequence[Sequence[Part]]) -> dict[int, float]:
    """Return where in its column each part stands, 0 on top and 1 at the bottom."""
    return {id(part): i / max(1, len(column) - 1) for column in columns for i, part in enumerate(column)}


def _sort(column: list[Part], places: Mapping[int, float], to_right: bool) -> None:
    wanted = {}
    for part in column:
        near = [places[id(other)] for other in (part.before if to_right else part.after)]
        wanted[id(part)] = sum(near) / len(near) if near else places[id(part)]
    column.sort(key=lambda part: wanted[id(part)])
    _keep_ranks(column)


def _keep_ranks(column: list[Part]) -> None:
    """Put the ranked parts into the order of their ranks, in the places that ranked parts hold."""
    places = [i for i, part in enumerate(column) if part.rank is not None]
    ranked = sorted((column[i] for i in places), key=lambda part: part.rank or 0.0)
    for i, part in zip(places, ranked, strict=True):
        column[i] = part


def _crossings(columns: list[list[Part]]) -> int:
    """Count pairs of lines that cross, column by column; ranked columns count too, though none can move."""
    total = 0
    for column, following in pairwise(columns):
        index = {id(part): i for i, part in enumerate(following)}
        ends = [index[id(end)] for part in column for end in sorted(part.after, key=lambda p: index[id(p)])]
        total += sum(later < earlier for i, earlier in enumerate(ends) for later in ends[i + 1 :])
    return total


def _set_heights(columns: list[list[Part]]) -> None:
    """Move each part towards its neighbours' middle, as far as the parts above and below leave room.

    The last way goes from left to right, so that an edge runs straight from its start and bends before its end.
    """
    for column in columns:
        _settle(column, [0.0] * len(column))
    for sweep in range(2 * _SWEEPS + 1):
        to_right = sweep % 2 == 0
        for column in columns if to_right else reversed(columns):
            near = [(p.before if to_right else p.after) or [p] for p in column]
            _settle(column, [sum(part.middle for part in parts) / len(parts) for parts in near])


def _settle(column: list[Part], wanted: list[float]) -> None:
    """Set the middles nearest to those wanted, by least squares, without overlap (isotonic regression)."""
    offsets, offset = [], 0.0
    for i, part in enumerate(column):
        offset += (column[i - 1].height + part.height) / 2 if i else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # mean and number of parts that touch
    for value, offset in zip(wanted, offsets, strict=True):
        block = (value - offset, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, size = blocks.pop()
            block = ((mean * size + block[0] * block[1]) / (size + block[1]), size + block[1])
        blocks.append(block)
    means = [mean for mean, size in blocks for _ in range(size)]
    for part, mean, offset in zip(column, means, offsets, strict=True):
        part.middle = mean + offset
