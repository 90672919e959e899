"""Which rows train, which validate, which test: a pure function of the rows, the settings and the seed.

| split      | test rows                                        | copies of a row                      |
|------------|--------------------------------------------------|--------------------------------------|
| random     | drawn, class by class                            | one is drawn, the others come along  |
| by groups  | whole groups, drawn so that sizes and classes fit | join their groups                    |
| by time    | the latest                                       | come along with the latest           |
| predefined | those that the data says                         | stay where they are                  |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.core.errors import DataError, SettingError
from chainrule.core.seeds import mix
from chainrule.core.text import visible
from chainrule.data.division import Division
from chainrule.data.duplicates import join_groups
from chainrule.data.group_draw import draw_groups
from chainrule.data.source import TEST, TRAIN, VALIDATION
from chainrule.data.split_checks import check_groups, check_parts, refuse_untrained

PARTS = ((TRAIN, "train"), (VALIDATION, "validation"), (TEST, "test"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Row numbers of the three parts; no row is in two. Shapes: (n,) each, sorted."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def parts(self) -> dict[str, np.ndarray]:
        """Return the row numbers of each part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each part."""
        return {name: len(rows) for name, rows in self.parts().items()}


def split_rows(
    rows: int,
    *,
    classes: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    where: str = "",
    test: float = 0.2,
    validation: float = 0.1,
    seed: int = 0,
    division: Division | None = None,
) -> Split:
    """Divide rows at random, class by class where `classes` are given, or as `division` says. Fractions are of all rows.

    A part that `division.fixed` has stays; one that it does not have is drawn from its training rows.
    Shapes: classes (N,) int64, numbers of `class_names`; messages about classes begin with `where`
    Raises: SettingError for fractions that leave nothing to train on; DataError if a part comes out empty, a class has
    no training rows, or groups or times cannot be divided
    """
    for name, fraction in (("--test", test), ("--validation", validation)):
        if not 0 <= fraction < 1:
            raise SettingError(
                f"{name} must be a fraction of the rows, at least 0 and below 1; got {fraction:g}"
            )
    if test + validation >= 1:
        raise SettingError(f"--test {test:g} and --validation {validation:g} leave no rows to train on")
    given = division or Division()
    part = np.full(rows, TRAIN, np.int8) if given.fixed is None else given.fixed.astype(np.int8)
    wanted = {
        number: fraction
        for number, fraction in ((TEST, test), (VALIDATION, validation))
        if fraction and not (given.fixed is not None and (part == number).any())
    }
    if given.times is not None:
        _part_by_time(part, wanted, given)
    elif given.groups is not None:
        _part_by_groups(part, wanted, given, classes, seed)
    else:
        _part_at_random(part, wanted, given.copies, classes, seed)
    split = Split(**{name: np.flatnonzero(part == number) for number, name in PARTS})
    check_parts(split.counts(), {"test": test, "validation": validation}, rows)
    if classes is not None:
        refuse_untrained(split.train, classes, class_names, where)
    return split


def _part_at_random(
    part: np.ndarray,
    wanted: dict[int, float],
    copies: np.ndarray | None,
    classes: np.ndarray | None,
    seed: int,
) -> None:
    """Draw among rows that differ; copies go where the first of them goes."""
    units = len(part) if copies is None else int(copies.max(initial=-1)) + 1
    for number, fraction in wanted.items():
        candidates = np.flatnonzero(part == TRAIN)
        if copies is not None and units < len(part):
            candidates = np.sort(candidates[np.unique(copies[candidates], return_index=True)[1]])
        chosen = _draw(candidates, classes, fraction * units, mix(seed, "split", dict(PARTS)[number]))
        if copies is None or units == len(part):
            part[chosen] = number
            continue
        comes_along = np.zeros(units, bool)
        comes_along[copies[chosen]] = True
        part[comes_along[copies] & (part == TRAIN)] = number


def _part_by_groups(
    part: np.ndarray,
    wanted: dict[int, float],
    given: Division,
    classes: np.ndarray | None,
    seed: int,
) -> None:
    assert given.groups is not None
    groups = given.groups if given.copies is None else join_groups(given.groups, given.copies)
    check_groups(
        np.bincount(groups), len(wanted) + 1, given.column, linked=int(groups.max()) < int(given.groups.max())
    )
    for number, fraction in wanted.items():
        candidates = np.flatnonzero(part == TRAIN)
        chosen = draw_groups(
            groups[candidates],
            np.zeros(len(candidates), np.int64) if classes is None else classes[candidates],
            fraction * len(part) / max(1, len(candidates)),
            mix(seed, "split", "groups", dict(PARTS)[number]),
        )
        part[candidates[chosen]] = number


def _part_by_time(part: np.ndarray, wanted: dict[int, float], given: Division) -> None:
    """Give the latest rows to the test and those before them to validation; rows of one time stay together.

    Copies go where the latest of them goes: so nothing trains that a later part repeats, and nothing trains on what
    came later.
    """
    assert given.times is not None
    candidates = np.flatnonzero(part == TRAIN)
    moments, inverse, counts = np.unique(given.times[candidates], return_inverse=True, return_counts=True)
    if len(moments) <= len(wanted):
        raise DataError(
            f"column '{visible(given.column)}' has {len(moments)} different time{'' if len(moments) == 1 else 's'}, too few to "
            f"divide rows by into {len(wanted) + 1} parts; use --split random, or --test 0 or --validation 0"
        )
    before = np.concatenate([[0], np.cumsum(counts)])
    end, at = len(moments), np.full(len(moments), TRAIN)
    for place, (number, fraction) in enumerate(wanted.items()):
        least = len(wanted) - place  # moments that the parts before it need
        aim = before[end] - fraction * len(part)
        begin = least + int(np.abs(before[least:end] - aim).argmin())
        at[begin:end] = number
        end = begin
    part[candidates] = at[inverse]
    if given.copies is not None:
        latest = np.zeros(int(given.copies.max(initial=-1)) + 1, np.int64)
        np.maximum.at(latest, given.copies[candidates], part[candidates])
        part[candidates] = latest[given.copies[candidates]]


def _draw(candidates: np.ndarray, classes: np.ndarray | None, wanted: float, seed: int) -> np.ndarray:
    """Draw about `wanted` of the candidates, each class in proportion, and leave every class one row at least."""
    random = np.random.Generator(np.random.PCG64(seed))
    shuffled = random.permutation(candidates)
    total = math.floor(wanted + 0.5 + 1e-9)
    if total <= 0 or not len(shuffled):
        return shuffled[:0]
    if classes is None:
        return shuffled[: max(0, min(total, len(shuffled) - 1))]
    of_rows = classes.astype(np.min_scalar_type(classes.max()))[shuffled]  # small numbers sort fastest
    by_class, sizes = np.argsort(of_rows, kind="stable"), np.bincount(of_rows)
    sizes = sizes[sizes > 0]
    ends = np.cumsum(sizes)
    places = zip(ends - sizes, _apportion(total, sizes), strict=True)
    chosen: np.ndarray = shuffled[np.concatenate([by_class[start : start + n] for start, n in places])]
    return chosen


def _apportion(total: int, sizes: np.ndarray) -> np.ndarray:
    """Share a total among groups in proportion to their sizes, never all of a group; largest remainders first.

    Shapes: sizes (groups,) -> (groups,)
    >>> _apportion(30, np.array([50, 50, 50])), _apportion(3, np.array([2, 2, 10]))
    (array([10, 10, 10]), array([1, 0, 2]))
    """
    most = sizes - 1
    shares = total * sizes / max(1, sizes.sum())
    counts: np.ndarray = np.minimum(np.floor(shares).astype(np.int64), most)
    short = min(total, int(most.sum())) - int(counts.sum())
    while short > 0:
        by_remainder = np.argsort(counts - shares, kind="stable")
        open_groups = by_remainder[counts[by_remainder] < most[by_remainder]]
        each, rest = divmod(short, len(open_groups))
        added = np.full(len(open_groups), each)
        added[:rest] += 1
        counts[open_groups] = np.minimum(counts[open_groups] + added, most[open_groups])
        short = min(total, int(most.sum())) - int(counts.sum())
    return counts
