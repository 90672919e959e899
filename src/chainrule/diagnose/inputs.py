"""Input columns that trip a network up: codes for missing, hardly any values, too many columns, unlike scales."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_number
from chainrule.diagnose.evidence import Evidence, share

MOST_ROWS = 20_000
MOSTLY_MISSING = 0.9
MANY_TIMES = 2.0  # inputs per training row
RATIO = 100.0  # of the largest spread to the smallest
FEWEST_CODES = 3  # cells that hold a code
CODE_SHARE = 0.001
NINES = re.compile(r"-?9{2,6}")
MOST_NAMED = 5


def codes_for_missing(evidence: Evidence) -> Iterator[str]:
    """Name columns in which -999, 9999 and the like stand far from all other numbers."""
    rows = evidence.training_rows(MOST_ROWS)
    for column in evidence.columns():
        if column.kind != "number":
            continue
        cells = column.values[rows, 0]
        for code in (np.fmin.reduce(cells), np.fmax.reduce(cells)):
            if not NINES.fullmatch(f"{code:.12g}"):
                continue
            count, others = int((cells == code).sum()), cells[(cells != code) & ~np.isnan(cells)]
            if count < max(FEWEST_CODES, CODE_SHARE * len(rows)) or not len(others):
                continue
            low, high = float(others.min()), float(others.max())
            if min(abs(code - low), abs(code - high)) > high - low:
                yield (
                    f"{column} holds {code:.12g} in {count:,} of {len(rows):,} training rows, far from its other values "
                    f"({show_number(low)} to {show_number(high)}): does that stand for missing? If so, empty those cells"
                )


def mostly_missing(evidence: Evidence) -> Iterator[str]:
    """Name columns in which nearly nothing stands."""
    rows = evidence.training_rows(MOST_ROWS)
    found = (
        {column: float(column.is_missing(rows).mean()) for column in evidence.columns()} if len(rows) else {}
    )
    empty = {column: part for column, part in found.items() if part > MOSTLY_MISSING}
    if empty:
        shown = ", ".join(
            f"'{visible(c.name, 60)}' ({share(part)})" for c, part in list(empty.items())[:MOST_NAMED]
        )
        more = f" and {len(empty) - MOST_NAMED:,} more" if len(empty) > MOST_NAMED else ""
        first = next(iter(empty))
        yield (
            f"{len(empty)} {'column is' if len(empty) == 1 else 'columns are'} missing in more than "
            f"{MOSTLY_MISSING:.0%} of the training rows: {shown}{more}; ".replace("0% ", "0 % ")
            + f"little can be learnt from {'it' if len(empty) == 1 else 'them'}; {first.to_leave_out}"
        )


def more_columns_than_rows(evidence: Evidence) -> Iterator[str]:
    """Say when there are far more inputs than rows to learn from."""
    if evidence.schema.is_pictures:
        return
    columns, rows = sum(1 for _ in evidence.columns()), len(evidence.split.train)
    if columns > MANY_TIMES * rows:
        yield (
            f"{columns:,} columns and {rows:,} training rows: with {columns / rows:.1f} columns a row a network can learn "
            "any target by heart; take fewer columns or more rows, and compare with --model linear-regression or "
            "softmax-regression and a high --weight-decay"
        )


def unlike_scales(evidence: Evidence) -> Iterator[str]:
    """Name the columns with the largest and the smallest spread where nothing brings them to one scale."""
    if evidence.settings.scaling != "none":
        return
    spreads = _spreads(evidence)
    if len(spreads) < 2:
        return
    ordered = sorted(spreads, key=lambda name: spreads[name])
    low, high = ordered[0], ordered[-1]
    ratio = spreads[high] / spreads[low]
    if ratio > RATIO:
        yield (
            f"numbers are not scaled (scaling=none), and their spreads differ by a factor of {show_number(ratio)}: "
            f"'{visible(high, 60)}' has a standard deviation of {show_number(spreads[high])}, '{visible(low, 60)}' of "
            f"{show_number(spreads[low])}; one learning rate cannot suit both: --set scaling=standard"
        )


def _spreads(evidence: Evidence) -> dict[str, float]:
    """Return the standard deviation of each column of numbers that varies."""
    rows = evidence.training_rows(MOST_ROWS)
    found = {}
    for column in evidence.columns():
        if column.kind in ("number", "boolean"):
            cells = column.values[rows, 0].astype(np.float64)
            seen = cells[~np.isnan(cells)]
            if len(seen) and (spread := float(seen.std())) > 0:
                found[column.name] = spread
    return found
