"""Tables of numbers for a terminal: aligned, and no wider than it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.core.units import signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its title and its cells; one that may be left out where the terminal is narrow."""

    title: str
    cells: Sequence[str]
    is_text: bool = False
    may_go: bool = False


def lines_of(columns: Sequence[Column], width: int, indent: str = "  ") -> list[str]:
    """Return the lines of a table; columns that may go are left out from the last on until it fits.

    >>> lines_of([Column(title="unit", cells=["1", "2"]), Column(title="a", cells=["0.5", "12.5"])], 80)
    ['  unit     a', '     1   0.5', '     2  12.5']
    """
    kept = list(columns)
    while _width(kept) + len(indent) > width and any(c.may_go for c in kept):
        kept.pop(max(i for i, c in enumerate(kept) if c.may_go))
    rows = [[c.title for c in kept], *zip(*(c.cells for c in kept), strict=True)]
    sizes = [max(map(len, (c.title, *c.cells))) for c in kept]
    return [
        indent
        + "  ".join(
            cell.ljust(size) if column.is_text else cell.rjust(size)
            for cell, size, column in zip(row, sizes, kept, strict=True)
        ).rstrip()
        for row in rows
    ]


def _width(columns: Sequence[Column]) -> int:
    return sum(max(map(len, (c.title, *c.cells))) for c in columns) + 2 * (len(columns) - 1)


def written(values: Sequence[float]) -> list[str]:
    """Write numbers of one column: short ones as they are, else with the same decimals, six digits for the largest.

    >>> written([16.0, 0.5]), written([0.6177047, 12.5]), written([1.5e-9, 0.0])
    (['16', '0.5'], ['0.617705', '12.500000'], ['1.50000e−09', '0'])
    """
    return [signed(cell) for cell in _written(values)]


def _written(values: Sequence[float]) -> list[str]:
    if all(v == float(f"{v:.4g}") and (v == 0 or 1e-4 <= abs(v) < 1e5) for v in values):
        return [f"{v + 0:g}" for v in values]
    largest = max((abs(v) for v in values), default=0.0)
    if not 1e-3 <= largest < 1e7:
        return ["0" if v == 0 else f"{v:.5e}" for v in values]
    decimals = 6 if largest < 100 else 4 if largest < 1e4 else 2
    return [f"{v + 0:.{decimals}f}" for v in values]


def short(value: float) -> str:
    """Write one number within a sentence or a product."""
    return signed(f"{value + 0:.6g}")
