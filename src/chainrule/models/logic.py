"""Networks of threshold units that are built by hand: a single unit, logic gates, any truth table.

Nothing of them is trained. They take truth values and give truth values: 1 where the last unit fires, else 0.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError, ShapeError
from chainrule.core.text import visible
from chainrule.nn.threshold import McCullochPitts, ThresholdUnits, TruthValues

GATES = ("and", "or", "not", "nand", "nor", "xor")


def mcculloch_pitts(*, inputs: int, units: int = 1, threshold: float = 1.0) -> McCullochPitts:
    """Build one McCulloch-Pitts unit: it fires where the sum of its inputs reaches the threshold.

    Inputs are 0 or 1 and all count alike; the threshold is set by hand: 1 gives OR, the number of inputs AND.
    Shapes: (B, inputs) -> (B, 1)
    """
    _check("mcculloch-pitts", inputs, units, None)
    return McCullochPitts(inputs, threshold)


def logic_gate(*, inputs: int | None = None, units: int = 1, gate: str = "and") -> nn.Sequential:
    """Build a gate by its name, for 0 and 1: and, or, not, nand, nor, xor. One unit does it, for xor a hidden layer.

    Gates take two inputs unless `inputs` says more, not takes one. Of more than two inputs xor tells whether an odd
    number is 1: hidden unit k fires where at least k inputs are 1, and the output weighs them +1, -1, +1, …
    Shapes: (B, inputs) -> (B, 1)
    """
    if gate not in GATES:
        raise SettingError(f"gate must be one of {', '.join(GATES)}; got {visible(gate, 40)!r}")
    count = inputs if inputs is not None else (1 if gate == "not" else 2)
    _check("logic-gate", count, units, 1 if gate == "not" else None)
    if gate != "not" and count < 2:
        raise ShapeError(f"the gate {gate} takes at least 2 inputs; got {count}")
    return nn.Sequential(TruthValues(count), *_layers(gate, count))


def truth_table(
    *, inputs: int | None = None, units: int = 1, table: str = "0110", coding: str = "boolean"
) -> nn.Sequential:
    """Build a network for any Boolean function of n inputs: 2ⁿ hidden perceptrons and one that gives the answer.

    `table` has the answers to all rows of inputs in counting order, for two inputs 00, 01, 10, 11: "0110" is XOR. Every
    hidden unit fires for one row alone; the output unit weighs them with the answers. `coding` is boolean, for inputs 0
    and 1, or bipolar, for −1 and +1.
    Shapes: (B, n) -> (B, 1)
    Raises: SettingError for a table whose length is no power of two, or that holds anything but 0 and 1
    """
    count = _inputs_of(table)
    _check(f"truth-table {visible(table, 20)}", count if inputs is None else inputs, units, count)
    rows = torch.tensor(list(itertools.product((0.0, 1.0), repeat=count)))
    at_most = rows.sum(1) if coding == "boolean" else torch.full((len(rows),), float(count))
    answers = torch.tensor([[float(answer) for answer in table]])
    return nn.Sequential(
        TruthValues(count, coding),
        ThresholdUnits(2 * rows - 1, at_most),  # no row but its own gives a unit the largest sum
        ThresholdUnits(answers, [1.0]),
    )


def _layers(gate: str, inputs: int) -> list[ThresholdUnits]:
    """Return the threshold units of a gate: the sum of n inputs is compared half-way between whole numbers."""
    ones = [1.0] * inputs
    if gate == "xor":
        at_least = [k - 0.5 for k in range(1, inputs + 1)]
        signs = [float((-1) ** k) for k in range(inputs)]
        return [ThresholdUnits([ones] * inputs, at_least), ThresholdUnits([signs], [0.5])]
    reached = 0.5 if gate in ("or", "nor", "not") else inputs - 0.5
    sign = 1.0 if gate in ("and", "or") else -1.0
    return [ThresholdUnits(sign * torch.tensor([ones]), [sign * reached])]


def _inputs_of(table: str) -> int:
    """Return how many inputs a truth table has. Raises: SettingError."""
    wrong = next((place for place, answer in enumerate(table) if answer not in "01"), None)
    if wrong is not None:
        raise SettingError(
            f"a truth table is written with 0 and 1, such as 0110; character {wrong + 1} is {visible(table[wrong])!r}"
        )
    count = max(1, len(table).bit_length() - 1)
    if len(table) != 2**count:
        nearest = f"{2**count} and {2 ** (count + 1)}" if len(table) > 2 else "2"
        raise SettingError(
            f"a truth table has one answer for each of the 2ⁿ rows of n inputs; got {len(table)} "
            f"{'answer' if len(table) == 1 else 'answers'} (nearest: {nearest})"
        )
    return count


def _check(name: str, inputs: int | Tensor, units: int, wanted: int | None) -> None:
    """Refuse other numbers of inputs and outputs than a network by hand has. Raises: ShapeError."""
    if not isinstance(inputs, int) or inputs < 1 or (wanted is not None and inputs != wanted):
        takes = f"{wanted} {'input' if wanted == 1 else 'inputs'}" if wanted else "so many truth values a row"
        raise ShapeError(f"{name} takes {takes}; got inputs={inputs}")
    if units != 1:
        raise ShapeError(f"{name} has one output; got units={units}")
