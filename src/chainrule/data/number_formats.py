"""Numbers as people write them: "12,5 %", "$1,234.50", "1.234,56 €", "CHF 1'200", "(1,200)" for -1,200."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from chainrule.core.text import visible

LOOKED_AT = 100  # cells that are no plain numbers, looked at to find a unit
SPACES = " \u00a0\u202f\u2009"  # plain, no-break, narrow no-break, thin
MINUS = "\u2212"
APOSTROPHES = "'\u2019"
CURRENCIES = frozenset(
    ("$", "€", "£", "¥", "₹", "₽", "₩", "₺", "₫", "₪", "₴", "₦", "฿", "₱", "₸", "US$", "A$", "C$", "R$", "HK$",
     "NT$", "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "INR", "JPY", "KRW", "MXN",
     "NOK", "NZD", "PLN", "RUB", "SEK", "SGD", "TRY", "USD", "ZAR", "Fr.", "Rs", "Rs.", "kr", "kr.", "zł", "Kč",
     "Ft", "руб.")
)  # fmt: skip
MEASURES = frozenset(
    ("%", "‰", "°", "°C", "°F", "kg", "g", "mg", "t", "lb", "lbs", "oz", "km", "m", "cm", "mm", "mi", "ft", "in",
     "mph", "km/h", "l", "ml", "ms", "s", "min", "h", "kWh", "kW", "W")
)  # fmt: skip
_CLASSES = {" ": f"[{SPACES}]", "'": f"[{APOSTROPHES}]"}  # what a thousands sign of a format stands for


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFormat:
    """How the numbers of a column are written. As text it is 1234.5 in this way of writing, such as "$1,234.5".

    >>> str(NumberFormat(decimal=",", thousands=".", unit="€")), NumberFormat.parse("CHF 1'234.5").unit
    ('1.234,5 €', 'CHF')
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    is_unit_first: bool = False

    def __str__(self) -> str:
        number = f"1{self.thousands}234{self.decimal}5"
        if not self.is_unit_first:
            return f"{number} {self.unit}".strip()
        return f"{self.unit}{' ' if self.unit[-1:].isalpha() else ''}{number}"

    @classmethod
    def parse(cls, text: str) -> NumberFormat:
        """Read what `str` wrote. Raises: ValueError for anything else."""
        found = re.fullmatch(r"(?P<first>\D*)1(?P<thousands>\D?)234(?P<decimal>[.,])5(?P<last>\D*)", text)
        if found is None:
            raise ValueError(f"{text!r} is no way to write 1234.5")
        first, last = found["first"].strip(), found["last"].strip()
        return cls(
            decimal=found["decimal"],
            thousands=found["thousands"],
            unit=first or last,
            is_unit_first=bool(first),
        )

    @property
    def pattern(self) -> str:
        """A regular expression for all cells that are written so; unit and thousands signs may be left out."""
        point = re.escape(self.decimal)
        whole = r"\d+"
        if self.thousands:
            sign = _CLASSES.get(self.thousands, re.escape(self.thousands))
            inner = r"\d{2,3}" if self.thousands == "," else r"\d{3}"  # India writes 12,34,567
            whole = rf"(?:[1-9]\d{{0,2}}(?:{sign}{inner})*{sign}\d{{3}}|\d+)"
        least = "*" if self.decimal == "." else "+"  # "5." is a number, "5," the end of a clause
        body = rf"(?:{whole}(?:{point}\d{least})?|{point}\d+)(?:[eE][-+]?\d+)?"
        unit = f"(?:{re.escape(self.unit)}[{SPACES}]*)?" if self.unit else ""
        last = f"(?:[{SPACES}]*{re.escape(self.unit)})?" if self.unit else ""
        number = rf"{unit}[-+{MINUS}]?{body}{last}"
        return rf"^(?:[-+{MINUS}]?[{SPACES}]*{number}|{unit}\([{SPACES}]*{number}[{SPACES}]*\){last})$"

    @property
    def ignored(self) -> str:
        """A regular expression for all that says nothing of a number's value: unit, thousands signs, spaces."""
        signs = "".join({"'": APOSTROPHES, " ": ""}.get(self.thousands, self.thousands))
        unit = f"{re.escape(self.unit)}|" if self.unit else ""
        return rf"{unit}[{SPACES}+()" + (rf"{signs}]" if signs else "]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How a column's numbers are written, and what that says.

    `numbers` are the cells read so, null for what is no number. `decimal` is the sign that they show beyond doubt;
    where the same cells could as well be read with the other sign, `is_open` is true.
    """

    format: NumberFormat
    numbers: pl.Series
    decimal: str
    is_open: bool


def read_texts(seen: pl.Series, decimal: str | None = None) -> tuple[pl.Series, Written | None]:
    """Read texts as float64 numbers, null for what is none; plain ones, unless more can be read another way.

    Also returns how they are written where they are not plain. With a decimal comma even 1.234 may be a thousand.
    """
    plain = seen.cast(pl.Float64, strict=False).fill_nan(None)
    odd = seen.head(LOOKED_AT) if decimal == "," or not plain.count() else seen.filter(plain.is_null())
    written = find_number_format(seen, odd, decimal) if odd.len() else None
    if written is None or written.numbers.count() < max(1, plain.count()):
        return plain, None
    says_more = written.format.decimal == "," and not written.numbers.eq_missing(plain).all()
    if written.numbers.count() == plain.count() and not says_more:
        return plain, None
    return written.numbers, written


def said_of(written: Written, seen: pl.Series) -> str:
    """Say how the cells are written, with one of them, and how to have them read otherwise."""
    plain = seen.cast(pl.Float64, strict=False)
    row = int((plain.ne_missing(written.numbers) & written.numbers.is_not_null()).arg_true()[0])
    shown = re.sub(f"[{SPACES}]", " ", seen[row])  # as it looks, not as its spaces are coded
    said = f"like '{visible(shown, 40)}' and read as {written.numbers[row]:.15g}"
    if not written.is_open:
        return said
    sign, other = ("point", ",") if written.format.decimal == "." else ("comma", ".")
    return f"{said}, the decimal sign being a {sign} (--decimal {other} says otherwise)"


def find_number_format(seen: pl.Series, odd: pl.Series, decimal: str | None = None) -> Written | None:
    """Find how numbers are written; `odd` are those cells of `seen` that are no plain numbers.

    Of the ways in which the most cells can be read, the one with the sign `decimal` is taken; without one, a point,
    except that an amount of money with three digits behind its only sign has no such part of a coin.
    """
    unit, is_first = _common_unit(odd)
    if unit is None:
        return None
    tried = []
    for decimal_sign, thousands in _ways(seen):
        form = NumberFormat(decimal=decimal_sign, thousands=thousands, unit=unit, is_unit_first=is_first)
        tried.append((form, read_numbers(seen, form)))
    most = max(numbers.count() for _, numbers in tried)
    if not most:
        return None
    best = [(form, numbers) for form, numbers in tried if numbers.count() == most]
    is_open = len({form.decimal for form, _ in best}) > 1
    is_money = is_open and decimal is None and unit in CURRENCIES
    form, numbers = min(
        best,
        key=lambda way: (
            is_money and not way[0].thousands,
            way[0].decimal != (decimal or "."),
            way[0].thousands,
        ),
    )
    is_shown = form.thousands in (".", ",") or seen.str.contains(form.decimal, literal=True).any()
    return Written(
        format=form,
        numbers=numbers,
        decimal=form.decimal if is_shown and not is_open else "",
        is_open=is_open,
    )


def read_numbers(cells: pl.Series, form: NumberFormat) -> pl.Series:
    """Read texts as float64; null for what is not written so. Shapes: (N,) -> (N,)."""
    digits = cells.str.replace_all(form.ignored, "").str.replace(MINUS, "-", literal=True)
    if form.decimal == ",":
        digits = digits.str.replace(",", ".", literal=True)
    numbers = digits.cast(pl.Float64, strict=False)
    in_brackets = cells.str.contains("(", literal=True)
    if in_brackets.any():
        numbers = numbers.zip_with(~in_brackets.fill_null(False), -numbers)
    return numbers.set(~cells.str.contains(form.pattern).fill_null(False), None)


def _ways(seen: pl.Series) -> Iterator[tuple[str, str]]:
    """Go through the pairs of decimal and thousands signs that the cells could be written with."""
    used = {s for s in (".", ",") if seen.str.contains(s, literal=True).any()}
    used |= {s for s, class_ in _CLASSES.items() if seen.str.contains(rf"\d{class_}\d").any()}
    for decimal in (".", ","):
        for thousands in ("", ",", ".", " ", "'"):
            is_idle = decimal == "," and "," not in used and thousands != "."
            if thousands != decimal and thousands in {"", *used} and not is_idle:
                yield decimal, thousands


def _common_unit(odd: pl.Series) -> tuple[str | None, bool]:
    """Return the most frequent unit of the first cells and whether it stands first; None if no cell is a number."""
    found = [
        m for text in odd.head(LOOKED_AT).to_list() if len(text) < 50 and (m := _written().fullmatch(text))
    ]
    if not found:
        return None, False
    units = Counter((m["first"] or m["last"], bool(m["first"])) for m in found if m["first"] or m["last"])
    return units.most_common(1)[0][0] if units else ("", False)


@functools.cache
def _written() -> re.Pattern[str]:
    """What could be a number with a unit."""
    money = "|".join(re.escape(unit) for unit in sorted(CURRENCIES, key=len, reverse=True))
    units = "|".join(re.escape(unit) for unit in sorted((*CURRENCIES, *MEASURES), key=len, reverse=True))
    space, sign = f"[{SPACES}]*", f"[-+{MINUS}(]*"
    body = rf"(?:\d[\d.,{APOSTROPHES}{SPACES}]*?(?:[eE][-+]?\d+)?|[.,]\d+)"
    return re.compile(
        rf"{sign}{space}(?P<first>{money})?{space}{sign}{space}{body}{space}\)?(?P<last>{units})?\)?"
    )
