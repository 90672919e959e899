"""The rows part of a script: which rows train, validate and test."""

from __future__ import annotations

import numpy as np

from chainrule.data.source import TEST, TRAIN, VALIDATION
from chainrule.jobs.code_text import Part, literal
from chainrule.jobs.workshop import Material

PARTS = ("train", "validation", "test")


def split_part(material: Material, folders: dict[int, tuple[str, ...]]) -> Part:
    """Return the function that divides the rows; `folders` names the parts that the data itself is divided into."""
    part = Part().uses("numpy as np")
    counts = material.split.counts()
    drawn = [n for n, k in (("test", TEST), ("validation", VALIDATION)) if counts[n] and k not in folders]
    for name in drawn:
        part.setting(f"{name.upper()}_ROWS", counts[name])
    by_class = material.kind != "regression"
    if drawn:
        part.functions.append(_draw(material, drawn, folders) if by_class else DRAW)
    classes = ", targets" if by_class else ""
    start = _of(folders[TRAIN]) if folders else "np.arange(len(targets))"
    lines = [f"train = {start}"]
    for name, number in (("test", TEST), ("validation", VALIDATION)):
        if name in drawn:
            lines.append(f'{name} = draw(train{classes}, {name.upper()}_ROWS, "{name}")')
            lines.append(f"train = np.setdiff1d(train, {name})")
        elif counts[name]:
            lines.append(f"{name} = {_of(folders[number])}")
    present = [n for n in PARTS if counts[n]]
    lines = [f"return {start}"] if len(present) == 1 else [*lines, f"return {', '.join(present)}"]
    body = "".join(f"    {line}\n" for line in lines)
    purpose = "Row numbers that train" + "".join(
        f"{' and' if n == 'test' or not counts['test'] else ','} that {n if n == 'test' else 'validate'}"
        for n in PARTS[1:]
        if counts[n]
    )
    arguments = ", ".join(["targets"] * (by_class or not folders) + ["parts"] * bool(folders))
    part.functions.append(f'def split({arguments}):\n    """{purpose}."""\n{body.rstrip()}')
    return part


def _of(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"np.flatnonzero(parts == {literal(names[0])})"
    return f"np.flatnonzero(np.isin(parts, {literal(list(names))}))"


DRAW = '''def draw(rows, count, name):
    """Draw so many of the rows at random."""
    return np.sort(np.random.default_rng(mix(SEED, "split", name)).permutation(rows)[:count])'''

DRAW_BY_CLASS = '''def draw(rows, targets, count, name):
    """Draw so many of the rows at random, of every class its share."""
    shuffled = np.random.default_rng(mix(SEED, "split", name)).permutation(rows)
{counts}
    return np.sort(np.concatenate([shuffled[targets[shuffled] == c][:n] for c, n in enumerate(counts)]))'''

SHARES = """    sizes = np.bincount(targets[rows])
    shares = count * sizes / len(rows)
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1  # largest remainders"""


def _draw(material: Material, drawn: list[str], folders: dict[int, tuple[str, ...]]) -> str:
    """Return the draw class by class: by shares, or by the numbers themselves where a small class is spared."""
    targets = material.examples.targets
    assert targets is not None
    rows = np.arange(len(targets)) if not folders else np.setdiff1d(np.arange(len(targets)), _fixed(material))
    fits = True
    for name in drawn:
        chosen = material.rows(name)
        fits &= np.array_equal(
            _shares(targets[rows], len(chosen)), np.bincount(targets[chosen], minlength=targets.max() + 1)
        )
        rows = np.setdiff1d(rows, chosen)
    if fits:
        return DRAW_BY_CLASS.format(counts=SHARES)
    numbers = {n: np.bincount(targets[material.rows(n)], minlength=targets.max() + 1).tolist() for n in drawn}
    lines = "".join(f'        "{name}": {counts},\n' for name, counts in numbers.items())
    return DRAW_BY_CLASS.replace("(rows, targets, count, name)", "(rows, targets, _, name)").format(
        counts=f"    counts = {{  # of each class; the small ones keep a row to train on\n{lines}    }}[name]"
    )


def _fixed(material: Material) -> np.ndarray:
    assert material.source.fixed_split is not None
    found: np.ndarray = np.flatnonzero(material.source.fixed_split[material.examples.rows] != TRAIN)
    return found


def _shares(targets: np.ndarray, count: int) -> np.ndarray:
    """Do what SHARES does."""
    sizes = np.bincount(targets)
    shares = count * sizes / len(targets)
    counts: np.ndarray = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1
    return counts
