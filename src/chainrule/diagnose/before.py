"""What a careful colleague would object to before any training: sentences with numbers, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from chainrule.data.schema import Examples, Schema
from chainrule.data.source import Source
from chainrule.data.splits import Split
from chainrule.diagnose.absence import filled_with_the_answer
from chainrule.diagnose.classes import imbalance, missing_words, rare_classes
from chainrule.diagnose.evidence import Evidence
from chainrule.diagnose.giveaways import columns_that_give_the_target_away
from chainrule.diagnose.inputs import codes_for_missing, more_columns_than_rows, mostly_missing, unlike_scales
from chainrule.diagnose.repeats import copies_across_the_split, copies_that_disagree, many_copies
from chainrule.diagnose.values import far_values, nearly_constant
from chainrule.train.settings import Settings

Check = Callable[[Evidence], Iterator[str]]
CHECKS: tuple[Check, ...] = (
    columns_that_give_the_target_away,
    filled_with_the_answer,
    copies_across_the_split,
    copies_that_disagree,
    many_copies,
    rare_classes,
    imbalance,
    missing_words,
    nearly_constant,
    far_values,
    codes_for_missing,
    mostly_missing,
    more_columns_than_rows,
    unlike_scales,
)


def warnings(
    source: Source, schema: Schema, examples: Examples, split: Split, copies: np.ndarray, settings: Settings
) -> tuple[str, ...]:
    """Return what should be looked at before the network is believed; nothing for clean data.

    Columns are asked on training rows alone; copies, the counts of classes and slips in the target are those of all.
    Shapes: copies (N,) a group number per row, which copies share
    """
    evidence = Evidence(
        source=source, schema=schema, examples=examples, split=split, copies=copies, settings=settings
    )
    return tuple(sentence for check in CHECKS for sentence in check(evidence))
