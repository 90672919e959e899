"""Classes that are too rare to learn or to judge, that outweigh the others, or that are no classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.core.units import show_share
from chainrule.diagnose.evidence import Evidence

FEWEST_ROWS = 10  # of a class in training
SMALL = 50  # rows in all; below, every class is rare, and the split says what that means
MOST_NAMED = 5
IMBALANCED = 0.9  # share of the largest class from which always naming it looks like a good score
MISSING_WORDS = frozenset({
    "unknown", "missing", "unspecified", "undefined", "undetermined", "not available", "not known", "not recorded",
    "no data", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "null", "nil", "?", "-", "--", ".", "tbd",
})  # fmt: skip


def rare_classes(evidence: Evidence) -> Iterator[str]:
    """Name classes with few training rows, or with none among the rows that judge."""
    if not evidence.is_classification or len(evidence.examples) < SMALL:
        return
    split, count = evidence.split, len(evidence.schema.target.classes)
    parts = {"training": split.train, "validation": split.validation, "test": split.test}
    rows = {n: np.bincount(evidence.targets[part], minlength=count) for n, part in parts.items() if len(part)}
    rare = np.flatnonzero(rows["training"] < FEWEST_ROWS)
    if len(rare):
        named = _named(evidence, rare, rows["training"])
        have = "class has" if len(rare) == 1 else "classes have"
        yield (
            f"{len(rare)} {have} fewer than {FEWEST_ROWS} training rows: {named}; nothing certain is learnt or "
            "measured of so few: add rows, merge them with another class or leave them out"
        )
    for name in ("test", "validation"):
        absent = np.setdiff1d(np.flatnonzero(rows[name] == 0), rare) if name in rows else rare[:0]
        if len(absent):
            yield (
                f"the {name} rows hold none of {_named(evidence, absent, rows['training'], 'training rows')}: no "
                f"{name} score says anything of {'it' if len(absent) == 1 else 'them'}; give more {name} rows (--{name})"
            )


def _named(evidence: Evidence, codes: np.ndarray, rows: np.ndarray, unit: str = "") -> str:
    ordered = codes[np.argsort(rows[codes], kind="stable")]
    shown = [
        f"{evidence.class_name(code)} ({rows[code]:,}{' ' + unit if unit and not place else ''})"
        for place, code in enumerate(ordered[:MOST_NAMED])
    ]
    rest = len(ordered) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


def imbalance(evidence: Evidence) -> Iterator[str]:
    """Say when naming the largest class is right nearly always."""
    if not evidence.is_classification:
        return
    counts = np.bincount(evidence.targets[evidence.split.train])
    largest, total = int(counts.argmax()), int(counts.sum())
    part = counts[largest] / total
    advice = _advice(evidence)
    if part < IMBALANCED or not advice:
        return
    yield (
        f"{show_share(part)} of the training rows ({counts[largest]:,} of {total:,}) are {evidence.class_name(largest)}: "
        f"always answering that reaches an accuracy of {part:.3f}, so accuracy says little here; {advice}"
    )


def _advice(evidence: Evidence) -> str:
    """Return what is still to be done; nothing where it is done already."""
    settings, steps = evidence.settings, []
    if settings.metric in (None, "accuracy"):
        other = ", or average-precision" if len(evidence.schema.target.classes) == 2 else ""
        steps.append(f"judge by --metric balanced-accuracy{other}")
    if settings.class_weight is None:
        steps.append("make the rare classes count with --class-weight balanced")
    return ", and ".join(steps)


def missing_words(evidence: Evidence) -> Iterator[str]:
    """Name classes that read like a missing answer."""
    if not evidence.is_classification:
        return
    for code, name in enumerate(evidence.schema.target.classes):
        if name.strip().lower() in MISSING_WORDS:
            count = int((evidence.targets == code).sum())
            yield (
                f"the class {evidence.class_name(code)} of {evidence.target_name} ({count:,} rows) reads like a missing "
                "answer, and the network will learn to give it; if it is one, empty those cells or remove those rows"
            )
