"""Input columns that trip a network up: codes for missing, hardly any values, too many columns, unlike scales."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_number, show_share
from chainrule.diagnose.evidence import Evidence, named, to_leave_out

MOSTLY_MISSING = 0.9
MANY_TIMES = 2.0  # inputs per training row
RATIO = 100.0  # of the largest spread to the smallest
FEWEST_CODES = 3  # cells that hold a code
CODE_SHARE = 0.001
NINES = re.compile(r"-9{2,6}|9{3,6}")


def codes_for_missing(evidence: Evidence) -> Iterator[str]:
    """Name columns in which -999, 9999 and the like stand far from all other numbers."""
    rows = len(evidence.rows)
    for column in evidence.columns if rows else ():
        if column.kind != "number":
            continue
        cells = column.cells[0]
        for code in (np.fmin.reduce(cells), np.fmax.reduce(cells)):
            if not NINES.fullmatch(f"{code:.12g}"):
                continue
            count, others = int((cells == code).sum()), cells[(cells != code) & ~np.isnan(cells)]
            if count < max(FEWEST_CODES, CODE_SHARE * rows) or not len(others):
                continue
            low, high = float(others.min()), float(others.max())
            if min(abs(code - low), abs(code - high)) > high - low:
                yield (
                    f"{column} holds {code:.12g} in {count:,} of {rows:,} training rows, far from its other values "
                    f"({show_number(low)} to {show_number(high)}): does that stand for missing? If so, empty those cells"
                )


def mostly_missing(evidence: Evidence) -> Iterator[str]:
    """Name columns in which nearly nothing stands."""
    empty = {
        column: float(part)
        for column in evidence.columns
        if len(evidence.rows) and (part := column.missing.mean()) > MOSTLY_MISSING
    }
    if empty:
        columns = list(empty)
        parts = show_share(min(empty.values())), show_share(max(empty.values()))
        how = parts[0] if parts[0] == parts[1] else f"{parts[0]} to {parts[1]}"
        is_one = len(columns) == 1
        yield (
            f"{named(columns)} {'is' if is_one else 'are'} missing in {how} of {len(evidence.rows):,} training rows: little "
            f"can be learnt from {'it' if is_one else 'them'}; {to_leave_out(columns)}"
        )


def more_columns_than_rows(evidence: Evidence) -> Iterator[str]:
    """Say when there are far more inputs than rows to learn from."""
    if evidence.schema.is_pictures:
        return
    columns, rows = len(evidence.columns), len(evidence.split.train)
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
    found = {}
    for column in evidence.columns:
        if column.kind in ("number", "boolean"):
            cells = column.cells[0].astype(np.float64)
            seen = cells[~np.isnan(cells)]
            if len(seen) and (spread := float(seen.std())) > 0:
                found[column.name] = spread
    return found
