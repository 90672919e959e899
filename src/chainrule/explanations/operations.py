"""What an expression is made of: each operation with its value, its derivatives, and how people write them.

Values are floats. Activation functions take value and derivative from their declarations in `nn.activations`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from chainrule.catalog import load, names
from chainrule.nn.activations import Activation

_TINY = 1e-9
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Values = Sequence[float]
Names = Sequence[str]


class NoValue(ArithmeticError):  # noqa: N818 - it says what there is, and becomes an error with its place
    """There is no such number: a division by zero, a logarithm of a negative number, one too large."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A function of one or more numbers.

    `derivatives` takes the inputs and the value, and gives one derivative per input. `written` writes the operation on
    names or numbers; `formulas` writes the derivatives by the names of the inputs and of the result. `kink` says what
    is taken where the function has a corner.
    """

    value: Callable[[Values], float]
    derivatives: Callable[[Values, float], list[float]]
    written: Callable[[Names], str]
    formulas: Callable[[Names, str, Values], list[str]]
    kink: Callable[[Values], str] = lambda values: ""


def show(value: float, digits: int = 6) -> str:
    """Write a number as it stands in a formula.

    >>> show(-0.5), show(33.0), show(1234567.0), show(1e-7)
    ('−0.5', '33', '1.23457e6', '1e−7')
    """
    text = f"{value + 0:.{digits}g}".replace("e+", "e").replace("e0", "e").replace("e-0", "e-")
    return text.replace("-", "−")


def factor(text: str) -> str:
    """Put a negative number into brackets, as it stands behind another sign."""
    return f"({text})" if text.startswith("−") else text


def _divide(values: Values) -> float:
    if values[1] == 0:
        raise NoValue(f"a division by zero: {show(values[0])} / 0")
    return values[0] / values[1]


def _power(values: Values) -> float:
    base, exponent = values
    if base == 0 and exponent < 0:
        raise NoValue(f"a division by zero: 0 to the power {show(exponent)}")
    if base < 0 and not exponent.is_integer():
        raise NoValue(f"no real number: {show(base)} to the power {show(exponent)}")
    return float(base**exponent)


def _power_derivatives(values: Values, value: float) -> list[float]:
    base, exponent = values
    slope = 0.0 if exponent == 0 else exponent * _power((base, exponent - 1))
    if base > 0:
        return [slope, value * math.log(base)]
    # The second is asked for only where the exponent is not a number.
    return [slope, 0.0 if base == 0 < exponent else math.nan]


def _power_written(names: Names) -> str:
    base, exponent = names
    low = f"({base})" if not base.replace("_", "").isalnum() else base
    plain = exponent.replace("−", "-", 1)
    if plain.removeprefix("-").isdigit():
        return low if plain == "1" else low + plain.translate(SUPERSCRIPTS)
    return f"{low}^{factor(exponent)}"


def _power_formulas(names: Names, result: str, values: Values) -> list[str]:
    base, exponent = names
    by_exponent = f"{result} · ln({base})"
    if exponent != show(values[1]):
        return [f"{exponent} · {base}^({exponent} − 1)", by_exponent]
    if values[1] in (0.0, 1.0):
        return [show(values[1]), by_exponent]
    return [f"{exponent} · {_power_written((base, show(values[1] - 1)))}", by_exponent]


def _exp(values: Values) -> float:
    return math.exp(values[0])


def _log(values: Values) -> float:
    if values[0] <= 0:
        raise NoValue(f"no logarithm: ln({show(values[0])}); it takes numbers above zero")
    return math.log(values[0])


def _one(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def _activation(declared: Activation) -> Operation:
    label = _function_name(declared.name)

    def slope(z: float) -> float:
        return float(declared.derivative(_one(z), declared.value(_one(z))))

    def kink(values: Values) -> str:
        if values[0] not in declared.kinks:
            return ""
        left, here, right = (slope(values[0] + step) for step in (-_TINY, 0.0, _TINY))
        return (
            f"{label} has a corner at {show(values[0])}: its slope is {show(left)} to the left and {show(right)} to the "
            f"right, and {show(here)} is taken, as automatic differentiation does"
        )

    return Operation(
        lambda values: float(declared.value(_one(values[0]))),
        lambda values, value: [float(declared.derivative(_one(values[0]), _one(value)))],
        lambda names: f"{label}({names[0]})",
        lambda names, result, values: [_slope_formula(declared, names[0], result) or show(slope(values[0]))],
        kink,
    )


def _slope_formula(declared: Activation, z: str, a: str) -> str:
    """Return the declared derivative with the names of input and result; nothing where it is written case by case."""
    if re.search(r" for |,|=", declared.derivative_formula):
        return ""
    return re.sub(
        r"(?<![A-Za-z])[za](?![A-Za-z])",
        lambda found: z if found[0] == "z" else a,
        declared.derivative_formula,
    )


def _function_name(name: str) -> str:
    return name.replace("-", "_")


def _activations() -> dict[str, Operation]:
    """Return all activations of the catalogue that take one number."""
    declared: list[Activation] = [load("activation", name) for name in names("activation")]
    return {
        _function_name(a.name): _activation(a)
        for a in declared
        if a.is_element_wise and a.name not in ("identity", "linear")
    }


def _extreme(name: str, best: Callable[[Values], float]) -> Operation:
    def shares(values: Values, value: float) -> list[float]:
        equal = sum(v == value for v in values)
        return [1 / equal if v == value else 0.0 for v in values]

    def formulas(names: Names, result: str, values: Values) -> list[str]:
        equal = sum(v == best(values) for v in values)
        won = "1" if equal == 1 else f"1/{equal}"
        return [won if v == best(values) else "0" for v in values]

    def kink(values: Values) -> str:
        equal = sum(v == best(values) for v in values)
        if equal == 1:
            return ""
        return (
            f"{name} has a corner where values are equal: {equal} of them are {show(best(values))}, and each gets "
            f"1/{equal} of the gradient, as automatic differentiation does"
        )

    return Operation(best, shares, lambda names: f"{name}({', '.join(names)})", formulas, kink)


OPERATIONS = {
    "add": Operation(
        lambda v: v[0] + v[1],
        lambda v, r: [1.0, 1.0],
        lambda n: f"{n[0]} + {factor(n[1])}",
        lambda n, r, v: ["1", "1"],
    ),
    "subtract": Operation(
        lambda v: v[0] - v[1],
        lambda v, r: [1.0, -1.0],
        lambda n: f"{n[0]} − {factor(n[1])}",
        lambda n, r, v: ["1", "−1"],
    ),
    "multiply": Operation(
        lambda v: v[0] * v[1],
        lambda v, r: [v[1], v[0]],
        lambda n: f"{n[0]} · {factor(n[1])}",
        lambda n, r, v: [n[1], n[0]],
    ),
    "divide": Operation(
        _divide,
        lambda v, r: [1 / v[1], -r / v[1]],
        lambda n: f"{n[0]} / {factor(n[1])}",
        lambda n, r, v: [f"1/{factor(n[1])}", f"−{factor(n[0])}/{_power_written((n[1], '2'))}"],
    ),
    "power": Operation(_power, _power_derivatives, _power_written, _power_formulas),
    "negate": Operation(
        lambda v: -v[0], lambda v, r: [-1.0], lambda n: f"−{factor(n[0])}", lambda n, r, v: ["−1"]
    ),
    "identity": Operation(lambda v: v[0], lambda v, r: [1.0], lambda n: n[0], lambda n, r, v: ["1"]),
    "exp": Operation(_exp, lambda v, r: [r], lambda n: f"exp({n[0]})", lambda n, r, v: [r]),
    "log": Operation(
        _log, lambda v, r: [1 / v[0]], lambda n: f"ln({n[0]})", lambda n, r, v: [f"1/{factor(n[0])}"]
    ),
    "max": _extreme("max", max),
    "min": _extreme("min", min),
    **_activations(),
}
_SIGNS = ("add", "subtract", "multiply", "divide", "power", "negate", "identity")
FUNCTIONS = {name: name for name in OPERATIONS if name not in _SIGNS} | {"ln": "log"}
