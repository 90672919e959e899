"""The rows part of a script: which rows train, validate and test."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chainrule.core.errors import RunError
from chainrule.data.source import TEST, TRAIN, VALIDATION
from chainrule.jobs.code_read import Marks
from chainrule.jobs.code_text import Part
from chainrule.jobs.material import Material

PARTS = ("train", "validation", "test")
DRAWN = ((TEST, "test"), (VALIDATION, "validation"))  # in this order
MOST_COPIES = 2000  # rows that a script may list as copies of others

DRAW = '''
def draw(rows, count, name):
    """Draw so many of the rows at random."""
    return np.sort(np.random.default_rng(mix(SEED, "split", name)).permutation(rows)[:count])
'''
DRAW_BY_CLASS = '''
def draw(rows, targets, count, name):
    """Draw so many of the rows at random, of every class its share."""
    shuffled = np.random.default_rng(mix(SEED, "split", name)).permutation(rows)
{counts}
    chosen = [shuffled[targets[shuffled] == c][:n] for c, n in enumerate(counts)]
    return np.sort(np.concatenate(chosen))
'''
SHARES = """\
    sizes = np.bincount(targets[rows])
    shares = count * sizes / len(rows)
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1  # largest remainders"""
WITH_COPIES = '''
def with_copies(rows):
    """Rows, and those that are copies of one of them."""
    return np.sort([*rows, *(copy for copy, first in COPIES.items() if first in rows)])
'''


def split_part(material: Material, marks: Marks | None) -> tuple[Part, str]:
    """Return the function that divides the rows, and the arguments that it takes.

    Raises: RunError for rows that are divided in another way
    """
    part = Part().uses("numpy as np")
    counts = material.split.counts()
    fixed = {} if marks is None else marks.rows
    drawn = [name for number, name in DRAWN if counts[name] and number not in fixed]
    copies = _copies(material, fixed) if drawn else {}
    by_class = material.kind != "regression"
    firsts = {name: np.setdiff1d(material.rows(name), list(copies)) for name in PARTS}
    for name in drawn:
        part.setting(f"{name.upper()}_ROWS", len(firsts[name]), "drawn at random")
    if copies:
        part.setting("COPIES", copies, "rows that repeat an earlier one, which they stay with")
        part.function(WITH_COPIES)
    if drawn:
        part.function(_draw(material, drawn, firsts) if by_class else DRAW)
    uses_targets = marks is None or (by_class and bool(drawn))
    arguments = ", ".join(["targets"] * uses_targets + ([] if marks is None else [marks.name]))
    said = [{"train": "training"}.get(name, name) for name in PARTS if counts[name]]
    purpose = f"Row numbers of the {' and '.join(filter(None, [', '.join(said[:-1]), said[-1]]))} rows."
    body = "\n".join(f"    {line}" for line in _lines(counts, fixed, drawn, by_class, bool(copies)))
    return part.with_function(f'def split({arguments}):\n    """{purpose}"""\n{body}'), arguments


def _lines(
    counts: dict[str, int], fixed: Mapping[int, str], drawn: list[str], by_class: bool, copies: bool
) -> list[str]:
    present = [name for name in PARTS if counts[name]]
    start = f"np.flatnonzero({fixed[TRAIN]})" if fixed else "np.arange(len(targets))"
    if len(present) == 1:
        return [f"return {start}"]
    if copies:
        start = f"np.setdiff1d({start}, list(COPIES))"
    lines = [f"train = {start}"]
    for number, name in DRAWN:
        if name in drawn:
            lines.append(f'{name} = draw(train{", targets" * by_class}, {name.upper()}_ROWS, "{name}")')
            lines.append(f"train = np.setdiff1d(train, {name})")
        elif counts[name]:
            lines.append(f"{name} = np.flatnonzero({fixed[number]})")
    if copies:
        present = [f"with_copies({name})" if name in ("train", *drawn) else name for name in present]
    return [*lines, f"return {', '.join(present)}"]


def _copies(material: Material, fixed: Mapping[int, str]) -> dict[int, int]:
    """Return for each row that is a copy of an earlier one, among those that are divided, the first of them."""
    rows = np.sort(
        np.concatenate(
            [material.rows(name) for number, name in enumerate(PARTS) if not number or number not in fixed]
        )
    )
    groups = material.copies[rows]
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    found = np.flatnonzero(first[inverse] != np.arange(len(rows)))
    if len(found) > MOST_COPIES:
        raise RunError(
            f"{len(found):,} of its rows are copies of others, more than the {MOST_COPIES:,} to list"
        )
    return {int(rows[place]): int(rows[first[inverse[place]]]) for place in found}


def _draw(material: Material, drawn: list[str], parts: dict[str, np.ndarray]) -> str:
    """Return the draw class by class: by shares, or by the numbers themselves where a small class is spared."""
    targets = material.examples.targets
    assert targets is not None
    rows = np.sort(np.concatenate([parts["train"], *(parts[name] for name in drawn)]))
    classes, fits = int(targets.max()) + 1, True
    counts = {name: np.bincount(targets[parts[name]], minlength=classes) for name in drawn}
    for name in drawn:
        simple = _shares(targets[rows], len(parts[name]))
        fits &= np.array_equal(np.pad(simple, (0, classes - len(simple))), counts[name])
        rows = np.setdiff1d(rows, parts[name])
    if fits:
        return DRAW_BY_CLASS.format(counts=SHARES)
    lines = "".join(f'        "{name}": {found.tolist()},\n' for name, found in counts.items())
    return DRAW_BY_CLASS.replace("targets, count, name", "targets, _, name").format(
        counts=f"    counts = {{  # of each class; the smallest keep a row to train on\n{lines}    }}[name]"
    )


def _shares(targets: np.ndarray, count: int) -> np.ndarray:
    """Do what SHARES does."""
    sizes = np.bincount(targets)
    shares = count * sizes / len(targets)
    counts: np.ndarray = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1
    return counts
