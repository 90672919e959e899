"""What sets a group of rows apart from all rows: columns in their own units, or values that are frequent there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_number, show_share

MOST = 3
LEAST = 0.5  # deviations by which a mean, or a share, has to differ to be told


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One column as numbers, as days since 1970, or as places among `names`; NaN where missing. Shapes: cells (N,)."""

    name: str
    cells: np.ndarray
    names: tuple[str, ...] = ()
    is_date: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One column, or one value of it, in a group and in all rows. `deviations` say how far, in those of all rows.

    `here` is empty for a value in a single row, which has it.
    """

    column: str
    value: str
    here: str
    everywhere: str
    deviations: float

    @property
    def text(self) -> str:
        """The difference in words."""
        name = f"{self.column} = {self.value}" if self.value else self.column
        return (
            f"{name} {self.here} (all rows {self.everywhere})"
            if self.here
            else f"{name} ({self.everywhere} of all rows)"
        )


def differences(columns: Sequence[Cells], rows: np.ndarray, most: int = MOST) -> list[Difference]:
    """Return the columns in which the mean of some rows is farthest from that of all. Shapes: rows (N,) bool."""
    found = [one for column in columns for one in (_of_names if column.names else _of_numbers)(column, rows)]
    found.sort(key=lambda one: -abs(one.deviations))
    return [one for one in found if abs(one.deviations) >= LEAST][:most]


def _of_numbers(column: Cells, rows: np.ndarray) -> list[Difference]:
    seen, inside = column.cells[~np.isnan(column.cells)], column.cells[rows & ~np.isnan(column.cells)]
    spread = float(seen.std()) if len(seen) else 0.0
    if not len(inside) or not spread:
        return []
    here, everywhere = float(inside.mean()), float(seen.mean())
    return [
        Difference(
            column=visible(column.name, 60),
            value="",
            here=_written(here, column),
            everywhere=_written(everywhere, column),
            deviations=(here - everywhere) / spread,
        )
    ]


def _of_names(column: Cells, rows: np.ndarray) -> list[Difference]:
    """Return the value whose share differs most."""
    known = ~np.isnan(column.cells)
    if not (rows & known).any():
        return []
    size = len(column.names)
    shares = [
        np.bincount(column.cells[chosen].astype(np.int64), minlength=size) / chosen.sum()
        for chosen in (rows & known, known)
    ]
    away = (shares[0] - shares[1]) / np.sqrt(np.maximum(shares[1] * (1 - shares[1]), 1e-12))
    is_alone = int(rows.sum()) == 1
    most = int(column.cells[rows][0]) if is_alone else int(np.abs(away).argmax())
    return [
        Difference(
            column=visible(column.name, 60),
            value=visible(column.names[most], 40),
            here="" if is_alone else f"{100 * shares[0][most]:.0f} %",
            everywhere=show_share(float(shares[1][most])) if is_alone else f"{100 * shares[1][most]:.0f} %",
            deviations=float(away[most]),
        )
    ]


def _written(value: float, column: Cells) -> str:
    if column.is_date:
        return str(np.datetime64(round(value), "D"))
    return show_number(value)
