"""Quantities as people write and read them."""

from __future__ import annotations

import math
import re
from typing import Any

from chainrule.core.errors import SettingError
from chainrule.core.text import visible

_FACTORS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
LEAST_MEMORY = 10**6


def show_seconds(seconds: float) -> str:
    """Write a duration the way a person would say it.

    >>> show_seconds(0.0123), show_seconds(4.21), show_seconds(75), show_seconds(7384)
    ('12 ms', '4.2 s', '1 min 15 s', '2 h 03 min')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def show_step_seconds(seconds: float) -> str:
    """Write how long an update, or a part of one, takes: three digits, so that ways can be compared.

    >>> show_step_seconds(2.714e-5), show_step_seconds(0.00234), show_step_seconds(0.21)
    ('27.1 µs', '2.34 ms', '210 ms')
    """
    return f"{seconds * 1e6:.3g} µs" if seconds < 0.9995e-3 else f"{rounded(seconds * 1e3, 3):g} ms"


def show_bytes(count: float) -> str:
    """Write a number of bytes with a decimal prefix.

    >>> show_bytes(512), show_bytes(48_200), show_bytes(3.2e9)
    ('512 B', '48.2 kB', '3.2 GB')
    """
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def parse_bytes(text: str) -> int:
    """Read an amount of memory.

    Raises: SettingError for what is none, or less than a megabyte
    >>> parse_bytes("600MB"), parse_bytes("1.5 GiB")
    (600000000, 1610612736)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)", text.strip(), re.IGNORECASE | re.ASCII)
    unit = found and found[2].upper()
    unit = f"{unit}B" if unit in ("K", "M", "G", "T") else unit
    if found is None or unit not in _FACTORS:
        raise SettingError(f"--memory takes an amount such as 600MB, 1GB or 1GiB; got {text!r}")
    amount = float(found[1]) * _FACTORS[unit]
    if not LEAST_MEMORY <= amount < 2**60:
        raise SettingError(
            f"--memory must be at least {show_bytes(LEAST_MEMORY)}, and less than there is; got {text!r}"
        )
    return int(amount)


def show_number(value: float) -> str:
    """Write a measured number with four significant digits and no needless zeros.

    >>> show_number(0.98765), show_number(12345.6), show_number(3.0), show_number(2.5e-7)
    ('0.9877', '12350', '3', '2.5e-07')
    """
    if value == 0 or value != value or value in (float("inf"), float("-inf")):
        return f"{value:g}"
    text = f"{value:.4g}"
    return f"{float(text):.0f}" if "e+" in text and abs(value) < 1e15 else text


def rounded(value: float, digits: int) -> float:
    """Return the nearest number with so many significant digits.

    >>> rounded(0.0123456, 2), rounded(1234.5, 1)
    (0.012, 1000.0)
    """
    return float(f"{value:.{digits}g}")


def signed(number: str) -> str:
    """Write the hyphens of numbers as the minus that formulas have, so that a text has one sign for both."""
    return number.replace("-", "−")


def show_tick(value: float, position: int | None = None) -> str:
    """Write a number in little room, as beside an axis; matplotlib says the position too.

    >>> show_tick(-0.25), show_tick(150000.0), show_tick(2.5e6), show_tick(1e-5)
    ('−0.25', '150000', '2.5e6', '1e-5')
    """
    text = f"{value:.6g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return text.replace("-", "−", 1) if text.startswith("-") else text


def show_value(value: Any) -> str:
    """Write a value of a setting as --set takes it, numbers with three digits.

    >>> show_value((64, 32)), show_value(0.00123456), show_value(None), show_value(True)
    ('64,32', '0.00123', 'none', 'true')
    """
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return ",".join(map(show_value, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else visible(value, 40)


def show_share(part: float) -> str:
    """Write a share in per cent, never as all or none where it is not.

    >>> show_share(1.0), show_share(0.9996), show_share(0.123), show_share(0.0001)
    ('100 %', '99.9 %', '12.3 %', 'less than 0.1 %')
    """
    if part in (0.0, 1.0):
        return f"{100 * part:.0f} %"
    return "less than 0.1 %" if part < 0.001 else f"{min(99.9, 100 * part):.1f} %"


def show_figure(value: float, digits: int = 3) -> str:
    """Write a score with three digits, more are luck of the rows; only what is whole reads as 1.

    >>> show_figure(0.94444), show_figure(0.99996), show_figure(-0.00062), show_figure(0.3333, 2), show_figure(1234.5)
    ('0.944', '0.999', '-0.00062', '0.33', '1234')
    """
    short = rounded(value, digits) if abs(value) < 100 or digits < 3 else value
    return show_number(1 - 10.0**-digits if value < 1 <= short else short)


def show_interval(low: float, high: float) -> str:
    """Write an interval with the decimals that its width leaves a meaning.

    >>> show_interval(0.9013, 0.9821), show_interval(103.21, 141.8), show_interval(-0.103, -0.0004)
    ('0.90 to 0.98', '103 to 142', '-0.10 to 0.00')
    """
    if not low < high or math.isinf(low) or math.isinf(high):
        return f"{show_number(low)} to {show_number(high)}"
    decimals = min(9, max(0, math.ceil(0.7 - math.log10(high - low))))
    # adding zero to a negative zero leaves a plain one
    return f"{round(low, decimals) + 0:.{decimals}f} to {round(high, decimals) + 0:.{decimals}f}"
