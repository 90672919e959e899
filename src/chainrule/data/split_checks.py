"""What a split must hold: rows in every part, every class among the training rows, groups that can be divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.core.errors import DataError
from chainrule.core.text import listed, visible
from chainrule.core.units import show_share

MOST_OF_A_GROUP = 0.5  # of all rows: what is left must train, validate or test without it


def check_parts(counts: Mapping[str, int], wanted: Mapping[str, float], rows: int) -> None:
    """Refuse empty parts. `wanted` are fractions of test and validation."""
    if not counts["train"]:
        raise DataError(f"{rows} rows are too few to train on; at least 3 are needed")
    for name, fraction in wanted.items():
        if fraction and not counts[name]:
            raise DataError(
                f"{rows} rows are too few for --{name} {fraction:g}; give more rows, or --{name} 0"
            )


def check_groups(sizes: np.ndarray, parts: int, column: str, *, linked: bool) -> None:
    """Refuse groups that cannot be divided: too few, or one that has most of the rows.

    `linked`: some groups hold copies of each other's rows and count as one.
    """
    shown = visible(column)
    why = "; groups that hold copies of each other's rows count as one" if linked else ""
    if len(sizes) < parts:
        raise DataError(
            f"column '{shown}' has {len(sizes)} group{'' if len(sizes) == 1 else 's'}, too few for {parts} parts that "
            f"share none{why}; use another column, --split random, or --test 0 or --validation 0"
        )
    if parts > 1 and sizes.max() > MOST_OF_A_GROUP * sizes.sum():
        raise DataError(
            f"one group of column '{shown}' has {sizes.max():,} of {sizes.sum():,} rows "
            f"({show_share(sizes.max() / sizes.sum())}{why}): what is left cannot train, validate and test without it; leave some "
            "of its rows out, use another column, or --split random"
        )


def refuse_untrained(train: np.ndarray, classes: np.ndarray, names: Sequence[str], where: str) -> None:
    """Refuse classes that are judged and were never trained on."""
    absent = np.setdiff1d(classes, classes[train])
    if len(absent):
        shown = ", ".join(
            f"{listed([_name(names, c)])} ({(classes == c).sum():,} rows)" for c in absent[:5].tolist()
        )
        more = f" and {len(absent) - 5:,} more classes" if len(absent) > 5 else ""
        raise DataError(
            f"{where}no training rows of {shown}{more}: all of them validate or test; add rows to the training part, "
            "remove them, or divide the rows in another way (--split)"
        )


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if names else str(number)
